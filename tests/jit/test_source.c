// SPDX-License-Identifier: Apache-2.0
// Symbols, translation units and the hash under them.
#include "backends/cpu/cpu.h"
#include "fixture.h"
#include "jit/sha256.h"
#include "jit/text.h"

#include <string.h>

// The examples of FIPS 180-4, and one that is fed in pieces of every length.
static void check_sha256(void)
{
    static const struct { const char *text, *digest; } examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    carat_sha256 sha;
    uint8_t digest[32], pieces[32];
    char text[65], long_text[1000];
    for (size_t i = 0; i < sizeof examples / sizeof *examples; ++i) {
        carat_sha256_begin(&sha);
        carat_sha256_add(&sha, examples[i].text, strlen(examples[i].text));
        carat_sha256_end(&sha, digest);
        carat_hex_make(digest, 32, text);
        CHECK(strcmp(text, examples[i].digest) == 0);
    }
    memset(long_text, 'x', sizeof long_text);
    carat_sha256_begin(&sha);
    carat_sha256_add(&sha, long_text, sizeof long_text);
    carat_sha256_end(&sha, digest);
    for (size_t piece = 1; piece < 200; ++piece) {
        carat_sha256_begin(&sha);
        for (size_t at = 0; at < sizeof long_text; at += piece)
            carat_sha256_add(&sha, long_text + at, sizeof long_text - at < piece ? sizeof long_text - at : piece);
        carat_sha256_end(&sha, pieces);
        CHECK(memcmp(digest, pieces, sizeof digest) == 0);
    }
}

static void check_symbols(void)
{
    const carat_target *baseline = carat_cpu_level_find("baseline");
    carat_target other = *baseline;
    other.name = "another";
    const carat_key two = scale_key(2, false), three = scale_key(3, false);
    char a[40], b[40];
    carat_symbol_make(baseline, &two, a);
    carat_symbol_make(baseline, &two, b);
    CHECK(strlen(a) == 34 && strncmp(a, "k_", 2) == 0 && strspn(a + 2, "0123456789abcdef") == 32);
    CHECK(strcmp(a, b) == 0);
    carat_symbol_make(baseline, &three, b);
    CHECK(strcmp(a, b) != 0);
    carat_symbol_make(&other, &two, b);
    CHECK(strcmp(a, b) != 0);
}

static void check_defines(void)
{
    carat_defines defines = {.length = 0};
    carat_define(&defines, "T", "float");
    carat_define(&defines, "BODY(x)", "(x) + %d", 1);
    carat_text text = {0};
    carat_text_defines(&text, &defines);
    carat_text_undefs(&text, &defines);
    char *lines = carat_text_take(&text);
    CHECK(lines && strcmp(lines, "#define T float\n#define BODY(x) (x) + 1\n#undef T\n#undef BODY\n") == 0);
    free(lines);
}

// How often `part` occurs.
static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; ++at) ++n;
    return n;
}

static void check_unit(void)
{
    const carat_key key = scale_key(2, false);
    char *source = carat_source_make(carat_cpu_level_find("baseline"), &key, "k_name");
    CHECK(source != NULL);
    CHECK(count(source, "#define KERNEL_NAME k_name\n") == 1);
    CHECK(count(source, "#define FACTOR 2.0f\n") == 1);
    CHECK(count(source, "typedef struct scale_args") == 1); // included twice, in two ways, and taken once
    CHECK(count(source, "#include \"") == 0);
    CHECK(count(source, "#line 1 \"scale.k.c\"\n") == 1);
    free(source);
    CHECK(carat_embedded_source("dialect/cpu.h") != NULL);
    CHECK(carat_embedded_source("dialect/none.h") == NULL);
}

int main(void)
{
    check_sha256();
    check_symbols();
    check_defines();
    check_unit();
    return 0;
}

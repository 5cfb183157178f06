// SPDX-License-Identifier: Apache-2.0
// Kernel sources: finding the embedded ones, making a whole translation unit of a key, and naming it by its hash.
#include "jit/embedded.h"
#include "jit/jit.h"
#include "jit/sha256.h"
#include "jit/text.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_INCLUDE_DEPTH = 16, MAX_NAME = 256 };

static int compare_names(const void *name, const void *file)
{
    return strcmp(name, ((const carat_embedded *)file)->name);
}

const carat_embedded *carat_embedded_find(const char *name)
{
    return bsearch(name, carat_embedded_files, (size_t)carat_embedded_count, sizeof *carat_embedded_files, compare_names);
}

const char *carat_embedded_source(const char *name)
{
    const carat_embedded *file = carat_embedded_find(name);
    return file ? file->text : NULL;
}

// ---- #include "..." resolved into one text

typedef struct inliner {
    carat_text text;
    bool *seen; // per embedded file: a header is taken once, as its guard would have it
    bool missing;
} inliner;

// The file name in an #include "..." line; false for any other line.
static bool included_name(const char *line, size_t length, char name[MAX_NAME])
{
    const char *at = line, *end = line + length;
    while (at < end && (*at == ' ' || *at == '\t')) ++at;
    if (at == end || *at++ != '#') return false;
    while (at < end && (*at == ' ' || *at == '\t')) ++at;
    if (end - at < 7 || memcmp(at, "include", 7) != 0) return false;
    for (at += 7; at < end && (*at == ' ' || *at == '\t');) ++at;
    if (at == end || *at++ != '"') return false;
    const char *quote = memchr(at, '"', (size_t)(end - at));
    if (!quote || quote - at >= MAX_NAME) return false;
    memcpy(name, at, (size_t)(quote - at));
    name[quote - at] = 0;
    return true;
}

// A file named by an #include: beside the includer first, then from the kernels folder, as embed.py resolves it.
static const carat_embedded *resolve(const carat_embedded *includer, const char *name)
{
    char beside[2 * MAX_NAME];
    const char *slash = strrchr(includer->name, '/');
    const size_t folder = slash ? (size_t)(slash - includer->name) + 1 : 0;
    if (folder + strlen(name) >= sizeof beside) return NULL;
    memcpy(beside, includer->name, folder);
    strcpy(beside + folder, name);
    const carat_embedded *file = carat_embedded_find(beside);
    return file ? file : carat_embedded_find(name);
}

static void inline_file(inliner *in, const carat_embedded *file, int depth)
{
    const size_t name_length = file ? strlen(file->name) : 0;
    if (!file || depth > MAX_INCLUDE_DEPTH) {
        in->missing = true;
        return;
    }
    bool *seen = &in->seen[file - carat_embedded_files];
    if (*seen && file->name[name_length - 1] == 'h') return;
    *seen = true;
    carat_text_format(&in->text, "#line 1 \"%s\"\n", file->name);
    const char *at = file->text, *end = at + file->size;
    for (int number = 1; at < end; ++number) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline ? newline + 1 : end;
        char name[MAX_NAME];
        if (included_name(at, (size_t)(next - at), name)) {
            inline_file(in, resolve(file, name), depth + 1);
            carat_text_format(&in->text, "#line %d \"%s\"\n", number + 1, file->name);
        } else {
            carat_text_add(&in->text, at, (size_t)(next - at));
        }
        at = next;
    }
    if (file->size > 0 && end[-1] != '\n') carat_text_add(&in->text, "\n", 1);
}

// ---- a key's source and symbol

static const carat_embedded *dialect_file(const carat_target *target)
{
    char name[MAX_NAME] = "dialect/";
    if (strlen(name) + strlen(target->dialect) >= sizeof name) return NULL;
    return carat_embedded_find(strcat(name, target->dialect));
}

char *carat_source_make(const carat_target *target, const carat_key *key, const char *symbol)
{
    const carat_family *family = carat_family_at(key->family);
    inliner in = {.seen = calloc((size_t)carat_embedded_count + 1, sizeof(bool))};
    if (!in.seen) return NULL;
    carat_defines defines = {.length = 0};
    family->describe(key, target, &defines);
    const char *source = carat_family_source(family, target);
    carat_text_format(&in.text, "// %s for %s\n#define KERNEL_NAME %s\n", source, target->name, symbol);
    carat_text_defines(&in.text, &defines);
    inline_file(&in, dialect_file(target), 0);
    inline_file(&in, carat_embedded_find(source), 0);
    // A source that names a missing file still goes to the compiler, whose message then says so.
    if (in.missing) carat_text_format(&in.text, "#error \"Carat: a kernel source is missing\"\n");
    free(in.seen);
    return carat_text_take(&in.text);
}

// Each part ends with a NUL, so that no two lists of parts hash alike.
static void add_part(carat_sha256 *sha, const char *part)
{
    carat_sha256_add(sha, part, strlen(part) + 1);
}

void carat_symbol_make(const carat_target *target, const carat_key *key, char symbol[40])
{
    const carat_family *family = carat_family_at(key->family);
    const carat_embedded *dialect = dialect_file(target), *source = carat_embedded_find(carat_family_source(family, target));
    carat_defines defines = {.length = 0};
    family->describe(key, target, &defines);
    carat_sha256 sha;
    uint8_t digest[CARAT_SHA256_BYTES];
    carat_sha256_begin(&sha);
    add_part(&sha, dialect ? dialect->digest : "");
    add_part(&sha, source ? source->digest : "");
    add_part(&sha, carat_family_source(family, target));
    add_part(&sha, target->name);
    carat_sha256_add(&sha, defines.text, defines.length);
    carat_sha256_end(&sha, digest);
    memcpy(symbol, "k_", 2);
    carat_hex_make(digest, 16, symbol + 2);
}

// SPDX-License-Identifier: Apache-2.0
// Finding a C compiler on the user's machine and making shared objects with it.
#include "backends/cpu/cpu.h"

#include "core/op.h"
#include "cpu_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 64, MAX_TEXT = 1024, DEFAULT_SECONDS = 120 };

// A command line, its words separated by blanks.
typedef struct command {
    char text[MAX_TEXT];
    size_t used;
    char *words[MAX_WORDS];
    int count;
} command;

static bool add_word(command *line, const char *word, size_t length)
{
    if (line->count + 1 >= MAX_WORDS || line->used + length + 1 > sizeof line->text) return false;
    char *copy = memcpy(line->text + line->used, word, length);
    copy[length] = 0;
    line->used += length + 1;
    line->words[line->count++] = copy;
    line->words[line->count] = NULL;
    return true;
}

static bool add_words(command *line, const char *text)
{
    while (*(text += strspn(text, " \t"))) {
        const size_t length = strcspn(text, " \t");
        if (!add_word(line, text, length)) return false;
        text += length;
    }
    return true;
}

// How long a compiler may take; a CARAT_COMPILE_SECONDS that is no positive number is as good as none.
static int seconds_allowed(void)
{
    const char *text = secure_getenv("CARAT_COMPILE_SECONDS");
    const long value = text ? strtol(text, NULL, 10) : 0;
    return value > 0 && value < 86400 ? (int)value : DEFAULT_SECONDS;
}

// The first line that `compiler --version` prints, if it runs.
static bool identify(const char *compiler, char *identity, size_t size)
{
    command line = {.count = 0};
    if (!add_words(&line, compiler) || line.count == 0 || !add_words(&line, "--version")) return false;
    if (carat_cpu_run(line.words, seconds_allowed(), identity, size) != 0) return false;
    identity[strcspn(identity, "\n")] = 0;
    return *identity != 0;
}

static struct {
    bool ready;
    const char *command; // NULL: there is none
    char asked[MAX_TEXT / 2];
    char identity[MAX_TEXT];
    char why[MAX_TEXT];
} found; // made under Carat's lock by carat_cpu_compiler, constant afterwards

static bool try_compiler(const char *compiler)
{
    char version[256];
    if (!identify(compiler, version, sizeof version)) return false;
    // The command too: CARAT_CC="cc -fsanitize=address" makes other objects than cc.
    snprintf(found.identity, sizeof found.identity, "%s %s %s", version, compiler, CARAT_CPU_FLAGS);
    found.command = compiler;
    return true;
}

static void find_compiler(void)
{
    const char *asked = secure_getenv("CARAT_CC");
    if (asked && *asked) {
        snprintf(found.asked, sizeof found.asked, "%s", asked);
        if (!try_compiler(found.asked)) snprintf(found.why, sizeof found.why, "CARAT_CC=%.200s does not run", asked);
        return;
    }
    const char *const usual[] = {CARAT_CPU_CC, "cc", "gcc", "clang"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; ++i)
        if (try_compiler(usual[i])) return;
    snprintf(found.why, sizeof found.why, "no C compiler: looked for %s, cc, gcc and clang; CARAT_CC may name one", CARAT_CPU_CC);
}

const char *carat_cpu_compiler(const char **why)
{
    if (!found.ready) {
        find_compiler();
        found.ready = true;
    }
    if (found.command) return found.identity;
    if (why) *why = found.why;
    return NULL;
}

static bool write_source(const char *path, const char *source)
{
    FILE *file = fopen(path, "we");
    if (!file) return false;
    const bool written = fputs(source, file) >= 0;
    return (fclose(file) == 0) & written;
}

carat_status carat_cpu_compile(const carat_target *target, const char *source, const char *output, char *log, size_t log_size)
{
    char input[MAX_TEXT];
    const int length = snprintf(input, sizeof input, "%s.c", output);
    if (length < 0 || (size_t)length >= sizeof input || !write_source(input, source)) {
        snprintf(log, log_size, "can't write %s", input);
        return CARAT_IO_ERROR;
    }
    command line = {.count = 0};
    const char *const contraction = strstr(source, "#define " CARAT_NO_CONTRACTION " ") ? "-ffp-contract=off" : "";
    const bool fits = add_words(&line, found.command) && add_words(&line, CARAT_CPU_FLAGS) && add_words(&line, target->flags) && add_words(&line, contraction) &&
                      add_words(&line, "-shared -o") && add_word(&line, output, strlen(output)) &&
                      add_word(&line, input, strlen(input)) && add_words(&line, "-lm");
    if (!fits) {
        snprintf(log, log_size, "the compiler's command line is too long");
        return CARAT_COMPILE_ERROR;
    }
    const int status = carat_cpu_run(line.words, seconds_allowed(), log, log_size);
    remove(input);
    return status == 0 ? CARAT_OK : CARAT_COMPILE_ERROR;
}

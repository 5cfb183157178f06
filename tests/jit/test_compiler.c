// SPDX-License-Identifier: Apache-2.0
// Compilers of every kind: good, missing, failing, chattering, hanging, and liars.
#include "fixture.h"

#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char script[64];

// CARAT_CC is a shell script from here on.
static void use_script(const char *text)
{
    FILE *file = fopen(script, "w");
    CHECK(file != NULL);
    fprintf(file, "#!/bin/sh\ncase \"$*\" in *--version*) echo a compiler of the tests; exit 0;; esac\n%s\n", text);
    CHECK(fclose(file) == 0 && chmod(script, 0700) == 0);
    setenv("CARAT_CC", script, 1);
}

static carat_status get(int factor)
{
    carat_kernel kernel;
    const carat_status status = get_scale(factor, &kernel);
    if (status == CARAT_OK) check_scale(kernel, factor);
    return status;
}

static void check_words(void) // a command of several words, separated by blanks
{
    setenv("CARAT_CC", "  env  CARAT_TEST=1 cc -g ", 1);
    CHECK(get(1) == CARAT_OK);
}

static void check_missing(void)
{
    setenv("CARAT_CC", "no-such-compiler-anywhere", 1);
    CHECK(get(2) == CARAT_UNSUPPORTED);
    CHECK(strcmp(carat_last_reason(), "no kernel") == 0);
}

static void check_empty(void) // as if unset
{
    setenv("CARAT_CC", "", 1);
    CHECK(get(2) == CARAT_OK);
}

static void check_blank(void)
{
    setenv("CARAT_CC", "   ", 1);
    CHECK(get(2) == CARAT_UNSUPPORTED);
}

static void check_long(void)
{
    char words[5000];
    memset(words, 'x', sizeof words);
    words[sizeof words - 1] = 0;
    setenv("CARAT_CC", words, 1);
    CHECK(get(2) == CARAT_UNSUPPORTED);
}

static void check_words_kept(void)
{
    use_script("echo first line; echo \"second 'line'\" >&2; exit 3");
    CHECK(get(3) == CARAT_COMPILE_ERROR);
    CHECK(strstr(carat_last_error(), "first line\nsecond 'line'\n"));
}

static void check_chatter(void) // megabytes of words: the first are kept, and the pipe never blocks
{
    use_script("i=0; while [ $i -lt 3000 ]; do echo \"$i: many words, so many that a pipe is full of them; $0 $*\"; "
               "i=$((i + 1)); done; exit 1");
    CHECK(get(3) == CARAT_COMPILE_ERROR);
    CHECK(strstr(carat_last_error(), "0: many words"));
}

static void check_hang(void)
{
    setenv("CARAT_COMPILE_SECONDS", "1", 1);
    use_script("sleep 1000 & sleep 1000");
    const time_t start = time(NULL);
    CHECK(get(3) == CARAT_COMPILE_ERROR);
    CHECK(time(NULL) - start < 20 && strstr(carat_last_error(), "took too long"));
}

static void check_daemon(void) // a helper left behind holds the output open
{
    use_script("(sleep 30 &) ; exec cc \"$@\"");
    const time_t start = time(NULL);
    CHECK(get(4) == CARAT_OK);
    CHECK(time(NULL) - start < 20);
}

static void check_no_output(void)
{
    use_script("exit 0");
    CHECK(get(5) == CARAT_IO_ERROR);
}

static void check_garbage(void)
{
    use_script("while [ \"$1\" != -o ]; do shift; done; echo this is no shared object > \"$2\"; exit 0");
    CHECK(get(6) == CARAT_UNSUPPORTED);
}

static void check_crash(void)
{
    use_script("kill -SEGV $$");
    CHECK(get(7) == CARAT_COMPILE_ERROR);
}

static void check_reaped(void) // the program doesn't let us see how children end
{
    signal(SIGCHLD, SIG_IGN);
    CHECK(get(8) == CARAT_OK);
}

static void check_whole_message(void)
{
    const carat_key key = scale_key(5, true);
    carat_kernel kernel;
    for (int i = 0; i < 2; ++i) { // found out, then remembered
        CHECK(carat_kernel_get(cpu_backend(), (carat_device){CARAT_CPU, 0}, &key, &kernel) == CARAT_COMPILE_ERROR);
        CHECK(strstr(carat_last_error(), "this_is_not_declared") && strstr(carat_last_error(), "scale.k.c:"));
    }
}

int main(void)
{
    static void (*const checks[])(void) = {check_words, check_missing, check_empty, check_blank, check_long, check_words_kept,
                                           check_chatter, check_hang, check_daemon, check_no_output, check_garbage,
                                           check_crash, check_reaped, check_whole_message};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; ++i) {
        snprintf(script, sizeof script, "%s/compiler", use_new_cache());
        in_child(checks[i]);
    }
    return 0;
}

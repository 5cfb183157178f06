// SPDX-License-Identifier: Apache-2.0
// A kernel is compiled once, found in memory, and found on disk by the next process.
#include "fixture.h"

#include <string.h>

static void compile_one(void)
{
    carat_kernel first, again;
    CHECK(get_scale(5, &first) == CARAT_OK);
    check_scale(first, 5);
    CHECK(get_scale(5, &again) == CARAT_OK);
    CHECK(first.handle == again.handle);
}

static void find_one_without_compiler_work(void)
{
    setenv("TMPDIR", "/nonexistent", 1);
    compile_one();
}

static void report_compile_error(void)
{
    const carat_key key = scale_key(5, true);
    carat_kernel kernel;
    for (int i = 0; i < 2; ++i) { // found out, then remembered
        CHECK(carat_kernel_get(cpu_backend(), (carat_device){CARAT_CPU, 0}, &key, &kernel) == CARAT_COMPILE_ERROR);
        CHECK(strstr(carat_last_error(), "this_is_not_declared") != NULL);
        CHECK(strstr(carat_last_error(), "scale.k.c") != NULL);
    }
}

static void answer_without_compiler(void)
{
    setenv("CARAT_CC", "/nonexistent/cc", 1);
    carat_kernel kernel;
    CHECK(get_scale(77, &kernel) == CARAT_UNSUPPORTED);
    CHECK(get_scale(77, &kernel) == CARAT_UNSUPPORTED);
}

int main(void)
{
    const char *folder = use_new_cache();
    in_child(compile_one);
    CHECK(count_entries(folder) == 1);
    in_child(find_one_without_compiler_work);
    CHECK(count_entries(folder) == 1);
    in_child(report_compile_error);
    in_child(answer_without_compiler);
    CHECK(count_entries(folder) == 1);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The ISA level: CARAT_ISA is followed where it can be, and never leads to code that the machine doesn't run.
#include "backends/cpu/cpu.h"
#include "fixture.h"

#include <string.h>

static const char *asked;

// In a child, as a process chooses once.
static void check_asked(void)
{
    const char *remark = NULL;
    setenv("CARAT_ISA", asked, 1);
    CHECK(carat_backend_probe(0, &remark) == CARAT_OK);
    const carat_target *level = cpu_backend()->target((carat_device){CARAT_CPU, 0});
    const carat_target *named = carat_cpu_level_find(asked);
    CHECK(carat_cpu_level_runs(level));
    if (named && carat_cpu_level_runs(named)) {
        CHECK(level == named && remark == NULL);
    } else {
        CHECK(remark != NULL && strstr(remark, "CARAT_ISA=") != NULL);
    }
    carat_kernel kernel;
    CHECK(get_scale(9, &kernel) == CARAT_OK);
    check_scale(kernel, 9);
}

int main(void)
{
    static const char *const names[] = {"baseline", "x86-64-v3", "x86-64-v4", "x86-64-v9", " ",
                                        "a name that is much longer than any level's name will ever be"};
    use_new_cache();
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        asked = names[i];
        in_child(check_asked);
    }
    return 0;
}

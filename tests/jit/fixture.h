// SPDX-License-Identifier: Apache-2.0
// What the tests of the cache share: a family with one kernel, and a few ways to check.
#ifndef CARAT_TESTS_JIT_FIXTURE_H
#define CARAT_TESTS_JIT_FIXTURE_H

#include "backends/backend.h"
#include "jit/jit.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition);           \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

// The key of a kernel that multiplies by `factor`; one that doesn't compile if broken.
carat_key scale_key(int factor, bool broken);

// The CPU backend, probed.
const carat_backend *cpu_backend(void);
carat_status get_scale(int factor, carat_kernel *kernel);

// Runs the kernel over a few numbers and checks the results.
void check_scale(carat_kernel kernel, int factor);

// Makes an empty directory, points CARAT_CACHE_DIR at it and forgets what the environment had said of the cache.
const char *use_new_cache(void);

// Runs `body` in a forked child, where the library's state is fresh, and checks that it exits well.
void in_child(void (*body)(void));

// Number of kernels that lie in a directory; temporary files not counted.
int count_entries(const char *folder);

#endif

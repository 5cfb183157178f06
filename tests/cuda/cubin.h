// SPDX-License-Identifier: Apache-2.0
// What a compiled kernel takes of a multiprocessor, read from its cubin.
#ifndef CARAT_TESTS_CUBIN_H
#define CARAT_TESTS_CUBIN_H

#include <stdbool.h>

typedef struct cubin_resources {
    unsigned registers;   // of a lane
    unsigned local_bytes; // of a lane, in local memory: arrays that aren't in registers, and registers that were spilled
} cubin_resources;

// False if the file isn't a cubin of one kernel.
bool cubin_read(const char *path, cubin_resources *resources);

#endif

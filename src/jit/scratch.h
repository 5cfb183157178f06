// SPDX-License-Identifier: Apache-2.0
// A private temporary directory for one compilation.
#ifndef CARAT_JIT_SCRATCH_H
#define CARAT_JIT_SCRATCH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct carat_scratch {
    char folder[PATH_MAX];
    char file[PATH_MAX + 16]; // where the compiler writes
} carat_scratch;

bool carat_scratch_make(carat_scratch *scratch);

// What the compiler wrote, which the caller frees with free(); NULL if that isn't there or can't be read.
void *carat_scratch_read(const carat_scratch *scratch, size_t *size);

// Removes the directory and all files in it.
void carat_scratch_remove(carat_scratch *scratch);

#endif

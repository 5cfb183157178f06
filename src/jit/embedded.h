// SPDX-License-Identifier: Apache-2.0
// The kernel sources inside the library: a table that embed.py makes from kernels/, sorted by name.
#ifndef CARAT_JIT_EMBEDDED_H
#define CARAT_JIT_EMBEDDED_H

#include <stddef.h>

typedef struct carat_embedded {
    const char *name;   // under kernels/: "dialect/cpu.h"
    const char *text;   // NUL-terminated
    size_t size;        // without the NUL
    const char *digest; // SHA-256 in hex of the text and of everything that it includes
} carat_embedded;

extern const carat_embedded carat_embedded_files[];
extern const int carat_embedded_count;

// NULL if there is no such file.
const carat_embedded *carat_embedded_find(const char *name);

#endif

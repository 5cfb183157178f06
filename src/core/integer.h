// SPDX-License-Identifier: Apache-2.0
// Arithmetic on counts and sizes, none of which is negative.
#ifndef CARAT_CORE_INTEGER_H
#define CARAT_CORE_INTEGER_H

#include <stdint.h>

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// How many pieces a whole makes, the last one perhaps a smaller one.
static inline int64_t pieces(int64_t whole, int64_t piece) { return (whole + piece - 1) / piece; }
static inline int64_t round_up(int64_t n, int64_t step) { return pieces(n, step) * step; }

// The least power of two that is no smaller, as a logarithm.
static inline int log2_ceil(int64_t n)
{
    int log = 0;
    while ((INT64_C(1) << log) < n) ++log;
    return log;
}

#endif

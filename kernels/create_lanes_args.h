// SPDX-License-Identifier: Apache-2.0
// Arguments of the create kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_CREATE_LANES_ARGS_H
#define CARAT_KERNELS_CREATE_LANES_ARGS_H

typedef struct create_lanes_args {
    void *out;
    i64 count;            // elements
    u64 start, step, end; // of ranges: one element each, in the arithmetic type
    // tri: matrices of rows x cols; keeps col - row <= diagonal (lower) or >= diagonal
    const void *in;
    i64 in_strides[3]; // matrix, row, column
    i64 diagonal;
    u32 rows, cols, lower;
    u32 rows_magic, rows_shift, across_magic, across_shift; // n / rows, and n by the vectors of a row, by multiplication
    // isin
    const void *values;
    i64 value_count, invert;
    u64 value; // where `values` is NULL
} create_lanes_args;

#endif

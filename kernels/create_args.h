// SPDX-License-Identifier: Apache-2.0
// Arguments of the create kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_CREATE_ARGS_H
#define CARAT_KERNELS_CREATE_ARGS_H

typedef struct create_args {
    void *out;
    i64 count;           // elements; of one matrix for CREATE_TRI
    i64 group_elements;  // for CREATE_TRI rows
    f64 start, end, step;
    i64 whole_start, whole_step; // of integers
    // CREATE_TRI: matrices of rows x cols; keeps col - row <= diagonal (lower) or >= diagonal
    const void *in;
    i64 rows, cols, diagonal, lower;
    i64 in_strides[3];   // matrix, row, column
    // CREATE_ISIN
    const void *values;
    i64 value_count, invert;
} create_args;

#endif

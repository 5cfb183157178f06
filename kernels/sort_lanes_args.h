// SPDX-License-Identifier: Apache-2.0
// Arguments of the sort family's kernel for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_SORT_LANES_ARGS_H
#define CARAT_KERNELS_SORT_LANES_ARGS_H

// Rows of `length` consecutive elements, of which the first `kept` in order go to consecutive rows of the results.
typedef struct sort_lanes_args {
    const void *in;
    void *values;
    i64 *indices;
    i64 rows, row_stride;
    u32 length, kept, largest;
} sort_lanes_args;

#endif

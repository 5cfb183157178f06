// SPDX-License-Identifier: Apache-2.0
// Arguments of the sort family's kernel for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_SORT_LANES_ARGS_H
#define CARAT_KERNELS_SORT_LANES_ARGS_H

// Rows of `length` consecutive elements, cut into chunks; results are [rows, chunks, kept].
typedef struct sort_lanes_args {
    const void *in;
    const i64 *place; // of each element of `in`, in rows like its: where it came from, -1 for none; NULL: where it is
    void *values;
    i64 *indices;
    i64 row_stride;
    u32 length, chunks, kept, largest;
} sort_lanes_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the index kernel for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_INDEX_LANES_ARGS_H
#define CARAT_KERNELS_INDEX_LANES_ARGS_H

#include "index_args.h"

// Dimension 0 is counted in vectors, strides in elements.
typedef struct index_lanes_args {
    void *to;
    const void *from;
    u32 count;            // vectors of the space
    u32 size[INDEX_RANK]; // 1 beyond the rank
    u32 magic[INDEX_RANK], shift[INDEX_RANK]; // n / size[d] is (mulhi(n, magic) + n) >> shift
    i64 to_stride[INDEX_RANK], from_stride[INDEX_RANK];
    index_tensor index[INDEX_TENSORS];
    f64 alpha[2];         // what added values are multiplied with, in the arithmetic type
    f64 number[2];        // what `from` is if it is NULL: one element
} index_lanes_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the softmax kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_SOFTMAX_LANES_ARGS_H
#define CARAT_KERNELS_SOFTMAX_LANES_ARGS_H

typedef struct softmax_lanes_args {
    const void *x;    // forward: the input; backward: the result of the forward pass
    const void *grad; // backward
    void *out;
    i64 rows, cols;   // columns: outer indices, and elements of the dimension
    i64 inner;        // columns: of an outer index
    i64 ahead;        // a group asks for the row so many behind its own
    i64 x_row, x_step; // strides of x's rows, and down its columns; the other tensors are contiguous
} softmax_lanes_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the softmax kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_SOFTMAX_ARGS_H
#define CARAT_KERNELS_SOFTMAX_ARGS_H

#ifndef SOFTMAX_KEEP
#define SOFTMAX_BUFFER 16384 // bytes of a row (or of a gathered tile) that a group keeps in the arithmetic type
#define SOFTMAX_TILE 256     // widest tile of columns
#define SOFTMAX_WIDTH 64     // columns of a gathered tile
#endif

// Tensors are (outer, size, inner), reduced over `size`. The output is contiguous; so are a gradient's inputs.
typedef struct softmax_args {
    const void *x; // forward: the input; backward: the output of the forward pass
    const void *grad; // backward only
    void *out;
    void *scratch; // a long row of halves: `size` elements of the arithmetic type for each group
    i64 outer, size, inner;
    i64 x_outer, x_size; // strides of x; its inner stride is 1
    i64 group_rows;      // rows of a group (rows)
    i64 tiles;           // groups that an outer index has (columns)
} softmax_args;

#endif

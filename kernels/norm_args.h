// SPDX-License-Identifier: Apache-2.0
// Arguments of the normalisation kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_NORM_ARGS_H
#define CARAT_KERNELS_NORM_ARGS_H

#ifndef NORM_TILE
#define NORM_TILE 256 // columns of a group that adds up partial sums
#endif

// Tensors are contiguous. Pointers to what is absent or not wanted are NULL.
typedef struct norm_args {
    const void *x, *grad;
    const void *weight, *bias;
    void *out;                       // y, or the gradient of x
    void *mean, *rstd;               // a value a row: results of the forward pass, inputs of the backward pass
    void *norms;                     // of a weight's rows, in the arithmetic type
    void *weight_sums, *bias_sums;   // partial sums, in the arithmetic type
    void *grad_weight, *grad_bias;
    i64 rows, size;                  // size: elements of a row
    i64 group_rows;                  // rows of a group; backward: of a partial sum
    i64 parts;                       // partial sums of a column
    i64 channels, groups, plane;     // group norm: channels of the tensor, their groups, elements of a channel
    f64 eps;
} norm_args;

#endif

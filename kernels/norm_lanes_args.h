// SPDX-License-Identifier: Apache-2.0
// Arguments of the norm kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_NORM_LANES_ARGS_H
#define CARAT_KERNELS_NORM_LANES_ARGS_H

#define NORM_COLUMNS 32 // of a group that adds up partial sums

// Pointers to what is absent or not wanted are NULL. RMS norm has neither mean nor bias.
typedef struct norm_lanes_args {
    const void *x, *grad, *weight, *bias;
    void *out;         // y, or the gradient of x
    void *mean, *rstd; // a value a row: results of the forward pass, inputs of the backward pass
    void *sums;        // partial sums of the parameters' gradients, in the arithmetic type: (parameters, parts, cols)
    void *grads[2];    // of weight and bias
    i64 rows, cols;
    i64 x_row;         // stride of x's rows; the other tensors are contiguous
    i64 ahead;         // forward: a group asks for the row so many behind its own
    i64 parts;         // partial sums of a column; one a group of the backward pass
    f64 eps;
} norm_lanes_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the norm kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_NORM_LANES_ARGS_H
#define CARAT_KERNELS_NORM_LANES_ARGS_H

typedef struct norm_lanes_args {
    const void *x, *weight, *bias; // weight and bias may be NULL
    void *out, *mean, *rstd;
    i64 cols;
    i64 x_row; // stride of x's rows; the other tensors are contiguous
    f64 eps;
} norm_lanes_args;

#endif

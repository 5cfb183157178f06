// SPDX-License-Identifier: Apache-2.0
// Arguments of the batch norm kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_BATCH_NORM_LANES_ARGS_H
#define CARAT_KERNELS_BATCH_NORM_LANES_ARGS_H

// Tensors lie as `units` vectors in rows of `cols` vectors: of planes, a row is a plane; else a place with all of its channels.
// Pointers to what is absent or not wanted are NULL.
typedef struct batch_norm_lanes_args {
    const void *x, *grad, *weight, *bias;
    void *out;                          // y, or the gradient of x
    void *mean, *rstd;                  // saved moments: results of the forward pass, inputs of the backward pass
    void *running_mean, *running_var;   // updated in training, else what normalises
    void *grad_weight, *grad_bias;
    const void *first, *second;         // a number a channel (of group norm, a channel of an image) from the reduction: mean and
                                        // variance, or the sums of g and g * (x - mean)
    void *center, *scale, *shift, *slope; // tables: what elements are made with
    i64 training;
    i64 channels, images, groups;       // groups and images: of group norm
    u32 units, cols, cols_magic, cols_shift; // n / cols is (mulhi(n, magic) + n) >> shift
    u32 period, period_magic, period_shift;  // of planes: rows until tables begin again; else rows that share tables
    f64 count, eps, momentum;           // count: elements of a channel or group
} batch_norm_lanes_args;

#endif

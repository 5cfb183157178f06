// SPDX-License-Identifier: Apache-2.0
// Arguments of the loss kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_LOSS_ARGS_H
#define CARAT_KERNELS_LOSS_ARGS_H

enum { LOSS_NONE, LOSS_MEAN, LOSS_SUM }; // at::Reduction

// Scores are (batch, classes, plane); targets and unreduced losses are contiguous (batch, plane).
typedef struct loss_args {
    const void *x, *weight; // weight may be NULL
    const i64 *target;
    void *out, *total;      // forward: loss and sum of weights; backward: total is read
    const void *grad;       // one element, or one a target
    void *sums;             // two a group: loss and weight, in the arithmetic type
    i64 batch, classes, plane;
    i64 x_batch, x_class, x_plane; // strides
    i64 ignore, reduction;
    i64 group_size;         // targets of a group; backward: of one image if plane > 1
    i64 groups;             // forward: of the launch; backward: of an image if plane > 1
} loss_args;

#endif

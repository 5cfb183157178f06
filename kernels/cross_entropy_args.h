// SPDX-License-Identifier: Apache-2.0
// Arguments of the cross-entropy kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_CROSS_ENTROPY_ARGS_H
#define CARAT_KERNELS_CROSS_ENTROPY_ARGS_H

#include "loss_args.h" // the reductions

// Scores are rows x cols; targets, weight and what is a number a row are contiguous.
typedef struct cross_entropy_args {
    const void *x, *weight; // weight: a number a class, or NULL
    const i64 *target;
    void *tops;             // two numbers a row, in the arithmetic type, a result that the gradient reads: the largest score, and the
                            // logarithm of the sum of exponentials below it
    void *total;            // two numbers in the arithmetic type: of all targets' weights, and, for smoothing, of all classes'
    void *loss;             // a number, or one a row
    const void *grad;       // the same of the backward pass
    void *out;              // the gradient of x, contiguous
    void *pairs;            // loss and weight of each row, in the arithmetic type, where they are reduced,
    void *sums;             // and of each group of group_size rows
    i64 rows, cols, x_row;  // x_row: stride
    i64 ignore, reduction;
    i64 group_size;
    i64 chunks;             // backward, of groups of many lanes: into which a row is cut
    f64 smoothing;
} cross_entropy_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the batch normalisation kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_BATCH_NORM_ARGS_H
#define CARAT_KERNELS_BATCH_NORM_ARGS_H

#ifndef BATCH_NORM_TILE
#define BATCH_NORM_TILE 512   // columns that a group takes the moments of
#define BATCH_NORM_CHANNELS 64 // channels that a group makes tables of
#endif

// Tensors are dense, in the layout of x. Pointers to what is absent or not wanted are NULL.
typedef struct batch_norm_args {
    const void *x, *grad;
    const void *weight, *bias;
    void *out;                           // y, or the gradient of x
    void *mean, *rstd;                   // of the batch: results of the forward pass, inputs of the backward pass
    void *running_mean, *running_var;    // updated in training, else what normalises
    void *grad_weight, *grad_bias;
    f64 *first, *second;                 // partial results [part][column]: mean and squares, or the backward pass's two sums
    void *center, *scale, *shift, *slope; // numbers of a column, in the arithmetic type
    i64 training;
    i64 images, channels, plane;         // of planes
    i64 rows, width, ragged;             // of rows: `ragged` elements follow the last whole one
    i64 span, fold;                      // a channel's columns stand side by side, `span` of them, in `fold` places
    i64 parts, part_rows;                // a part takes the moments of part_rows rows; the ragged row is one more
    i64 tiles;                           // of columns
    i64 group_rows;                      // rows, or planes, that a group writes
    f64 count, eps, momentum;            // count: elements of a channel
} batch_norm_args;

#endif

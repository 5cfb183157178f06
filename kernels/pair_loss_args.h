// SPDX-License-Identifier: Apache-2.0
// Arguments of the pair_loss kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_PAIR_LOSS_ARGS_H
#define CARAT_KERNELS_PAIR_LOSS_ARGS_H

#define PAIR_LOSS_GROUP 16384 // elements of a group
#define PAIR_LOSS_BLOCK 1024  // of those that are added up in the arithmetic type; they stay in L1

typedef struct pair_loss_args {
    const void *x, *y, *z; // input, target, weight; consecutive elements, in the same order
    void *out;             // one element
    f64 *sums;             // of the groups, if there are several
    i64 count, groups;
    i64 share;             // elements of a group of many lanes
    f64 parameter, divisor;
    i32 *outside;          // DOMAIN: set to 1 if it doesn't hold
} pair_loss_args;

#endif

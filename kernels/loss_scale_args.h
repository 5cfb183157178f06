// SPDX-License-Identifier: Apache-2.0
// Arguments of the loss_scale kernel, shared by host and kernel.
#ifndef CARAT_KERNELS_LOSS_SCALE_ARGS_H
#define CARAT_KERNELS_LOSS_SCALE_ARGS_H

typedef struct loss_scale_args {
    f32 *scale;
    i32 *tracker;         // steps since the scale changed
    const f32 *found_inf; // not 0: a gradient overflowed
    f64 growth, backoff;
    i64 interval;         // so many steps without overflow, and the scale grows
} loss_scale_args;

#endif

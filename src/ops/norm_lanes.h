// SPDX-License-Identifier: Apache-2.0
// Layer norm and RMS norm in groups of many lanes: what the passes share.
#ifndef CARAT_OPS_NORM_LANES_H
#define CARAT_OPS_NORM_LANES_H

#include "core/tensor.h"
#include "ops/lanes.h"
#include "ops/norm.h"
#include "norm_lanes_args.h"

// Functions of kernels/norm_lanes.k.c.
typedef enum carat_norm_lanes_part { CARAT_NORM_LANES_forward, CARAT_NORM_LANES_backward, CARAT_NORM_LANES_columns } carat_norm_lanes_part;

// What a specialisation has: parameters, or backward the gradients of some.
enum { CARAT_NORM_WEIGHT = 1, CARAT_NORM_BIAS = 2, CARAT_NORM_GRADS = 4 };

typedef struct carat_norm_lanes {
    bool rms;
    carat_dtype dtype;
    carat_lanes shape;
    norm_lanes_args args;
} carat_norm_lanes;

// The group that adds up partial sums: NORM_COLUMNS columns, 16 lanes each.
static const carat_lanes carat_norm_columns_shape = { .lanes = 9 };

// Rows, columns and the group's shape; tensors[0] is x, whose first `outer` dimensions are rows. The others, which may be NULL,
// are contiguous and of its dtype, or the call steps aside.
carat_status carat_norm_shape_lanes(const carat_frame *call, carat_norm_lanes *n, carat_norm_lanes_part part, int outer,
                                    const carat_tensor *const *tensors, int count);
carat_status carat_norm_find_lanes(const carat_frame *call, const carat_norm_lanes *n, carat_norm_lanes_part part, int flags);
carat_status carat_norm_launch_lanes(const carat_frame *call, const carat_norm_lanes *n, carat_norm_lanes_part part, int flags, int64_t groups);

#endif

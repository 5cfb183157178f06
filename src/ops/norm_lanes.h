// SPDX-License-Identifier: Apache-2.0
// Layer norm and RMS norm in groups of many lanes: what the passes share.
#ifndef CARAT_OPS_NORM_LANES_H
#define CARAT_OPS_NORM_LANES_H

#include "core/tensor.h"
#include "ops/lanes.h"
#include "ops/norm.h"
#include "norm_lanes_args.h"

// Functions of kernels/norm_lanes.k.c.
typedef enum carat_norm_lanes_part {
#define CARAT_NORM_LANES_PARTS(PART) PART(forward) PART(rows) PART(sums) PART(backward) PART(columns)
#define PART(name) CARAT_NORM_LANES_##name,
    CARAT_NORM_LANES_PARTS(PART)
#undef PART
    CARAT_NORM_LANES_COUNT
} carat_norm_lanes_part;

// The parameters that a specialisation has.
enum { CARAT_NORM_WEIGHT = 1, CARAT_NORM_BIAS = 2 };

typedef struct carat_norm_lanes {
    bool rms;
    carat_dtype dtype;
    carat_lanes shape;
    norm_lanes_args args;
} carat_norm_lanes;

// The groups that add up partial sums: NORM_COLUMNS columns, 16 lanes each.
static const carat_lanes carat_norm_columns_shape = { .lanes = 9 };

// Those that add up columns of rows that several parts hold: 256 lanes, a vector each.
static inline carat_lanes carat_norm_sums_shape(carat_dtype dtype, bool aligned)
{
    const size_t bytes = carat_dtype_size(dtype);
    return (carat_lanes){ .lanes = 8, .vec = !aligned ? 0 : bytes == 2 ? 3 : bytes == 4 ? 2 : 1, .part = 8 };
}

// The group's shape for rows of n->args.cols; steps aside if they are too long (for `backward`:
// take several parts). `aligned`: see carat_lanes_choose.
carat_status carat_norm_choose_lanes(const carat_frame *call, carat_norm_lanes *n, carat_norm_lanes_part part, bool aligned);
// Rows and columns, and whether they are aligned; tensors[0] is x, whose first `outer` dimensions are rows. The others, which may be NULL,
// are contiguous and of its dtype, or the call steps aside.
carat_status carat_norm_shape_lanes(carat_norm_lanes *n, int outer, const carat_tensor *const *tensors, int count, bool *aligned);
carat_status carat_norm_find_lanes(const carat_frame *call, const carat_norm_lanes *n, carat_norm_lanes_part part, int flags);
carat_status carat_norm_launch_lanes(const carat_frame *call, const carat_norm_lanes *n, carat_norm_lanes_part part, int flags, int64_t groups);

#endif

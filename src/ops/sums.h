// SPDX-License-Identifier: Apache-2.0
// The sums that gradients are made of, in groups of many lanes (kernels/sums_lanes.k.c).
#ifndef CARAT_OPS_SUMS_H
#define CARAT_OPS_SUMS_H

#include "ops/reduce_space.h"

typedef enum carat_sums_id {
#define SUMS(id) CARAT_SUMS_##id,
#include "sums.def"
#undef SUMS
    CARAT_SUMS_COUNT
} carat_sums_id;

// Operands of a sum. `other` (of products and slopes) has the shape and strides of space.in. Results are contiguous, of the
// arithmetic type; `second` and `center`, a number for each center_outputs results, belong to slopes.
typedef struct carat_sums {
    carat_reduction space;
    const carat_tensor *other;
    const carat_tensor *out;
    void *second;
    const void *center;
    carat_dtype center_dtype;
    int64_t center_outputs;
} carat_sums;

carat_status carat_sums_run(const carat_frame *call, carat_sums_id id, const carat_sums *sums);

#endif

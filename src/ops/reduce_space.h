// SPDX-License-Identifier: Apache-2.0
// The index space of a reduction: which dimensions, what shape results, and how groups cut it. For the families whose
// kernels take reduce_args (kernels/reduce_args.h).
#ifndef CARAT_OPS_REDUCE_SPACE_H
#define CARAT_OPS_REDUCE_SPACE_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "reduce_args.h"

// What the arguments of a reduction say.
typedef struct carat_reduction {
    const carat_tensor *in;
    uint32_t dims; // bit d: dimension d is reduced
    bool keepdim;
} carat_reduction;

// Reads argument `at` (int, list or absent; an absent or empty one means all dimensions) as the dimensions of `in`.
carat_status carat_reduction_dims(const carat_frame *call, int at, carat_reduction *reduction);
// The shape of the result; returns its number of dimensions.
int carat_reduction_shape(const carat_reduction *reduction, int64_t *shape);
// Elements of the input that make one of the result.
int64_t carat_reduction_count(const carat_reduction *reduction);
// Whether elements are consecutive along a reduced dimension, a kept one or none.
typedef enum carat_along { CARAT_ALONG_NONE, CARAT_ALONG_REDUCED, CARAT_ALONG_KEPT } carat_along;
carat_along carat_reduction_along(const carat_reduction *reduction);

// Dimensions of one kind, sorted by their strides in the input, the smallest first, and merged where neighbours allow it.
typedef struct carat_reduce_dims {
    int rank;
    int64_t size[CARAT_MAX_DIMS], in[CARAT_MAX_DIMS], out[CARAT_MAX_DIMS];
} carat_reduce_dims;
// The kept and the reduced dimensions of a reduction to `out` (with or without the reduced ones); `ordered`: the reduced ones
// stay as they are, the last one first.
void carat_reduce_split(const carat_reduction *reduction, const carat_tensor *out, bool ordered, carat_reduce_dims *kept,
                        carat_reduce_dims *reduced);

// The launch of a reduction: kernel arguments without the operator's own numbers, and how many groups.
typedef struct carat_reduce_launch {
    reduce_args args;
    int64_t groups, grain;
} carat_reduce_launch;

enum {
    CARAT_REDUCE_ORDERED = 1, // the reduced elements keep their order and must be one dimension
    CARAT_REDUCE_UNFOLDED = 2, // narrow columns stay as they are
};
// Plans the reduction of `in` to `out` (with or without the reduced dimensions). Steps aside if the rank is too high.
carat_status carat_reduce_plan(const carat_reduction *reduction, const carat_tensor *out, int flags, carat_reduce_launch *launch);
// Runs a planned launch; partial results take `partial_bytes` (and `second_bytes`) each.
carat_status carat_reduce_run(const carat_frame *call, const carat_key *key, carat_reduce_launch *launch, size_t partial_bytes,
                              size_t second_bytes);

#endif

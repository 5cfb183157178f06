// SPDX-License-Identifier: Apache-2.0
// The softmax family's parts: what softmax.c reads of a call, and groups of many lanes (softmax_lanes.c, softmax_apart.c).
#ifndef CARAT_OPS_SOFTMAX_LANES_H
#define CARAT_OPS_SOFTMAX_LANES_H

#include "core/kernel_types.h"
#include "core/op.h"
#include "softmax_args.h"

// A row of the family's table, by its number.
typedef struct carat_softmax_row {
    carat_row base;
    bool log, backward;
} carat_softmax_row;

// The shape of a call as (outer, size, inner), with the strides of a contiguous x.
void carat_softmax_shape(softmax_args *a, const carat_tensor *x, int dim);
// Strides of a view whose dimensions before and after `dim` merge into one each, the latter with stride 1; false if they don't.
bool carat_softmax_merge_strides(softmax_args *a, const carat_tensor *x, int dim);

carat_status carat_softmax_run_lanes(carat_frame *call, int index, const carat_softmax_row *row);
void carat_softmax_describe_lanes(const carat_key *key, const carat_softmax_row *row, carat_defines *defines);
void carat_softmax_enumerate_lanes(const carat_target *target, int index, const carat_softmax_row *row,
                                   void (*emit)(void *arg, const carat_key *key), void *arg);

// A call in groups of many lanes. x is the input, or backward the result of the forward pass; grad's layout is x's, contiguous.
typedef struct carat_softmax_problem {
    const carat_tensor *x, *grad;
    int dim;
    carat_dtype in, out;
} carat_softmax_problem;

// To `out`, by a reduction and a pointwise launch: any strides of x, any length.
carat_status carat_softmax_run_apart(const carat_frame *call, const carat_softmax_row *row, const carat_softmax_problem *p, const carat_tensor *out);

#endif

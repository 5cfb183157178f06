// SPDX-License-Identifier: Apache-2.0
// The attention family's parts: arguments and rows (attention.c), the plans of both passes (attention_forward.c,
// attention_backward.c).
#ifndef CARAT_OPS_ATTENTION_H
#define CARAT_OPS_ATTENTION_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "attention_args.h"

// The register tile of a target for a dtype's arithmetic.
typedef struct carat_attention_tile {
    int64_t rows, cols; // MR and NR
    int64_t sum;        // bytes of ACC
} carat_attention_tile;
carat_attention_tile carat_attention_tile_of(const carat_frame *call, const carat_key *key);

// Query, key and value from argument `first` on: what the kernels take, else steps aside.
carat_status carat_attention_settle(const carat_frame *call, int first, attention_args *a, carat_dtype *dtype);
// The mask, causal, dropout and the scale, from argument `first` (dropout) on.
carat_status carat_attention_settle_scores(const carat_frame *call, int first, carat_dtype dtype, attention_args *a);
// [batch, heads, rows, dim] or, for a view without elements, [batch, heads, rows].
attention_view carat_attention_view(const carat_tensor *tensor);
carat_key carat_attention_key(carat_family_id family, carat_dtype dtype);

// Query rows of all heads and batches.
static inline int64_t carat_attention_rows(const attention_args *a) { return a->batch * a->key_heads * a->group_heads * a->queries; }
// Threads that are worth their while.
int64_t carat_attention_threads(const carat_frame *call, const attention_args *a);
// Runs a plan's workers in scratch of their own, and where keys are split a second launch that joins the partial results:
// `partial` bytes for each split.
carat_status carat_attention_launch(const carat_frame *call, const carat_key *key, attention_args *a, int64_t partial);

carat_status carat_attention_run_forward(carat_frame *call);
carat_status carat_attention_run_backward(carat_frame *call);

#endif

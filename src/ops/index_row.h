// SPDX-License-Identifier: Apache-2.0
// Between the parts of the index family: reading (index.c), writing (index_write.c), subscripts (index_subscripts.c).
#ifndef CARAT_OPS_INDEX_ROW_H
#define CARAT_OPS_INDEX_ROW_H

#include "ops/index.h"

#define ROW(id, overloads, dtypes, function) carat_status carat_##function(carat_frame *call);
#include "index.def"
#undef ROW

// The walk in groups of many lanes (index_lanes.c). `a`: its space, merged and ordered.
carat_status carat_walk_run_lanes(const carat_frame *call, const carat_walk *walk, index_args *a);
void carat_walk_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_walk_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

// A 0-d tensor as one of a single element; `one` must outlive the view.
carat_tensor carat_index_at_least_1d(const carat_tensor *tensor, int64_t one[2]);
bool carat_index_dtype_ok(const carat_tensor *index); // i64 or i32
// Steps aside if a given output shares memory with an input.
carat_status carat_index_apart(const carat_frame *call, const carat_tensor *input);

// The index tensors of x[i, :, j] and where the dimensions come from.
typedef struct carat_subscripts {
    const carat_tensor *index[INDEX_TENSORS];
    int dim[INDEX_TENSORS]; // the dimension of self that each indexes
    int count;
    int ndim; // of the index tensors, broadcast together
    int64_t shape[CARAT_MAX_DIMS];
    int self_dim[CARAT_MAX_DIMS]; // the dimension of self that a dimension of the walk is, -1: one of the index tensors'
} carat_subscripts;

// Reads the list of subscripts in argument 1 over `self`: shape, index tensors and the strides of self in the walk's space.
carat_status carat_index_subscripts(const carat_frame *call, const carat_tensor *self, carat_subscripts *subscripts, carat_walk *walk,
                                    int64_t *self_strides);

#endif

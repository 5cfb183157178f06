// SPDX-License-Identifier: Apache-2.0
// One indexed move for the index family and others: an iteration space, what moves, and the index tensors that say where.
#ifndef CARAT_OPS_INDEX_H
#define CARAT_OPS_INDEX_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "index_args.h"

typedef enum carat_combine { CARAT_PUT, CARAT_ADD, CARAT_MUL, CARAT_MIN, CARAT_MAX, CARAT_COMBINE_COUNT } carat_combine;

// An index tensor over the space; see index_tensor in kernels/index_args.h.
typedef struct carat_walk_index {
    const void *data;
    int64_t strides[CARAT_MAX_DIMS];
    int64_t step, size;
    bool wraps; // negative values count from the end
} carat_walk_index;

// Dimensions from the outermost on; strides in elements, 0 where an operand doesn't move.
typedef struct carat_walk {
    carat_dtype dtype;       // of what moves
    carat_dtype index_dtype; // i64 or i32
    bool writes;             // the indices move `to`; otherwise `from`
    carat_combine combine;
    carat_scalar alpha;      // for CARAT_ADD
    void *to;
    const void *from;
    bool from_host;          // `from` is one element in memory of the host
    int ndim, indices;
    int64_t shape[CARAT_MAX_DIMS], to_strides[CARAT_MAX_DIMS], from_strides[CARAT_MAX_DIMS];
    carat_walk_index index[INDEX_TENSORS];
} carat_walk;

// Whether the walk can be served: steps aside without touching anything.
carat_status carat_walk_check(const carat_frame *call, const carat_walk *walk);
// Runs it. CARAT_OUT_OF_RANGE if an index was (elements with good indices have moved).
carat_status carat_walk_run(const carat_frame *call, const carat_walk *walk);
// Reads one index tensor and steps aside if a value isn't in [0, size), or [-size, size) where negative ones wrap.
carat_status carat_index_check(const carat_tensor *index, int64_t size, bool wraps);

void carat_walk_describe(const carat_key *key, const carat_target *target, carat_defines *defines);
void carat_walk_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

// SPDX-License-Identifier: Apache-2.0
// Reductions in groups of many lanes (kernels/reduce_lanes_walk.c): the plan, the launches and the keys that the reducing
// families share.
#ifndef CARAT_OPS_REDUCE_LANES_H
#define CARAT_OPS_REDUCE_LANES_H

#include "ops/reduce_space.h"
#include "reduce_lanes_args.h"

// The index space of dimensions, dimension 0 in vectors of `vec`. False if it has more than 2^31 units.
bool carat_lanes_fill_space(lanes_space *space, const carat_reduce_dims *dims, int64_t vec);

// A planned reduction. A family sets the numbers of its formula in args, and args.second.
typedef struct carat_reduce_lanes {
    reduce_lanes_args args;
    carat_reduce_dims kept;
    int part, vector, rank; // what keys hold
    int64_t groups;
} carat_reduce_lanes;

// Plans the reduction of `in` to `out`; `ordered`: kernels want the number of an element in the order of the tensor. Steps aside
// where the space is too large.
carat_status carat_reduce_lanes_plan(const carat_reduction *reduction, const carat_tensor *out, bool ordered, carat_reduce_lanes *plan);
// Runs it with the kernels of a family, of which `key` has all but params. `joined_bytes`: of what the kernel's parts exchange.
carat_status carat_reduce_lanes_run(const carat_frame *call, carat_key key, carat_reduce_lanes *plan, size_t joined_bytes);

// The constants that key.params stand for. `bytes`: of an element.
void carat_reduce_lanes_define(const carat_key *key, size_t bytes, carat_defines *defines);
// Calls emit for the usual layouts of a key that has all but params.
void carat_reduce_lanes_enumerate(carat_key key, size_t bytes, void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

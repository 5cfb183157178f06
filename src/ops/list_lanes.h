// SPDX-License-Identifier: Apache-2.0
// Launches over lists of tensors in groups of many lanes (kernels/list_lanes_walk.c): a table of tensors in the kernel's arguments,
// launched and begun anew when it is full.
#ifndef CARAT_OPS_LIST_LANES_H
#define CARAT_OPS_LIST_LANES_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "list_lanes_args.h"

enum { CARAT_LIST_LANES = 256, CARAT_LIST_VECTOR = 16 }; // lanes of a group; bytes

typedef struct carat_list_launch {
    const carat_frame *call;
    const carat_key *key;
    const void *args; // the kernel's arguments, of which `table` is a part
    size_t args_size;
    list_table *table;
    int words;        // of an entry
    int64_t groups;
} carat_list_launch;

// Adds a tensor of `numel` elements to the launch; `word`: what its entry says from LIST_FIRST on. One without elements is left out.
carat_status carat_list_add(carat_list_launch *launch, int64_t numel, bool aligned, const uint64_t *word);
// Launches what was added.
carat_status carat_list_flush(carat_list_launch *launch);

// Whether both have the same shape and the same elements at the same offsets, without gaps.
bool carat_list_alike(const carat_tensor *a, const carat_tensor *b);

// The elements of a vector, and those of a step in which a lane holds `keep` vectors.
static inline int64_t carat_list_vector(carat_dtype dtype) { return CARAT_LIST_VECTOR / (int64_t)carat_dtype_size(dtype); }
static inline int64_t carat_list_step(carat_dtype dtype, int64_t keep) { return CARAT_LIST_LANES * keep * carat_list_vector(dtype); }

#endif

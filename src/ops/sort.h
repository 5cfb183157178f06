// SPDX-License-Identifier: Apache-2.0
// Between the parts of the sort family: CPUs (sort.c), groups of many lanes (sort_lanes.c).
#ifndef CARAT_OPS_SORT_H
#define CARAT_OPS_SORT_H

#include "core/tensor.h"

// The first `kept` along a dimension, checked to be there.
carat_status carat_topk_run_lanes(carat_frame *call, const carat_tensor *self, int dim, int64_t kept, bool largest);
void carat_topk_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_topk_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

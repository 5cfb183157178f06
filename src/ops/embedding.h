// SPDX-License-Identifier: Apache-2.0
// Between the parts of the embedding family: CPUs (embedding.c), groups of many lanes (embedding_lanes.c).
#ifndef CARAT_OPS_EMBEDDING_H
#define CARAT_OPS_EMBEDDING_H

#include "core/tensor.h"

// The gradient as [tokens, cols] with unit column stride, where its token dimensions merge; false: they don't.
bool carat_embedding_merges(const carat_tensor *grad, int64_t cols, int64_t *stride);

// Arguments checked: shapes agree, `given` is contiguous and apart from grad.
carat_status carat_embedding_run_lanes(carat_frame *call, const carat_tensor *grad, const carat_tensor *indices, int64_t rows, int64_t padding);
void carat_embedding_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_embedding_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

// SPDX-License-Identifier: Apache-2.0
// Tables of tensors for launches over lists.
#include "ops/list_lanes.h"

#include "core/integer.h"

#include <string.h>

enum { MOST_GROUPS = 1 << 30 };

carat_status carat_list_flush(carat_list_launch *launch)
{
    const int64_t groups = launch->groups;
    if (!groups) return CARAT_OK;
    CARAT_TRY(carat_run_kernel(launch->call, launch->key, launch->args, launch->args_size, groups, 1));
    launch->table->count = 0;
    launch->groups = 0;
    return CARAT_OK;
}

carat_status carat_list_add(carat_list_launch *launch, int64_t numel, bool aligned, const uint64_t *word)
{
    list_table *const table = launch->table;
    if (!numel) return CARAT_OK;
    const bool full = ((int64_t)table->count + 1) * launch->words > LIST_WORDS;
    if (full || launch->groups > MOST_GROUPS) CARAT_TRY(carat_list_flush(launch));
    uint64_t *const entry = table->word + (int64_t)table->count * launch->words;
    entry[LIST_GROUPS] = (uint64_t)launch->groups | (aligned ? LIST_ALIGNED : 0);
    entry[LIST_NUMEL] = (uint64_t)numel;
    memcpy(entry + LIST_FIRST, word, sizeof *word * (size_t)(launch->words - LIST_FIRST));
    ++table->count;
    launch->groups += pieces(numel, table->reach);
    return CARAT_OK;
}

bool carat_list_alike(const carat_tensor *a, const carat_tensor *b)
{
    if (!carat_same_shape(a, b)) return false;
    if (carat_is_contiguous(a) && carat_is_contiguous(b)) return true; // most are
    if (!carat_is_dense(a)) return false;
    for (int d = 0; d < a->ndim; ++d)
        if (a->shape[d] > 1 && a->strides[d] != b->strides[d]) return false;
    return true;
}

// SPDX-License-Identifier: Apache-2.0
// Fused optimizers in groups of many lanes (kernels/optimizer_lanes.k.c).
#include "ops/optimizer.h"

#include "ops/list_lanes.h"
#include "optimizer_lanes_args.h"

_Static_assert(sizeof(optimizer_lanes_args) < 4096, "arguments of a kernel on a device");

enum { KEEP = 1, MOST_STEPS = 4, ENOUGH_GROUPS = 4096 };

static int words_of(const carat_key *key)
{
    return LIST_FIRST + key->params[CARAT_OPTIMIZER_KEY_LISTS] + key->params[CARAT_OPTIMIZER_KEY_STEPPED];
}

void carat_optimizer_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "STEPPED", "%d", key->params[CARAT_OPTIMIZER_KEY_STEPPED]);
    carat_define(defines, "LANES", "%d", CARAT_LIST_LANES);
    carat_define(defines, "KEEP", "%d", KEEP);
    carat_define(defines, "VEC", "%d", (int)carat_list_vector((carat_dtype)key->dtypes[0]));
    carat_define(defines, "WORDS", "%d", words_of(key));
}

// A group takes several steps where there are groups enough to keep the device busy: its numbers are worked out once.
static uint32_t reach_of(const carat_optimizer_call *optimizer)
{
    const int64_t step = carat_list_step(optimizer->dtype, KEEP);
    int64_t elements = 0, steps = 1;
    for (int64_t i = 0; i < optimizer->list[0]->tensors.count; ++i) elements += carat_numel(carat_optimizer_tensor(optimizer->list[0], i));
    while (steps < MOST_STEPS && elements / (step * steps * 2) >= ENOUGH_GROUPS) steps *= 2;
    return (uint32_t)(step * steps);
}

carat_status carat_optimizer_launch_lanes(const carat_frame *call, const carat_optimizer_call *optimizer, const carat_key *key)
{
    optimizer_lanes_args args;
    args.numbers = optimizer->numbers;
    args.table.count = 0;
    args.table.reach = reach_of(optimizer);
    carat_list_launch launch = { call, key, &args, sizeof args, &args.table, words_of(key), 0 };
    for (int64_t i = 0; i < optimizer->list[0]->tensors.count; ++i) {
        uint64_t word[OPTIMIZER_LISTS + 1];
        bool aligned = true;
        for (int j = 0; j < optimizer->lists; ++j) {
            word[j] = (uint64_t)(uintptr_t)carat_data(carat_optimizer_tensor(optimizer->list[j], i));
            aligned = aligned && word[j] % CARAT_LIST_VECTOR == 0;
        }
        if (optimizer->steps) word[optimizer->lists] = (uint64_t)(uintptr_t)carat_data(carat_optimizer_tensor(optimizer->steps, i));
        CARAT_TRY(carat_list_add(&launch, carat_numel(carat_optimizer_tensor(optimizer->list[0], i)), aligned, word));
    }
    return carat_list_flush(&launch);
}

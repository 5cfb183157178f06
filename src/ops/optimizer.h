// SPDX-License-Identifier: Apache-2.0
// Fused optimizers: what a call asks for, and how it is launched in groups of many lanes.
#ifndef CARAT_OPS_OPTIMIZER_H
#define CARAT_OPS_OPTIMIZER_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "optimizer_args.h"

typedef struct carat_optimizer_call {
    const carat_arg *list[OPTIMIZER_LISTS]; // parameters, gradients, states
    const carat_arg *steps;                 // NULL: the rule has none
    int lists;
    carat_dtype dtype;
    optimizer_numbers numbers;
} carat_optimizer_call;

// The key of a call's kernel: row, dtype, and in params the lists and whether gradients are divided by a scale.
enum { CARAT_OPTIMIZER_KEY_LISTS, CARAT_OPTIMIZER_KEY_SCALED, CARAT_OPTIMIZER_KEY_STEPPED };

static inline const carat_tensor *carat_optimizer_tensor(const carat_arg *list, int64_t i) { return &list->tensors.items[i]; }

carat_status carat_optimizer_launch_lanes(const carat_frame *call, const carat_optimizer_call *optimizer, const carat_key *key);
void carat_optimizer_describe_lanes(const carat_key *key, carat_defines *defines);

#endif

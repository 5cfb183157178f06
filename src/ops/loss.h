// SPDX-License-Identifier: Apache-2.0
// The loss family's parts: what loss.c reads of a call, and the same in groups of many lanes (loss_lanes.c).
#ifndef CARAT_OPS_LOSS_H
#define CARAT_OPS_LOSS_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "loss_args.h"

// The operands that forward and backward share; weight may be NULL.
typedef struct carat_loss_operands {
    const carat_tensor *x, *target, *weight;
    carat_dtype dtype;
} carat_loss_operands;

// Calls whose shapes, dtypes and given outputs are checked; batch, classes, reduction and ignore are read.
carat_status carat_loss_forward_lanes(carat_frame *call, const carat_loss_operands *in, loss_args *a);
carat_status carat_loss_backward_lanes(carat_frame *call, const carat_loss_operands *in, loss_args *a);
void carat_loss_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_loss_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

// SPDX-License-Identifier: Apache-2.0
// Losses of an input and a target: what a call asks for, and how groups of many lanes add them up.
#ifndef CARAT_OPS_PAIR_LOSS_H
#define CARAT_OPS_PAIR_LOSS_H

#include "core/kernel_types.h"
#include "ops/list_lanes.h"
#include "ops/pointwise_row.h"
#include "pair_loss_args.h"

#include <string.h>

typedef enum carat_pair_layout { BY_OPERANDS, BY_INPUT } carat_pair_layout;

typedef struct carat_pair_loss_row {
    carat_row base;
    carat_pointwise_id each; // the pointwise row
    bool backward;
    int weights;
    carat_pair_layout layout;
    const char *parameter, *body, *domain;
} carat_pair_loss_row;

const carat_pair_loss_row *carat_pair_loss_row_at(int index);

static inline bool carat_pair_loss_has_domain(const carat_pair_loss_row *row) { return strcmp(row->domain, "1") != 0; }

enum { CARAT_PAIR_NONE, CARAT_PAIR_MEAN, CARAT_PAIR_TOTAL }; // reduction, as PyTorch numbers them

typedef struct carat_pair_loss {
    const carat_pair_loss_row *row;
    const carat_tensor *x, *y, *weight, *grad;
    carat_dtype dtype;
    int64_t reduction;
    double parameter;
} carat_pair_loss;

// Whether the operands' elements can be walked with one index.
static inline bool carat_pair_loss_as_they_lie(const carat_pair_loss *r)
{
    return carat_list_alike(r->x, r->y) && (!r->weight || carat_list_alike(r->x, r->weight));
}

// A reduced loss in groups of many lanes (pair_loss_lanes.c); `a` has its numbers.
carat_status carat_pair_loss_reduce_lanes(carat_frame *call, const carat_pair_loss *r, pair_loss_args *a);
void carat_pair_loss_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_pair_loss_enumerate_lanes(int rows, void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

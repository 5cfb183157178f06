// SPDX-License-Identifier: Apache-2.0
// Operators over lists of tensors. Every call is checked before the first one writes, since a list that is half done
// can't step aside any more.
#include "ops/pointwise.h"
#include "ops/pointwise_row.h"

#define FOREACH_UNARY(id) FOREACH(id, "_foreach_" #id " _foreach_" #id "_")
#define FOREACH_BINARY(id, more)                                                                                     \
    FOREACH(id, "_foreach_" #id ".List _foreach_" #id "_.List _foreach_" #id ".Scalar _foreach_" #id                 \
                "_.Scalar _foreach_" #id ".ScalarList _foreach_" #id "_.ScalarList" more)

typedef struct foreach_row {
    carat_row base;
    carat_pointwise_id applied;
} foreach_row;

static const foreach_row rows[] = {
#define FOREACH(id, overloads) { { #id, overloads, CARAT_NUMBERS, NULL }, CARAT_POINTWISE_##id },
#include "foreach.def"
#undef FOREACH
};

static const carat_row *row_at(int index)
{
    return &rows[index].base;
}

enum { MAX_ARGS = 4 };

// The arguments of the i-th call. Lists give their i-th item, everything else goes to every call.
static void item_args(const carat_frame *call, int64_t i, carat_arg *args)
{
    for (int a = 0; a < call->nargs; ++a) {
        const carat_arg *from = &call->args[a];
        if (from->kind == CARAT_ARG_TENSORS) args[a] = (carat_arg){ .kind = CARAT_ARG_TENSOR, .tensor = from->tensors.items[i] };
        else if (from->kind == CARAT_ARG_SCALARS) args[a] = (carat_arg){ .kind = CARAT_ARG_SCALAR, .scalar = from->scalars.items[i] };
        else args[a] = *from;
    }
}

static carat_status check_lists(const carat_frame *call)
{
    if (call->nouts || call->nargs > MAX_ARGS || call->nargs < 1 || call->args[0].kind != CARAT_ARG_TENSORS)
        return carat_step_aside("form of the list");
    const int64_t count = call->args[0].tensors.count;
    for (int a = 0; a < call->nargs; ++a) {
        const carat_arg *arg = &call->args[a];
        if (arg->kind == CARAT_ARG_SCALARS && arg->scalars.count != count) return carat_step_aside("lists of different lengths");
        if (arg->kind != CARAT_ARG_TENSORS) continue;
        if (arg->tensors.count != count) return carat_step_aside("lists of different lengths");
        for (int64_t i = 0; i < count; ++i)
            if (!arg->tensors.items[i].dl_dtype.bits) return carat_step_aside("absent tensor in a list");
    }
    return CARAT_OK;
}

// A maximum with a number is a clamp, as in ATen: it takes no booleans.
static carat_pointwise_id applied_to(const carat_frame *call, const foreach_row *row)
{
    if (call->nargs < 2 || call->args[1].kind == CARAT_ARG_TENSORS) return row->applied;
    if (row->applied == CARAT_POINTWISE_maximum) return CARAT_POINTWISE_clamp_min;
    if (row->applied == CARAT_POINTWISE_minimum) return CARAT_POINTWISE_clamp_max;
    return row->applied;
}

// An item written by one call and read by another makes the order of the calls visible; ATen keeps it, so do we, but a
// check of all before the first write says nothing about values, so it stays right.
static carat_status run_all(carat_frame *call, const foreach_row *row, bool check_only)
{
    const carat_pointwise_id id = applied_to(call, row);
    const carat_pointwise_row *applied = carat_pointwise_row_at((int)id);
    const carat_op op = { call->op->name, &carat_family_pointwise, &applied->base, (uint16_t)id, call->op->in_place };
    carat_arg args[MAX_ARGS];
    carat_frame item = *call;
    item.op = &op;
    item.args = args;
    item.check_only = check_only;
    for (int64_t i = 0; i < call->args[0].tensors.count; ++i) {
        item_args(call, i, args);
        item.first_output = (int)i;
        CARAT_TRY(applied->special ? applied->special(&item) : carat_pointwise_run_row(&item, id));
    }
    return CARAT_OK;
}

static carat_status run(carat_frame *call)
{
    const foreach_row *row = &rows[call->op->row_index];
    CARAT_TRY(check_lists(call));
    CARAT_TRY(run_all(call, row, true));
    return run_all(call, row, false);
}

static void no_kernels(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target, (void)emit, (void)arg;
}

const carat_family carat_family_foreach = {
    .name = "foreach",
    .source = "pointwise.k.c",
    .row = row_at,
    .row_count = sizeof rows / sizeof *rows,
    .run = run,
    .describe = carat_pointwise_describe,
    .enumerate = no_kernels,
};

// SPDX-License-Identifier: Apache-2.0
// Operators over lists of tensors. Every call is checked before the first one writes, since a list that is half done
// can't step aside any more.
#include "ops/foreach.h"

#include <string.h>

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
enum { ROW_COUNT = sizeof rows / sizeof *rows };

// A maximum with a number is a clamp, as in ATen: it takes no booleans.
carat_pointwise_id carat_foreach_applied(int row, bool to_numbers)
{
    const carat_pointwise_id applied = rows[row].applied;
    if (to_numbers && applied == CARAT_POINTWISE_maximum) return CARAT_POINTWISE_clamp_min;
    if (to_numbers && applied == CARAT_POINTWISE_minimum) return CARAT_POINTWISE_clamp_max;
    return applied;
}

int carat_foreach_row_count(void)
{
    return ROW_COUNT;
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

// ---- what the check of one item says about the next

// One without dimensions may be a number, of whose value a check knows.
static bool alike_tensors(const carat_tensor *a, const carat_tensor *b)
{
    return a->ndim > 0 && b->ndim > 0 && b->ndim <= CARAT_POINTWISE_RANK && carat_dtype_of(a) == carat_dtype_of(b);
}

static bool same_number(const carat_scalar *a, const carat_scalar *b)
{
    return a->kind == b->kind && a->i == b->i && !memcmp(&a->re, &b->re, sizeof a->re) && !memcmp(&a->im, &b->im, sizeof a->im);
}

// Whether the i-th call has operands of one shape, each consecutive, of the dtypes and numbers of the one before, and writes over
// none of the others in part: then its check would go as the one before did. Most lists are such.
static bool as_the_one_before(const carat_frame *call, int64_t i)
{
    const carat_tensor *self = &call->args[0].tensors.items[i];
    for (int a = 0; a < call->nargs; ++a) {
        const carat_arg *arg = &call->args[a];
        if (arg->kind == CARAT_ARG_SCALARS && !same_number(&arg->scalars.items[i - 1], &arg->scalars.items[i])) return false;
        if (arg->kind != CARAT_ARG_TENSORS) continue;
        const carat_tensor *tensor = &arg->tensors.items[i];
        if (!alike_tensors(tensor - 1, tensor) || !carat_is_contiguous(tensor) || !carat_same_shape(self, tensor)) return false;
        if (a && call->op->in_place && carat_overlap_of(self, tensor) == CARAT_PARTIAL) return false;
    }
    return true;
}

// An item written by one call and read by another makes the order of the calls visible; ATen keeps it, so do we, but a
// check of all before the first write says nothing about values, so it stays right. (On devices ATen's one launch keeps no
// order, nor does foreach_lanes.k.c.)
static carat_status run_all(carat_frame *call, carat_pointwise_id id, bool check_only)
{
    const carat_pointwise_row *applied = carat_pointwise_row_at((int)id);
    const carat_op op = { call->op->name, &carat_family_pointwise, &applied->base, (uint16_t)id, call->op->in_place };
    carat_arg args[MAX_ARGS];
    carat_frame item = *call;
    item.op = &op;
    item.args = args;
    item.check_only = check_only;
    item.checked = !check_only;
    for (int64_t i = 0; i < call->args[0].tensors.count; ++i) {
        if (check_only && i > 0 && as_the_one_before(call, i)) continue;
        item_args(call, i, args);
        item.first_output = (int)i;
        CARAT_TRY(applied->special ? applied->special(&item) : carat_pointwise_run_row(&item, id));
    }
    return CARAT_OK;
}

static carat_status run(carat_frame *call)
{
    CARAT_TRY(check_lists(call));
    if (carat_has_lanes(call)) return carat_foreach_run_lanes(call);
    const carat_pointwise_id id = carat_foreach_applied(call->op->row_index, call->nargs > 1 && call->args[1].kind != CARAT_ARG_TENSORS);
    CARAT_TRY(run_all(call, id, true));
    return run_all(call, id, false);
}

// One lane goes from tensor to tensor with the pointwise kernels, which are in their own family's keys.
static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    (void)target;
    carat_foreach_describe_lanes(key, defines);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) carat_foreach_enumerate_lanes(emit, arg);
}

// What a whole list is taken with; tensors of the lists are looked at one by one.
static bool takes_number(int row, int argument)
{
    (void)row;
    return argument > 0;
}

const carat_family carat_family_foreach = {
    .name = "foreach",
    .source = "pointwise.k.c",
    .lanes_source = "foreach_lanes.k.c",
    .row_kernels = true,
    .takes_number = takes_number,
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROW_COUNT,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

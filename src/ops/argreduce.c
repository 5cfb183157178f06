// SPDX-License-Identifier: Apache-2.0
// argmax, argmin, and max and min with indices, from arguments to results.
#include "jit/jit.h"
#include "ops/pointwise.h"
#include "ops/reduce_lanes.h"

typedef struct argreduce_row {
    carat_row base;
    bool values;
    const char *compare;
} argreduce_row;

static const argreduce_row rows[] = {
#define ARGREDUCE(id, overloads, dtypes, values, compare) { { #id, overloads, dtypes, NULL }, values, #compare },
#include "argreduce.def"
#undef ARGREDUCE
};
enum { ROWS = sizeof rows / sizeof *rows };

// ---- kernels

static carat_key make_key(int row, carat_dtype in)
{
    carat_key key = { .family = CARAT_FAMILY_argreduce, .row = (uint16_t)row };
    key.dtypes[0] = (uint8_t)in;
    return key;
}

// Narrow integers are compared as 32 bits, beside indices of 32 bits.
static carat_dtype accumulator(carat_dtype in)
{
    const carat_dtype compute = carat_compute_dtype(in);
    return carat_is_integral(in) && carat_dtype_size(in) < 4 ? CARAT_i32 : compute;
}

static const char *limit(carat_dtype acc, bool max)
{
    if (acc == CARAT_i32) return max ? "(-2147483647 - 1)" : "2147483647";
    if (acc == CARAT_i64) return max ? "(-9223372036854775807 - 1)" : "9223372036854775807";
    return max ? "(-K_INFINITY)" : "K_INFINITY";
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const argreduce_row *row = &rows[key->row];
    const carat_dtype in = (carat_dtype)key->dtypes[0], acc = accumulator(in);
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    carat_define(defines, "FLOATING", "%d", !carat_is_integral(acc));
    carat_define(defines, "COMPARE", "%s", row->compare);
    carat_define(defines, "IDENTITY", "%s", limit(acc, row->compare[0] == '>'));
    carat_define(defines, "VALUES", "%d", row->values);
    if (target->lanes > 1) {
        carat_reduce_lanes_define(key, carat_dtype_size(in), defines);
        return;
    }
    carat_define(defines, "T_INDEX", "%s", carat_dtype_size(acc) == 8 ? "i64" : "i32");
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(acc));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < ROWS; ++row)
        for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
            if (carat_dtype_in(in, rows[row].base.dtypes)) {
                const carat_key key = make_key(row, in);
                if (target->lanes > 1) carat_reduce_lanes_enumerate(key, carat_dtype_size(in), emit, arg);
                else emit(arg, &key);
            }
}

// ---- running

static carat_status check(const carat_frame *call, const carat_key *key, const carat_reduction *space, const argreduce_row *row)
{
    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(space, shape);
    carat_kernel kernel;
    if (!carat_dtype_in((carat_dtype)key->dtypes[0], row->base.dtypes)) return carat_step_aside("dtype");
    if (carat_numel(space->in) == 0) return carat_step_aside("empty");
    if (space->in->ndim > REDUCE_RANK + 1) return carat_step_aside("rank");
    if (carat_reduction_count(space) > INT32_MAX) return carat_step_aside("more than 2^31 elements");
    for (int i = 0; i <= row->values; ++i) {
        const carat_dtype dtype = i == 0 && row->values ? (carat_dtype)key->dtypes[0] : CARAT_i64;
        CARAT_TRY(carat_output_check(call, i, dtype, ndim, shape));
        const carat_tensor *given = carat_output_given(call, i);
        if (given && carat_overlap_of(given, space->in) != CARAT_DISJOINT) return carat_step_aside("output overlaps the input");
        if (given && !carat_is_contiguous(given)) return carat_step_aside("layout of the output");
    }
    const carat_tensor *first = carat_output_given(call, 0), *second = carat_output_given(call, 1);
    if (first && second && carat_overlap_of(first, second) != CARAT_DISJOINT) return carat_step_aside("outputs overlap");
    if (carat_has_lanes(call)) return CARAT_OK; // layouts have kernels of their own there: the launch finds out
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

static carat_status launch_lanes(const carat_frame *call, const carat_key *key, const carat_reduction *space,
                                 const carat_output *out, bool values)
{
    carat_reduce_lanes plan;
    CARAT_TRY(carat_reduce_lanes_plan(space, &out[0].view, true, &plan));
    if (values) plan.args.second = carat_data(&out[1].view);
    const size_t bytes = carat_dtype_size(accumulator((carat_dtype)key->dtypes[0])); // the index takes as much with its padding
    return carat_reduce_lanes_run(call, *key, &plan, 2 * bytes);
}

// All dimensions of a tensor with gaps or another order: a contiguous copy, in a block that the caller frees.
static carat_status straighten(const carat_frame *call, const carat_tensor *from, carat_output *to)
{
    *to = (carat_output){ .view = *from };
    to->view.data = carat_alloc((size_t)carat_numel(from) * carat_dtype_size(carat_dtype_of(from)));
    if (!to->view.data) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to copy %lld elements", (long long)carat_numel(from));
    carat_contiguous_strides(from->ndim, from->shape, to->strides);
    to->view.byte_offset = 0;
    to->view.strides = to->strides;
    return carat_copy(call, &to->view, from);
}

static carat_status run_checked(carat_frame *call, const carat_key *key, carat_reduction space, bool values)
{
    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(&space, shape);
    const bool everything = space.in->ndim > 1 && space.dims == (1u << space.in->ndim) - 1;
    carat_output out[2], straight = { .view = { .data = NULL } };
    carat_reduce_launch launch;
    CARAT_TRY(carat_output_make(call, 0, values ? (carat_dtype)key->dtypes[0] : CARAT_i64, ndim, shape, NULL, &out[0]));
    if (values) CARAT_TRY(carat_output_make(call, 1, CARAT_i64, ndim, shape, NULL, &out[1]));
    if (carat_has_lanes(call)) return launch_lanes(call, key, &space, out, values);
    carat_status status = CARAT_OK;
    if (everything && !carat_is_contiguous(space.in)) {
        status = straighten(call, space.in, &straight);
        space.in = &straight.view;
    }
    if (status == CARAT_OK) status = carat_reduce_plan(&space, &out[0].view, CARAT_REDUCE_ORDERED, &launch);
    if (status == CARAT_OK) {
        if (values) launch.args.second = carat_data(&out[1].view);
        const size_t bytes = carat_dtype_size(accumulator((carat_dtype)key->dtypes[0]));
        status = carat_reduce_run(call, key, &launch, bytes, sizeof(int64_t));
    }
    if (straight.view.data) carat_free(straight.view.data);
    return status;
}

// (self, dim, keepdim)
static carat_status run(carat_frame *call)
{
    const argreduce_row *row = &rows[call->op->row_index];
    carat_reduction space = { .in = carat_tensor_arg(call, 0) };
    if (!space.in || call->nargs < 3) return carat_step_aside("argument kind");
    CARAT_TRY(carat_reduction_dims(call, 1, &space));
    space.keepdim = carat_int_arg(call, 2, 0);
    const carat_key key = make_key(call->op->row_index, carat_dtype_of(space.in));
    CARAT_TRY(check(call, &key, &space, row));
    return run_checked(call, &key, space, row->values);
}

const carat_family carat_family_argreduce = {
    .name = "argreduce",
    .source = "argreduce.k.c",
    .lanes_source = "argreduce_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROWS,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

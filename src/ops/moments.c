// SPDX-License-Identifier: Apache-2.0
// var, std, var_mean and std_mean from arguments to results.
#include "ops/moments.h"

#include "jit/jit.h"
#include "ops/reduce_lanes.h"

typedef struct moments_row {
    carat_row base;
    bool root, with_mean;
} moments_row;

static const moments_row rows[] = {
#define MOMENTS(id, overloads, dtypes, root, with_mean) { { #id, overloads, dtypes, NULL }, root, with_mean },
#include "moments.def"
#undef MOMENTS
};
enum { VAR_MEAN_ROW = 2, ROWS = sizeof rows / sizeof *rows };

// `out` matters to groups of many lanes.
static carat_key make_key(int row, carat_dtype in, carat_dtype out)
{
    carat_key key = { .family = CARAT_FAMILY_moments, .row = (uint16_t)row };
    key.dtypes[0] = (uint8_t)in;
    key.dtypes[1] = (uint8_t)out;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const moments_row *row = &rows[key->row];
    const carat_dtype in = (carat_dtype)key->dtypes[0], acc = carat_compute_dtype(in);
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    carat_define(defines, "T_OUT", "%s", carat_dtype_name((carat_dtype)key->dtypes[1]));
    carat_define(defines, "ROOT", "%d", row->root);
    carat_define(defines, "WITH_MEAN", "%d", row->with_mean);
    if (target->lanes > 1) {
        carat_reduce_lanes_define(key, carat_dtype_size(in), defines);
        return;
    }
    carat_define(defines, "T_WIDE", "%s", "f64");
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(acc));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < ROWS; ++row)
        for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
            if (carat_dtype_in(in, rows[row].base.dtypes)) {
                const carat_key key = make_key(row, in, in);
                if (target->lanes > 1) carat_reduce_lanes_enumerate(key, carat_dtype_size(in), emit, arg);
                else emit(arg, &key);
            }
}

static carat_status check(const carat_frame *call, const carat_key *key, const carat_reduction *space, double correction)
{
    const moments_row *row = &rows[call->op->row_index];
    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(space, shape);
    carat_kernel kernel;
    if (!carat_dtype_in((carat_dtype)key->dtypes[0], row->base.dtypes)) return carat_step_aside("dtype");
    if (carat_numel(space->in) == 0) return carat_step_aside("empty");
    if (space->in->ndim > REDUCE_RANK + 1) return carat_step_aside("rank");
    if ((double)carat_reduction_count(space) <= correction) return carat_step_aside("no degrees of freedom"); // ATen warns
    for (int i = 0; i <= row->with_mean; ++i) {
        CARAT_TRY(carat_output_check(call, i, (carat_dtype)key->dtypes[0], ndim, shape));
        const carat_tensor *given = carat_output_given(call, i);
        if (given && carat_overlap_of(given, space->in) != CARAT_DISJOINT) return carat_step_aside("output overlaps the input");
        if (given && !carat_is_contiguous(given)) return carat_step_aside("layout of the output");
    }
    const carat_tensor *first = carat_output_given(call, 0), *second = row->with_mean ? carat_output_given(call, 1) : NULL;
    if (second && carat_overlap_of(first, second) != CARAT_DISJOINT) return carat_step_aside("outputs overlap");
    if (carat_has_lanes(call)) return CARAT_OK; // layouts have kernels of their own there: the launch finds out
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

static carat_status launch_lanes(const carat_frame *call, const carat_key *key, const carat_reduction *space, double correction,
                                 const carat_output *out, bool with_mean)
{
    carat_reduce_lanes plan;
    CARAT_TRY(carat_reduce_lanes_plan(space, &out[0].view, false, &plan));
    plan.args.count = (double)carat_reduction_count(space);
    plan.args.correction = correction;
    if (with_mean) plan.args.second = carat_data(&out[1].view);
    return carat_reduce_lanes_run(call, *key, &plan, 3 * carat_dtype_size(carat_compute_dtype((carat_dtype)key->dtypes[0])));
}

carat_status carat_moments_split(const carat_frame *call, const carat_reduction *space, const carat_tensor *variance, void *mean)
{
    const carat_dtype dtype = carat_dtype_of(space->in), acc = carat_compute_dtype(dtype);
    carat_reduce_lanes plan;
    CARAT_TRY(carat_reduce_lanes_plan(space, variance, false, &plan));
    plan.args.count = (double)carat_reduction_count(space);
    plan.args.second = mean;
    return carat_reduce_lanes_run(call, make_key(VAR_MEAN_ROW, dtype, acc), &plan, 3 * carat_dtype_size(acc));
}

// (self, dim, correction, keepdim)
static carat_status run(carat_frame *call)
{
    const moments_row *row = &rows[call->op->row_index];
    carat_reduction space = { .in = carat_tensor_arg(call, 0) };
    if (!space.in || call->nargs < 4) return carat_step_aside("argument kind");
    const double correction = carat_float_arg(call, 2, 1);
    CARAT_TRY(carat_reduction_dims(call, 1, &space));
    space.keepdim = carat_int_arg(call, 3, 0);
    const carat_dtype dtype = carat_dtype_of(space.in);
    const carat_key key = make_key(call->op->row_index, dtype, dtype);
    CARAT_TRY(check(call, &key, &space, correction));

    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(&space, shape);
    carat_output out[2];
    carat_reduce_launch launch;
    CARAT_TRY(carat_output_make(call, 0, dtype, ndim, shape, NULL, &out[0]));
    if (row->with_mean) CARAT_TRY(carat_output_make(call, 1, dtype, ndim, shape, NULL, &out[1]));
    if (carat_has_lanes(call)) return launch_lanes(call, &key, &space, correction, out, row->with_mean);
    CARAT_TRY(carat_reduce_plan(&space, &out[0].view, CARAT_REDUCE_UNFOLDED, &launch));
    launch.args.count = (double)carat_reduction_count(&space);
    launch.args.correction = correction;
    if (row->with_mean) launch.args.second = carat_data(&out[1].view);
    return carat_reduce_run(call, &key, &launch, sizeof(double), sizeof(double));
}

const carat_family carat_family_moments = {
    .name = "moments",
    .source = "moments.k.c",
    .lanes_source = "moments_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROWS,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

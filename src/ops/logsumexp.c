// SPDX-License-Identifier: Apache-2.0
// logsumexp from arguments to results.
#include "ops/logsumexp.h"

#include "jit/jit.h"
#include "ops/reduce_lanes.h"

typedef struct logsumexp_row {
    carat_row base;
    const char *result;
} logsumexp_row;

static const logsumexp_row rows[] = {
#define LOGSUMEXP(id, overloads, dtypes, result) { { #id, overloads, dtypes, NULL }, #result },
#include "logsumexp.def"
#undef LOGSUMEXP
};
enum { LOGSUMEXP_ROW, SCALE_ROW, LOG_SCALE_ROW, ROWS };

static carat_key make_key(int row, carat_dtype in)
{
    carat_key key = { .family = CARAT_FAMILY_logsumexp, .row = (uint16_t)row };
    key.dtypes[0] = (uint8_t)in;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_dtype in = (carat_dtype)key->dtypes[0], acc = carat_compute_dtype(in);
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    if (target->lanes > 1) {
        carat_define(defines, "RESULT", "%s", rows[key->row].result);
        carat_reduce_lanes_define(key, carat_dtype_size(in), defines);
    } else {
        carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(acc));
    }
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < (target->lanes > 1 ? ROWS : SCALE_ROW); ++row)
        for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
            if (carat_dtype_in(in, rows[row].base.dtypes)) {
                const carat_key key = make_key(row, in);
                if (target->lanes > 1) carat_reduce_lanes_enumerate(key, carat_dtype_size(in), emit, arg);
                else emit(arg, &key);
            }
}

// Short contiguous rows, of which there are many: a vector at a time isn't enough.
static bool has_short_rows(const carat_reduction *space)
{
    enum { SHORT = 32, MANY = 4096 };
    if (carat_reduction_count(space) >= SHORT || carat_numel(space->in) <= MANY) return false;
    return carat_reduction_along(space) == CARAT_ALONG_REDUCED;
}

static carat_status check(const carat_frame *call, const carat_key *key, const carat_reduction *space)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(space, shape);
    carat_kernel kernel;
    if (!carat_dtype_in(dtype, rows[LOGSUMEXP_ROW].base.dtypes)) return carat_step_aside("dtype");
    if (carat_numel(space->in) == 0) return carat_step_aside("empty");
    if (space->in->ndim > REDUCE_RANK + 1) return carat_step_aside("rank");
    if (!carat_has_lanes(call) && has_short_rows(space)) return carat_step_aside("short rows");
    CARAT_TRY(carat_output_check(call, 0, dtype, ndim, shape));
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && carat_overlap_of(given, space->in) != CARAT_DISJOINT) return carat_step_aside("output overlaps the input");
    if (carat_has_lanes(call)) return CARAT_OK; // layouts have kernels of their own there: the launch finds out
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

static carat_status launch_lanes(const carat_frame *call, const carat_key *key, const carat_reduction *space, const carat_tensor *out)
{
    carat_reduce_lanes plan;
    CARAT_TRY(carat_reduce_lanes_plan(space, out, false, &plan));
    return carat_reduce_lanes_run(call, *key, &plan, 2 * carat_dtype_size(carat_compute_dtype((carat_dtype)key->dtypes[0])));
}

carat_status carat_logsumexp_split(const carat_frame *call, const carat_reduction *space, bool log, const carat_tensor *top, const carat_tensor *rest)
{
    const carat_dtype dtype = carat_dtype_of(space->in);
    carat_reduce_lanes plan;
    CARAT_TRY(carat_reduce_lanes_plan(space, top, false, &plan));
    plan.args.second = carat_data(rest);
    return carat_reduce_lanes_run(call, make_key(log ? LOG_SCALE_ROW : SCALE_ROW, dtype), &plan, 2 * carat_dtype_size(carat_compute_dtype(dtype)));
}

// (self, dim, keepdim)
static carat_status run(carat_frame *call)
{
    carat_reduction space = { .in = carat_tensor_arg(call, 0) };
    if (!space.in || call->nargs < 3) return carat_step_aside("argument kind");
    CARAT_TRY(carat_reduction_dims(call, 1, &space));
    space.keepdim = carat_int_arg(call, 2, 0);
    const carat_dtype dtype = carat_dtype_of(space.in);
    const carat_key key = make_key(LOGSUMEXP_ROW, dtype);
    CARAT_TRY(check(call, &key, &space));

    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(&space, shape);
    carat_output out;
    carat_reduce_launch launch;
    CARAT_TRY(carat_output_make(call, 0, dtype, ndim, shape, NULL, &out));
    if (carat_has_lanes(call)) return launch_lanes(call, &key, &space, &out.view);
    CARAT_TRY(carat_reduce_plan(&space, &out.view, CARAT_REDUCE_UNFOLDED, &launch));
    return carat_reduce_run(call, &key, &launch, sizeof(double), sizeof(double));
}

const carat_family carat_family_logsumexp = {
    .name = "logsumexp",
    .source = "logsumexp.k.c",
    .lanes_source = "logsumexp_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROWS,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

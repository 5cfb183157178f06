// SPDX-License-Identifier: Apache-2.0
// The reduce family from arguments to results. One number an output: sum, mean, amax, any, norms, ...
#include "ops/reduce.h"
#include "jit/jit.h"
#include "ops/pointwise.h"
#include "ops/reduce_lanes.h"

#include <math.h>
#include <string.h>

static const carat_reduce_row rows[CARAT_REDUCE_COUNT] = {
#define REDUCE(id, overloads, dtypes, form, result, accumulate, identity, map, combine, finish) \
    [CARAT_REDUCE_##id] = { { #id, overloads, dtypes, NULL }, form, result, accumulate, #identity, #map, #combine, #finish },
#include "reduce.def"
#undef REDUCE
};

const carat_reduce_row *carat_reduce_row_at(int index)
{
    return &rows[index];
}

// ---- arguments

// One reduction, settled.
typedef struct request {
    carat_reduce_id row;
    carat_reduction space;
    carat_dtype in, out; // what the kernel reads (the input's dtype, or that of a converted copy) and writes
    double p;
    int index;           // of the result
} request;

static carat_dtype dtype_arg(const carat_frame *call, int i)
{
    return i >= 0 && i < call->nargs && call->args[i].kind == CARAT_ARG_DTYPE ? (carat_dtype)call->args[i].i : CARAT_DTYPE_NONE;
}

// Overloads without dim take (self, dtype) or (self); those with it (self, dim, keepdim, dtype) or (self, dim, keepdim).
static carat_status read_dims(const carat_frame *call, const carat_reduce_row *row, request *r, carat_dtype *dtype)
{
    const bool has_dim = call->nargs >= 3 || row->form == COUNTED;
    r->space.keepdim = has_dim && carat_int_arg(call, 2, 0);
    *dtype = dtype_arg(call, call->nargs - 1);
    // any.dims and all.dims reduce nothing where other operators reduce everything.
    if (row->result == TRUTH && has_dim && call->args[1].kind == CARAT_ARG_INTS && call->args[1].ints.count == 0)
        return carat_step_aside("empty list of dims");
    return carat_reduction_dims(call, has_dim ? 1 : -1, &r->space);
}

static carat_status read_order(const carat_frame *call, int at, double *p)
{
    const carat_arg *arg = &call->args[at];
    if (arg->kind == CARAT_ARG_SCALAR && arg->scalar.kind == CARAT_SCALAR_COMPLEX) return carat_step_aside("complex order");
    *p = carat_float_arg(call, at, 2);
    return CARAT_OK;
}

static carat_reduce_id norm_row(double p)
{
    if (p == 2) return CARAT_REDUCE_norm2;
    if (p == 1) return CARAT_REDUCE_norm1;
    if (p == 0) return CARAT_REDUCE_norm0;
    if (isinf(p)) return p > 0 ? CARAT_REDUCE_norm_max : CARAT_REDUCE_norm_min;
    return CARAT_REDUCE_norm_p;
}

// ---- dtypes

static carat_status settle_dtypes(request *r, carat_dtype asked)
{
    const carat_reduce_row *row = &rows[r->row];
    const carat_dtype in = carat_dtype_of(r->space.in);
    if (!carat_dtype_in(in, row->base.dtypes)) return carat_step_aside("dtype");
    r->in = r->out = in;
    switch (row->result) {
    case TRUTH: r->out = in == CARAT_u8 ? CARAT_u8 : CARAT_b8; return CARAT_OK;
    case COUNT: r->out = CARAT_i64; return CARAT_OK;
    case SAME_DTYPE: return CARAT_OK;
    case TOTAL: r->out = asked != CARAT_DTYPE_NONE ? asked : carat_is_integral(in) ? CARAT_i64 : in; break;
    default: r->out = asked != CARAT_DTYPE_NONE ? asked : in; break;
    }
    if (!carat_dtype_in(r->out, row->base.dtypes)) return carat_step_aside("dtype");
    if (row->result == FLOATING && carat_is_integral(r->out)) return carat_step_aside("integers");
    if (carat_is_integral(r->out) && (r->out != CARAT_i64 || !carat_is_integral(in))) return carat_step_aside("dtype=");
    const bool direct = in == r->out || r->out == CARAT_i64 || (r->out == CARAT_f32 && carat_dtype_in(in, CARAT_HALVES));
    if (!direct) r->in = r->out;
    if (carat_is_complex(in) && !carat_is_complex(r->out)) return carat_step_aside("dtype=");
    return CARAT_OK;
}

// nansum of integers is their sum.
static void choose_row(request *r)
{
    if (r->row == CARAT_REDUCE_nansum && carat_is_integral(r->in)) r->row = CARAT_REDUCE_sum;
}

// ---- running

// The input in another dtype, in a block that the caller frees.
static carat_status convert(const carat_frame *call, const carat_tensor *from, carat_dtype dtype, carat_output *to)
{
    *to = (carat_output){ .view = *from };
    to->view.data = carat_alloc((size_t)carat_numel(from) * carat_dtype_size(dtype));
    if (!to->view.data) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to convert %lld elements", (long long)carat_numel(from));
    carat_like_strides(from, to->strides);
    to->view.byte_offset = 0;
    to->view.dl_dtype = carat_dtype_to_dl(dtype);
    to->view.strides = to->strides;
    return carat_copy(call, &to->view, from);
}

// Products of dense rows of f32: of long ones the tree of partial products passes through more subnormal numbers, which cost
// a third of the time, than ATen's, and of others there is nothing to gain.
static bool is_product_of_rows(const request *r)
{
    const carat_tensor *in = r->space.in;
    if (r->row != CARAT_REDUCE_prod || r->in != CARAT_f32 || carat_numel(in) <= 4096) return false;
    if (carat_reduction_count(&r->space) == carat_numel(in)) return false;
    return carat_reduction_along(&r->space) == CARAT_ALONG_REDUCED;
}

// In groups of many lanes: sums of a few halves side by side, where results are a good part of the traffic.
static bool is_slower_in_lanes(const request *r)
{
    enum { FEW = 16, LARGE = 1 << 20 };
    const carat_tensor *in = r->space.in;
    if (rows[r->row].accumulate != SUMS || !carat_dtype_in(carat_dtype_of(in), CARAT_HALVES)) return false;
    if (carat_numel(in) < LARGE || carat_reduction_count(&r->space) > FEW) return false;
    return carat_reduction_along(&r->space) == CARAT_ALONG_KEPT;
}

static carat_status check(const carat_frame *call, const request *r)
{
    const bool lanes = carat_has_lanes(call);
    const carat_key key = carat_reduce_key(r->row, r->in, r->out);
    carat_kernel kernel;
    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(&r->space, shape);
    if (carat_numel(r->space.in) == 0) return carat_step_aside("empty");
    if (r->space.in->ndim > REDUCE_RANK + 1) return carat_step_aside("rank");
    if (!lanes && is_product_of_rows(r)) return carat_step_aside("products of rows of floats");
    if (lanes && is_slower_in_lanes(r)) return carat_step_aside("sums of a few halves");
    CARAT_TRY(carat_output_check(call, r->index, r->out, ndim, shape));
    const carat_tensor *given = carat_output_given(call, r->index);
    if (given && carat_overlap_of(given, r->space.in) != CARAT_DISJOINT) return carat_step_aside("output overlaps the input");
    if (lanes) return CARAT_OK; // layouts have kernels of their own there: the launch finds out
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

static carat_status launch_lanes(const carat_frame *call, const request *r, const carat_tensor *out)
{
    const carat_key key = carat_reduce_lanes_key(r->row, carat_dtype_of(r->space.in), r->in, r->out);
    carat_reduce_lanes plan;
    CARAT_TRY(carat_reduce_lanes_plan(&r->space, out, false, &plan));
    plan.args.count = (double)carat_reduction_count(&r->space);
    plan.args.p = r->p;
    return carat_reduce_lanes_run(call, key, &plan, carat_reduce_lanes_joined_bytes(&key));
}

// The request was checked; makes its result.
static carat_status run_request(carat_frame *call, const request *r)
{
    carat_output out, converted = { .view = { .data = NULL } };
    carat_reduction space = r->space;
    carat_reduce_launch launch;
    int64_t shape[CARAT_MAX_DIMS];
    const int ndim = carat_reduction_shape(&space, shape);
    CARAT_TRY(carat_output_make(call, r->index, r->out, ndim, shape, NULL, &out));
    if (carat_has_lanes(call)) return launch_lanes(call, r, &out.view);
    carat_status status = CARAT_OK;
    if (r->in != carat_dtype_of(space.in)) {
        status = convert(call, space.in, r->in, &converted);
        space.in = &converted.view;
    }
    if (status == CARAT_OK) status = carat_reduce_plan(&space, &out.view, 0, &launch);
    if (status == CARAT_OK) {
        launch.args.count = (double)carat_reduction_count(&space);
        launch.args.p = r->p;
        const carat_key key = carat_reduce_key(r->row, r->in, r->out);
        status = carat_reduce_run(call, &key, &launch, carat_reduce_partial_bytes(&key), 0);
    }
    if (converted.view.data) carat_free(converted.view.data);
    return status;
}

static carat_status run_foreach(carat_frame *call)
{
    request r = { 0 };
    if (call->nargs < 2 || call->args[0].kind != CARAT_ARG_TENSORS) return carat_step_aside("argument kind");
    const carat_arg *list = &call->args[0];
    const carat_dtype dtype = dtype_arg(call, 2);
    CARAT_TRY(read_order(call, 1, &r.p));
    r.row = norm_row(r.p);
    for (int pass = 0; pass < 2; ++pass) // all are checked before the first result is made
        for (r.index = 0; r.index < list->tensors.count; ++r.index) {
            r.space.in = &list->tensors.items[r.index];
            r.space.dims = r.space.in->ndim ? (1u << r.space.in->ndim) - 1 : 0;
            CARAT_TRY(settle_dtypes(&r, dtype));
            CARAT_TRY(pass == 0 ? check(call, &r) : run_request(call, &r));
        }
    return CARAT_OK;
}

// More than this is read from memory twice by two launches, and once by ATen's kernel for extremes of all elements.
enum { ONCE_BYTES = 1 << 20 };

// (self, dim, keepdim), one dimension or all. Both results are checked before the first one is made.
static carat_status run_pair(carat_frame *call, request *r)
{
    if (call->nargs < 3) return carat_step_aside("argument kind");
    r->space.keepdim = carat_int_arg(call, 2, 0);
    CARAT_TRY(carat_reduction_dims(call, 1, &r->space));
    CARAT_TRY(settle_dtypes(r, CARAT_DTYPE_NONE));
    const bool everything = carat_reduction_count(&r->space) == carat_numel(r->space.in);
    if (everything && (size_t)carat_numel(r->space.in) * carat_dtype_size(r->in) > ONCE_BYTES) return carat_step_aside("extremes of all elements");
    const carat_tensor *first = carat_output_given(call, 0), *second = carat_output_given(call, 1);
    if (first && second && carat_overlap_of(first, second) != CARAT_DISJOINT) return carat_step_aside("outputs overlap");
    for (int pass = 0; pass < 2; ++pass)
        for (r->index = 0; r->index < 2; ++r->index) {
            r->row = r->index ? CARAT_REDUCE_amax : CARAT_REDUCE_amin;
            CARAT_TRY(pass == 0 ? check(call, r) : run_request(call, r));
        }
    return CARAT_OK;
}

// The diagonal of a matrix is a vector with a stride of its own.
static carat_status run_diagonal(carat_frame *call, request *r)
{
    const carat_tensor *matrix = r->space.in;
    if (matrix->ndim != 2) return carat_step_aside("not a matrix");
    int64_t shape[1] = { matrix->shape[matrix->shape[1] < matrix->shape[0]] }, strides[1] = { matrix->strides[0] + matrix->strides[1] };
    carat_tensor diagonal = *matrix;
    diagonal.ndim = 1;
    diagonal.shape = shape;
    diagonal.strides = strides;
    r->space.in = &diagonal;
    r->space.dims = 1;
    r->row = CARAT_REDUCE_sum;
    CARAT_TRY(settle_dtypes(r, CARAT_DTYPE_NONE));
    CARAT_TRY(check(call, r));
    return run_request(call, r);
}

static carat_status run(carat_frame *call)
{
    request r = { .row = (carat_reduce_id)call->op->row_index };
    const carat_reduce_row *row = &rows[r.row];
    carat_dtype dtype;
    if (row->form == FOREACH) return run_foreach(call);
    r.space.in = carat_tensor_arg(call, 0);
    if (!r.space.in) return carat_step_aside("argument kind");
    if (row->form == PAIR) return run_pair(call, &r);
    if (row->form == DIAGONAL) return run_diagonal(call, &r);
    if (row->form == NORM) {
        if (call->nargs < 5) return carat_step_aside("argument kind");
        CARAT_TRY(read_order(call, 1, &r.p));
        r.row = norm_row(r.p);
        r.space.keepdim = carat_int_arg(call, 3, 0);
        dtype = dtype_arg(call, 4);
        CARAT_TRY(carat_reduction_dims(call, 2, &r.space));
    } else {
        CARAT_TRY(read_dims(call, row, &r, &dtype));
    }
    CARAT_TRY(settle_dtypes(&r, dtype));
    choose_row(&r);
    CARAT_TRY(check(call, &r));
    return run_request(call, &r);
}

// Norms of a list in one launch, and both extremes in one pass, are ATen's on a device.
static bool has_lanes(int index)
{
    return rows[index].form != FOREACH && rows[index].form != PAIR;
}

const carat_family carat_family_reduce = {
    .name = "reduce",
    .source = "reduce.k.c",
    .lanes_source = "reduce_lanes.k.c",
    .row_has_lanes = has_lanes,
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = CARAT_REDUCE_COUNT,
    .run = run,
    .describe = carat_reduce_describe,
    .enumerate = carat_reduce_enumerate,
};

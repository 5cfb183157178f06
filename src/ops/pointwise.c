// SPDX-License-Identifier: Apache-2.0
// The pointwise family from arguments to results: promotion, broadcasting, output, conversion of odd operands.
#include "ops/pointwise.h"
#include "ops/pointwise_row.h"

#include <stdatomic.h>
#include <string.h>

static const carat_pointwise_row rows[CARAT_POINTWISE_COUNT] = {
#define POINTWISE(id, overloads, inputs_given, rule_given, dtypes, body_given, ...) \
    [CARAT_POINTWISE_##id] = { { #id, overloads, dtypes, NULL }, .body = #body_given, .inputs = inputs_given, .rule = rule_given, __VA_ARGS__ },
#define SCALARS(n, names, ...) .scalars = n, .scalar_names = names, .scalar_defaults = { __VA_ARGS__ }
#define KINDS(text) .kinds = text
#define PARAMS(...) .has_params = true, .params = { __VA_ARGS__ }
#define OPMATH .opmath = true
#define RAW .raw = true
#define EXACT .exact = true
#define BITS(id) .bits = CARAT_POINTWISE_##id
#define NEAR(condition, cheaper) .near = #condition, .near_body = #cheaper
#define LENGTHY .lengthy = true
#define SLOWER(dtypes, when) .slower = dtypes, .slower_when = when
#define SPECIAL(function) .special = function
#include "pointwise.def"
#undef POINTWISE
};

// ---- rows made at run time: their slots are filled once, so that readers take no lock

enum { MOST_MADE = 16384 };
static _Atomic(const carat_pointwise_row *) made[MOST_MADE];
static atomic_int made_count;

int carat_pointwise_add_row(const carat_pointwise_row *row)
{
    int index = atomic_load_explicit(&made_count, memory_order_relaxed);
    do {
        if (index == MOST_MADE) return -1;
    } while (!atomic_compare_exchange_weak_explicit(&made_count, &index, index + 1, memory_order_relaxed, memory_order_relaxed));
    atomic_store_explicit(&made[index], row, memory_order_release);
    return CARAT_POINTWISE_COUNT + index;
}

const carat_pointwise_row *carat_pointwise_row_at(int index)
{
    if (index < CARAT_POINTWISE_COUNT) return &rows[index];
    return atomic_load_explicit(&made[index - CARAT_POINTWISE_COUNT], memory_order_acquire);
}

// ---- arguments

// What the arguments of a call say: operands in the order x, y, z, w and scalars by position.
typedef struct operands {
    const carat_arg *in[CARAT_POINTWISE_INPUTS];
    carat_scalar scalar[CARAT_POINTWISE_SCALARS];
    carat_promotion promotion;
} operands;

bool carat_pointwise_number(const carat_arg *arg, carat_scalar *number)
{
    switch (arg->kind) {
    case CARAT_ARG_SCALAR: *number = arg->scalar; return true;
    case CARAT_ARG_FLOAT: *number = (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = arg->f }; return true;
    case CARAT_ARG_INT: *number = (carat_scalar){ .kind = CARAT_SCALAR_INT, .i = arg->i }; return true;
    case CARAT_ARG_TENSOR:
        if (arg->tensor.ndim != 0 || arg->tensor.device.type != CARAT_CPU) return false;
        *number = carat_scalar_load(carat_dtype_of(&arg->tensor), carat_data(&arg->tensor));
        return true;
    default: return false;
    }
}

static carat_status take_operand(const carat_frame *call, const carat_pointwise_row *row, int j, const carat_arg *arg, operands *got)
{
    if (arg->kind != CARAT_ARG_TENSOR && arg->kind != CARAT_ARG_SCALAR) return carat_step_aside("absent operand");
    got->in[j] = arg;
    if (carat_pointwise_is_mask(row, j)) {
        if (arg->kind != CARAT_ARG_TENSOR || carat_dtype_of(&arg->tensor) != CARAT_b8) return carat_step_aside("mask is not bool");
        return CARAT_OK;
    }
    return carat_promotion_add(&got->promotion, arg, call->context->default_dtype);
}

static carat_status read_arguments(const carat_frame *call, const carat_pointwise_row *row, operands *got)
{
    got->promotion = (carat_promotion)CARAT_PROMOTION_START;
    for (int s = 0; s < row->scalars; ++s)
        got->scalar[s] = (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = row->scalar_defaults[s], .i = (int64_t)row->scalar_defaults[s] };
    const int count = row->has_params ? CARAT_POINTWISE_PARAMS : row->inputs + row->scalars;
    int seen = 0;
    for (int i = 0; i < count; ++i) {
        const int param = row->has_params ? row->params[i] : i < row->inputs ? IN(i) : SCALAR(i - row->inputs);
        if (param == 0) continue;
        if (param > 0) {
            if (i >= call->nargs) return carat_fail(CARAT_INVALID_ARGUMENT, "%s: argument %d is missing", call->op->name, i);
            CARAT_TRY(take_operand(call, row, param - 1, &call->args[i], got));
            ++seen;
        } else if (i < call->nargs && call->args[i].kind != CARAT_ARG_NONE
                   && !carat_pointwise_number(&call->args[i], &got->scalar[-param - 1])) {
            return carat_step_aside("argument kind");
        }
    }
    return seen == row->inputs ? CARAT_OK : carat_fail(CARAT_INTERNAL_ERROR, "%s: its row names %d of %d operands", row->base.id, seen, row->inputs);
}

// ---- dtypes

typedef struct settled {
    carat_dtype in, compute, out;
} settled;

// Tests answer with bools, or with ones and zeros where they are written over numbers of the operands' dtype.
static carat_dtype test_dtype(const carat_frame *call, carat_dtype common)
{
    const carat_tensor *given = carat_output_given(call, 0);
    return given && carat_dtype_of(given) == common && !carat_has_lanes(call) ? common : CARAT_b8;
}

// What 32 bits say has to be narrowed to 16 then, which ATen is spared.
static bool overwrites_many_halves(const carat_frame *call, carat_dtype out)
{
    enum { MANY = 4096 };
    return carat_dtype_in(out, CARAT_HALVES) && carat_numel(carat_output_given(call, 0)) > MANY;
}

static carat_status settle_dtypes(const carat_frame *call, const carat_pointwise_row *row, const operands *got, settled *dtypes)
{
    const carat_dtype common = carat_promotion_result(&got->promotion);
    if (!carat_dtype_in(common, row->base.dtypes)) return carat_step_aside("dtype");
    dtypes->in = common;
    dtypes->compute = carat_compute_dtype(common);
    dtypes->out = common;
    if (row->rule == TEST) dtypes->out = test_dtype(call, common);
    if (row->rule == TEST && overwrites_many_halves(call, dtypes->out)) return carat_step_aside("many halves overwritten by a test");
    if (row->rule == POLAR) dtypes->out = common == CARAT_f64 ? CARAT_c128 : CARAT_c64;
    if (row->rule == FLOAT && carat_is_integral(common)) // integers are converted first: kernels take floats
        dtypes->in = dtypes->compute = dtypes->out = call->context->default_dtype;
    if (!carat_has_lanes(call) && carat_dtype_in(dtypes->in, row->slower) && (row->slower_when == ALWAYS || carat_output_given(call, 0)))
        return carat_step_aside("ATen is faster");
    // Scalar arguments take no part in promotion; one that the operands' dtype can't hold is an error that ATen words.
    for (int s = 0; s < row->scalars; ++s) {
        const carat_scalar_kind kind = got->scalar[s].kind;
        const bool whole = carat_is_integral(dtypes->compute) && kind == CARAT_SCALAR_FLOAT && got->scalar[s].re != (double)got->scalar[s].i;
        if (whole || !carat_scalar_fits(got->scalar[s], dtypes->in)) return carat_step_aside("scalar that the dtype can't hold");
    }
    return CARAT_OK;
}

// ---- operands of another dtype

// An operand as the kernel takes it: a view of the call, one converted number, or a converted copy.
typedef struct prepared {
    carat_tensor view;
    int64_t element[2]; // room for one number of any dtype
    void *copy;
    int64_t strides[CARAT_MAX_DIMS]; // of the copy
} prepared;

static carat_status convert_copy(const carat_frame *call, const carat_tensor *from, carat_dtype dtype, prepared *to)
{
    to->copy = carat_alloc((size_t)carat_numel(from) * carat_dtype_size(dtype));
    if (!to->copy) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to convert %lld elements", (long long)carat_numel(from));
    carat_like_strides(from, to->strides);
    to->view.data = to->copy;
    to->view.byte_offset = 0;
    to->view.dl_dtype = carat_dtype_to_dl(dtype);
    to->view.strides = to->strides;
    return carat_copy(call, &to->view, from);
}

// ATen raises an error for a number that doesn't fit. Beside halves it does so where the result is one of the operands (clamp); else
// it computes with the number in f32, or rounds it to an infinity.
static bool number_fits(const carat_pointwise_row *row, carat_scalar number, const settled *dtypes, carat_dtype dtype)
{
    if (row->exact) return carat_scalar_fits(number, dtypes->in);
    return carat_dtype_in(dtype, CARAT_HALVES) || carat_scalar_fits(number, dtype);
}

// Numbers go in as one element of the inputs' dtype; beside halves, in arithmetic, of the arithmetic type.
static carat_status prepare(const carat_frame *call, const carat_pointwise_row *row, int j, const carat_arg *arg,
                            const settled *dtypes, prepared *to)
{
    to->copy = NULL;
    const bool tensor = arg->kind == CARAT_ARG_TENSOR;
    if (tensor) to->view = arg->tensor;
    if (tensor && carat_has_lanes(call) && arg->tensor.device.type == call->device.type) return CARAT_OK; // converted as it is read
    if (tensor && (carat_pointwise_is_mask(row, j) || carat_dtype_of(&arg->tensor) == dtypes->in)) return CARAT_OK;
    if (tensor && arg->tensor.ndim > 0) return convert_copy(call, &arg->tensor, dtypes->in, to);
    const carat_dtype dtype = row->opmath && carat_dtype_in(dtypes->in, CARAT_HALVES) ? dtypes->compute : dtypes->in;
    const carat_scalar number = tensor ? carat_scalar_load(carat_dtype_of(&arg->tensor), carat_data(&arg->tensor)) : arg->scalar;
    carat_scalar_store(number, dtype, to->element);
    if (!number_fits(row, number, dtypes, dtype)) return carat_step_aside("number out of the dtype's range");
    to->view = (carat_tensor){ .data = to->element, .device = { CARAT_CPU, 0 }, .dl_dtype = carat_dtype_to_dl(dtype) };
    return CARAT_OK;
}

// ---- results

static carat_status check_overlap(const carat_frame *call, const operands *got, int inputs)
{
    const carat_tensor *given = carat_output_given(call, 0);
    if (!given) return CARAT_OK;
    for (int j = 0; j < inputs; ++j)
        if (got->in[j]->kind == CARAT_ARG_TENSOR && carat_overlap_of(given, &got->in[j]->tensor) == CARAT_PARTIAL)
            return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

// Everything about a call that must be known before its output is made.
typedef struct prelude {
    operands got;
    settled dtypes;
    prepared ready[CARAT_POINTWISE_INPUTS];
    int ready_count;
    int ndim;
    int64_t shape[CARAT_MAX_DIMS];
} prelude;

static carat_status prepare_all(const carat_frame *call, const carat_pointwise_row *row, prelude *p, carat_pointwise *launch)
{
    const carat_tensor *tensors[CARAT_POINTWISE_INPUTS];
    int count = 0;
    CARAT_TRY(read_arguments(call, row, &p->got));
    CARAT_TRY(settle_dtypes(call, row, &p->got, &p->dtypes));
    for (int j = 0; j < row->inputs; ++j)
        if (p->got.in[j]->kind == CARAT_ARG_TENSOR) tensors[count++] = &p->got.in[j]->tensor;
    CARAT_TRY(carat_broadcast_shapes(tensors, count, &p->ndim, p->shape));
    if (!call->checked) CARAT_TRY(carat_output_check(call, 0, p->dtypes.out, p->ndim, p->shape));
    if (p->ndim > CARAT_POINTWISE_RANK && call->check_only) return carat_step_aside("rank"); // a launch might find it too late
    if (!call->checked) CARAT_TRY(check_overlap(call, &p->got, row->inputs));
    for (; p->ready_count < row->inputs; ++p->ready_count) {
        const int j = p->ready_count;
        p->ready[j].copy = NULL;
        launch->in[j] = &p->ready[j].view;
        const carat_status status = prepare(call, row, j, p->got.in[j], &p->dtypes, &p->ready[j]);
        if (status != CARAT_OK) {
            ++p->ready_count; // its copy is freed as well
            return status;
        }
    }
    launch->compute = p->dtypes.compute;
    launch->common = p->dtypes.in;
    memcpy(launch->scalar, p->got.scalar, sizeof launch->scalar);
    return call->checked ? CARAT_OK : carat_pointwise_check(call, launch, p->dtypes.out);
}

// The result takes its layout from the operands as they go into the kernel (ATen converts before it looks at strides).
static carat_status make_result(carat_frame *call, const carat_pointwise_row *row, const prelude *p, carat_output *out)
{
    const carat_tensor *given = carat_output_given(call, 0);
    if (given) { // checked above
        out->view = *given;
        return CARAT_OK;
    }
    const carat_tensor *tensors[CARAT_POINTWISE_INPUTS];
    int count = 0;
    for (int j = 0; j < row->inputs; ++j)
        if (p->got.in[j]->kind == CARAT_ARG_TENSOR) tensors[count++] = &p->ready[j].view;
    int64_t strides[CARAT_MAX_DIMS];
    carat_elementwise_strides(tensors, count, p->ndim, p->shape, strides);
    return carat_output_make(call, 0, p->dtypes.out, p->ndim, p->shape, strides, out);
}

carat_status carat_pointwise_run_row(carat_frame *call, carat_pointwise_id id)
{
    const carat_pointwise_row *row = &rows[id];
    carat_pointwise launch = { .row = id };
    carat_output out;
    prelude p;
    p.ready_count = 0;
    carat_status status = prepare_all(call, row, &p, &launch);
    if (status == CARAT_OK && !call->check_only) {
        status = make_result(call, row, &p, &out);
        launch.out[0] = &out.view;
        if (status == CARAT_OK) status = carat_pointwise_launch(call, &launch);
    }
    for (int j = 0; j < p.ready_count; ++j) carat_free(p.ready[j].copy);
    return status;
}

static carat_status run(carat_frame *call)
{
    const carat_pointwise_id id = (carat_pointwise_id)call->op->row_index;
    return rows[id].special ? rows[id].special(call) : carat_pointwise_run_row(call, id);
}

carat_status carat_copy(const carat_frame *call, const carat_tensor *to, const carat_tensor *from)
{
    const carat_pointwise launch = { .row = CARAT_POINTWISE_copy, .compute = carat_compute_dtype(carat_dtype_of(from)),
                                     .common = carat_dtype_of(from), .out = { to }, .in = { from } };
    return carat_pointwise_launch(call, &launch);
}

static bool takes_number(int row, int argument)
{
    (void)row, (void)argument;
    return true;
}

const carat_family carat_family_pointwise = {
    .name = "pointwise",
    .source = "pointwise.k.c",
    .lanes_source = "pointwise_lanes.k.c",
    .row_kernels = true,
    .takes_number = takes_number,
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = CARAT_POINTWISE_COUNT,
    .run = run,
    .describe = carat_pointwise_describe,
    .enumerate = carat_pointwise_enumerate,
};

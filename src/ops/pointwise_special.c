// SPDX-License-Identifier: Apache-2.0
// Pointwise operators whose arguments choose the row: a rounding mode, an exponent, an absent bound.
#include "ops/pointwise_row.h"

#include <string.h>

static carat_status own_row(carat_frame *call)
{
    return carat_pointwise_run_row(call, (carat_pointwise_id)call->op->row_index);
}

static const char *string_arg(const carat_frame *call, int i, const char *missing)
{
    return i < call->nargs && call->args[i].kind == CARAT_ARG_STRING ? call->args[i].string : missing;
}

static bool is_none(const carat_frame *call, int i)
{
    return i >= call->nargs || call->args[i].kind == CARAT_ARG_NONE;
}

// The dtype of an operand argument, or that of the number in it.
static bool is_integral_arg(const carat_arg *arg)
{
    if (arg->kind == CARAT_ARG_TENSOR) return carat_is_integral(carat_dtype_of(&arg->tensor));
    return arg->kind == CARAT_ARG_SCALAR && arg->scalar.kind <= CARAT_SCALAR_INT;
}

// self keeps its dtype whatever the value is, and a new result is contiguous: ATen clones, then fills.
carat_status carat_pointwise_masked_fill(carat_frame *call)
{
    carat_scalar value;
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || call->nargs < 3 || !carat_pointwise_number(&call->args[2], &value)) return carat_step_aside("value is no number");
    const carat_dtype dtype = carat_dtype_of(self);
    if (carat_is_integral(dtype) && value.kind > CARAT_SCALAR_INT) return carat_step_aside("value's kind");
    if (!carat_scalar_fits(value, dtype)) return carat_step_aside("number out of the dtype's range");
    if (!carat_output_given(call, 0) && !carat_is_contiguous(self)) return carat_step_aside("strided result");
    return own_row(call);
}

// Integer division by zero is an error in ATen. A number can be seen not to be zero, a tensor can't.
static carat_status refuse_zero_divisor(const carat_frame *call)
{
    if (call->nargs < 2 || !is_integral_arg(&call->args[0]) || !is_integral_arg(&call->args[1])) return CARAT_OK;
    carat_scalar divisor;
    if (!carat_pointwise_number(&call->args[1], &divisor)) return carat_step_aside("integer tensor divisor");
    return divisor.i ? CARAT_OK : carat_step_aside("zero divisor");
}

carat_status carat_pointwise_divide_ints(carat_frame *call)
{
    CARAT_TRY(refuse_zero_divisor(call));
    return own_row(call);
}

carat_status carat_pointwise_div_mode(carat_frame *call)
{
    const char *const mode = string_arg(call, 2, "true");
    if (!strcmp(mode, "true")) return carat_pointwise_run_row(call, CARAT_POINTWISE_div);
    CARAT_TRY(refuse_zero_divisor(call));
    if (!strcmp(mode, "floor")) return carat_pointwise_run_row(call, CARAT_POINTWISE_floor_divide);
    if (!strcmp(mode, "trunc")) return carat_pointwise_run_row(call, CARAT_POINTWISE_div_trunc);
    return carat_step_aside("rounding mode");
}

// Subtraction of bools is an error in ATen, beside any other dtype too.
carat_status carat_pointwise_no_bool(carat_frame *call)
{
    for (int i = 0; i < 2 && i < call->nargs; ++i) {
        const carat_arg *arg = &call->args[i];
        if ((arg->kind == CARAT_ARG_TENSOR && carat_dtype_of(&arg->tensor) == CARAT_b8)
            || (arg->kind == CARAT_ARG_SCALAR && arg->scalar.kind == CARAT_SCALAR_BOOL))
            return carat_step_aside("bool operand");
    }
    return own_row(call);
}

// clamp with one bound is clamp_min or clamp_max; the rows see the arguments they need.
carat_status carat_pointwise_clamp(carat_frame *call)
{
    const bool no_min = is_none(call, 1), no_max = is_none(call, 2);
    if (no_min && no_max) return carat_step_aside("no bounds");
    if (!no_min && !no_max) return own_row(call);
    const carat_arg bounds[2] = { call->args[0], call->args[no_min ? 2 : 1] };
    carat_frame one = *call;
    one.args = bounds;
    one.nargs = 2;
    return carat_pointwise_run_row(&one, no_min ? CARAT_POINTWISE_clamp_max : CARAT_POINTWISE_clamp_min);
}

// ATen refuses mixed dtypes here instead of promoting.
carat_status carat_pointwise_same_dtype(carat_frame *call)
{
    const carat_tensor *first = carat_tensor_arg(call, 0);
    for (int i = 1; i < call->nargs; ++i) {
        const carat_tensor *other = carat_tensor_arg(call, i);
        if (first && other && carat_dtype_of(first) != carat_dtype_of(other)) return carat_step_aside("mixed dtypes");
    }
    if (first && carat_is_integral(carat_dtype_of(first))) return carat_step_aside("dtype");
    return own_row(call);
}

// Small whole and half exponents have exact or cheaper forms, the ones that ATen takes too.
carat_status carat_pointwise_pow_number(carat_frame *call)
{
    carat_scalar exponent;
    if (call->nargs < 2 || !carat_pointwise_number(&call->args[1], &exponent)) return carat_step_aside("exponent is no number");
    if (exponent.kind == CARAT_SCALAR_COMPLEX) return carat_step_aside("complex exponent");
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (self && carat_is_float(carat_dtype_of(self)) && !carat_scalar_fits(exponent, carat_dtype_of(self))) return carat_step_aside("exponent out of the dtype's range");
    const double e = exponent.kind <= CARAT_SCALAR_INT ? (double)exponent.i : exponent.re;
    if (e == 0 || e == 1) return carat_step_aside("ATen fills or copies");
    if (e == 2) return carat_pointwise_run_row(call, CARAT_POINTWISE_pow_2);
    if (e == 3) return carat_pointwise_run_row(call, CARAT_POINTWISE_pow_3);
    if (e == 0.5) return carat_pointwise_run_row(call, CARAT_POINTWISE_pow_half);
    if (e == -0.5) return carat_pointwise_run_row(call, CARAT_POINTWISE_pow_minus_half);
    if (e == -1) return carat_pointwise_run_row(call, CARAT_POINTWISE_pow_minus_1);
    if (e == -2) return carat_pointwise_run_row(call, CARAT_POINTWISE_pow_minus_2);
    return carat_pointwise_run_row(call, CARAT_POINTWISE_pow);
}

carat_status carat_pointwise_pow_of_number(carat_frame *call)
{
    carat_scalar base;
    const carat_tensor *exponent = carat_tensor_arg(call, 1);
    if (!exponent || !carat_pointwise_number(&call->args[0], &base)) return carat_step_aside("base is no number");
    if (base.kind == CARAT_SCALAR_COMPLEX) return carat_step_aside("complex base");
    const double b = base.kind <= CARAT_SCALAR_INT ? (double)base.i : base.re;
    if (b != 2 || !carat_is_float(carat_dtype_of(exponent))) return own_row(call);
    carat_frame one = *call;
    one.args = &call->args[1];
    one.nargs = 1;
    return carat_pointwise_run_row(&one, CARAT_POINTWISE_exp2);
}

// The vectors become a column and a row; numbers beside integers must be integers.
carat_status carat_pointwise_addr(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *column = carat_tensor_arg(call, 1), *row = carat_tensor_arg(call, 2);
    if (!self || !column || !row || call->nargs < 5) return carat_step_aside("argument kind");
    if (column->ndim != 1 || row->ndim != 1 || self->ndim > 2) return carat_step_aside("not vectors");
    int64_t column_shape[2] = { column->shape[0], 1 }, column_strides[2] = { column->strides[0], 1 };
    int64_t row_shape[2] = { 1, row->shape[0] }, row_strides[2] = { 1, row->strides[0] };
    for (int d = 0; d < self->ndim; ++d) {
        const int64_t size = self->shape[d], wanted = d == self->ndim - 1 ? row_shape[1] : column_shape[0];
        if (size != 1 && size != wanted) return carat_step_aside("shape");
    }
    const carat_dtype dtype = carat_dtype_of(self);
    if ((dtype == CARAT_f32 || dtype == CARAT_f64) && carat_numel(column) * carat_numel(row) > 16384) return carat_step_aside("large floats");
    bool integral = true;
    for (int i = 0; i < 3; ++i) integral &= carat_is_integral(carat_dtype_of(&call->args[i].tensor));
    carat_arg args[5];
    memcpy(args, call->args, sizeof args);
    for (int i = 3; i < 5; ++i)
        if (args[i].kind != CARAT_ARG_SCALAR || args[i].scalar.kind == CARAT_SCALAR_BOOL || (integral && args[i].scalar.kind != CARAT_SCALAR_INT))
            return carat_step_aside("scalar's kind");
    args[1].tensor.ndim = args[2].tensor.ndim = 2;
    args[1].tensor.shape = column_shape;
    args[1].tensor.strides = column_strides;
    args[2].tensor.shape = row_shape;
    args[2].tensor.strides = row_strides;
    carat_frame product = *call;
    product.args = args;
    return own_row(&product);
}

// The defaults are the dtype's own: 0 for NaN, the largest finite values for the infinities.
carat_status carat_pointwise_nan_to_num(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self) return carat_step_aside("no tensor");
    static const double largest[] = { [CARAT_f16] = 65504.0, [CARAT_bf16] = 0x1.fep127, [CARAT_f32] = 0x1.fffffep127, [CARAT_f64] = 0x1.fffffffffffffp1023 };
    const carat_dtype dtype = carat_dtype_of(self);
    if (!carat_is_float(dtype)) return carat_step_aside("dtype");
    if (carat_numel(self) == 0) return carat_step_aside("empty"); // ATen keeps its strides
    const double replacement[3] = { 0, largest[dtype], -largest[dtype] };
    carat_arg args[4] = { call->args[0] };
    for (int i = 0; i < 3; ++i)
        args[1 + i] = (carat_arg){ .kind = CARAT_ARG_FLOAT, .f = is_none(call, 1 + i) ? replacement[i] : carat_float_arg(call, 1 + i, 0) };
    carat_frame full = *call;
    full.args = args;
    full.nargs = 4;
    return own_row(&full);
}

carat_status carat_pointwise_bitwise_not(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    return self && carat_dtype_of(self) == CARAT_b8 ? carat_pointwise_run_row(call, CARAT_POINTWISE_logical_not) : own_row(call);
}

static carat_status by_approximation(carat_frame *call, int arg, carat_pointwise_id exact, carat_pointwise_id tanh)
{
    const char *const approximate = string_arg(call, arg, "none");
    if (!strcmp(approximate, "none")) return carat_pointwise_run_row(call, exact);
    return strcmp(approximate, "tanh") ? carat_step_aside("approximation") : carat_pointwise_run_row(call, tanh);
}

carat_status carat_pointwise_gelu(carat_frame *call)
{
    return by_approximation(call, 1, CARAT_POINTWISE_gelu, CARAT_POINTWISE_gelu_tanh);
}

carat_status carat_pointwise_gelu_backward(carat_frame *call)
{
    return by_approximation(call, 2, CARAT_POINTWISE_gelu_backward, CARAT_POINTWISE_gelu_tanh_backward);
}

carat_status carat_pointwise_elu_backward(carat_frame *call)
{
    if (!carat_int_arg(call, 4, 0)) return own_row(call);
    if (carat_float_arg(call, 1, 1) < 0) return carat_step_aside("result of a negative alpha"); // an error in ATen
    return carat_pointwise_run_row(call, CARAT_POINTWISE_elu_backward_of_result);
}

// An elu whose input is scaled by 1 / alpha, as in ATen.
carat_status carat_pointwise_celu(carat_frame *call)
{
    const double alpha = carat_float_arg(call, 1, 1);
    if (alpha == 0) return carat_step_aside("alpha is zero");
    const carat_arg args[] = { call->args[0], { .kind = CARAT_ARG_FLOAT, .f = alpha }, { .kind = CARAT_ARG_FLOAT, .f = 1 },
                               { .kind = CARAT_ARG_FLOAT, .f = 1 / alpha } };
    carat_frame elu = *call;
    elu.args = args;
    elu.nargs = 4;
    return carat_pointwise_run_row(&elu, CARAT_POINTWISE_elu);
}

// Two results: log(sigmoid(x)) and the exp(-|x|) that the gradient takes.
carat_status carat_pointwise_log_sigmoid(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || !carat_is_float(carat_dtype_of(self))) return carat_step_aside("dtype");
    if (carat_has_lanes(call)) return carat_step_aside("ATen keeps nothing for the gradient there");
    if (!carat_is_contiguous(self)) return carat_step_aside("strided input");
    carat_output out[2];
    const carat_dtype dtype = carat_dtype_of(self);
    for (int i = 0; i < 2; ++i) CARAT_TRY(carat_output_make(call, i, dtype, self->ndim, self->shape, NULL, &out[i]));
    carat_pointwise launch = { .row = CARAT_POINTWISE_log_sigmoid, .compute = carat_compute_dtype(dtype), .common = dtype,
                               .out = { &out[0].view }, .in = { self } };
    CARAT_TRY(carat_pointwise_launch(call, &launch));
    launch.row = CARAT_POINTWISE_log_sigmoid_buffer;
    launch.out[0] = &out[1].view;
    return carat_pointwise_launch(call, &launch);
}

// On other devices ATen's forward pass leaves the buffer empty.
carat_status carat_pointwise_log_sigmoid_backward(carat_frame *call)
{
    return carat_has_lanes(call) ? carat_step_aside("ATen keeps nothing for the gradient there") : own_row(call);
}

// The two halves of a tensor along a dimension.
static void split(const carat_tensor *whole, int dim, int64_t *shape, carat_tensor halves[2])
{
    memcpy(shape, whole->shape, sizeof *shape * (size_t)whole->ndim);
    shape[dim] /= 2;
    halves[0] = halves[1] = *whole;
    halves[0].shape = halves[1].shape = shape;
    halves[1].byte_offset += (uint64_t)(shape[dim] * whole->strides[dim]) * carat_dtype_size(carat_dtype_of(whole));
}

static carat_status find_halves(const carat_tensor *self, int64_t dim, int *at)
{
    *at = self ? carat_wrap_dim(dim, self->ndim) : -1;
    return *at < 0 || self->ndim == 0 || self->shape[*at] % 2 ? carat_step_aside("dim can't be halved") : CARAT_OK;
}

// The two halves of self along dim are the operands.
carat_status carat_pointwise_glu(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    int dim;
    int64_t shape[CARAT_MAX_DIMS];
    carat_tensor halves[2];
    CARAT_TRY(find_halves(self, carat_int_arg(call, 1, -1), &dim));
    split(self, dim, shape, halves);
    carat_arg args[2] = { call->args[0], call->args[0] };
    for (int i = 0; i < 2; ++i) args[i].tensor = halves[i];
    carat_frame gated = *call;
    gated.args = args;
    gated.nargs = 2;
    return own_row(&gated);
}

// (grad_output, self, dim): of self's halves a and b, the gradients of a * sigmoid(b), side by side.
carat_status carat_pointwise_glu_backward(carat_frame *call)
{
    const carat_tensor *g = carat_tensor_arg(call, 0), *self = carat_tensor_arg(call, 1);
    int dim;
    int64_t shape[CARAT_MAX_DIMS], same[CARAT_MAX_DIMS];
    carat_tensor in[2], to[2];
    CARAT_TRY(find_halves(self, carat_int_arg(call, 2, -1), &dim));
    split(self, dim, shape, in);
    const carat_dtype dtype = carat_dtype_of(self);
    if (!g || !carat_is_float(dtype) || carat_dtype_of(g) != dtype || !carat_same_shape(g, &in[0])) return carat_step_aside("gradient of another kind");
    if (self->ndim > CARAT_POINTWISE_RANK || carat_numel(self) == 0) return carat_step_aside("rank");
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && (carat_overlap_of(given, g) != CARAT_DISJOINT || carat_overlap_of(given, self) != CARAT_DISJOINT))
        return carat_step_aside("output overlaps an input");
    carat_pointwise first = { .row = CARAT_POINTWISE_glu, .compute = carat_compute_dtype(dtype), .common = dtype, .out = { &to[0] }, .in = { g, &in[1] } };
    carat_pointwise second = { .row = CARAT_POINTWISE_glu_backward, .compute = first.compute, .common = dtype, .out = { &to[1] }, .in = { g, &in[0], &in[1] } };
    CARAT_TRY(carat_pointwise_check(call, &first, dtype));
    CARAT_TRY(carat_pointwise_check(call, &second, dtype));
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, self->ndim, self->shape, NULL, &out));
    split(&out.view, dim, same, to);
    CARAT_TRY(carat_pointwise_launch(call, &first));
    return carat_pointwise_launch(call, &second);
}

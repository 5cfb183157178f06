// SPDX-License-Identifier: Apache-2.0
// The random family's operators whose parameters are tensors, and dropout: drawing, and what the pointwise family does before or after.
#include "ops/random.h"

#include "core/tensor.h"
#include "ops/pointwise_row.h"

#include <string.h>

// Patterns of bits order like numbers that aren't negative; those of negative ones (-0 too) and NaN are above infinity's.
static bool exceeds(const carat_operand *operand, uint64_t limit)
{
    const int64_t n = carat_numel(&operand->view);
    const void *const data = carat_operand_data(operand);
    bool any = false;
    switch (operand->view.dl_dtype.bits) {
    case 16: for (int64_t i = 0; i < n; ++i) any |= ((const uint16_t *)data)[i] > limit; break;
    case 32: for (int64_t i = 0; i < n; ++i) any |= ((const uint32_t *)data)[i] > limit; break;
    default: for (int64_t i = 0; i < n; ++i) any |= ((const uint64_t *)data)[i] > limit;
    }
    return any;
}

static const uint64_t bits_of_one[] = { [CARAT_f16] = 0x3c00, [CARAT_bf16] = 0x3f80, [CARAT_f32] = 0x3f800000,
                                        [CARAT_f64] = 0x3ff0000000000000 };
static const uint64_t bits_of_infinity[] = { [CARAT_f16] = 0x7c00, [CARAT_bf16] = 0x7f80, [CARAT_f32] = 0x7f800000 };

carat_status carat_random_run_bernoulli_each(carat_frame *call) // self, p, generator; or p, generator, out
{
    const bool in_place = call->op->in_place;
    const carat_tensor *self = carat_output_given(call, 0), *p = carat_tensor_arg(call, in_place);
    if (!self || !p || !carat_is_float(carat_dtype_of(self)) || carat_dtype_of(p) != carat_dtype_of(self)) return carat_step_aside("dtypes");
    if (!carat_is_contiguous(self) || carat_overlap_of(self, p) != CARAT_DISJOINT) return carat_step_aside("layout");
    if (carat_numel(self) < CARAT_RANDOM_FEWEST) return carat_step_aside("few elements");
    const carat_tensor *const both[2] = { self, p };
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    int ndim;
    if (!in_place && !carat_same_shape(self, p)) return carat_step_aside("shape of the output");
    if (carat_broadcast_shapes(both, 2, &ndim, shape) != CARAT_OK || ndim != self->ndim
        || memcmp(shape, self->shape, sizeof *shape * (size_t)ndim))
        return carat_step_aside("shape of p");
    const carat_tensor expanded = carat_expand(p, ndim, shape, strides);
    carat_operand probabilities;
    carat_status status = carat_operand_consecutive(call, &expanded, carat_dtype_of(p), &probabilities);
    if (status == CARAT_OK && exceeds(&probabilities, bits_of_one[carat_dtype_of(p)])) status = carat_step_aside("probability");
    carat_drawing d = { .call = call, .p = carat_operand_data(&probabilities) };
    if (status == CARAT_OK) status = carat_random_draw_into(&d, self, RANDOM_BERNOULLI_EACH, in_place ? 2 : 1);
    carat_operand_release(&probabilities);
    return status;
}

// out = out (+ or *) operand, as the in-place operator of that name does it.
static carat_status combine(const carat_frame *call, const char *name, carat_pointwise_id row, const carat_tensor *out,
                            const carat_arg *operand, bool check_only)
{
    const carat_arg args[2] = { { .kind = CARAT_ARG_TENSOR, .tensor = *out }, *operand };
    carat_frame one = *call;
    one.op = carat_op_find(name);
    one.args = args;
    one.nargs = 2;
    one.outs = NULL;
    one.nouts = 0;
    one.check_only = check_only;
    return one.op ? carat_pointwise_run_row(&one, row) : carat_step_aside("no operator");
}

// Multiplied by the deviations, if they are a tensor, and raised by the means: two steps, each rounded, as ATen does it.
static carat_status scale_and_shift(const carat_frame *call, const carat_tensor *out, bool check_only)
{
    const carat_arg *const mean = &call->args[0], *const std = &call->args[1];
    carat_arg number = { .kind = CARAT_ARG_SCALAR, .scalar = { .kind = CARAT_SCALAR_FLOAT, .re = carat_float_arg(call, 0, 0) } };
    const carat_arg *const shift = mean->kind == CARAT_ARG_TENSOR ? mean : &number;
    if (std->kind == CARAT_ARG_TENSOR) CARAT_TRY(combine(call, "mul_.Tensor", CARAT_POINTWISE_mul, out, std, check_only));
    return combine(call, shift == mean ? "add_.Tensor" : "add_.Scalar", CARAT_POINTWISE_add, out, shift, check_only);
}

static carat_status check_deviations(const carat_frame *call)
{
    const carat_tensor *std = carat_tensor_arg(call, 1);
    if (!std) return carat_float_arg(call, 1, 1) >= 0 ? CARAT_OK : carat_step_aside("standard deviation");
    carat_operand operand;
    carat_status status = carat_operand_consecutive(call, std, carat_dtype_of(std), &operand);
    if (status == CARAT_OK && exceeds(&operand, bits_of_infinity[carat_dtype_of(std)])) status = carat_step_aside("standard deviation");
    carat_operand_release(&operand);
    return status;
}

carat_status carat_random_run_normal_each(carat_frame *call) // mean, std, generator, (out)
{
    const carat_tensor *tensors[2];
    int count = 0, ndim;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    for (int i = 0; i < 2; ++i)
        if (carat_tensor_arg(call, i)) tensors[count++] = carat_tensor_arg(call, i);
    if (!count || !carat_dtype_in(carat_dtype_of(tensors[0]), RANDOM_SINGLES)) return carat_step_aside("dtype");
    const carat_dtype dtype = carat_dtype_of(tensors[0]);
    if (carat_dtype_of(tensors[count - 1]) != dtype) return carat_step_aside("mixed dtypes");
    if (carat_broadcast_shapes(tensors, count, &ndim, shape) != CARAT_OK) return carat_step_aside("shapes");
    CARAT_TRY(carat_output_check(call, 0, dtype, ndim, shape));
    const carat_tensor *given = carat_output_given(call, 0);
    for (int i = 0; given && i < count; ++i)
        if (!carat_is_contiguous(given) || carat_overlap_of(given, tensors[i]) != CARAT_DISJOINT) return carat_step_aside("layout of out");
    carat_contiguous_strides(ndim, shape, strides);
    carat_tensor self = { .device = call->device, .ndim = ndim, .dl_dtype = carat_dtype_to_dl(dtype), .shape = shape, .strides = strides };
    if (carat_numel(&self) < CARAT_RANDOM_FEWEST) return carat_step_aside("few elements");
    CARAT_TRY(scale_and_shift(call, &self, true)); // once numbers are drawn there is no stepping aside
    CARAT_TRY(check_deviations(call));
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, ndim, shape, NULL, &out));
    carat_drawing d = { .call = call, .args = { .second = carat_tensor_arg(call, 1) ? 1 : carat_float_arg(call, 1, 1) } };
    CARAT_TRY(carat_random_draw_over(&d, &out.view, RANDOM_NORMAL, 2));
    return scale_and_shift(call, &out.view, false);
}

carat_status carat_random_run_dropout(carat_frame *call) // input, p, train
{
    const carat_tensor *input = carat_tensor_arg(call, 0);
    const double p = 1 - carat_float_arg(call, 1, 0.5);
    if (!input || !carat_is_float(carat_dtype_of(input))) return carat_step_aside("dtype");
    if (!carat_int_arg(call, 2, 1)) return carat_step_aside("not training");
    if (call->nouts) return carat_step_aside("given outputs");
    if (!(p >= 0 && p <= 1)) return carat_step_aside("probability");
    if (carat_has_lanes(call)) return carat_random_dropout_lanes(call, input, p);
    if (carat_numel(input) < CARAT_RANDOM_FEWEST_SLOW || input->ndim > CARAT_POINTWISE_RANK) return carat_step_aside("few elements, or rank");
    const carat_dtype dtype = carat_dtype_of(input);
    int64_t strides[CARAT_MAX_DIMS], scale[2];
    carat_output out, mask;
    carat_scalar_store((carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = p == 0 ? 0 : 1 / p }, dtype, scale); // ATen rounds it to halves
    carat_like_strides(input, strides);
    mask.view = (carat_tensor){ .device = call->device, .ndim = input->ndim, .dl_dtype = carat_dtype_to_dl(CARAT_b8),
                                .shape = input->shape, .strides = strides };
    carat_pointwise drop = { .row = CARAT_POINTWISE_native_dropout_backward, .compute = carat_compute_dtype(dtype), .out = { &out.view },
                             .in = { input, &mask.view }, .scalar = { carat_scalar_load(dtype, scale) } };
    CARAT_TRY(carat_pointwise_check(call, &drop, dtype));
    CARAT_TRY(carat_output_make(call, 1, CARAT_b8, input->ndim, input->shape, strides, &mask));
    carat_elementwise_strides(drop.in, 2, input->ndim, input->shape, strides);
    CARAT_TRY(carat_output_make(call, 0, dtype, input->ndim, input->shape, strides, &out));
    carat_drawing d = { .call = call, .args = { .base = carat_random_threshold(p) } };
    CARAT_TRY(carat_random_draw_over(&d, &mask.view, RANDOM_BERNOULLI, call->nargs)); // the default generator
    return carat_pointwise_launch(call, &drop);
}

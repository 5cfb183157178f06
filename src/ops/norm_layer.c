// SPDX-License-Identifier: Apache-2.0
// Layer norm from arguments to results.
#include "ops/norm.h"

#include <string.h>

static carat_status check_params(const carat_tensor *x, int dims, const carat_tensor *weight, const carat_tensor *bias)
{
    const carat_tensor *const params[2] = { weight, bias };
    for (int i = 0; i < 2; ++i)
        if (params[i] && (params[i]->ndim != dims || memcmp(params[i]->shape, x->shape + x->ndim - dims, sizeof *x->shape * (size_t)dims)))
            return carat_step_aside("shape of the parameters");
    return CARAT_OK;
}

carat_status carat_norm_shape_call(const carat_frame *call, const carat_tensor *x, int normalized, const carat_tensor *weight,
                                   const carat_tensor *bias, carat_norm_shape *s)
{
    const carat_arg *arg = &call->args[normalized];
    if (arg->kind != CARAT_ARG_INTS || arg->ints.count < 1 || arg->ints.count > x->ndim) return carat_step_aside("normalized shape");
    s->outer = x->ndim - (int)arg->ints.count;
    s->rows = s->size = 1;
    for (int d = 0; d < x->ndim; ++d) {
        if (d >= s->outer && x->shape[d] != arg->ints.items[d - s->outer]) return carat_step_aside("normalized shape");
        *(d < s->outer ? &s->rows : &s->size) *= x->shape[d];
        s->moments[d] = d < s->outer ? x->shape[d] : 1;
    }
    // Nothing is left of one element but zeros: ATen's have their own signs, and the kernel's gradient a rounding.
    return s->size > 1 ? check_params(x, (int)arg->ints.count, weight, bias) : carat_step_aside("rows of one element");
}

// native_layer_norm(input, normalized_shape, weight, bias, eps) -> (y, mean, rstd)
carat_status carat_norm_run_layer(carat_frame *call)
{
    const carat_tensor *x = carat_tensor_arg(call, 0), *weight = carat_tensor_arg(call, 2), *bias = carat_tensor_arg(call, 3);
    carat_norm_dtypes dtypes;
    carat_norm_shape s;
    CARAT_TRY(carat_norm_settle(x, weight, bias, &dtypes));
    CARAT_TRY(carat_norm_shape_call(call, x, 1, weight, bias, &s));
    const carat_tensor *const inputs[3] = { x, weight, bias };
    if (carat_has_lanes(call)) return carat_norm_run_layer_lanes(call, inputs, s.outer, s.moments);
    for (int i = 0; i < 3; ++i)
        CARAT_TRY(carat_norm_check_output(call, i, i ? dtypes.param : dtypes.x, x->ndim, i ? s.moments : x->shape, inputs, 3));
    CARAT_TRY(carat_norm_find(call, dtypes, CARAT_NORM_layer, CARAT_NORM_layer));

    carat_operand in[3] = { { .copy = NULL }, { .copy = NULL }, { .copy = NULL } };
    carat_status status = CARAT_OK;
    for (int i = 0; i < 3 && status == CARAT_OK; ++i)
        status = carat_operand_contiguous(call, inputs[i], i ? dtypes.param : dtypes.x, &in[i]);
    carat_output y, mean, rstd;
    if (status == CARAT_OK) status = carat_output_make(call, 0, dtypes.x, x->ndim, x->shape, NULL, &y);
    if (status == CARAT_OK) status = carat_output_make(call, 1, dtypes.param, x->ndim, s.moments, NULL, &mean);
    if (status == CARAT_OK) status = carat_output_make(call, 2, dtypes.param, x->ndim, s.moments, NULL, &rstd);
    if (status == CARAT_OK) {
        const norm_args a = {
            .x = carat_operand_data(&in[0]), .weight = carat_operand_data(&in[1]), .bias = carat_operand_data(&in[2]),
            .out = carat_data(&y.view), .mean = carat_data(&mean.view), .rstd = carat_data(&rstd.view),
            .rows = s.rows, .size = s.size, .group_rows = 1, .eps = carat_float_arg(call, 4, 1e-5),
        };
        status = carat_norm_launch(call, dtypes, CARAT_NORM_layer, &a, s.rows);
    }
    for (int i = 0; i < 3; ++i) carat_operand_release(&in[i]);
    return status;
}

// ---- backward

// Rows a partial sum has: enough that clearing and adding up the partial sums weighs little.
static int64_t rows_of_part(const carat_norm_shape *s)
{
    enum { PARTS = 64, PART_ELEMENTS = 16384, PART_ROWS = 16 };
    int64_t rows = (s->rows + PARTS - 1) / PARTS;
    const int64_t large = PART_ELEMENTS / s->size;
    if (rows < large) rows = large;
    if (rows < PART_ROWS) rows = PART_ROWS;
    return rows < s->rows ? rows : s->rows;
}

typedef struct gradients {
    carat_output out[3];
    bool wanted[3];
    carat_operand in[5]; // grad, x, mean, rstd, weight
} gradients;

static carat_status make_results(carat_frame *call, carat_norm_dtypes dtypes, const carat_tensor *x, const carat_arg *normalized, gradients *to)
{
    for (int i = 0; i < 3; ++i)
        if (to->wanted[i])
            CARAT_TRY(i ? carat_output_make(call, i, dtypes.param, (int)normalized->ints.count, normalized->ints.items, NULL, &to->out[i])
                        : carat_output_make(call, 0, dtypes.x, x->ndim, x->shape, NULL, &to->out[0]));
    return CARAT_OK;
}

static void *result_data(const gradients *of, int i)
{
    return of->wanted[i] ? carat_data(&of->out[i].view) : NULL;
}

static carat_status compute(const carat_frame *call, carat_norm_dtypes dtypes, const carat_norm_shape *s, const gradients *of)
{
    const bool params = of->wanted[1] || of->wanted[2];
    norm_args a = {
        .grad = carat_operand_data(&of->in[0]), .x = carat_operand_data(&of->in[1]), .mean = carat_operand_data(&of->in[2]),
        .rstd = carat_operand_data(&of->in[3]), .weight = carat_operand_data(&of->in[4]), .out = result_data(of, 0),
        .grad_weight = result_data(of, 1), .grad_bias = result_data(of, 2), .rows = s->rows, .size = s->size,
    };
    a.group_rows = params || s->size < 1024 ? rows_of_part(s) : 1;
    a.parts = (s->rows + a.group_rows - 1) / a.group_rows;
    if (params) {
        const size_t bytes = (size_t)(a.parts * s->size) * carat_dtype_size(carat_compute_dtype(dtypes.x));
        a.weight_sums = carat_alloc(2 * bytes);
        if (!a.weight_sums) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld partial sums", (long long)a.parts);
        a.bias_sums = (char *)a.weight_sums + bytes;
    }
    carat_status status = carat_norm_launch(call, dtypes, CARAT_NORM_layer_backward, &a, a.parts);
    if (params && status == CARAT_OK)
        status = carat_norm_launch(call, dtypes, CARAT_NORM_parameters, &a, (s->size + NORM_TILE - 1) / NORM_TILE);
    carat_free(a.weight_sums);
    return status;
}

// Rows of fewer elements than a vector has are no work for vectors, but those of halves ATen converts one by one.
static bool is_better_short(const carat_norm_shape *s, carat_dtype dtype)
{
    enum { SHORT = 16, MANY = 512 };
    return s->size < SHORT && s->rows >= MANY && !carat_dtype_in(dtype, CARAT_HALVES);
}

// native_layer_norm_backward(grad_out, input, normalized_shape, mean, rstd, weight, bias, output_mask)
carat_status carat_norm_run_layer_backward(carat_frame *call)
{
    const carat_tensor *inputs[5] = { carat_tensor_arg(call, 0), carat_tensor_arg(call, 1), carat_tensor_arg(call, 3),
                                      carat_tensor_arg(call, 4), carat_tensor_arg(call, 5) };
    const carat_tensor *x = inputs[1], *weight = inputs[4], *bias = carat_tensor_arg(call, 6);
    carat_norm_dtypes dtypes;
    carat_norm_shape s;
    gradients to = { .wanted = { false } };
    CARAT_TRY(carat_norm_settle(x, weight, bias, &dtypes));
    CARAT_TRY(carat_norm_shape_call(call, x, 2, weight, bias, &s));
    if (!s.rows) return carat_step_aside("no rows");
    if (carat_has_lanes(call)) return carat_norm_run_layer_backward_lanes(call, &s);
    if (is_better_short(&s, dtypes.x)) return carat_step_aside("many short rows");
    if (!inputs[0] || carat_dtype_of(inputs[0]) != dtypes.x || !carat_same_shape(inputs[0], x)) return carat_step_aside("gradient of another kind");
    for (int i = 2; i < 4; ++i)
        if (!inputs[i] || carat_dtype_of(inputs[i]) != dtypes.param || carat_numel(inputs[i]) != s.rows) return carat_step_aside("moments of another kind");
    for (int i = 0; i < 3; ++i) {
        to.wanted[i] = carat_norm_wants(call, 7, i);
        if (!to.wanted[i]) continue;
        if ((i == 1 && !weight) || (i == 2 && !bias)) return carat_step_aside("gradient of an absent parameter");
        CARAT_TRY(carat_norm_check_output(call, i, i ? dtypes.param : dtypes.x, i ? (int)call->args[2].ints.count : x->ndim,
                                          i ? call->args[2].ints.items : x->shape, inputs, 5));
    }
    CARAT_TRY(carat_norm_find(call, dtypes, CARAT_NORM_layer_backward, CARAT_NORM_parameters));
    carat_status status = CARAT_OK;
    for (int i = 0; i < 5 && status == CARAT_OK; ++i)
        status = carat_operand_contiguous(call, inputs[i], i < 2 ? dtypes.x : dtypes.param, &to.in[i]);
    if (status == CARAT_OK) status = make_results(call, dtypes, x, &call->args[2], &to);
    if (status == CARAT_OK) status = compute(call, dtypes, &s, &to);
    for (int i = 0; i < 5; ++i) carat_operand_release(&to.in[i]);
    return status;
}

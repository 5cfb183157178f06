// SPDX-License-Identifier: Apache-2.0
// Group norm from arguments to results. A row is a group of channels of one image; see kernels/norm.k.c.
#include "ops/batch_norm_lanes.h"
#include "ops/norm.h"

#include <string.h>

typedef struct shape {
    int64_t batch, channels, plane, groups;
    int64_t moments[2]; // batch x groups
} shape;

// (N, C, HxW, group) of the arguments from `first` on. A channels-last input has a channels-last result: not here; any other
// that isn't contiguous ATen refuses.
static carat_status shape_call(const carat_frame *call, const carat_tensor *x, int first, shape *s)
{
    *s = (shape){ carat_int_arg(call, first, 0), carat_int_arg(call, first + 1, 0), carat_int_arg(call, first + 2, 0),
                  carat_int_arg(call, first + 3, 0), { 0 } };
    if (s->batch < 1 || s->channels < 1 || s->plane < 1 || s->groups < 1 || s->channels % s->groups) return carat_step_aside("empty or uneven groups");
    if (carat_numel(x) != s->batch * s->channels * s->plane) return carat_step_aside("shape");
    s->moments[0] = s->batch;
    s->moments[1] = s->groups;
    if (!carat_is_contiguous(x)) return carat_step_aside("not contiguous");
    if (x->ndim < 4) return CARAT_OK;
    int64_t strides[CARAT_MAX_DIMS];
    carat_contiguous_strides(x->ndim, x->shape, strides);
    return memcmp(strides, x->strides, sizeof *strides * (size_t)x->ndim) ? carat_step_aside("memory format") : CARAT_OK;
}

// In groups of many lanes all operands are taken as they lie; ATen has one dtype for all of them there.
static carat_status check_lanes(const carat_tensor *const *inputs, int count, carat_norm_dtypes dtypes)
{
    if (dtypes.param != dtypes.x) return carat_step_aside("dtype of the parameters");
    if (carat_numel(inputs[0]) > CARAT_CHANNEL_NORM_MOST) return carat_step_aside("more than 2^31 elements");
    for (int i = 0; i < count; ++i)
        if (inputs[i] && !carat_is_contiguous(inputs[i])) return carat_step_aside("not contiguous");
    return CARAT_OK;
}

static norm_args make_args(const shape *s)
{
    return (norm_args){ .rows = s->batch * s->groups, .size = s->channels / s->groups * s->plane, .group_rows = 1,
                        .channels = s->channels, .groups = s->groups, .plane = s->plane };
}

// native_group_norm(input, weight, bias, N, C, HxW, group, eps) -> (y, mean, rstd)
carat_status carat_norm_run_group(carat_frame *call)
{
    const carat_tensor *const inputs[3] = { carat_tensor_arg(call, 0), carat_tensor_arg(call, 1), carat_tensor_arg(call, 2) };
    const carat_tensor *x = inputs[0];
    carat_norm_dtypes dtypes;
    shape s;
    CARAT_TRY(carat_norm_settle(x, inputs[1], inputs[2], &dtypes));
    CARAT_TRY(shape_call(call, x, 3, &s));
    for (int i = 1; i < 3; ++i) CARAT_TRY(carat_norm_check_param(inputs[i], s.channels));
    for (int i = 0; i < 3; ++i)
        CARAT_TRY(carat_norm_check_output(call, i, i ? dtypes.param : dtypes.x, i ? 2 : x->ndim, i ? s.moments : x->shape, inputs, 3));
    CARAT_TRY(carat_has_lanes(call) ? check_lanes(inputs, 3, dtypes) : carat_norm_find(call, dtypes, CARAT_NORM_group_forward, CARAT_NORM_group_forward));

    carat_operand in[3] = { { .copy = NULL }, { .copy = NULL }, { .copy = NULL } };
    carat_output out[3];
    carat_status status = CARAT_OK;
    for (int i = 0; i < 3 && status == CARAT_OK; ++i)
        status = carat_operand_contiguous(call, inputs[i], i ? dtypes.param : dtypes.x, &in[i]);
    for (int i = 0; i < 3 && status == CARAT_OK; ++i)
        status = carat_output_make(call, i, i ? dtypes.param : dtypes.x, i ? 2 : x->ndim, i ? s.moments : x->shape, NULL, &out[i]);
    if (status == CARAT_OK) {
        norm_args a = make_args(&s);
        a.x = carat_operand_data(&in[0]);
        a.weight = carat_operand_data(&in[1]);
        a.bias = carat_operand_data(&in[2]);
        a.out = carat_data(&out[0].view);
        a.mean = carat_data(&out[1].view);
        a.rstd = carat_data(&out[2].view);
        a.eps = carat_float_arg(call, 7, 1e-5);
        status = carat_has_lanes(call) ? carat_norm_group_forward_lanes(call, x, &a) : carat_norm_launch(call, dtypes, CARAT_NORM_group_forward, &a, a.rows);
    }
    for (int i = 0; i < 3; ++i) carat_operand_release(&in[i]);
    return status;
}

// ---- backward

// The kernel leaves a channel's sums for each image; `parameters` adds up the images.
static carat_status compute(const carat_frame *call, carat_norm_dtypes dtypes, const shape *s, norm_args *a)
{
    const size_t bytes = (size_t)(s->batch * s->channels) * carat_dtype_size(carat_compute_dtype(dtypes.x));
    a->weight_sums = carat_alloc(2 * bytes);
    if (!a->weight_sums) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for the sums of %lld channels", (long long)(s->batch * s->channels));
    a->bias_sums = (char *)a->weight_sums + bytes;
    carat_status status = carat_norm_launch(call, dtypes, CARAT_NORM_group_backward, a, a->rows);
    if ((a->grad_weight || a->grad_bias) && status == CARAT_OK) {
        norm_args columns = *a;
        columns.size = s->channels;
        columns.parts = s->batch;
        status = carat_norm_launch(call, dtypes, CARAT_NORM_parameters, &columns, (s->channels + NORM_TILE - 1) / NORM_TILE);
    }
    carat_free(a->weight_sums);
    return status;
}

static carat_status check_backward(const carat_frame *call, const carat_tensor *const *inputs, carat_norm_dtypes dtypes, const shape *s)
{
    enum { MANY_IMAGES = 4096 }; // a lane of many adds up their parameters' gradients one by one
    const bool params = carat_norm_wants(call, 9, 1) || carat_norm_wants(call, 9, 2);
    if (carat_has_lanes(call) && params && s->batch > MANY_IMAGES) return carat_step_aside("many images");
    const carat_tensor *x = inputs[1];
    if (!inputs[0] || carat_dtype_of(inputs[0]) != dtypes.x || !carat_same_shape(inputs[0], x)) return carat_step_aside("gradient of another kind");
    for (int i = 2; i < 4; ++i)
        if (!inputs[i] || carat_dtype_of(inputs[i]) != dtypes.param || carat_numel(inputs[i]) != s->batch * s->groups)
            return carat_step_aside("moments of another kind");
    CARAT_TRY(carat_norm_check_param(inputs[4], s->channels));
    for (int i = 0; i < 3; ++i) {
        if (!carat_norm_wants(call, 9, i)) continue;
        if (i && !inputs[4]) return carat_step_aside("gradient of an absent parameter");
        CARAT_TRY(carat_norm_check_output(call, i, i ? dtypes.param : dtypes.x, i ? 1 : x->ndim, i ? &s->channels : x->shape, inputs, 5));
    }
    return carat_has_lanes(call) ? check_lanes(inputs, 5, dtypes) : carat_norm_find(call, dtypes, CARAT_NORM_group_backward, CARAT_NORM_parameters);
}

// native_group_norm_backward(grad_out, input, mean, rstd, weight, N, C, HxW, group, output_mask)
carat_status carat_norm_run_group_backward(carat_frame *call)
{
    const carat_tensor *inputs[5];
    for (int i = 0; i < 5; ++i) inputs[i] = carat_tensor_arg(call, i);
    const carat_tensor *x = inputs[1];
    carat_norm_dtypes dtypes;
    shape s;
    CARAT_TRY(carat_norm_settle(x, inputs[4], inputs[2], &dtypes));
    CARAT_TRY(shape_call(call, x, 5, &s));
    if (s.plane < 8 && !carat_has_lanes(call)) return carat_step_aside("short planes");
    if (s.channels / s.groups * s.plane < 8) return carat_step_aside("few elements a group"); // little is left of their gradients but rounding
    CARAT_TRY(check_backward(call, inputs, dtypes, &s));

    carat_operand in[5] = { { .copy = NULL }, { .copy = NULL }, { .copy = NULL }, { .copy = NULL }, { .copy = NULL } };
    carat_output out[3];
    void *results[3] = { NULL, NULL, NULL };
    carat_status status = CARAT_OK;
    for (int i = 0; i < 5 && status == CARAT_OK; ++i)
        status = carat_operand_contiguous(call, inputs[i], i < 2 ? dtypes.x : dtypes.param, &in[i]);
    for (int i = 0; i < 3 && status == CARAT_OK; ++i) {
        if (!carat_norm_wants(call, 9, i)) continue;
        status = carat_output_make(call, i, i ? dtypes.param : dtypes.x, i ? 1 : x->ndim, i ? &s.channels : x->shape, NULL, &out[i]);
        if (status == CARAT_OK) results[i] = carat_data(&out[i].view);
    }
    if (status == CARAT_OK) {
        norm_args a = make_args(&s);
        a.grad = carat_operand_data(&in[0]);
        a.x = carat_operand_data(&in[1]);
        a.mean = carat_operand_data(&in[2]);
        a.rstd = carat_operand_data(&in[3]);
        a.weight = carat_operand_data(&in[4]);
        a.out = results[0];
        a.grad_weight = results[1];
        a.grad_bias = results[2];
        status = carat_has_lanes(call) ? carat_norm_group_backward_lanes(call, inputs[0], x, &a) : compute(call, dtypes, &s, &a);
    }
    for (int i = 0; i < 5; ++i) carat_operand_release(&in[i]);
    return status;
}

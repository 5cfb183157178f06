// SPDX-License-Identifier: Apache-2.0
// Gradients of layer norm and RMS norm in groups of many lanes (kernels/norm_lanes.k.c).
#include "ops/norm_lanes.h"

// Lanes: with many registers each, as many as a large device runs at a time; with few, in turns.
enum { RESIDENT_LANES = 1 << 16, SUMMING_LANES = 1 << 18 };

// A call: gradients of x, weight and bias, in this order, as far as they are wanted.
typedef struct gradients {
    carat_norm_lanes n;
    carat_output out[3];
    bool wanted[3];
    bool aligned;
    int flags;
} gradients;

// Groups that each keep sums of their own, of about so many lanes together, by the shape alone.
static int64_t choose_parts(const carat_norm_lanes *n, int64_t lanes, int64_t lanes_of_row)
{
    enum { MOST = 4096 };
    int64_t parts = lanes / lanes_of_row;
    if (parts > MOST) parts = MOST;
    if (parts < 1) parts = 1;
    return parts < n->args.rows ? parts : n->args.rows;
}

// The sums of a call in two steps: the parts' by `adder`, in groups of `tiles` a part, then the columns'.
static carat_status add_up(const carat_frame *call, gradients *to, carat_norm_lanes *adder, carat_norm_lanes_part part, int64_t tiles)
{
    const int kinds = to->n.rms ? 1 : 2, flags = part == CARAT_NORM_LANES_sums ? 0 : to->flags;
    norm_lanes_args *const a = &adder->args;
    carat_norm_lanes columns = { .dtype = to->n.dtype, .shape = carat_norm_columns_shape };
    CARAT_TRY(carat_norm_find_lanes(call, adder, part, flags));
    CARAT_TRY(carat_norm_find_lanes(call, &columns, CARAT_NORM_LANES_columns, 0));
    a->sums = carat_scratch_alloc(call, (size_t)(kinds * a->parts * a->cols) * carat_dtype_size(carat_compute_dtype(to->n.dtype)));
    if (!a->sums) return carat_step_aside("no memory for partial sums");
    carat_status status = carat_norm_launch_lanes(call, adder, part, flags, tiles * a->parts);
    columns.args = *a;
    if (status == CARAT_OK)
        status = carat_norm_launch_lanes(call, &columns, CARAT_NORM_LANES_columns, 0, kinds * ((a->cols + NORM_COLUMNS - 1) / NORM_COLUMNS));
    carat_scratch_free(call, a->sums);
    return status;
}

// A row at a time, and the sums in a pass of their own.
static carat_status launch_apart(const carat_frame *call, gradients *to)
{
    if (to->wanted[0]) {
        CARAT_TRY(carat_norm_choose_lanes(call, &to->n, CARAT_NORM_LANES_rows, to->aligned));
        CARAT_TRY(carat_norm_launch_lanes(call, &to->n, CARAT_NORM_LANES_rows, to->flags, to->n.args.rows));
    }
    if (!to->wanted[1] && !to->wanted[2]) return CARAT_OK;
    carat_norm_lanes sums = to->n;
    sums.shape = carat_norm_sums_shape(to->n.dtype, to->aligned);
    const int64_t tile = INT64_C(1) << (sums.shape.lanes + sums.shape.vec), tiles = (sums.args.cols + tile - 1) / tile;
    sums.args.parts = choose_parts(&sums, SUMMING_LANES, tiles << sums.shape.lanes);
    return add_up(call, to, &sums, CARAT_NORM_LANES_sums, tiles);
}

static carat_status launch(const carat_frame *call, gradients *to)
{
    carat_norm_lanes together = to->n;
    const bool all = to->wanted[0] && (to->wanted[1] || to->wanted[2]);
    if (!all || carat_norm_choose_lanes(call, &together, CARAT_NORM_LANES_backward, to->aligned) != CARAT_OK)
        return launch_apart(call, to);
    together.args.parts = choose_parts(&together, RESIDENT_LANES, INT64_C(1) << together.shape.lanes);
    return add_up(call, to, &together, CARAT_NORM_LANES_backward, 1);
}

// Makes the gradients and computes them.
static carat_status finish(carat_frame *call, const carat_tensor *x, const carat_arg *normalized, gradients *to)
{
    void *data[3] = { NULL };
    for (int i = 0; i < 3; ++i) {
        if (!to->wanted[i]) continue;
        CARAT_TRY(carat_output_make(call, i, to->n.dtype, i ? (int)normalized->ints.count : x->ndim, i ? normalized->ints.items : x->shape,
                                    NULL, &to->out[i]));
        data[i] = carat_data(&to->out[i].view);
    }
    to->n.args.out = data[0];
    to->n.args.grads[0] = data[1];
    to->n.args.grads[1] = data[2];
    return launch(call, to);
}

// inputs: x, grad, weight (or NULL), mean (NULL of an RMS norm), rstd. Which results are wanted is the call's last argument.
static carat_status run(carat_frame *call, const carat_tensor *const *inputs, const carat_norm_shape *s, const carat_tensor *bias, gradients *to)
{
    const carat_tensor *const x = inputs[0], *const grad = inputs[1], *const params[2] = { inputs[2], bias };
    const carat_arg *normalized = &call->args[2];
    to->n.dtype = carat_dtype_of(x);
    if (!grad || carat_dtype_of(grad) != to->n.dtype || !carat_same_shape(grad, x)) return carat_step_aside("gradient of another kind");
    for (int i = to->n.rms ? 4 : 3; i < 5; ++i)
        if (!inputs[i] || carat_dtype_of(inputs[i]) != carat_compute_dtype(to->n.dtype) || carat_numel(inputs[i]) != s->rows || !carat_is_contiguous(inputs[i]))
            return carat_step_aside("moments of another kind");
    for (int i = 0; i < 3; ++i) {
        to->wanted[i] = carat_norm_wants(call, call->nargs - 1, i);
        if (!to->wanted[i]) continue;
        if (i > 0 && !params[i - 1]) return carat_step_aside("gradient of an absent parameter");
        CARAT_TRY(carat_norm_check_output(call, i, to->n.dtype, i ? (int)normalized->ints.count : x->ndim, i ? normalized->ints.items : x->shape, inputs, 5));
    }
    if (inputs[2]) to->flags |= CARAT_NORM_WEIGHT;
    const carat_tensor *const tensors[4] = { x, grad, inputs[2], carat_output_given(call, 0) };
    CARAT_TRY(carat_norm_shape_lanes(&to->n, s->outer, tensors, 4, &to->aligned));
    norm_lanes_args *const a = &to->n.args;
    a->x = carat_data(x);
    a->grad = carat_data(grad);
    a->weight = inputs[2] ? carat_data(inputs[2]) : NULL;
    a->mean = inputs[3] ? carat_data(inputs[3]) : NULL;
    a->rstd = carat_data(inputs[4]);
    return finish(call, x, normalized, to);
}

carat_status carat_norm_run_layer_backward_lanes(carat_frame *call, const carat_norm_shape *s)
{
    gradients to = { .n = { .rms = false } };
    const carat_tensor *const inputs[5] = { carat_tensor_arg(call, 1), carat_tensor_arg(call, 0), carat_tensor_arg(call, 5),
                                            carat_tensor_arg(call, 3), carat_tensor_arg(call, 4) };
    return run(call, inputs, s, carat_tensor_arg(call, 6), &to);
}

// _fused_rms_norm_backward(grad_out, input, normalized_shape, rstd, weight, output_mask)
carat_status carat_norm_run_rms_backward(carat_frame *call)
{
    gradients to = { .n = { .rms = true } };
    const carat_tensor *const inputs[5] = { carat_tensor_arg(call, 1), carat_tensor_arg(call, 0), carat_tensor_arg(call, 4), NULL,
                                            carat_tensor_arg(call, 3) };
    carat_norm_dtypes dtypes;
    carat_norm_shape s;
    CARAT_TRY(carat_norm_settle(inputs[0], inputs[2], NULL, &dtypes));
    CARAT_TRY(carat_norm_shape_call(call, inputs[0], 2, inputs[2], NULL, &s));
    if (!s.rows) return carat_step_aside("no rows");
    return run(call, inputs, &s, NULL, &to);
}

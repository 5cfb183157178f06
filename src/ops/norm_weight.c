// SPDX-License-Identifier: Apache-2.0
// Weight norm from arguments to results: rows of a weight are scaled to the norms g. Norms of its columns stay with ATen.
#include "ops/norm.h"

// What both passes have: v, whose first dimension are the rows, and g, a number a row. `norms` are theirs, in the arithmetic type.
typedef struct weight {
    const carat_tensor *v, *g;
    carat_norm_dtypes dtypes;
    carat_dtype norms;
    norm_args args;
} weight;

static carat_status settle(const carat_frame *call, const carat_tensor *v, const carat_tensor *g, int dim, carat_norm_part part, weight *w)
{
    enum { GROUP_ELEMENTS = 8192 };
    if (!v || !g || !carat_is_float(carat_dtype_of(v)) || carat_dtype_of(g) != carat_dtype_of(v)) return carat_step_aside("dtype");
    if (v->ndim < 2 || carat_wrap_dim(carat_int_arg(call, dim, 0), v->ndim) != 0) return carat_step_aside("norms of columns");
    if (carat_numel(v) == 0 || g->ndim != v->ndim || carat_numel(g) != v->shape[0] || g->shape[0] != v->shape[0]) return carat_step_aside("shape");
    if (!carat_is_contiguous(v) || !carat_is_contiguous(g)) return carat_step_aside("strided weight");
    const carat_dtype dtype = carat_dtype_of(v);
    *w = (weight){ v, g, { dtype, dtype }, carat_compute_dtype(dtype), { .rows = v->shape[0], .size = carat_numel(v) / v->shape[0] } };
    w->args.group_rows = GROUP_ELEMENTS / w->args.size + 1;
    w->args.x = carat_data(v);
    w->args.weight = carat_data(g);
    return carat_norm_find(call, w->dtypes, part, part);
}

static carat_status launch(const carat_frame *call, carat_norm_part part, const weight *w)
{
    return carat_norm_launch(call, w->dtypes, part, &w->args, (w->args.rows + w->args.group_rows - 1) / w->args.group_rows);
}

// Makes the results: like v, and like g of a dtype.
static carat_status make_outputs(carat_frame *call, const weight *w, carat_dtype second, void **data)
{
    carat_output out[2];
    CARAT_TRY(carat_output_make(call, 0, w->dtypes.x, w->v->ndim, w->v->shape, NULL, &out[0]));
    CARAT_TRY(carat_output_make(call, 1, second, w->g->ndim, w->g->shape, NULL, &out[1]));
    for (int i = 0; i < 2; ++i) data[i] = carat_data(&out[i].view);
    return CARAT_OK;
}

static carat_status check_outputs(const carat_frame *call, const weight *w, carat_dtype second, const carat_tensor *const *inputs, int count)
{
    CARAT_TRY(carat_norm_check_output(call, 0, w->dtypes.x, w->v->ndim, w->v->shape, inputs, count));
    CARAT_TRY(carat_norm_check_output(call, 1, second, w->g->ndim, w->g->shape, inputs, count));
    const carat_tensor *const first = carat_output_given(call, 0), *const other = carat_output_given(call, 1);
    return first && other && carat_overlap_of(first, other) != CARAT_DISJOINT ? carat_step_aside("outputs overlap") : CARAT_OK;
}

// _weight_norm_interface(v, g, dim) -> (w, norms)
carat_status carat_norm_run_weight(carat_frame *call)
{
    const carat_tensor *const inputs[2] = { carat_tensor_arg(call, 0), carat_tensor_arg(call, 1) };
    weight w;
    void *results[2];
    CARAT_TRY(settle(call, inputs[0], inputs[1], 2, CARAT_NORM_weight, &w));
    CARAT_TRY(check_outputs(call, &w, w.norms, inputs, 2));
    CARAT_TRY(make_outputs(call, &w, w.norms, results));
    w.args.out = results[0];
    w.args.norms = results[1];
    return launch(call, CARAT_NORM_weight, &w);
}

// _weight_norm_interface_backward(grad_w, saved_v, saved_g, saved_norms, dim) -> (grad_v, grad_g)
carat_status carat_norm_run_weight_backward(carat_frame *call)
{
    const carat_tensor *inputs[4];
    for (int i = 0; i < 4; ++i) inputs[i] = carat_tensor_arg(call, i);
    const carat_tensor *grad = inputs[0], *norms = inputs[3];
    weight w;
    void *results[2];
    CARAT_TRY(settle(call, inputs[1], inputs[2], 4, CARAT_NORM_weight_backward, &w));
    if (!grad || carat_dtype_of(grad) != w.dtypes.x || !carat_same_shape(grad, w.v)) return carat_step_aside("gradient of another kind");
    if (!norms || carat_dtype_of(norms) != w.norms || carat_numel(norms) != w.args.rows || !carat_is_contiguous(norms))
        return carat_step_aside("norms of another kind");
    if (!carat_is_contiguous(grad)) return carat_step_aside("strided gradient");
    CARAT_TRY(check_outputs(call, &w, w.dtypes.x, inputs, 4));
    CARAT_TRY(make_outputs(call, &w, w.dtypes.x, results));
    w.args.grad = carat_data(grad);
    w.args.norms = carat_data(norms);
    w.args.out = results[0];
    w.args.grad_weight = results[1];
    return launch(call, CARAT_NORM_weight_backward, &w);
}

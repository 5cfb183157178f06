// SPDX-License-Identifier: Apache-2.0
// Group norm in groups of many lanes, by the steps of kernels/batch_norm_lanes.k.c.
#include "ops/batch_norm_lanes.h"

static carat_channel_norm begin(const carat_tensor *x, const norm_args *from)
{
    const carat_dtype dtype = carat_dtype_of(x);
    return (carat_channel_norm){
        .x = dtype, .param = dtype, .moment = dtype, .planes = from->plane > 1,
        .args = { .x = from->x, .grad = from->grad, .weight = from->weight, .bias = from->bias, .out = from->out, .mean = from->mean, .rstd = from->rstd,
                  .grad_weight = from->grad_weight, .grad_bias = from->grad_bias, .channels = from->channels, .groups = from->groups,
                  .images = from->rows / from->groups, .count = (double)from->size, .eps = from->eps },
    };
}

// Tables have numbers for each channel of each image.
static carat_status prepare(const carat_frame *call, const norm_args *from, carat_channel_norm *n)
{
    const int64_t numbers = n->args.images * n->args.channels;
    if (n->planes) carat_channel_norm_lay_out(n, numbers * from->plane, from->plane, numbers);
    else carat_channel_norm_lay_out(n, numbers, from->channels, 1);
    return carat_channel_norm_alloc(call, n, numbers);
}

// A contiguous tensor as rows of a matrix.
typedef struct matrix {
    carat_tensor view;
    int64_t shape[2], strides[2];
} matrix;

static void view_rows(matrix *m, const carat_tensor *of, int64_t rows)
{
    m->shape[0] = rows;
    m->shape[1] = carat_numel(of) / rows;
    carat_contiguous_strides(2, m->shape, m->strides);
    m->view = *of;
    m->view.ndim = 2;
    m->view.shape = m->shape;
    m->view.strides = m->strides;
}

carat_status carat_norm_group_forward_lanes(const carat_frame *call, const carat_tensor *x, const norm_args *from)
{
    carat_channel_norm n = begin(x, from);
    matrix groups;
    CARAT_TRY(prepare(call, from, &n));
    view_rows(&groups, x, from->rows);
    carat_status status = carat_channel_norm_moments(call, &n, &groups.view, 2);
    if (status == CARAT_OK) status = carat_channel_norm_launch(call, &n, CARAT_CHANNEL_NORM_group_tables, n.args.images * n.args.channels);
    if (status == CARAT_OK) status = carat_channel_norm_write(call, &n, CARAT_CHANNEL_NORM_write);
    carat_scratch_free(call, n.scratch);
    return status;
}

carat_status carat_norm_group_backward_lanes(const carat_frame *call, const carat_tensor *grad, const carat_tensor *x, const norm_args *from)
{
    carat_channel_norm n = begin(x, from);
    const bool params = n.args.grad_weight || n.args.grad_bias;
    matrix g, planes;
    CARAT_TRY(prepare(call, from, &n));
    view_rows(&g, grad, n.args.images * from->channels);
    view_rows(&planes, x, n.args.images * from->channels);
    carat_status status = carat_channel_norm_sums(call, &n, &g.view, &planes.view, 2, from->mean, n.moment, from->channels / from->groups);
    if (status == CARAT_OK && params) status = carat_channel_norm_launch(call, &n, CARAT_CHANNEL_NORM_group_parameters, from->channels);
    if (status == CARAT_OK && from->out) status = carat_channel_norm_launch(call, &n, CARAT_CHANNEL_NORM_group_tables_backward, from->rows);
    if (status == CARAT_OK && from->out) status = carat_channel_norm_write(call, &n, CARAT_CHANNEL_NORM_write_backward);
    carat_scratch_free(call, n.scratch);
    return status;
}

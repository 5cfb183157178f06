// SPDX-License-Identifier: Apache-2.0
// Batch norm from arguments to results, backward.
#include "ops/batch_norm.h"

#include "ops/pointwise.h"

#include <string.h>

enum { GRAD, X, WEIGHT, RUNNING_MEAN, RUNNING_VAR, MEAN, RSTD, INPUTS };
enum { TRAINING = INPUTS, EPS, MASK };

static bool is_laid_out_like(const carat_tensor *grad, const carat_batch_norm *b)
{
    bool same = true;
    for (int d = 0; d < grad->ndim; ++d) same &= grad->shape[d] == 1 || grad->strides[d] == b->strides[d];
    return same;
}

static carat_status check_moments(const carat_tensor *const *moments, const carat_batch_norm *b)
{
    for (int i = 0; i < 2; ++i)
        if (carat_dtype_of(moments[i]) != carat_compute_dtype(b->dtypes.x) || moments[i]->ndim != 1 || moments[i]->shape[0] != b->args.channels
            || !carat_is_contiguous(moments[i]))
            return carat_step_aside("moments of another kind");
    return CARAT_OK;
}

static carat_status check(const carat_frame *call, const carat_tensor *const *in, bool training, carat_batch_norm *b)
{
    enum { SMALL = 1 << 18 }; // ATen does all of it in one launch
    enum { KERNELS = 1 << CARAT_BATCH_NORM_channels_backward | 1 << CARAT_BATCH_NORM_row_products | 1 << CARAT_BATCH_NORM_tables_backward
                     | 1 << CARAT_BATCH_NORM_write_rows_backward };
    // The statistics that the pass doesn't use may be anything (those of an evaluation are saved empty).
    const carat_tensor *const used[3] = { in[WEIGHT], in[training ? MEAN : RUNNING_MEAN], in[training ? RSTD : RUNNING_VAR] };
    if (!used[1] || !used[2]) return carat_step_aside("no statistics");
    const bool saved_apart = training && carat_has_lanes(call); // on devices the moments are in the arithmetic type
    CARAT_TRY(carat_batch_norm_settle(call, in[X], used, saved_apart ? 1 : 3, training, KERNELS, b));
    if (saved_apart) CARAT_TRY(check_moments(used + 1, b));
    const carat_tensor *g = in[GRAD];
    if (!g || carat_dtype_of(g) != b->dtypes.x || !carat_same_shape(g, in[X])) return carat_step_aside("gradient of another kind");
    if (carat_has_lanes(call) && !is_laid_out_like(g, b)) return carat_step_aside("gradient in another memory format");
    if (carat_has_lanes(call) && !training && !carat_is_contiguous(in[X])) return carat_step_aside("memory format"); // ATen's is contiguous then
    if (carat_has_lanes(call) && (b->by_planes || b->args.span > 1) && carat_numel(g) < SMALL) return carat_step_aside("small planes");
    b->result_channels = b->args.channels;
    for (int i = 0; i < 3; ++i) {
        if (!carat_norm_wants(call, MASK, i)) continue;
        if ((i == 1 || (i && carat_has_lanes(call))) && !in[WEIGHT]) return carat_step_aside("gradient of an absent parameter");
        CARAT_TRY(carat_batch_norm_check_output(call, i, b, in[X], in, INPUTS));
    }
    return CARAT_OK;
}

// The gradient in the layout of x: itself, or, on a CPU, a copy in a block for carat_free.
static carat_status align_gradient(const carat_frame *call, const carat_tensor *grad, carat_batch_norm *b, carat_tensor *aligned, void **copy)
{
    *copy = NULL;
    *aligned = *grad;
    aligned->strides = b->strides;
    const bool same = is_laid_out_like(grad, b);
    if (!same) {
        *copy = carat_alloc((size_t)carat_numel(grad) * carat_dtype_size(b->dtypes.x));
        if (!*copy) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to copy %lld elements", (long long)carat_numel(grad));
        aligned->data = *copy;
        aligned->byte_offset = 0;
    }
    b->args.grad = carat_data(aligned);
    return same ? CARAT_OK : carat_copy(call, aligned, grad);
}

static carat_status run_rows(const carat_frame *call, const carat_batch_norm *b)
{
    const batch_norm_args *a = &b->args;
    batch_norm_args means = *a;
    means.first = NULL;
    CARAT_TRY(carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_tables_backward, &means, carat_batch_norm_table_groups(b)));
    if (a->training || a->grad_weight || a->grad_bias) {
        CARAT_TRY(carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_row_products, a, carat_batch_norm_part_groups(b)));
        CARAT_TRY(carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_tables_backward, a, carat_batch_norm_table_groups(b)));
    }
    return a->out ? carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_write_rows_backward, a, carat_batch_norm_write_groups(b)) : CARAT_OK;
}

static carat_status make_outputs(carat_frame *call, const carat_tensor *x, carat_batch_norm *b)
{
    void **const results[3] = { &b->args.out, &b->args.grad_weight, &b->args.grad_bias };
    for (int i = 0; i < 3; ++i)
        if (carat_norm_wants(call, MASK, i)) CARAT_TRY(carat_batch_norm_make_output(call, i, b, x, results[i]));
    return CARAT_OK;
}

// (grad_out, input, weight, running_mean, running_var, save_mean, save_invstd, train, eps, output_mask); batch_norm_backward has
// a further argument without meaning here.
carat_status carat_batch_norm_run_backward(carat_frame *call)
{
    const carat_tensor *in[INPUTS];
    const void *data[INPUTS];
    for (int i = 0; i < INPUTS; ++i) in[i] = carat_tensor_arg(call, i);
    for (int i = 0; i < INPUTS; ++i) data[i] = in[i] ? carat_data(in[i]) : NULL;
    carat_batch_norm b = { .scratch = NULL };
    const bool training = carat_int_arg(call, TRAINING, 0);
    CARAT_TRY(check(call, in, training, &b));
    CARAT_TRY(make_outputs(call, in[X], &b));
    if (!carat_has_lanes(call)) CARAT_TRY(carat_batch_norm_alloc(&b));
    b.args.x = data[X];
    b.args.weight = data[WEIGHT];
    b.args.running_mean = (void *)data[RUNNING_MEAN];
    b.args.running_var = (void *)data[RUNNING_VAR];
    b.args.mean = (void *)data[MEAN];
    b.args.rstd = (void *)data[RSTD];
    b.args.training = training;
    b.args.eps = carat_float_arg(call, EPS, 1e-5);
    void *copy = NULL;
    carat_tensor grad;
    carat_status status = align_gradient(call, in[GRAD], &b, &grad, &copy);
    if (status == CARAT_OK)
        status = carat_has_lanes(call) ? carat_batch_norm_backward_lanes(call, in[X], &grad, &b)
                 : b.by_planes ? carat_batch_norm_launch(call, b.dtypes, CARAT_BATCH_NORM_channels_backward, &b.args, b.args.channels)
                               : run_rows(call, &b);
    carat_free(copy);
    carat_free(b.scratch);
    return status;
}

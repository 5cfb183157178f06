// SPDX-License-Identifier: Apache-2.0
// Softmax in groups of many lanes where none holds a row or column: a reduction leaves what each needs, and a pointwise launch makes
// the result, with a second read.
#include "core/tensor.h"
#include "ops/logsumexp.h"
#include "ops/pointwise.h"
#include "ops/softmax_lanes.h"
#include "ops/sums.h"

#include <string.h>

// A number for each row or column: a view of x's shape with 1 for the dimension.
typedef struct numbers {
    carat_tensor view;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
} numbers;

static void lay_out(numbers *n, const carat_softmax_problem *p, carat_dtype acc, void *data)
{
    memcpy(n->shape, p->x->shape, sizeof *n->shape * (size_t)p->x->ndim);
    if (p->x->ndim) n->shape[p->dim] = 1;
    carat_contiguous_strides(p->x->ndim, n->shape, n->strides);
    n->view = *p->x;
    n->view.data = data;
    n->view.byte_offset = 0;
    n->view.dl_dtype = carat_dtype_to_dl(acc);
    n->view.shape = n->shape;
    n->view.strides = n->strides;
}

static carat_status reduce(const carat_frame *call, const carat_softmax_row *row, const carat_softmax_problem *p, const carat_tensor *first,
                           const carat_tensor *second)
{
    const carat_reduction over = { .in = p->grad ? p->grad : p->x, .dims = 1u << p->dim, .keepdim = true };
    if (!row->backward) return carat_logsumexp_split(call, &over, row->log, first, second);
    const carat_sums sums = { .space = over, .other = row->log ? NULL : p->x, .out = first };
    return carat_sums_run(call, row->log ? CARAT_SUMS_values : CARAT_SUMS_products, &sums);
}

carat_status carat_softmax_run_apart(const carat_frame *call, const carat_softmax_row *row, const carat_softmax_problem *p, const carat_tensor *out)
{
    enum { ALIGNMENT = 16 };
    const carat_dtype acc = carat_compute_dtype(p->in);
    const int64_t count = carat_numel(p->x) / (p->x->ndim ? p->x->shape[p->dim] : 1);
    const size_t bytes = ((size_t)count * carat_dtype_size(acc) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *const scratch = carat_scratch_alloc(call, 2 * bytes);
    if (!scratch) return carat_step_aside("no memory for sums");
    numbers first, second;
    lay_out(&first, p, acc, scratch);
    lay_out(&second, p, acc, scratch + bytes);
    carat_pointwise last = { .compute = acc, .common = acc, .out = { out } };
    if (row->backward) {
        last.row = row->log ? CARAT_POINTWISE_log_softmax_slope : CARAT_POINTWISE_softmax_slope;
        last.in[0] = p->grad, last.in[1] = p->x, last.in[2] = &first.view;
    } else {
        last.row = row->log ? CARAT_POINTWISE_log_softmax_scale : CARAT_POINTWISE_softmax_scale;
        last.in[0] = p->x, last.in[1] = &first.view, last.in[2] = &second.view;
    }
    carat_status status = reduce(call, row, p, &first.view, &second.view);
    if (status == CARAT_OK) status = carat_pointwise_launch(call, &last);
    carat_scratch_free(call, scratch);
    return status;
}

// SPDX-License-Identifier: Apache-2.0
// The move family: a tensor put into a part of a larger one. slice_backward, select_backward, constant_pad_nd, diagonal_backward,
// diag_embed and the _scatter forms of views.
#include "ops/move.h"

#include <string.h>

carat_status carat_fill(const carat_frame *call, const carat_tensor *out, carat_scalar value)
{
    const carat_dtype dtype = carat_dtype_of(out);
    const carat_pointwise launch = { .row = CARAT_POINTWISE_fill, .compute = carat_compute_dtype(dtype), .common = dtype, .out = { out },
                                     .scalar = { value } };
    return carat_pointwise_launch(call, &launch);
}

static const carat_scalar zero = { .kind = CARAT_SCALAR_INT };

// `length` places along `dim` from `start` on, every `step`th, as a view into `out`.
static carat_tensor slice_of(const carat_tensor *out, int dim, int64_t start, int64_t length, int64_t step, int64_t *shape, int64_t *strides)
{
    carat_tensor view = *out;
    memcpy(shape, out->shape, sizeof *shape * (size_t)out->ndim);
    memcpy(strides, out->strides, sizeof *strides * (size_t)out->ndim);
    view.data = (char *)carat_data(out) + start * out->strides[dim] * (int64_t)carat_dtype_size(carat_dtype_of(out));
    view.byte_offset = 0;
    view.shape = shape;
    view.strides = strides;
    shape[dim] = length;
    strides[dim] *= length > 1 ? step : 1;
    return view;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

// Python's slice bounds of a dimension of `size`, as ATen's slice takes them. Returns the length.
static int64_t slice_bounds(int64_t size, int64_t *start, int64_t end, int64_t step)
{
    if (*start < 0) *start += size;
    if (end < 0) end += size;
    *start = clamp(*start, 0, size);
    end = clamp(end, *start, size);
    return end > *start ? (end - *start - 1) / step + 1 : 0;
}

// The shape argument of a gradient: at most CARAT_MAX_DIMS sizes.
static carat_status sizes_arg(const carat_frame *call, int i, const int64_t **sizes, int *ndim)
{
    if (call->nargs <= i || call->args[i].kind != CARAT_ARG_INTS || call->args[i].ints.count > CARAT_MAX_DIMS) return carat_step_aside("arguments");
    *sizes = call->args[i].ints.items;
    *ndim = (int)call->args[i].ints.count;
    return carat_shape_fits(*ndim, *sizes) ? CARAT_OK : carat_step_aside("sizes");
}

static bool shape_is(const carat_tensor *tensor, int ndim, const int64_t *shape, int dim, int64_t length)
{
    if (tensor->ndim != ndim) return false;
    for (int d = 0; d < ndim; ++d)
        if (tensor->shape[d] != (d == dim ? length : shape[d])) return false;
    return true;
}

// zeros(shape) with `from` at [start, start + length) of `dim`.
static carat_status between_fill(carat_frame *call, const carat_tensor *from, int ndim, const int64_t *shape, int dim, int64_t start, carat_scalar fill)
{
    const int64_t length = from->shape[dim];
    const carat_stretch stretches[3] = { { NULL, start }, { from, length }, { NULL, shape[dim] - start - length } };
    const int first = start == 0, last = stretches[2].length == 0 ? 1 : 2;
    carat_output out;
    CARAT_TRY(carat_copy_check(carat_dtype_of(from), carat_dtype_of(from)));
    CARAT_TRY(carat_join_check(call, carat_dtype_of(from), ndim, shape, dim, last - first + 1));
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(from), ndim, shape, NULL, &out));
    return carat_join(call, &out.view, dim, stretches + first, last - first + 1, fill);
}

// ---- gradients of slice, select and diagonal

carat_status carat_run_slice_backward(carat_frame *call)
{
    const carat_tensor *grad = carat_tensor_arg(call, 0);
    const int64_t *sizes;
    int ndim;
    CARAT_TRY(sizes_arg(call, 1, &sizes, &ndim));
    const int dim = carat_wrap_dim(carat_int_arg(call, 2, 0), ndim);
    const int64_t step = carat_int_arg(call, 5, 1);
    int64_t start = carat_int_arg(call, 3, 0);
    if (!grad || ndim == 0 || dim < 0 || step < 1) return carat_step_aside("arguments");
    const int64_t length = slice_bounds(sizes[dim], &start, carat_int_arg(call, 4, INT64_MAX), step);
    if (!shape_is(grad, ndim, sizes, dim, length)) return carat_step_aside("shapes");
    if (step == 1) return between_fill(call, grad, ndim, sizes, dim, start, zero);
    carat_output out;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    CARAT_TRY(carat_copy_check(carat_dtype_of(grad), carat_dtype_of(grad)));
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(grad), ndim, sizes, NULL, &out));
    CARAT_TRY(carat_fill(call, &out.view, zero));
    const carat_tensor part = slice_of(&out.view, dim, start, length, step, shape, strides);
    return carat_move(call, &part, grad);
}

carat_status carat_run_select_backward(carat_frame *call)
{
    const carat_tensor *grad = carat_tensor_arg(call, 0);
    const int64_t *sizes;
    int ndim;
    CARAT_TRY(sizes_arg(call, 1, &sizes, &ndim));
    const int dim = carat_wrap_dim(carat_int_arg(call, 2, 0), ndim);
    if (!grad || ndim == 0 || dim < 0 || grad->ndim != ndim - 1) return carat_step_aside("arguments");
    int64_t index = carat_int_arg(call, 3, 0), shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    if (index < 0) index += sizes[dim];
    if (index < 0 || index >= sizes[dim]) return carat_step_aside("index");
    carat_tensor view = *grad;
    for (int d = 0; d < ndim; ++d) {
        const int from = d < dim ? d : d - 1;
        shape[d] = d == dim ? 1 : grad->shape[from];
        strides[d] = d == dim ? 0 : grad->strides[from];
        if (d != dim && shape[d] != sizes[d]) return carat_step_aside("shapes");
    }
    view.ndim = ndim;
    view.shape = shape;
    view.strides = strides;
    return between_fill(call, &view, ndim, sizes, dim, index, zero);
}

// The diagonal of `out` over two dimensions, as a view with the diagonal last. False if it has no place.
static bool diagonal_of(const carat_tensor *out, int64_t offset, int dim1, int dim2, carat_tensor *view, int64_t *shape, int64_t *strides)
{
    int at = 0;
    const int64_t rows = out->shape[dim1] + (offset < 0 ? offset : 0), cols = out->shape[dim2] - (offset > 0 ? offset : 0);
    const int64_t length = clamp(rows < cols ? rows : cols, 0, INT64_MAX);
    *view = *out;
    for (int d = 0; d < out->ndim; ++d) {
        if (d == dim1 || d == dim2) continue;
        shape[at] = out->shape[d];
        strides[at++] = out->strides[d];
    }
    shape[at] = length;
    strides[at++] = out->strides[dim1] + out->strides[dim2];
    view->ndim = at;
    view->shape = shape;
    view->strides = strides;
    if (length == 0) return false;
    const int64_t start = offset >= 0 ? offset * out->strides[dim2] : -offset * out->strides[dim1];
    view->data = (char *)carat_data(out) + start * (int64_t)carat_dtype_size(carat_dtype_of(out));
    view->byte_offset = 0;
    return true;
}

// zeros(shape) with `from` on a diagonal.
static carat_status on_diagonal(carat_frame *call, const carat_tensor *from, int ndim, const int64_t *sizes, int64_t offset, int dim1, int dim2)
{
    carat_output out;
    carat_tensor view;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    int64_t no_strides[CARAT_MAX_DIMS] = { 0 }; // the shape is all that is asked for
    const carat_tensor plan = { .ndim = ndim, .shape = (int64_t *)sizes, .strides = no_strides, .dl_dtype = from->dl_dtype };
    diagonal_of(&plan, offset, dim1, dim2, &view, shape, strides);
    if (!carat_same_shape(&view, from)) return carat_step_aside("shapes");
    CARAT_TRY(carat_copy_check(carat_dtype_of(from), carat_dtype_of(from)));
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(from), ndim, sizes, NULL, &out));
    CARAT_TRY(carat_fill(call, &out.view, zero));
    if (!diagonal_of(&out.view, offset, dim1, dim2, &view, shape, strides)) return CARAT_OK;
    return carat_move(call, &view, from);
}

carat_status carat_run_diagonal_backward(carat_frame *call)
{
    const carat_tensor *grad = carat_tensor_arg(call, 0);
    const int64_t *sizes;
    int ndim;
    CARAT_TRY(sizes_arg(call, 1, &sizes, &ndim));
    const int dim1 = carat_wrap_dim(carat_int_arg(call, 3, 0), ndim), dim2 = carat_wrap_dim(carat_int_arg(call, 4, 1), ndim);
    if (!grad || !carat_is_size(carat_int_arg(call, 2, 0)) || ndim < 2 || dim1 < 0 || dim2 < 0 || dim1 == dim2) return carat_step_aside("arguments");
    return on_diagonal(call, grad, ndim, sizes, carat_int_arg(call, 2, 0), dim1, dim2);
}

carat_status carat_run_diag_embed(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || self->ndim < 1 || self->ndim + 1 > CARAT_MAX_DIMS || !carat_is_size(carat_int_arg(call, 1, 0)))
        return carat_step_aside("arguments");
    const int ndim = self->ndim + 1;
    const int64_t offset = carat_int_arg(call, 1, 0), length = self->shape[self->ndim - 1] + (offset < 0 ? -offset : offset);
    const int dim1 = carat_wrap_dim(carat_int_arg(call, 2, -2), ndim), dim2 = carat_wrap_dim(carat_int_arg(call, 3, -1), ndim);
    if (dim1 < 0 || dim2 < 0 || dim1 == dim2) return carat_step_aside("arguments");
    int64_t sizes[CARAT_MAX_DIMS];
    for (int d = 0, from = 0; d < ndim; ++d) sizes[d] = d == dim1 || d == dim2 ? length : self->shape[from++];
    return on_diagonal(call, self, ndim, sizes, offset, dim1, dim2);
}

// ---- padding

carat_status carat_run_constant_pad_nd(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || call->nargs < 2 || call->args[1].kind != CARAT_ARG_INTS) return carat_step_aside("arguments");
    const int64_t *pad = call->args[1].ints.items, pairs = call->args[1].ints.count / 2;
    const carat_dtype dtype = carat_dtype_of(self);
    const carat_scalar value = call->nargs > 2 && call->args[2].kind == CARAT_ARG_SCALAR ? call->args[2].scalar : zero;
    if (pairs > self->ndim || call->args[1].ints.count % 2) return carat_step_aside("arguments");
    if (!carat_scalar_fits(value, dtype)) return carat_step_aside("value");
    int64_t shape[CARAT_MAX_DIMS], inside[CARAT_MAX_DIMS], from_shape[CARAT_MAX_DIMS], padded = 0;
    int dim = 0;
    memcpy(shape, self->shape, sizeof *shape * (size_t)self->ndim);
    for (int64_t i = 0; i < pairs; ++i) {
        const int d = self->ndim - 1 - (int)i;
        if (pad[2 * i] < 0 || pad[2 * i + 1] < 0) return carat_step_aside("negative padding");
        if (!carat_is_size(pad[2 * i]) || !carat_is_size(pad[2 * i + 1])) return carat_step_aside("padding");
        if (pad[2 * i] == 0 && pad[2 * i + 1] == 0) continue;
        shape[d] += pad[2 * i] + pad[2 * i + 1];
        dim = d;
        ++padded;
    }
    if (padded == 0) return carat_step_aside("no padding");
    if (carat_is_channels_last(self)) return carat_step_aside("channels last");
    if (padded == 1) return between_fill(call, self, self->ndim, shape, dim, pad[2 * (self->ndim - 1 - dim)], value);
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, self->ndim, shape, NULL, &out));
    CARAT_TRY(carat_fill(call, &out.view, value));
    memcpy(from_shape, self->shape, sizeof *shape * (size_t)self->ndim);
    carat_tensor part = out.view;
    int64_t offset = 0;
    for (int d = 0; d < self->ndim; ++d) {
        const int64_t i = self->ndim - 1 - d;
        inside[d] = from_shape[d];
        if (i < pairs) offset += pad[2 * i] * out.view.strides[d];
    }
    part.shape = inside;
    part.data = (char *)carat_data(&out.view) + offset * (int64_t)carat_dtype_size(dtype);
    part.byte_offset = 0;
    return carat_move(call, &part, self);
}

// ---- slice_scatter, select_scatter: a copy of self with `src` in a part of it

static carat_status scatter_part(carat_frame *call, const carat_tensor *self, const carat_tensor *src, int dim, int64_t start, int64_t length, int64_t step)
{
    carat_output out;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS], like[CARAT_MAX_DIMS];
    CARAT_TRY(carat_copy_check(carat_dtype_of(self), carat_dtype_of(src)));
    if (!shape_is(src, self->ndim, self->shape, dim, length)) return carat_step_aside("shapes");
    if (!carat_is_dense(self)) return carat_step_aside("layout");
    carat_like_strides(self, like);
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(self), self->ndim, self->shape, like, &out));
    CARAT_TRY(carat_move(call, &out.view, self));
    if (length == 0) return CARAT_OK;
    const carat_tensor part = slice_of(&out.view, dim, start, length, step, shape, strides);
    return carat_move(call, &part, src);
}

carat_status carat_run_slice_scatter(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *src = carat_tensor_arg(call, 1);
    if (!self || !src || self->ndim == 0) return carat_step_aside("arguments");
    const int dim = carat_wrap_dim(carat_int_arg(call, 2, 0), self->ndim);
    const int64_t step = carat_int_arg(call, 5, 1);
    int64_t start = carat_int_arg(call, 3, 0);
    if (dim < 0 || step < 1) return carat_step_aside("arguments");
    const int64_t length = slice_bounds(self->shape[dim], &start, carat_int_arg(call, 4, INT64_MAX), step);
    return scatter_part(call, self, src, dim, start, length, step);
}

carat_status carat_run_select_scatter(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *src = carat_tensor_arg(call, 1);
    if (!self || !src || self->ndim == 0 || src->ndim != self->ndim - 1) return carat_step_aside("arguments");
    const int dim = carat_wrap_dim(carat_int_arg(call, 2, 0), self->ndim);
    int64_t index = carat_int_arg(call, 3, 0), shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    if (dim < 0) return carat_step_aside("dim");
    if (index < 0) index += self->shape[dim];
    if (index < 0 || index >= self->shape[dim]) return carat_step_aside("index");
    carat_tensor view = *src;
    view.ndim = self->ndim;
    view.shape = shape;
    view.strides = strides;
    for (int d = 0; d < self->ndim; ++d) {
        shape[d] = d == dim ? 1 : src->shape[d < dim ? d : d - 1];
        strides[d] = d == dim ? 0 : src->strides[d < dim ? d : d - 1];
    }
    return scatter_part(call, self, &view, dim, index, 1, 1);
}

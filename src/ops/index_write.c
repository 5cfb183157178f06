// SPDX-License-Identifier: Apache-2.0
// The index family, writing side: scatter, scatter_add, index_put, index_add, index_copy, index_fill. A functional form writes
// into a copy of self. The indices of whole rows are checked before a given tensor is written; where each element has its own,
// a bad one is found on the way, as in ATen, and what is left of the tensor is as undefined as there.
#include "ops/index_row.h"
#include "ops/move.h"

#include <string.h>

// What a writing operator asks for.
typedef struct writing {
    const carat_tensor *self;
    const carat_tensor *from;    // NULL: one number, in `element`
    carat_walk walk;             // all but `to`; to_strides[] are those of self
    int to_dim[CARAT_MAX_DIMS];  // the dimension of self that a dimension of the walk moves along, -1 for none
    int step_dim[INDEX_TENSORS]; // and each index tensor
    const carat_tensor *index[INDEX_TENSORS];
    bool keeps_layout;           // of a functional result: strides like self's, else contiguous
    int64_t element[2];
} writing;

static int64_t numel_of(const carat_walk *walk)
{
    int64_t numel = 1;
    for (int d = 0; d < walk->ndim; ++d) numel *= walk->shape[d];
    return numel;
}

// Lanes write in any order, and add up halves in pairs.
static carat_status check_lanes(const carat_frame *call, const writing *w, const carat_tensor *given)
{
    if (call->context->deterministic) return carat_step_aside("writes in a settled order");
    if (w->walk.combine != CARAT_ADD || !carat_dtype_in(w->walk.dtype, CARAT_HALVES)) return CARAT_OK;
    if (w->walk.ndim && w->walk.index[0].strides[w->walk.ndim - 1] != 0) return carat_step_aside("sums of single halves");
    const bool pairs = carat_numel(w->self) % 2 == 0 && (!given || (carat_is_contiguous(given) && (uintptr_t)carat_data(given) % 4 == 0));
    return pairs ? CARAT_OK : carat_step_aside("halves that make no pairs");
}

static carat_status check_writing(const carat_frame *call, const writing *w)
{
    const carat_tensor *given = carat_output_given(call, 0);
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(w->self), w->self->ndim, w->self->shape));
    CARAT_TRY(carat_index_apart(call, w->from));
    for (int k = 0; k < w->walk.indices; ++k) CARAT_TRY(carat_index_apart(call, w->index[k]));
    if (given && carat_overlap_of(given, w->self) == CARAT_PARTIAL) return carat_step_aside("output overlaps an input");
    CARAT_TRY(carat_walk_check(call, &w->walk));
    if (carat_has_lanes(call)) return check_lanes(call, w, given);
    for (int d = 0; d < w->walk.ndim; ++d)
        if (w->walk.shape[d] == 0) return CARAT_OK;
    // A result of our own may be half written when an index turns out bad: it is dropped.
    const bool each = w->walk.indices == 1 && carat_numel(w->index[0]) == numel_of(&w->walk);
    for (int k = 0; given && !each && k < w->walk.indices; ++k)
        CARAT_TRY(carat_index_check(w->index[k], w->walk.index[k].size, w->walk.index[k].wraps));
    return CARAT_OK;
}

static carat_status run_writing(carat_frame *call, writing *w)
{
    carat_output out;
    int64_t strides[CARAT_MAX_DIMS];
    CARAT_TRY(check_writing(call, w));
    if (w->keeps_layout) carat_like_strides(w->self, strides);
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(w->self), w->self->ndim, w->self->shape, w->keeps_layout ? strides : NULL, &out));
    if (!call->op->in_place && carat_overlap_of(&out.view, w->self) != CARAT_SAME) CARAT_TRY(carat_move(call, &out.view, w->self));
    w->walk.to = carat_data(&out.view);
    for (int d = 0; d < w->walk.ndim; ++d) w->walk.to_strides[d] = w->to_dim[d] < 0 ? 0 : out.view.strides[w->to_dim[d]];
    for (int k = 0; k < w->walk.indices; ++k) w->walk.index[k].step = out.view.strides[w->step_dim[k]];
    return carat_walk_run(call, &w->walk);
}

static void start_writing(writing *w, const carat_tensor *self, carat_combine combine)
{
    w->self = self;
    w->from = NULL;
    w->keeps_layout = false;
    w->walk.dtype = carat_dtype_of(self);
    w->walk.index_dtype = CARAT_i64;
    w->walk.from_host = false;
    w->walk.writes = true;
    w->walk.combine = combine;
    w->walk.alpha = (carat_scalar){ .kind = CARAT_SCALAR_INT, .i = 1, .re = 1 };
    w->walk.to = NULL;
    w->walk.indices = 1;
}

// The source: a tensor of self's dtype (its strides are set by the caller) or a number.
static carat_status take_source(const carat_frame *call, int argument, writing *w)
{
    const carat_arg *arg = argument < call->nargs ? &call->args[argument] : NULL;
    if (!arg) return carat_step_aside("arguments");
    if (arg->kind == CARAT_ARG_TENSOR) {
        if (carat_dtype_of(&arg->tensor) != w->walk.dtype) return carat_step_aside("dtypes differ");
        w->from = &arg->tensor;
        w->walk.from = carat_data(&arg->tensor);
        w->walk.from_host = arg->tensor.device.type != call->device.type;
        return CARAT_OK;
    }
    if (arg->kind != CARAT_ARG_SCALAR) return carat_step_aside("arguments");
    const carat_scalar number = arg->scalar;
    if (number.kind == CARAT_SCALAR_FLOAT && carat_is_integral(w->walk.dtype)) return carat_step_aside("scalar's kind");
    if (!carat_scalar_fits(number, w->walk.dtype)) return carat_step_aside("number out of the dtype's range");
    carat_scalar_store(number, w->walk.dtype, w->element);
    w->walk.from = w->element;
    w->walk.from_host = true;
    return CARAT_OK;
}

// ---- scatter: self[i, index[i, j, k], k] (+)= src[i, j, k]

static carat_status scatter_combine(const carat_frame *call, carat_combine *combine)
{
    static const struct { const char *name; carat_combine combine; } names[] = {
        { "add", CARAT_ADD }, { "multiply", CARAT_MUL }, { "sum", CARAT_ADD },
        { "prod", CARAT_MUL }, { "amin", CARAT_MIN },    { "amax", CARAT_MAX },
    };
    *combine = strcmp(call->op->row->id, "scatter_add") == 0 ? CARAT_ADD : CARAT_PUT;
    if (call->nargs < 5 || call->args[4].kind != CARAT_ARG_STRING) return CARAT_OK;
    if (!carat_int_arg(call, 5, 1)) return carat_step_aside("include_self=False");
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (strcmp(names[i].name, call->args[4].string) == 0) {
            *combine = names[i].combine;
            return CARAT_OK;
        }
    return carat_step_aside("reduction");
}

carat_status carat_run_scatter(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *index = carat_tensor_arg(call, 2);
    if (!self || !index || self->ndim != index->ndim || self->ndim == 0) return carat_step_aside("arguments");
    if (carat_dtype_of(index) != CARAT_i64) return carat_step_aside("index dtype");
    const int dim = carat_wrap_dim(carat_int_arg(call, 1, 0), self->ndim);
    if (dim < 0) return carat_step_aside("dim");
    carat_combine combine;
    CARAT_TRY(scatter_combine(call, &combine));
    if (combine != CARAT_PUT && !carat_dtype_in(carat_dtype_of(self), CARAT_REALS)) return carat_step_aside("dtype");
    // ATen adds up in f32 and rounds once, but on a device; the walk rounds at every step.
    if ((combine == CARAT_ADD || combine == CARAT_MUL) && !carat_has_lanes(call) && carat_dtype_in(carat_dtype_of(self), CARAT_HALVES)) return carat_step_aside("sums of half types");
    writing w;
    start_writing(&w, self, combine);
    CARAT_TRY(take_source(call, 3, &w));
    if (w.from && w.from->ndim != self->ndim) return carat_step_aside("arguments");
    w.walk.ndim = self->ndim;
    for (int d = 0; d < self->ndim; ++d) {
        const int64_t size = index->shape[d];
        if ((d != dim && size > self->shape[d]) || (w.from && size > w.from->shape[d])) return carat_step_aside("index larger than self or src");
        w.walk.shape[d] = size;
        w.to_dim[d] = d == dim ? -1 : d;
        w.walk.to_strides[d] = d == dim ? 0 : self->strides[d];
        w.walk.from_strides[d] = w.from ? w.from->strides[d] : 0;
        w.walk.index[0].strides[d] = index->strides[d];
    }
    w.index[0] = index;
    w.step_dim[0] = dim;
    w.walk.index[0].data = carat_data(index);
    w.walk.index[0].size = self->shape[dim];
    w.walk.index[0].wraps = false;
    return run_writing(call, &w);
}

// ---- self[.., index[j], ..] from source[.., j, ..] or a number

// Sets the walk for a 1-d index along `dim`; its size in that dimension is that of the index.
static void along_dimension(writing *w, const carat_tensor *index, int dim, bool wraps)
{
    const carat_tensor *self = w->self;
    w->walk.ndim = self->ndim;
    for (int d = 0; d < self->ndim; ++d) {
        w->walk.shape[d] = d == dim ? carat_numel(index) : self->shape[d];
        w->to_dim[d] = d == dim ? -1 : d;
        w->walk.to_strides[d] = d == dim ? 0 : self->strides[d];
        w->walk.from_strides[d] = w->from ? w->from->strides[d] : 0;
        w->walk.index[0].strides[d] = d == dim && index->ndim ? index->strides[0] : 0;
    }
    w->index[0] = index;
    w->step_dim[0] = dim;
    w->walk.index[0].data = carat_data(index);
    w->walk.index[0].size = self->shape[dim];
    w->walk.index[0].wraps = wraps;
}

static carat_status take_dimension(const carat_frame *call, int *dim)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *index = carat_tensor_arg(call, 2);
    if (!self || !index || self->ndim == 0 || index->ndim > 1) return carat_step_aside("arguments");
    if (carat_dtype_of(index) != CARAT_i64) return carat_step_aside("index dtype");
    *dim = carat_wrap_dim(carat_int_arg(call, 1, 0), self->ndim);
    return *dim < 0 ? carat_step_aside("dim") : CARAT_OK;
}

// Whether a dtype has the number: on a device ATen rounds it to the halves' dtype first.
static bool holds(carat_dtype dtype, carat_scalar number)
{
    int64_t element[2];
    if (!carat_dtype_in(dtype, CARAT_HALVES)) return true;
    carat_scalar_store(number, dtype, element);
    return carat_scalar_load(dtype, element).re == (number.kind == CARAT_SCALAR_FLOAT ? number.re : (double)number.i);
}

static carat_status run_with_source(carat_frame *call, carat_combine combine)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *index = carat_tensor_arg(call, 2), *source = carat_tensor_arg(call, 3);
    int dim;
    CARAT_TRY(take_dimension(call, &dim));
    if (!source || source->ndim != self->ndim) return carat_step_aside("arguments");
    if (combine == CARAT_ADD && !carat_dtype_in(carat_dtype_of(self), CARAT_REALS)) return carat_step_aside("dtype");
    for (int d = 0; d < self->ndim; ++d)
        if (source->shape[d] != (d == dim ? carat_numel(index) : self->shape[d])) return carat_step_aside("shape of source");
    writing w;
    start_writing(&w, self, combine);
    CARAT_TRY(take_source(call, 3, &w));
    if (combine == CARAT_ADD && call->nargs > 4 && call->args[4].kind == CARAT_ARG_SCALAR) w.walk.alpha = call->args[4].scalar;
    if (w.walk.alpha.kind == CARAT_SCALAR_FLOAT && carat_is_integral(w.walk.dtype)) return carat_step_aside("scalar's kind");
    if (!carat_scalar_fits(w.walk.alpha, w.walk.dtype)) return carat_step_aside("number out of the dtype's range");
    if (carat_has_lanes(call) && !holds(w.walk.dtype, w.walk.alpha)) return carat_step_aside("alpha that halves don't hold");
    along_dimension(&w, index, dim, false);
    return run_writing(call, &w);
}

carat_status carat_run_index_add(carat_frame *call)
{
    return run_with_source(call, CARAT_ADD);
}

carat_status carat_run_index_copy(carat_frame *call)
{
    return run_with_source(call, CARAT_PUT);
}

carat_status carat_run_index_fill(carat_frame *call)
{
    int dim;
    CARAT_TRY(take_dimension(call, &dim));
    writing w;
    start_writing(&w, carat_tensor_arg(call, 0), CARAT_PUT);
    CARAT_TRY(take_source(call, 3, &w));
    if (w.from && w.from->ndim != 0) return carat_step_aside("arguments");
    w.keeps_layout = true;
    const carat_tensor *number = w.from; // one element, which doesn't move
    w.from = NULL;
    CARAT_TRY(carat_index_apart(call, number));
    along_dimension(&w, carat_tensor_arg(call, 2), dim, true);
    return run_writing(call, &w);
}

// ---- x[i, :, j] (+)= values

carat_status carat_run_index_put(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *values = carat_tensor_arg(call, 2);
    if (!self || !values) return carat_step_aside("arguments");
    const bool accumulate = carat_int_arg(call, 3, 0);
    if (accumulate && !carat_dtype_in(carat_dtype_of(self), CARAT_REALS)) return carat_step_aside("dtype");
    // ATen sorts, so that sums are the same every time.
    if (accumulate && carat_has_lanes(call) && !carat_is_integral(carat_dtype_of(self))) return carat_step_aside("sums in a settled order");
    writing w;
    start_writing(&w, self, accumulate ? CARAT_ADD : CARAT_PUT);
    w.keeps_layout = true;
    CARAT_TRY(take_source(call, 2, &w));
    carat_subscripts subscripts;
    CARAT_TRY(carat_index_subscripts(call, self, &subscripts, &w.walk, w.walk.to_strides));
    if (w.walk.index_dtype != CARAT_i64) return carat_step_aside("index dtype");
    if (values->ndim > w.walk.ndim) return carat_step_aside("shape of values");
    for (int d = 0; d < values->ndim; ++d) {
        const int64_t size = values->shape[values->ndim - 1 - d];
        if (size != 1 && size != w.walk.shape[w.walk.ndim - 1 - d]) return carat_step_aside("shape of values");
    }
    carat_broadcast_strides(values, w.walk.ndim, w.walk.shape, w.walk.from_strides);
    memcpy(w.to_dim, subscripts.self_dim, sizeof w.to_dim);
    memcpy(w.index, subscripts.index, sizeof w.index);
    memcpy(w.step_dim, subscripts.dim, sizeof w.step_dim);
    return run_writing(call, &w);
}

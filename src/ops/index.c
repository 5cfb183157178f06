// SPDX-License-Identifier: Apache-2.0
// The index family, reading side: embedding, index_select, gather, take, x[i, j]. The writing side is in index_write.c.
#include "ops/index_row.h"

#include <string.h>

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, carat_##function },
#include "index.def"
#undef ROW
};

carat_tensor carat_index_at_least_1d(const carat_tensor *tensor, int64_t one[2])
{
    carat_tensor view = *tensor;
    if (view.ndim > 0) return view;
    one[0] = one[1] = 1;
    view.ndim = 1;
    view.shape = one;
    view.strides = one + 1;
    return view;
}

bool carat_index_dtype_ok(const carat_tensor *index)
{
    const carat_dtype dtype = carat_dtype_of(index);
    return dtype == CARAT_i64 || dtype == CARAT_i32;
}

carat_status carat_index_apart(const carat_frame *call, const carat_tensor *input)
{
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && input && carat_overlap_of(given, input) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

// ---- results of reading walks

// Makes the result (shape and dtype of the walk, strides NULL: contiguous) and runs the walk into it.
static carat_status finish_read(carat_frame *call, carat_walk *walk, const carat_tensor *self, const int64_t *strides)
{
    carat_output out;
    CARAT_TRY(carat_index_apart(call, self));
    CARAT_TRY(carat_output_check(call, 0, walk->dtype, walk->ndim, walk->shape));
    CARAT_TRY(carat_walk_check(call, walk));
    CARAT_TRY(carat_output_make(call, 0, walk->dtype, walk->ndim, walk->shape, strides, &out));
    for (int d = 0; d < walk->ndim; ++d) walk->to_strides[d] = out.view.strides[d];
    walk->to = carat_data(&out.view);
    return carat_walk_run(call, walk);
}

static void start_read(carat_walk *walk, const carat_tensor *self, const carat_tensor *index, int ndim)
{
    walk->dtype = carat_dtype_of(self);
    walk->index_dtype = carat_dtype_of(index);
    walk->writes = false;
    walk->combine = CARAT_PUT;
    walk->from = carat_data(self);
    walk->from_host = false;
    walk->ndim = ndim;
    walk->indices = 1;
    walk->index[0].data = carat_data(index);
    walk->index[0].wraps = false;
    for (int d = 0; d < ndim; ++d) walk->from_strides[d] = walk->to_strides[d] = walk->index[0].strides[d] = 0;
}

// ---- embedding: rows of a matrix

carat_status carat_run_embedding(carat_frame *call)
{
    const carat_tensor *weight = carat_tensor_arg(call, 0), *indices = carat_tensor_arg(call, 1);
    if (!weight || !indices || weight->ndim != 2 || indices->ndim >= CARAT_MAX_DIMS) return carat_step_aside("arguments");
    if (!carat_index_dtype_ok(indices)) return carat_step_aside("index dtype");
    carat_walk walk;
    start_read(&walk, weight, indices, indices->ndim + 1);
    for (int d = 0; d < indices->ndim; ++d) {
        walk.shape[d] = indices->shape[d];
        walk.index[0].strides[d] = indices->strides[d];
    }
    walk.shape[indices->ndim] = weight->shape[1];
    walk.from_strides[indices->ndim] = weight->strides[1];
    walk.index[0].step = weight->strides[0];
    walk.index[0].size = weight->shape[0];
    return finish_read(call, &walk, weight, NULL);
}

// ---- index_select: out[.., j, ..] = self[.., index[j], ..]

carat_status carat_run_index_select(carat_frame *call)
{
    const carat_tensor *given_self = carat_tensor_arg(call, 0), *index = carat_tensor_arg(call, 2);
    if (!given_self || !index || index->ndim > 1 || given_self->ndim == 0) return carat_step_aside("arguments");
    if (!carat_index_dtype_ok(index)) return carat_step_aside("index dtype");
    const carat_tensor *self = given_self;
    const int dim = carat_wrap_dim(carat_int_arg(call, 1, 0), self->ndim);
    if (dim < 0) return carat_step_aside("dim");
    CARAT_TRY(carat_index_apart(call, index));
    carat_walk walk;
    start_read(&walk, self, index, self->ndim);
    for (int d = 0; d < self->ndim; ++d) {
        walk.shape[d] = d == dim ? carat_numel(index) : self->shape[d];
        walk.from_strides[d] = d == dim ? 0 : self->strides[d];
    }
    walk.index[0].strides[dim] = index->ndim ? index->strides[0] : 0;
    walk.index[0].step = self->strides[dim];
    walk.index[0].size = self->shape[dim];
    return finish_read(call, &walk, self, NULL);
}

// ---- gather: out[i, j, k] = self[i, index[i, j, k], k]

carat_status carat_run_gather(carat_frame *call)
{
    const carat_tensor *self_arg = carat_tensor_arg(call, 0), *index_arg = carat_tensor_arg(call, 2);
    if (!self_arg || !index_arg || self_arg->ndim != index_arg->ndim || self_arg->ndim == 0) return carat_step_aside("arguments");
    if (!carat_index_dtype_ok(index_arg)) return carat_step_aside("index dtype");
    const int dim = carat_wrap_dim(carat_int_arg(call, 1, 0), self_arg->ndim);
    if (dim < 0) return carat_step_aside("dim");
    CARAT_TRY(carat_index_apart(call, index_arg));
    if (carat_has_lanes(call) && self_arg->strides[dim] != 1 && index_arg->strides[index_arg->ndim - 1] != 0) return carat_step_aside("elements of many rows");
    carat_walk walk;
    start_read(&walk, self_arg, index_arg, self_arg->ndim);
    for (int d = 0; d < self_arg->ndim; ++d) {
        if (d != dim && index_arg->shape[d] > self_arg->shape[d]) return carat_step_aside("index larger than self");
        walk.shape[d] = index_arg->shape[d];
        walk.from_strides[d] = d == dim ? 0 : self_arg->strides[d];
        walk.index[0].strides[d] = index_arg->strides[d];
    }
    walk.index[0].step = self_arg->strides[dim];
    walk.index[0].size = self_arg->shape[dim];
    return finish_read(call, &walk, self_arg, NULL);
}

// ---- take: an index into all elements

carat_status carat_run_take(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *index = carat_tensor_arg(call, 1);
    if (!self || !index || carat_dtype_of(index) != CARAT_i64) return carat_step_aside("arguments");
    if (!carat_is_contiguous(self)) return carat_step_aside("layout");
    CARAT_TRY(carat_index_apart(call, index));
    carat_walk walk;
    start_read(&walk, self, index, index->ndim);
    for (int d = 0; d < index->ndim; ++d) {
        walk.shape[d] = index->shape[d];
        walk.index[0].strides[d] = index->strides[d];
    }
    walk.index[0].step = 1;
    walk.index[0].size = carat_numel(self);
    walk.index[0].wraps = true;
    return finish_read(call, &walk, self, NULL);
}

// ---- x[i, :, j]

// ATen reshapes an index tensor to the result's rank, with ones for self's dimensions. That gives the dimensions of size 1 the strides that
// at::detail::computeStride derives from their neighbours', wherever they came from; in larger dimensions of self's it stands still.
static void reshape_index(const carat_subscripts *subscripts, const carat_walk *walk, int64_t *strides)
{
    int dims[CARAT_MAX_DIMS], count = 0, to = walk->ndim - 1;
    int64_t old[CARAT_MAX_DIMS], base = 1, seen = 1, given = 1; // of neighbours that one stride describes: elements, and those given a stride
    for (int d = 0; d < walk->ndim; ++d) {
        if (subscripts->self_dim[d] >= 0) continue;
        old[count] = strides[d];
        dims[count++] = d;
    }
    if (count) base = old[count - 1];
    for (int i = count - 1; i >= 0 || to >= 0; --i) {
        if (i >= 0) seen *= walk->shape[dims[i]];
        if (i > 0 && (walk->shape[dims[i - 1]] == 1 || old[i - 1] == seen * base)) continue;
        for (; to >= 0; --to) {
            const int64_t size = subscripts->self_dim[to] < 0 ? walk->shape[to] : 1;
            if (given >= seen && size != 1) break;
            strides[to] = size == walk->shape[to] ? given * base : 0;
            given *= size;
        }
        if (i > 0) base = old[i - 1];
        seen = given = 1;
    }
}

// On a device ATen makes index tensors of different layouts contiguous first.
static void settle_layouts(const carat_subscripts *subscripts, carat_walk *walk)
{
    bool same = true;
    for (int k = 1; k < walk->indices; ++k) same = same && memcmp(walk->index[k].strides, walk->index[0].strides, sizeof *walk->index->strides * (size_t)walk->ndim) == 0;
    if (same) return;
    int64_t inside = 1;
    for (int d = walk->ndim; d-- > 0;) {
        if (subscripts->self_dim[d] >= 0) continue;
        for (int k = 0; k < walk->indices; ++k) walk->index[k].strides[d] = inside;
        inside *= walk->shape[d];
    }
}

// The strides that TensorIterator gives to the result of self read through the walk's indices.
static void result_strides(const carat_frame *call, const carat_subscripts *subscripts, carat_walk walk, int64_t *strides)
{
    carat_tensor views[1 + INDEX_TENSORS];
    const carat_tensor *inputs[1 + INDEX_TENSORS];
    bool ones = false, empty = false;
    for (int d = 0; d < walk.ndim; ++d) {
        ones = ones || walk.shape[d] == 1;
        empty = empty || walk.shape[d] == 0;
    }
    for (int k = 0; ones && !empty && k < walk.indices; ++k) reshape_index(subscripts, &walk, walk.index[k].strides);
    if (carat_has_lanes(call)) settle_layouts(subscripts, &walk);
    for (int j = 0; j <= walk.indices; ++j) {
        views[j] = (carat_tensor){ .ndim = walk.ndim, .dl_dtype = carat_dtype_to_dl(j ? CARAT_i64 : walk.dtype), .shape = walk.shape,
                                   .strides = j ? walk.index[j - 1].strides : walk.from_strides };
        inputs[j] = &views[j];
    }
    carat_elementwise_strides(inputs, 1 + walk.indices, walk.ndim, walk.shape, strides);
}

carat_status carat_run_index(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    carat_walk walk;
    carat_subscripts subscripts;
    if (!self) return carat_step_aside("arguments");
    CARAT_TRY(carat_index_subscripts(call, self, &subscripts, &walk, walk.from_strides));
    for (int k = 0; k < subscripts.count; ++k) CARAT_TRY(carat_index_apart(call, subscripts.index[k]));
    walk.dtype = carat_dtype_of(self);
    walk.writes = false;
    walk.combine = CARAT_PUT;
    walk.from = carat_data(self);
    walk.from_host = false;
    int64_t strides[CARAT_MAX_DIMS];
    for (int d = 0; d < walk.ndim; ++d) walk.to_strides[d] = 0;
    result_strides(call, &subscripts, walk, strides);
    return finish_read(call, &walk, self, strides);
}

static bool takes_number(int row, int argument)
{
    return (rows[row].run == carat_run_index_put && argument == 2) || (rows[row].run == carat_run_index_fill && argument == 3);
}

const carat_family carat_family_index = {
    .name = "index",
    .source = "index.k.c",
    .lanes_source = "index_lanes.k.c",
    .takes_number = takes_number,
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = carat_walk_describe,
    .enumerate = carat_walk_enumerate,
};

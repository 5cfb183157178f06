// SPDX-License-Identifier: Apache-2.0
// Advanced indexing: a list of index tensors, absent ones standing for whole dimensions, to an iteration space. The index
// tensors broadcast together; their dimensions take the place of the first indexed one if the indexed dimensions are
// neighbours, else they come first, as in NumPy and ATen.
#include "ops/index_row.h"

static carat_status read_list(const carat_frame *call, const carat_tensor *self, carat_subscripts *s)
{
    if (call->nargs < 2 || call->args[1].kind != CARAT_ARG_TENSORS) return carat_step_aside("arguments");
    const carat_tensor *list = call->args[1].tensors.items;
    const int64_t length = call->args[1].tensors.count;
    if (length > self->ndim) return carat_step_aside("too many indices");
    s->count = 0;
    for (int64_t i = 0; i < length; ++i) {
        if (list[i].dl_dtype.bits == 0) continue;
        if (s->count == INDEX_TENSORS) return carat_step_aside("number of index tensors");
        if (!carat_index_dtype_ok(&list[i])) return carat_step_aside("index dtype");
        if (s->count && carat_dtype_of(&list[i]) != carat_dtype_of(s->index[0])) return carat_step_aside("index dtypes differ");
        s->index[s->count] = &list[i];
        s->dim[s->count++] = (int)i;
    }
    if (s->count == 0) return carat_step_aside("no index tensor");
    if (carat_broadcast_shapes(s->index, s->count, &s->ndim, s->shape) != CARAT_OK) return carat_step_aside("index shapes");
    return CARAT_OK;
}

carat_status carat_index_subscripts(const carat_frame *call, const carat_tensor *self, carat_subscripts *s, carat_walk *walk,
                                    int64_t *self_strides)
{
    CARAT_TRY(read_list(call, self, s));
    walk->ndim = self->ndim - s->count + s->ndim;
    if (walk->ndim > CARAT_MAX_DIMS) return carat_step_aside("rank");
    const bool neighbours = s->dim[s->count - 1] - s->dim[0] == s->count - 1;
    const int at = neighbours ? s->dim[0] : 0; // where the index tensors' dimensions go
    walk->indices = s->count;
    walk->index_dtype = carat_dtype_of(s->index[0]);
    for (int d = 0; d < walk->ndim; ++d) {
        self_strides[d] = 0;
        s->self_dim[d] = -1;
        for (int k = 0; k < s->count; ++k) walk->index[k].strides[d] = 0;
    }
    for (int d = 0; d < s->ndim; ++d) walk->shape[at + d] = s->shape[d];
    for (int k = 0; k < s->count; ++k) {
        walk->index[k].data = carat_data(s->index[k]);
        walk->index[k].step = self->strides[s->dim[k]];
        walk->index[k].size = self->shape[s->dim[k]];
        walk->index[k].wraps = true;
        carat_broadcast_strides(s->index[k], s->ndim, s->shape, walk->index[k].strides + at);
    }
    int to = at == 0 ? s->ndim : 0, next = 0;
    for (int d = 0; d < self->ndim; ++d) {
        if (next < s->count && s->dim[next] == d) {
            ++next;
            continue;
        }
        walk->shape[to] = self->shape[d];
        s->self_dim[to] = d;
        self_strides[to++] = self->strides[d];
        if (at > 0 && to == at) to += s->ndim;
    }
    return CARAT_OK;
}

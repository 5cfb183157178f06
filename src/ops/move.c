// SPDX-License-Identifier: Apache-2.0
// The move family: copies of whole tensors. clone, _to_copy, copy_, flip, repeat.
#include "ops/move.h"

#include <string.h>

carat_status carat_copy_check(carat_dtype to, carat_dtype from)
{
    if (!carat_dtype_in(to, CARAT_ALL) || !carat_dtype_in(from, CARAT_ALL)) return carat_step_aside("dtype");
    return carat_is_complex(from) && !carat_is_complex(to) ? carat_step_aside("complex to real") : CARAT_OK;
}

carat_status carat_format_strides(const carat_tensor *self, int64_t memory_format, int64_t *strides)
{
    if (memory_format == CARAT_FORMAT_PRESERVE) carat_like_strides(self, strides);
    else if (memory_format == CARAT_FORMAT_CONTIGUOUS) carat_contiguous_strides(self->ndim, self->shape, strides);
    else return carat_step_aside("memory format");
    return CARAT_OK;
}

// As ATen's is_channels_last_strides_2d and _3d, with their answers for sizes of 1.
bool carat_is_channels_last(const carat_tensor *tensor)
{
    static const int order_2d[] = { 1, 3, 2, 0 }, order_3d[] = { 1, 4, 3, 2, 0 };
    if (tensor->ndim != 4 && tensor->ndim != 5) return false;
    const int *const order = tensor->ndim == 4 ? order_2d : order_3d;
    int64_t least = 0;
    if (tensor->strides[1] == 0) return false;
    for (int i = 0; i < tensor->ndim; ++i) {
        const int d = order[i];
        if (tensor->shape[d] == 0 || tensor->strides[d] < least) return false;
        if (d == 0 && least == tensor->strides[1]) return false;
        least = tensor->strides[d];
        if (tensor->shape[d] > 1) least *= tensor->shape[d];
    }
    return true;
}

// A result of self's shape in `dtype`, self copied into it.
static carat_status copy_of(carat_frame *call, const carat_tensor *self, carat_dtype dtype, const int64_t *strides)
{
    carat_output out;
    CARAT_TRY(carat_copy_check(dtype, carat_dtype_of(self)));
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && carat_overlap_of(given, self) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    CARAT_TRY(carat_output_make(call, 0, dtype, self->ndim, self->shape, strides, &out));
    return carat_move(call, &out.view, self);
}

carat_status carat_run_clone(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    int64_t strides[CARAT_MAX_DIMS];
    if (!self) return carat_step_aside("arguments");
    CARAT_TRY(carat_format_strides(self, carat_int_arg(call, 1, CARAT_FORMAT_PRESERVE), strides));
    return copy_of(call, self, carat_dtype_of(self), strides);
}

// self, dtype, layout, device, pin_memory, non_blocking, memory_format; the out form has only the last two.
carat_status carat_run_to_copy(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const carat_tensor *given = carat_output_given(call, 0);
    int64_t strides[CARAT_MAX_DIMS];
    if (!self) return carat_step_aside("arguments");
    if (!given && carat_int_arg(call, 4, 0)) return carat_step_aside("pinned memory");
    CARAT_TRY(carat_format_strides(self, carat_int_arg(call, given ? 2 : 6, CARAT_FORMAT_PRESERVE), strides));
    carat_dtype dtype = given ? carat_dtype_of(given) : carat_dtype_of(self);
    if (!given && call->nargs > 1 && call->args[1].kind == CARAT_ARG_DTYPE) dtype = (carat_dtype)call->args[1].i;
    return copy_of(call, self, dtype, strides);
}

carat_status carat_run_copy(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *from = carat_tensor_arg(call, 1);
    const carat_tensor *both[] = { self, from };
    int ndim;
    int64_t shape[CARAT_MAX_DIMS];
    if (!self || !from) return carat_step_aside("arguments");
    CARAT_TRY(carat_copy_check(carat_dtype_of(self), carat_dtype_of(from)));
    if (from->device.type != self->device.type || from->device.index != self->device.index) return carat_step_aside("device");
    if (carat_broadcast_shapes(both, 2, &ndim, shape) != CARAT_OK) return carat_step_aside("shapes");
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(self), ndim, shape));
    const carat_overlap overlap = carat_overlap_of(self, from);
    if (overlap == CARAT_SAME) return CARAT_OK;
    if (overlap == CARAT_PARTIAL) return carat_step_aside("output overlaps an input");
    return carat_move(call, self, from);
}

// ---- flip: a copy of a view that runs backwards

carat_status carat_run_flip(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || call->nargs < 2 || call->args[1].kind != CARAT_ARG_INTS) return carat_step_aside("arguments");
    int64_t strides[CARAT_MAX_DIMS], out_strides[CARAT_MAX_DIMS], offset = 0;
    bool seen[CARAT_MAX_DIMS] = { false };
    if (self->ndim == 0 || carat_numel(self) == 0) return carat_step_aside("nothing to flip");
    CARAT_TRY(carat_copy_check(carat_dtype_of(self), carat_dtype_of(self)));
    memcpy(strides, self->strides, sizeof *strides * (size_t)self->ndim);
    for (int64_t i = 0; i < call->args[1].ints.count; ++i) {
        const int dim = carat_wrap_dim(call->args[1].ints.items[i], self->ndim);
        if (dim < 0 || seen[dim]) return carat_step_aside("dims");
        seen[dim] = true;
        offset += strides[dim] * (self->shape[dim] - 1);
        strides[dim] = -strides[dim];
    }
    carat_tensor from = *self;
    from.data = (char *)carat_data(self) + offset * (int64_t)carat_dtype_size(carat_dtype_of(self));
    from.byte_offset = 0;
    from.strides = strides;
    carat_output out;
    carat_like_strides(self, out_strides);
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(self), self->ndim, self->shape, out_strides, &out));
    return carat_move(call, &out.view, &from);
}

// ---- repeat: every dimension of the result is (repeats, size); self stands still along the repeats

carat_status carat_run_repeat(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || call->nargs < 2 || call->args[1].kind != CARAT_ARG_INTS) return carat_step_aside("arguments");
    const int64_t *repeats = call->args[1].ints.items;
    const int ndim = (int)call->args[1].ints.count, extra = ndim - self->ndim;
    if (extra < 0 || ndim > CARAT_MAX_DIMS / 2 || !carat_dtype_in(carat_dtype_of(self), CARAT_ALL)) return carat_step_aside("arguments");
    int64_t shape[CARAT_MAX_DIMS], split[CARAT_MAX_DIMS], to[CARAT_MAX_DIMS], from[CARAT_MAX_DIMS];
    for (int d = 0; d < ndim; ++d) {
        const int64_t size = d < extra ? 1 : self->shape[d - extra];
        if (repeats[d] < 0 || __builtin_mul_overflow(repeats[d], size, &shape[d])) return carat_step_aside("repeats");
        split[2 * d] = repeats[d];
        split[2 * d + 1] = size;
        from[2 * d] = 0;
        from[2 * d + 1] = d < extra ? 0 : self->strides[d - extra];
    }
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(self), ndim, shape, NULL, &out));
    for (int d = 0; d < ndim; ++d) {
        to[2 * d + 1] = out.view.strides[d];
        to[2 * d] = split[2 * d + 1] * out.view.strides[d];
    }
    carat_tensor target = out.view, source = *self;
    target.ndim = source.ndim = 2 * ndim;
    target.shape = source.shape = split;
    target.strides = to;
    source.strides = from;
    return carat_move(call, &target, &source);
}

// ---- the family

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, carat_##function },
#include "move.def"
#undef ROW
};

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    if (target->lanes > 1) {
        carat_move_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "BYTES", "%d", (int)carat_dtype_size((carat_dtype)key->dtypes[0]));
    carat_define(defines, "STRIDED", "%d", key->params[0]);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const carat_dtype words[] = { CARAT_u8, CARAT_i16, CARAT_i32, CARAT_i64 };
    if (target->lanes > 1) {
        carat_move_enumerate_lanes(emit, arg);
        return;
    }
    for (int w = 0; w < 8; ++w) {
        carat_key key = { .family = CARAT_FAMILY_move };
        key.dtypes[0] = (uint8_t)words[w % 4];
        key.params[0] = w >= 4;
        emit(arg, &key);
    }
}

const carat_family carat_family_move = {
    .name = "move",
    .source = "move.k.c",
    .lanes_source = "move_lanes.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

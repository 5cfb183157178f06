// SPDX-License-Identifier: Apache-2.0
// Copies between strided views of one dtype, as words: the plan of the STRIDED kernel (see kernels/move.k.c).
#include "ops/move.h"

#include <stdlib.h>

enum { GROUP_WORDS = 8192, THREAD_WORDS = 32768, TILE_ROWS = 64 };

static void swap(int64_t *values, int a, int b)
{
    const int64_t value = values[a];
    values[a] = values[b];
    values[b] = value;
}

static void swap_dims(strided_args *a, int d, int e)
{
    swap(a->size, d, e);
    swap(a->to_stride, d, e);
    swap(a->from_stride, d, e);
}

static bool lies_inside(const strided_args *a, int d, int e)
{
    const int64_t td = llabs(a->to_stride[d]), te = llabs(a->to_stride[e]);
    return td != te ? td < te : llabs(a->from_stride[d]) < llabs(a->from_stride[e]);
}

// Dimensions by stride of `to`, innermost first, neighbours merged. False: too many are left.
static bool shape_space(strided_args *a, const carat_tensor *to, const carat_tensor *from)
{
    int64_t strides[CARAT_MAX_DIMS];
    carat_broadcast_strides(from, to->ndim, to->shape, strides);
    int rank = 0;
    for (int d = to->ndim; d-- > 0;) {
        if (to->shape[d] == 1) continue;
        if (rank == MOVE_RANK) return false;
        a->size[rank] = to->shape[d];
        a->to_stride[rank] = to->strides[d];
        a->from_stride[rank] = strides[d];
        int at = rank++;
        for (; at > 0 && lies_inside(a, at, at - 1); --at) swap_dims(a, at, at - 1);
    }
    int kept = 0;
    for (int d = 1; d < rank; ++d) {
        const int64_t size = a->size[kept];
        if (a->to_stride[d] == size * a->to_stride[kept] && a->from_stride[d] == size * a->from_stride[kept]) {
            a->size[kept] *= a->size[d];
            continue;
        }
        swap_dims(a, ++kept, d);
    }
    a->rank = rank ? kept + 1 : 0;
    for (int64_t d = a->rank; d < MOVE_RANK; ++d) {
        a->size[d] = 1;
        a->to_stride[d] = a->from_stride[d] = 0;
    }
    return true;
}

// Eight-byte words where all that moves is consecutive and aligned, else one an element.
static carat_dtype to_words(strided_args *a, size_t size)
{
    uintptr_t bits = (uintptr_t)a->to | (uintptr_t)a->from | (uintptr_t)a->size[0] * size;
    for (int d = 1; d < a->rank; ++d) bits |= ((uintptr_t)a->to_stride[d] | (uintptr_t)a->from_stride[d]) * size;
    const bool rows = a->to_stride[0] == 1 && a->from_stride[0] == 1;
    if (size > 8 || (rows && bits % 8 == 0 && size < 8)) {
        const int64_t element = (int64_t)size;
        a->size[0] = a->size[0] * element / 8;
        for (int d = 1; d < a->rank; ++d) {
            a->to_stride[d] = a->to_stride[d] * element / 8;
            a->from_stride[d] = a->from_stride[d] * element / 8;
        }
        return CARAT_i64;
    }
    return size == 8 ? CARAT_i64 : size == 4 ? CARAT_i32 : size == 2 ? CARAT_i16 : CARAT_u8;
}

carat_status carat_move(const carat_frame *call, const carat_tensor *to, const carat_tensor *from)
{
    const carat_dtype dtype = carat_dtype_of(to);
    const size_t size = carat_dtype_size(dtype);
    if (carat_numel(to) == 0) return CARAT_OK;
    if (carat_dtype_of(from) != dtype || carat_has_lanes(call)) return carat_copy(call, to, from);
    strided_args a = { .to = carat_data(to), .from = carat_data(from) };
    if (!shape_space(&a, to, from)) return carat_copy(call, to, from);
    const bool rows = a.to_stride[0] == 1 && a.from_stride[0] == 1;
    if ((size == 16 && !rows) || (a.rank < 2 && !rows && a.to_stride[0] == 1 && a.from_stride[0] == 0)) return carat_copy(call, to, from);
    for (int d = 1; !rows && a.to_stride[0] == 1 && d < a.rank; ++d)
        if (a.from_stride[d] == 1) {
            for (int e = d; e > 1; --e) swap_dims(&a, e, e - 1);
            break;
        }
    carat_key key = { .family = CARAT_FAMILY_move };
    key.params[0] = 1;
    key.dtypes[0] = (uint8_t)to_words(&a, size);
    const int64_t most_cols = !rows && a.from_stride[1] == 1 ? TILE_ROWS : GROUP_WORDS;
    a.group_cols = a.size[0] < most_cols ? a.size[0] : most_cols;
    a.group_rows = GROUP_WORDS / a.group_cols < a.size[1] ? GROUP_WORDS / a.group_cols : a.size[1];
    a.groups_across = (a.size[0] + a.group_cols - 1) / a.group_cols;
    a.groups_down = (a.size[1] + a.group_rows - 1) / a.group_rows;
    int64_t groups = a.groups_across * a.groups_down;
    for (int d = 2; d < a.rank; ++d) groups *= a.size[d];
    const int64_t work = a.group_rows * a.group_cols;
    return carat_run_kernel(call, &key, &a, sizeof a, groups, work < THREAD_WORDS ? THREAD_WORDS / work : 1);
}

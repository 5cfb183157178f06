// SPDX-License-Identifier: Apache-2.0
// Sizes, contiguity, overlap and validity of views.
#include "core/tensor.h"

#include <stdlib.h>
#include <string.h>

// Any tensor without elements is, as in PyTorch.
bool carat_is_contiguous(const carat_tensor *tensor)
{
    int64_t expected = 1;
    for (int d = tensor->ndim; d-- > 0;) {
        if (tensor->shape[d] == 1) continue;
        if (tensor->strides[d] != expected) return carat_numel(tensor) == 0;
        expected *= tensor->shape[d];
    }
    return true;
}

// Dimensions of size > 1 in `order`, smallest |stride| first (insertion sort; ranks are small). Returns how many.
static int order_by_stride(const carat_tensor *tensor, int order[CARAT_MAX_DIMS])
{
    int count = 0;
    for (int d = 0; d < tensor->ndim; ++d) {
        if (tensor->shape[d] == 1) continue;
        int at = count++;
        for (; at > 0 && llabs(tensor->strides[order[at - 1]]) > llabs(tensor->strides[d]); --at) order[at] = order[at - 1];
        order[at] = d;
    }
    return count;
}

bool carat_is_dense(const carat_tensor *tensor)
{
    if (carat_is_contiguous(tensor)) return true;
    int order[CARAT_MAX_DIMS];
    const int count = order_by_stride(tensor, order);
    int64_t expected = 1;
    for (int i = 0; i < count; ++i) {
        if (tensor->strides[order[i]] != expected) return false;
        expected *= tensor->shape[order[i]];
    }
    return true;
}

bool carat_overlaps_itself(const carat_tensor *tensor)
{
    if (carat_is_contiguous(tensor)) return false;
    int order[CARAT_MAX_DIMS];
    const int count = order_by_stride(tensor, order);
    int64_t reach = 0; // largest offset among the dimensions so far
    for (int i = 0; i < count; ++i) {
        const int64_t stride = llabs(tensor->strides[order[i]]);
        if (tensor->shape[order[i]] == 0) return false;
        if (stride <= reach) return true;
        reach += stride * (tensor->shape[order[i]] - 1);
    }
    return false;
}

// The bytes [first, last) that a view touches; false if it has no elements.
static bool extent(const carat_tensor *tensor, const char **first, const char **last)
{
    const int64_t size = tensor->dl_dtype.bits / 8;
    int64_t low = 0, high = 0;
    for (int d = 0; d < tensor->ndim; ++d) {
        if (tensor->shape[d] == 0) return false;
        const int64_t reach = tensor->strides[d] * (tensor->shape[d] - 1);
        if (reach < 0) low += reach;
        else high += reach;
    }
    *first = (const char *)carat_data(tensor) + low * size;
    *last = (const char *)carat_data(tensor) + (high + 1) * size;
    return true;
}

// Of one dtype, shape and strides, where dimensions of size 1 have none.
static bool same_layout(const carat_tensor *a, const carat_tensor *b)
{
    if (a->ndim != b->ndim || carat_dtype_of(a) != carat_dtype_of(b)) return false;
    for (int d = 0; d < a->ndim; ++d)
        if (a->shape[d] != b->shape[d] || (a->shape[d] > 1 && a->strides[d] != b->strides[d])) return false;
    return true;
}

// Whether two elements of a view, of its dimensions order[0 .. count), are `offset` elements apart. The smaller strides together reach
// less far than the next one, so that there are at most two counts of its steps to try.
static bool are_apart(const carat_tensor *tensor, const int *order, int count, int64_t offset)
{
    if (count == 0) return offset == 0;
    const int d = order[count - 1];
    const int64_t stride = llabs(tensor->strides[d]), steps = offset / stride, rest = offset % stride;
    if (llabs(steps) < tensor->shape[d] && are_apart(tensor, order, count - 1, rest)) return true;
    const int64_t more = rest < 0 ? -1 : 1;
    return rest && llabs(steps + more) < tensor->shape[d] && are_apart(tensor, order, count - 1, rest - more * stride);
}

// Views of one layout whose extents intersect: interleaved columns of one matrix share no element all the same.
static bool interleave(const carat_tensor *a, const carat_tensor *b)
{
    const int64_t size = a->dl_dtype.bits / 8, offset = (const char *)carat_data(b) - (const char *)carat_data(a);
    int order[CARAT_MAX_DIMS];
    if (offset % size || carat_overlaps_itself(a)) return false;
    return !are_apart(a, order, order_by_stride(a, order), offset / size);
}

carat_overlap carat_overlap_of(const carat_tensor *a, const carat_tensor *b)
{
    const char *a_first, *a_last, *b_first, *b_last;
    if (a->shape == b->shape && a->strides == b->strides && a->ndim == b->ndim && carat_data(a) == carat_data(b)
        && carat_dtype_of(a) == carat_dtype_of(b) && carat_numel(a) > 0) return CARAT_SAME; // one view given twice: in-place calls
    if (!extent(a, &a_first, &a_last) || !extent(b, &b_first, &b_last)) return CARAT_DISJOINT;
    if (a_last <= b_first || b_last <= a_first) return CARAT_DISJOINT;
    if (!same_layout(a, b)) return CARAT_PARTIAL;
    if (carat_data(a) == carat_data(b)) return CARAT_SAME;
    return interleave(a, b) ? CARAT_DISJOINT : CARAT_PARTIAL;
}

bool carat_shape_fits(int ndim, const int64_t *shape)
{
    int64_t count = 1;
    bool empty = false;
    for (int d = 0; d < ndim; ++d) {
        if (shape[d] < 0 || shape[d] > CARAT_MAX_SIZE) return false;
        empty |= shape[d] == 0;
        if (shape[d] && __builtin_mul_overflow(count, shape[d], &count)) return false;
    }
    return empty || count <= CARAT_MAX_SIZE;
}

bool carat_same_shape(const carat_tensor *a, const carat_tensor *b)
{
    if (a->ndim != b->ndim) return false;
    for (int d = 0; d < a->ndim; ++d)
        if (a->shape[d] != b->shape[d]) return false;
    return true;
}

void carat_contiguous_strides(int ndim, const int64_t *shape, int64_t *strides)
{
    int64_t step = 1;
    for (int d = ndim; d-- > 0;) {
        strides[d] = step;
        step *= shape[d] > 1 ? shape[d] : 1;
    }
}

int carat_wrap_dim(int64_t dim, int ndim)
{
    const int64_t rank = ndim ? ndim : 1;
    if (dim < -rank || dim >= rank) return -1;
    return (int)(dim < 0 ? dim + rank : dim);
}

carat_status carat_tensor_validate(const carat_tensor *tensor)
{
    if (tensor->ndim < 0 || tensor->ndim > CARAT_MAX_DIMS)
        return carat_fail(CARAT_INVALID_SHAPE, "a tensor of %d dimensions; at most %d are taken", tensor->ndim, CARAT_MAX_DIMS);
    if (tensor->ndim && (!tensor->shape || !tensor->strides))
        return carat_fail(CARAT_INVALID_ARGUMENT, "a %d-d tensor without shape or strides", tensor->ndim);
    if (carat_dtype_of(tensor) == CARAT_DTYPE_NONE) return carat_step_aside("dtype");
    int64_t count = 1, reach = 0;
    int too_large = -1; // the first dimension that is
    bool empty = false;
    for (int d = 0; d < tensor->ndim; ++d) {
        const int64_t size = tensor->shape[d], stride = tensor->strides[d];
        int64_t step;
        if (size < 0) return carat_fail(CARAT_INVALID_SHAPE, "size %lld in dimension %d", (long long)size, d);
        empty |= size == 0;
        if ((__builtin_mul_overflow(count, size, &count) || stride == INT64_MIN
             || __builtin_mul_overflow(llabs(stride), size - 1, &step) || __builtin_add_overflow(reach, step, &reach)
             || reach > INT64_MAX / 64 || count > INT64_MAX / 64) && too_large < 0)
            too_large = d;
    }
    if (!empty && too_large >= 0)
        return carat_fail(CARAT_INVALID_SHAPE, "a tensor too large for 64-bit offsets: size %lld, stride %lld in dimension %d",
                          (long long)tensor->shape[too_large], (long long)tensor->strides[too_large], too_large);
    if (!empty && !carat_data(tensor)) return carat_fail(CARAT_INVALID_ARGUMENT, "a tensor of %lld elements without data", (long long)count);
    return CARAT_OK;
}

// SPDX-License-Identifier: Apache-2.0
// Broadcasting, and the strides of elementwise results exactly as PyTorch's TensorIterator chooses them.
#include "core/tensor.h"

#include <string.h>

carat_status carat_broadcast_shapes(const carat_tensor *const *tensors, int count, int *ndim, int64_t *shape)
{
    int rank = 0;
    for (int t = 0; t < count; ++t)
        if (tensors[t]->ndim > rank) rank = tensors[t]->ndim;
    for (int d = 0; d < rank; ++d) shape[d] = 1;
    for (int t = 0; t < count; ++t) {
        const int lead = rank - tensors[t]->ndim;
        for (int d = 0; d < tensors[t]->ndim; ++d) {
            const int64_t size = tensors[t]->shape[d];
            if (size == 1 || size == shape[lead + d]) continue;
            if (shape[lead + d] != 1)
                return carat_fail(CARAT_INVALID_SHAPE, "sizes %lld and %lld don't broadcast in dimension %d",
                                  (long long)shape[lead + d], (long long)size, lead + d);
            shape[lead + d] = size;
        }
    }
    *ndim = rank;
    return CARAT_OK;
}

void carat_broadcast_strides(const carat_tensor *tensor, int ndim, const int64_t *shape, int64_t *strides)
{
    const int lead = ndim - tensor->ndim;
    for (int d = 0; d < lead; ++d) strides[d] = 0;
    for (int d = lead; d < ndim; ++d)
        strides[d] = tensor->shape[d - lead] == 1 && shape[d] != 1 ? 0 : tensor->strides[d - lead];
}

carat_tensor carat_expand(const carat_tensor *tensor, int ndim, int64_t *shape, int64_t *strides)
{
    carat_broadcast_strides(tensor, ndim, shape, strides);
    carat_tensor expanded = *tensor;
    expanded.ndim = ndim;
    expanded.shape = shape;
    expanded.strides = strides;
    return expanded;
}

static bool is_channels_last(const carat_tensor *tensor)
{
    if (tensor->ndim != 4 && tensor->ndim != 5) return false;
    int64_t expected = 1;
    for (int i = 0; i < tensor->ndim - 1; ++i) { // channels, then the spatial dimensions from the last
        const int d = i == 0 ? 1 : tensor->ndim - i;
        if (tensor->shape[d] == 1) continue;
        if (tensor->strides[d] != expected) return false;
        expected *= tensor->shape[d];
    }
    return tensor->shape[0] == 1 || tensor->strides[0] == expected;
}

static void channels_last_strides(int ndim, const int64_t *shape, int64_t *strides)
{
    int64_t step = 1;
    for (int i = 0; i < ndim - 1; ++i) {
        const int d = i == 0 ? 1 : ndim - i;
        strides[d] = step;
        step *= shape[d] > 1 ? shape[d] : 1;
    }
    strides[0] = step;
}

// TensorIterator's fast set-up: all inputs of the result's shape and of one layout.
static bool common_layout(const carat_tensor *const *inputs, int count, int ndim, const int64_t *shape, int64_t *strides)
{
    bool contiguous = true, channels_last = true, same_dense = true;
    for (int t = 0; t < count; ++t) {
        if (inputs[t]->ndim != ndim || (ndim && memcmp(inputs[t]->shape, shape, sizeof *shape * (size_t)ndim))) return false;
        contiguous = contiguous && carat_is_contiguous(inputs[t]);
        channels_last = channels_last && is_channels_last(inputs[t]);
    }
    if (contiguous) {
        carat_contiguous_strides(ndim, shape, strides);
        return true;
    }
    if (channels_last) {
        channels_last_strides(ndim, shape, strides);
        return true;
    }
    for (int t = 0; t < count; ++t)
        same_dense = same_dense && carat_is_dense(inputs[t])
                     && !memcmp(inputs[t]->strides, inputs[0]->strides, sizeof *strides * (size_t)ndim);
    if (same_dense) memcpy(strides, inputs[0]->strides, sizeof *strides * (size_t)ndim);
    return same_dense;
}

// Whether dimension a should lie outside b: > 0 yes, < 0 no, 0 undecided. The first input with a strict preference
// decides; broadcast dimensions (stride 0) have none.
static int compare_dims(const int64_t (*strides)[CARAT_MAX_DIMS], int count, const int64_t *shape, int a, int b)
{
    for (int t = 0; t < count; ++t) {
        const int64_t sa = strides[t][a], sb = strides[t][b];
        if (sa == 0 || sb == 0) continue;
        if (sa < sb) return -1;
        if (sa > sb) return 1;
        if (shape[a] > shape[b]) return 1;
    }
    return 0;
}

// Insertion sort that tolerates undecided pairs, as TensorIterator::reorder_dimensions. order[0] is the innermost.
static void order_dims(const int64_t (*strides)[CARAT_MAX_DIMS], int count, int ndim, const int64_t *shape, int *order)
{
    for (int i = 0; i < ndim; ++i) order[i] = ndim - 1 - i;
    for (int i = 1; i < ndim; ++i) {
        int outer = i;
        for (int inner = i - 1; inner >= 0; --inner) {
            const int decision = compare_dims(strides, count, shape, order[inner], order[outer]);
            if (decision < 0) break;
            if (decision == 0) continue;
            const int swap = order[inner];
            order[inner] = order[outer];
            order[outer] = swap;
            outer = inner;
        }
    }
}

static void permuted_strides(int ndim, const int64_t *shape, const int *order, int64_t *strides)
{
    bool row_major = true;
    for (int i = 0; i < ndim; ++i) row_major = row_major && order[i] == ndim - 1 - i;
    if (row_major) {
        carat_contiguous_strides(ndim, shape, strides);
        return;
    }
    int64_t step = 1;
    for (int i = 0; i < ndim; ++i) {
        strides[order[i]] = step;
        step *= shape[order[i]];
    }
}

void carat_elementwise_strides(const carat_tensor *const *inputs, int count, int ndim, const int64_t *shape, int64_t *strides)
{
    enum { MAX_INPUTS = 12 };
    if (common_layout(inputs, count, ndim, shape, strides)) return;
    int64_t seen[MAX_INPUTS][CARAT_MAX_DIMS];
    if (count > MAX_INPUTS) count = MAX_INPUTS;
    for (int t = 0; t < count; ++t) carat_broadcast_strides(inputs[t], ndim, shape, seen[t]);
    int order[CARAT_MAX_DIMS];
    order_dims((const int64_t (*)[CARAT_MAX_DIMS])seen, count, ndim, shape, order);
    permuted_strides(ndim, shape, order, strides);
}

void carat_like_strides(const carat_tensor *tensor, int64_t *strides)
{
    if (carat_is_dense(tensor)) {
        memcpy(strides, tensor->strides, sizeof *strides * (size_t)tensor->ndim);
        return;
    }
    int64_t seen[1][CARAT_MAX_DIMS];
    memcpy(seen[0], tensor->strides, sizeof *strides * (size_t)tensor->ndim);
    int order[CARAT_MAX_DIMS];
    order_dims((const int64_t (*)[CARAT_MAX_DIMS])seen, 1, tensor->ndim, tensor->shape, order);
    permuted_strides(tensor->ndim, tensor->shape, order, strides);
}

// SPDX-License-Identifier: Apache-2.0
// Views: sizes, contiguity, overlap, broadcasting, and the strides that ATen gives to results.
#ifndef CARAT_CORE_TENSOR_H
#define CARAT_CORE_TENSOR_H

#include "core/dtype.h"

static inline int64_t carat_numel(const carat_tensor *tensor)
{
    int64_t count = 1;
    for (int d = 0; d < tensor->ndim; ++d) count *= tensor->shape[d];
    return count;
}

static inline void *carat_data(const carat_tensor *tensor) { return (char *)tensor->data + tensor->byte_offset; }

// Row-major without gaps; strides of dimensions of size 1 don't matter.
bool carat_is_contiguous(const carat_tensor *tensor);
// Every element its own place and no gaps: some permutation of it is contiguous.
bool carat_is_dense(const carat_tensor *tensor);
// Whether two elements of one view may share memory (an expanded tensor). False negatives: none for |strides| that sort
// without interleaving; interleaved strides count as overlapping.
bool carat_overlaps_itself(const carat_tensor *tensor);

typedef enum carat_overlap { CARAT_DISJOINT, CARAT_SAME, CARAT_PARTIAL } carat_overlap;
// SAME: the very same elements in the same order. PARTIAL: their extents intersect otherwise, unless both have the same strides and
// share no element, as columns of one matrix.
carat_overlap carat_overlap_of(const carat_tensor *a, const carat_tensor *b);

// Sizes, offsets and paddings within +-CARAT_MAX_SIZE can be added and multiplied by an element's size without care; no
// memory is larger.
#define CARAT_MAX_SIZE (INT64_C(1) << 48)
static inline bool carat_is_size(int64_t value) { return value >= -CARAT_MAX_SIZE && value <= CARAT_MAX_SIZE; }
// Whether no size is negative and no memory is too small for that many elements.
bool carat_shape_fits(int ndim, const int64_t *shape);

bool carat_same_shape(const carat_tensor *a, const carat_tensor *b);
void carat_contiguous_strides(int ndim, const int64_t *shape, int64_t *strides);
// Python's negative dimensions; -1 if out of range (a 0-d tensor has dimensions -1 and 0).
int carat_wrap_dim(int64_t dim, int ndim);

// Checks what a kernel may rely on: known device, ndim, positive sizes, no 64-bit overflow of the extent.
carat_status carat_tensor_validate(const carat_tensor *tensor);

// The common shape of some views under broadcasting. CARAT_INVALID_SHAPE if they don't fit.
carat_status carat_broadcast_shapes(const carat_tensor *const *tensors, int count, int *ndim, int64_t *shape);
// The strides of a view as seen from a broadcast shape: 0 where it repeats.
void carat_broadcast_strides(const carat_tensor *tensor, int ndim, const int64_t *shape, int64_t *strides);
// The view itself in a broadcast shape; it keeps `shape` and `strides`, which this fills.
carat_tensor carat_expand(const carat_tensor *tensor, int ndim, int64_t *shape, int64_t *strides);

// The strides that TensorIterator gives to a new elementwise result: of the inputs' common layout, else of the
// permutation that orders the first input's strides (then the next one's, where it leaves a choice).
void carat_elementwise_strides(const carat_tensor *const *inputs, int count, int ndim, const int64_t *shape, int64_t *strides);
// The strides of empty_like(tensor, preserve_format).
void carat_like_strides(const carat_tensor *tensor, int64_t *strides);

#endif

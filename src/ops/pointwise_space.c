// SPDX-License-Identifier: Apache-2.0
// Ordering and merging the dimensions of a pointwise launch.
#include "ops/pointwise_space.h"

#include <stdlib.h>
#include <string.h>

static void drop_dim(carat_pointwise_space *s, int d)
{
    --s->rank;
    memmove(&s->size[d], &s->size[d + 1], sizeof *s->size * (size_t)(s->rank - d));
    for (int j = 0; j < s->operands; ++j)
        memmove(&s->stride[j][d], &s->stride[j][d + 1], sizeof *s->stride[j] * (size_t)(s->rank - d));
}

static void swap_dims(carat_pointwise_space *s, int a, int b)
{
    const int64_t size = s->size[a];
    s->size[a] = s->size[b];
    s->size[b] = size;
    for (int j = 0; j < s->operands; ++j) {
        const int64_t stride = s->stride[j][a];
        s->stride[j][a] = s->stride[j][b];
        s->stride[j][b] = stride;
    }
}

// Whether dimension a should lie inside b: the first operand with different strides there decides, outputs first.
static bool lies_inside(const carat_pointwise_space *s, int a, int b)
{
    for (int j = 0; j < s->operands; ++j) {
        const int64_t sa = llabs(s->stride[j][a]), sb = llabs(s->stride[j][b]);
        if (sa != sb && sa && sb) return sa < sb;
    }
    return false;
}

static bool mergeable(const carat_pointwise_space *s, int inner)
{
    for (int j = 0; j < s->operands; ++j)
        if (s->stride[j][inner + 1] != s->size[inner] * s->stride[j][inner]) return false;
    return true;
}

void carat_pointwise_shape(carat_pointwise_space *s, const carat_pointwise *launch, int outputs, int inputs)
{
    const carat_tensor *out = launch->out[0];
    s->rank = out->ndim;
    s->outputs = outputs;
    s->operands = outputs + inputs;
    int64_t strides[CARAT_MAX_DIMS];
    for (int j = 0; j < s->operands; ++j) {
        carat_broadcast_strides(j < outputs ? launch->out[j] : launch->in[j - outputs], out->ndim, out->shape, strides);
        for (int d = 0; d < out->ndim; ++d) s->stride[j][d] = strides[out->ndim - 1 - d];
    }
    for (int d = 0; d < out->ndim; ++d) s->size[d] = out->shape[out->ndim - 1 - d];
    for (int d = s->rank; d-- > 0;)
        if (s->size[d] == 1) drop_dim(s, d);
    for (int i = 1; i < s->rank; ++i)
        for (int d = i; d > 0 && lies_inside(s, d, d - 1); --d) swap_dims(s, d, d - 1);
    for (int d = 0; d + 1 < s->rank;)
        if (mergeable(s, d)) {
            s->size[d + 1] *= s->size[d];
            for (int j = 0; j < s->operands; ++j) s->stride[j][d + 1] = s->stride[j][d];
            drop_dim(s, d);
        } else {
            ++d;
        }
}

bool carat_pointwise_find_transposed(carat_pointwise_space *s)
{
    for (int j = 0; j < s->operands; ++j) {
        if (s->rank < 2 || llabs(s->stride[j][0]) <= 1) continue;
        for (int d = 1; d < s->rank; ++d)
            if (s->stride[j][d] == 1) {
                swap_dims(s, 1, d);
                return true;
            }
    }
    return false;
}

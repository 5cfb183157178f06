// SPDX-License-Identifier: Apache-2.0
// Choosing the lanes of a group, and what each holds of a row.
#include "ops/lanes.h"

enum {
    VECTOR_BYTES = 16,
    LEAST_LANES = 4,
    USUAL_KEEP = 4, // vectors of 16 bytes: enough reads under way, few enough registers for many groups at a time
    USUAL_BLOCK = 1024,
};

static int log2_ceil(int64_t n)
{
    int log = 0;
    while ((INT64_C(1) << log) < n) ++log;
    return log;
}

bool carat_lanes_aligned(const void *data, int64_t stride, size_t bytes, int64_t vector)
{
    return (int64_t)(uintptr_t)data % (vector * (int64_t)bytes) == 0 && stride % vector == 0;
}

bool carat_lanes_choose(const carat_target *target, int64_t cols, size_t bytes, bool aligned, int held, carat_lanes *shape)
{
    const int64_t vec = aligned ? VECTOR_BYTES / (int64_t)bytes : 1, vectors = (cols + vec - 1) / vec;
    const int most = log2_ceil(held / vec);
    const int usual = aligned ? log2_ceil(USUAL_KEEP) : most - 1;
    int keep = usual < most ? usual : most;
    int lanes = log2_ceil(vectors) - keep;
    const int block = log2_ceil(USUAL_BLOCK);
    if (lanes > block) { // fuller lanes before larger groups
        const int more = lanes - block < most - keep ? lanes - block : most - keep;
        keep += more, lanes -= more;
    }
    if (lanes < log2_ceil(LEAST_LANES)) {
        lanes = log2_ceil(LEAST_LANES);
        keep = log2_ceil(vectors) > lanes ? log2_ceil(vectors) - lanes : 0;
    }
    *shape = (carat_lanes){ .lanes = (uint8_t)lanes, .keep = (uint8_t)keep, .vec = (uint8_t)log2_ceil(vec) };
    return (INT64_C(1) << lanes) <= target->lanes;
}

bool carat_lanes_rows(const carat_tensor *tensor, int dim, int64_t *rows, int64_t *cols, int64_t *stride)
{
    *rows = *cols = 1;
    for (int d = tensor->ndim - 1; d >= dim; --d) {
        if (tensor->shape[d] != 1 && tensor->strides[d] != *cols) return false;
        *cols *= tensor->shape[d];
    }
    *stride = *cols;
    int64_t next = -1; // the stride that the next dimension outwards must have; -1: any
    for (int d = dim - 1; d >= 0; --d) {
        if (tensor->shape[d] == 1) continue;
        if (next < 0) *stride = next = tensor->strides[d];
        if (tensor->strides[d] != next || next < 0) return false;
        *rows *= tensor->shape[d];
        next *= tensor->shape[d];
    }
    return true;
}

// Granlund and Montgomery, Division by Invariant Integers using Multiplication.
void carat_lanes_divisor(uint64_t size, uint32_t *magic, uint32_t *shift)
{
    unsigned log = 0;
    while (log < 31 && (UINT64_C(1) << log) < size) ++log;
    *shift = log;
    *magic = (uint32_t)((UINT64_C(1) << 32) * ((UINT64_C(1) << log) - size) / size + 1);
}

void carat_lanes_define(carat_lanes shape, carat_defines *defines)
{
    carat_define(defines, "LANES", "%d", 1 << shape.lanes);
    carat_define(defines, "KEEP", "%d", 1 << shape.keep);
    carat_define(defines, "VEC", "%d", 1 << shape.vec);
}

// SPDX-License-Identifier: Apache-2.0
// Choosing the lanes of a group, and what each holds of a row.
#include "ops/lanes.h"

#include "core/integer.h"

enum {
    VECTOR_BYTES = 16,
    LEAST_LANES = 4,
    USUAL_KEEP = 4, // vectors of 16 bytes: enough reads under way, few enough registers for many groups at a time
    USUAL_PART = 512,      // lanes: several at a time on a multiprocessor, of which some read while others write
    MOST_PARTS = 8,        // a cluster's blocks
    MOST_PART = 1024,
    LEAST_AHEAD = 2048,    // bytes of a row that is worth asking for
    AHEAD_BYTES = 1 << 23, // what is asked for earlier may be gone from the L2 cache before it is read
};

bool carat_lanes_aligned(const void *data, int64_t stride, size_t bytes, int64_t vector)
{
    return (int64_t)(uintptr_t)data % (vector * (int64_t)bytes) == 0 && stride % vector == 0;
}

bool carat_lanes_choose(const carat_target *target, int64_t cols, size_t bytes, bool aligned, int held, carat_lanes *shape)
{
    const int64_t vec = aligned ? VECTOR_BYTES / (int64_t)bytes : 1, vectors = pieces(cols, vec);
    const int most = log2_ceil(held / vec);
    const int usual = aligned ? log2_ceil(USUAL_KEEP) : most - 1;
    int keep = usual < most ? usual : most;
    int lanes = log2_ceil(vectors) - keep;
    int part = log2_ceil(target->lanes > MOST_PART ? USUAL_PART : MOST_PART);
    if (lanes > part) { // fuller lanes before larger groups
        const int more = lanes - part < most - keep ? lanes - part : most - keep;
        keep += more, lanes -= more;
    }
    if (lanes - part > log2_ceil(MOST_PARTS)) part = lanes - log2_ceil(MOST_PARTS);
    if (lanes < log2_ceil(LEAST_LANES)) {
        lanes = log2_ceil(LEAST_LANES);
        keep = log2_ceil(vectors) > lanes ? log2_ceil(vectors) - lanes : 0;
    }
    *shape = (carat_lanes){ .lanes = (uint8_t)lanes, .keep = (uint8_t)keep, .vec = (uint8_t)log2_ceil(vec), .part = (uint8_t)part };
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

int64_t carat_lanes_ahead(int64_t bytes)
{
    return bytes < LEAST_AHEAD ? INT64_C(1) << 60 : AHEAD_BYTES / bytes + 1;
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
    if (shape.part) carat_define(defines, "PART_LANES", "%d", 1 << shape.part);
    carat_define(defines, "KEEP", "%d", 1 << shape.keep);
    carat_define(defines, "VEC", "%d", 1 << shape.vec);
}

void carat_lanes_define_resident(carat_lanes shape, int lanes, carat_defines *defines)
{
    const int block = shape.lanes > shape.part ? 1 << shape.part : shape.lanes > 5 ? 1 << shape.lanes : 128; // see BLOCK_THREADS
    carat_define(defines, "RESIDENT", "%d", lanes > block ? lanes / block : 1);
}

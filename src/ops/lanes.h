// SPDX-License-Identifier: Apache-2.0
// How a group of many lanes holds a row of elements: the shape that families of rows share.
#ifndef CARAT_OPS_LANES_H
#define CARAT_OPS_LANES_H

#include "core/dtype.h"

// LANES, KEEP vectors a lane, VEC elements a vector, PART_LANES of a part, as logarithms: they go into keys.
typedef struct carat_lanes {
    uint8_t lanes, keep, vec;
    uint8_t part; // 0: the dialect's
} carat_lanes;

// The shape for rows of `cols` elements whose widest element has `bytes`; `aligned`: all rows may be read in vectors of 16
// bytes of it. `held` is the most elements that a lane's registers hold. False if not even the largest group holds the row.
bool carat_lanes_choose(const carat_target *target, int64_t cols, size_t bytes, bool aligned, int held, carat_lanes *shape);

// Whether rows that begin `stride` elements apart at `data` can be read in vectors of `vector` elements.
bool carat_lanes_aligned(const void *data, int64_t stride, size_t bytes, int64_t vector);

// A view as rows: dimensions from `dim` on are the columns, consecutive; those before merge into one with one stride. False if
// its strides don't allow that.
bool carat_lanes_rows(const carat_tensor *tensor, int dim, int64_t *rows, int64_t *cols, int64_t *stride);

// How many rows behind its own a group asks for, where it reads `bytes` for a row; more than there are if that costs more than
// it brings.
int64_t carat_lanes_ahead(int64_t bytes);

// n / size for n below 2^31 is (mulhi(n, magic) + n) >> shift, in 32 bits.
void carat_lanes_divisor(uint64_t size, uint32_t *magic, uint32_t *shift);

// The constants LANES, PART_LANES, KEEP and VEC.
void carat_lanes_define(carat_lanes shape, carat_defines *defines);

// The constant RESIDENT, so that a multiprocessor's registers suffice for so many lanes.
void carat_lanes_define_resident(carat_lanes shape, int lanes, carat_defines *defines);

#endif

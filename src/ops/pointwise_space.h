// SPDX-License-Identifier: Apache-2.0
// The index space of a pointwise launch: dimensions ordered and merged.
#ifndef CARAT_OPS_POINTWISE_SPACE_H
#define CARAT_OPS_POINTWISE_SPACE_H

#include "ops/pointwise_row.h"

// The index space while it is being shaped: outputs come before inputs.
typedef struct carat_pointwise_space {
    int rank, outputs, operands;
    int64_t size[CARAT_MAX_DIMS];
    int64_t stride[CARAT_POINTWISE_OPERANDS][CARAT_MAX_DIMS];
} carat_pointwise_space;

// Innermost dimension first, sorted by stride, sizes of 1 dropped, neighbours merged where every operand allows it.
void carat_pointwise_shape(carat_pointwise_space *space, const carat_pointwise *launch, int outputs, int inputs);
// Brings the dimension in which a transposed operand is contiguous next to the columns. True if there is one.
bool carat_pointwise_find_transposed(carat_pointwise_space *space);

#endif

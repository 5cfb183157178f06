// SPDX-License-Identifier: Apache-2.0
// The softmax family in groups of many lanes.
#ifndef CARAT_OPS_SOFTMAX_LANES_H
#define CARAT_OPS_SOFTMAX_LANES_H

#include "core/op.h"

// A row of the family's table, by its number.
typedef struct carat_softmax_row {
    carat_row base;
    bool log, backward;
} carat_softmax_row;

carat_status carat_softmax_run_lanes(carat_frame *call, int index, const carat_softmax_row *row);
void carat_softmax_describe_lanes(const carat_key *key, const carat_softmax_row *row, carat_defines *defines);
void carat_softmax_enumerate_lanes(const carat_target *target, int index, const carat_softmax_row *row,
                                   void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

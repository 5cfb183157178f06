// SPDX-License-Identifier: Apache-2.0
// Operators over lists of tensors: their rows, and how groups of many lanes run them.
#ifndef CARAT_OPS_FOREACH_H
#define CARAT_OPS_FOREACH_H

#include "ops/pointwise_row.h"

// The pointwise row that a row applies, to a list and another one or to a list and numbers.
carat_pointwise_id carat_foreach_applied(int row, bool to_numbers);
int carat_foreach_row_count(void);

// Runs a call whose lists' lengths were checked (foreach_lanes.c).
carat_status carat_foreach_run_lanes(carat_frame *call);
void carat_foreach_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_foreach_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

// SPDX-License-Identifier: Apache-2.0
// The logsumexp family for softmax.
#ifndef CARAT_OPS_LOGSUMEXP_H
#define CARAT_OPS_LOGSUMEXP_H

#include "ops/reduce_space.h"

// Of groups of many lanes: the largest element to `top`, and to `rest` 1 / the sum of exponentials below it, or that sum's
// logarithm. Both are contiguous, of the arithmetic type.
carat_status carat_logsumexp_split(const carat_frame *call, const carat_reduction *space, bool log, const carat_tensor *top, const carat_tensor *rest);

#endif

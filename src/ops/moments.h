// SPDX-License-Identifier: Apache-2.0
// The moments family for norms.
#ifndef CARAT_OPS_MOMENTS_H
#define CARAT_OPS_MOMENTS_H

#include "ops/reduce_space.h"

// Of groups of many lanes: the mean, and the mean of squares about it to `variance`; both contiguous, of the arithmetic type.
carat_status carat_moments_split(const carat_frame *call, const carat_reduction *space, const carat_tensor *variance, void *mean);

#endif

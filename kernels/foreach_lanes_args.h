// SPDX-License-Identifier: Apache-2.0
// Arguments of the foreach kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_FOREACH_LANES_ARGS_H
#define CARAT_KERNELS_FOREACH_LANES_ARGS_H

#include "list_lanes_args.h"

typedef struct foreach_lanes_args {
    list_table table; // of an entry: where operands lie, then numbers
} foreach_lanes_args;

#endif

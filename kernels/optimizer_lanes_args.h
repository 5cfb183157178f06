// SPDX-License-Identifier: Apache-2.0
// Arguments of the optimizer kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_OPTIMIZER_LANES_ARGS_H
#define CARAT_KERNELS_OPTIMIZER_LANES_ARGS_H

#include "list_lanes_args.h"
#include "optimizer_args.h"

typedef struct optimizer_lanes_args {
    optimizer_numbers numbers;
    list_table table; // of an entry: the tensors of a parameter, then its step
} optimizer_lanes_args;

#endif

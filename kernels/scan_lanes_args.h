// SPDX-License-Identifier: Apache-2.0
// Arguments of the scan kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_SCAN_LANES_ARGS_H
#define CARAT_KERNELS_SCAN_LANES_ARGS_H

#include "lanes_space.h"

typedef struct scan_lanes_args {
    const void *in;
    void *out, *second;    // second: indices, laid out like `out`
    lanes_space kept;      // all dimensions but the scanned one; columns: in vectors
    i64 in_step, out_step; // of the scanned dimension, an element; columns' vectors are consecutive
    u32 n;                 // elements of it
    u32 lanes_log2;        // rows: lanes that share a row; columns: lanes side by side, on different columns
} scan_lanes_args;

#endif

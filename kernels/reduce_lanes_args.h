// SPDX-License-Identifier: Apache-2.0
// Arguments of the reducing kernels (reduce, argreduce, moments, logsumexp, sums) for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_REDUCE_LANES_ARGS_H
#define CARAT_KERNELS_REDUCE_LANES_ARGS_H

#include "lanes_space.h"

typedef struct reduce_lanes_args {
    const void *in;
    const void *other;  // of operators of two inputs, which are laid out alike
    void *out, *second; // second: of operators with two results
    void *partial;      // [part][output], where the reduction is cut into parts; NULL: results go to out
    lanes_space kept, reduced; // one of them counts vectors of VEC elements along dimension 0
    i64 out_step;       // columns: between the results of a vector
    u64 outputs;
    u32 lanes_log2;     // rows: lanes that share a row; columns and combine: lanes side by side, on different outputs
    u32 parts, share;   // a part takes `share` units of the reduced space
    u32 rest;           // rows: elements beyond the last whole vector
    f64 count, p;       // numbers that an operator's formula uses
    f64 correction;
    const void *center; // sums: what the other input's elements are taken from, one for each `center_outputs` outputs
    i64 center_outputs;
} reduce_lanes_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the dropout kernel for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_DROPOUT_LANES_ARGS_H
#define CARAT_KERNELS_DROPOUT_LANES_ARGS_H

typedef struct dropout_lanes_args {
    const void *x;
    void *out, *mask;
    u64 count;                 // vectors of VEC elements
    u64 seed, offset;          // of the generator
    u32 streams, magic, shift; // how many sequences elements are dealt out to; n / streams is (mulhi(n, magic) + n) >> shift
    u32 threshold;                  // numbers below it keep their element
    f32 scale;
} dropout_lanes_args;

#endif

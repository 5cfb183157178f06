// SPDX-License-Identifier: Apache-2.0
// Arguments of the dropout kernel for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_DROPOUT_LANES_ARGS_H
#define CARAT_KERNELS_DROPOUT_LANES_ARGS_H

typedef struct dropout_lanes_args {
    const void *x;
    void *out, *mask;
    u64 count;                      // vectors of VEC elements
    u64 seed, offset;               // of the generator,
    const i64 *seed_at, *offset_at; // and where it says more when the kernel runs; NULL: it has said all
    u32 streams, magic, shift;      // how many sequences elements are dealt out to; n / streams is (mulhi(n, magic) + n) >> shift
    u32 threshold;                  // numbers below it keep their element
    f32 scale;
} dropout_lanes_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the pointwise kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_POINTWISE_LANES_ARGS_H
#define CARAT_KERNELS_POINTWISE_LANES_ARGS_H

#define LANES_RANK 8 // dimensions after coalescing
#define LANES_INPUTS 12
#define LANES_SCALARS 8
#ifndef LANES_OPERANDS // a kernel's own number of them: its arguments are no longer than it needs
#define LANES_OPERANDS 16
#endif

// One operand: outputs, then inputs. Steps count elements; in spans that of dimension 0 is one of VEC elements.
typedef struct lanes_operand {
    void *data;
    i64 step[LANES_RANK]; // dimension 0 is the innermost
} lanes_operand;

typedef struct pointwise_lanes_args {
    u64 count;            // whole vectors of the index space; tiles: unused
    u64 numel;            // its elements
    u64 size[LANES_RANK]; // dimension 0 in vectors; 1 beyond the rank
    u32 magic[LANES_RANK], shift[LANES_RANK]; // n / size[d] is (mulhi(n, magic) + n) >> shift for n below 2^31
    u64 tiles[2];         // tiles: how many there are along dimensions 0 and 1
    struct { f64 bits[2]; } number[LANES_INPUTS];  // inputs that are numbers: one element each, in its operand's type
    struct { f64 bits[2]; } scalar[LANES_SCALARS]; // one element each, in the scalar's arithmetic type
    lanes_operand operand[LANES_OPERANDS];
} pointwise_lanes_args;

#endif

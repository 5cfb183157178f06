// SPDX-License-Identifier: Apache-2.0
// Arguments of the pointwise kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_POINTWISE_ARGS_H
#define CARAT_KERNELS_POINTWISE_ARGS_H

#ifndef POINTWISE_RANK
#define POINTWISE_RANK 8     // dimensions after coalescing
#define POINTWISE_OUTPUTS 4
#define POINTWISE_INPUTS 12
#define POINTWISE_OPERANDS (POINTWISE_OUTPUTS + POINTWISE_INPUTS)
#define POINTWISE_SCALARS 8
#define POINTWISE_CHUNK 4096 // bytes of a staging buffer
#endif

// How the vector loop reaches an operand.
enum pointwise_staging {
    POINTWISE_IN_PLACE,
    POINTWISE_STAGED,      // through a buffer, chunk by chunk
    POINTWISE_STAGED_ONCE, // through a buffer that is filled once a group: every row has the same elements
    POINTWISE_REPEATED,    // one element a run, repeated over a block
};

// One operand: outputs, then inputs. Strides count elements; dimension 0 is the innermost.
typedef struct pointwise_operand {
    void *data;
    i64 stride[POINTWISE_RANK];
    i64 staged; // a pointwise_staging
    i64 bytes;  // of an element
} pointwise_operand;

typedef struct pointwise_args {
    i64 size[POINTWISE_RANK];     // 1 beyond the rank
    i64 group_rows, group_cols;   // the part of dimensions 1 and 0 that a group works on
    i64 groups_down, groups_across; // how many such parts they have
    i64 chunk_rows, chunk_cols;   // at a time; chunk_rows * chunk_cols elements fit a buffer if any operand is staged
    i64 flat;                     // 1: a chunk is one run for every operand that isn't staged; 0: a run a row
    struct { f64 bits[2]; } scalar[POINTWISE_SCALARS]; // one element each, in the scalar's arithmetic type
    pointwise_operand operand[POINTWISE_OPERANDS];     // last: only as many as there are need be filled
} pointwise_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the select kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_SELECT_ARGS_H
#define CARAT_KERNELS_SELECT_ARGS_H

#ifndef SELECT_RANK
#define SELECT_RANK 16
#define SELECT_GROUP 16384 // elements of a group
#define SELECT_BLOCK 256   // results that are gathered in LOCAL memory
#endif

typedef enum select_part { SELECT_COUNT, SELECT_SUM, SELECT_MASKED, SELECT_INDICES, SELECT_REPEATED, SELECT_CHANGES, SELECT_UNIQUE, SELECT_LENGTHS } select_part;

typedef struct select_args {
    const void *in;           // consecutive elements
    const void *mask;         // MASKED: as many
    void *out;
    i64 *counts;              // one a group: how many results it has (SUM: -1 for a negative repeat); then where they begin
    i64 count;                // elements of `in`; LENGTHS: runs
    i64 rank;                 // INDICES: of the tensor whose elements `in` are, the outermost dimension first
    i64 size[SELECT_RANK];
    i64 next_index, next_dim; // INDICES: strides of the result
    const i64 *order;         // UNIQUE: where the sorted elements come from, or NULL
    i64 *inverse;             // UNIQUE: the number of each one's run
    i64 *starts;              // UNIQUE: where the runs begin, or NULL; LENGTHS: then their lengths
    i64 *lengths;
} select_args;

#endif

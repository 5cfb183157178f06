// SPDX-License-Identifier: Apache-2.0
// Arguments of the sort kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_SORT_ARGS_H
#define CARAT_KERNELS_SORT_ARGS_H

#ifndef SORT_RANK
#define SORT_RANK 8 // outer dimensions
#endif

typedef struct sort_operand {
    void *data;
    i64 step;              // from element to element of a row
    i64 stride[SORT_RANK]; // of the outer dimensions
} sort_operand;

typedef struct sort_args {
    sort_operand in, values, indices; // indices: i64
    i64 size[SORT_RANK];              // outer dimensions, the innermost first
    i64 rank, rows, group_rows;
    i64 length, kept;                 // elements of a row, and how many of the sorted ones are wanted
    i64 descending;
    i64 select;                       // 1: only the one with `kept` before it is wanted, counted from 0, in any order of equal ones
    i64 few;                          // 1: `kept` is small against `length`
    i64 capacity;                     // pairs that are sorted at a time; at least `length` to sort everything
    void *scratch;                    // 2 * capacity pairs for each group
} sort_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the move kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_MOVE_ARGS_H
#define CARAT_KERNELS_MOVE_ARGS_H

#ifndef MOVE_RANK
#define MOVE_RANK 6   // outer dimensions after coalescing
#define MOVE_PARTS 40 // of one launch
#endif

// Words [at, at + width) of each row of the result. `data` NULL: they are filled.
typedef struct move_part {
    const void *data;
    i64 at, width;
    i64 stride[MOVE_RANK]; // in words, of the outer dimensions
} move_part;

typedef struct move_args {
    void *out;       // rows of row_width words, contiguous
    i64 row_width, rows, group_rows;
    i64 rank, parts;
    u64 fill;        // a word
    i64 size[MOVE_RANK]; // outer dimensions, the innermost first
    move_part part[MOVE_PARTS];
} move_args;

// to[i...] = from[i...], any strides in words. Dimension 0 is the innermost of `to`; a group owns rows x cols of dimensions 1 and 0.
typedef struct strided_args {
    void *to;
    const void *from;
    i64 size[MOVE_RANK], to_stride[MOVE_RANK], from_stride[MOVE_RANK]; // sizes are 1 beyond the rank
    i64 rank, group_rows, group_cols, groups_down, groups_across;
} strided_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the move kernel for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_MOVE_LANES_ARGS_H
#define CARAT_KERNELS_MOVE_LANES_ARGS_H

#include "move_args.h"

// A part of each row (see move_part), in words.
typedef struct move_lanes_part {
    const void *data; // NULL: filled
    i64 at;
    i64 stride[MOVE_RANK];
    u32 width, magic, shift; // n / width is (mulhi(n, magic) + n) >> shift
    u32 count;               // words of all rows
    u32 first_group;         // of those that work on it
} move_lanes_part;

typedef struct move_lanes_args {
    void *out;
    i64 row_width;
    u32 parts, rank;
    u32 alternate;       // 1: all parts have as many groups, which take turns
    u32 size[MOVE_RANK]; // outer dimensions, the innermost first
    u32 magic[MOVE_RANK], shift[MOVE_RANK];
    f64 fill[2];         // the bits of a word
    move_lanes_part part[MOVE_PARTS];
} move_lanes_args;

#endif

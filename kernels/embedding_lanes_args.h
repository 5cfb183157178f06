// SPDX-License-Identifier: Apache-2.0
// Arguments of the embedding gradient's kernels for groups of many lanes, shared by host and kernel.
#ifndef CARAT_KERNELS_EMBEDDING_LANES_ARGS_H
#define CARAT_KERNELS_EMBEDDING_LANES_ARGS_H

#define EMBEDDING_PIECE 32 // tokens of a row that one lane adds up

typedef struct embedding_lanes_args {
    void *out;          // [rows, cols], contiguous
    const void *grad;   // [tokens, cols], unit column stride
    const void *index;  // [tokens], contiguous
    i64 grad_stride, padding;
    u32 rows, tokens;
    u32 across, across_magic, across_shift; // vectors of a row; n / across is (mulhi(n, magic) + n) >> shift
    u32 pieces;         // of the tokens in order
    // made on the way
    u32 *found;         // tokens by the part of the rows that names them, with the place in that part
    u32 *order;         // tokens by row, ascending
    u32 *start;         // where a row's begin in `order`; one more at the end
    void *partial;      // [pieces, 2, cols] in the arithmetic type
} embedding_lanes_args;

#endif

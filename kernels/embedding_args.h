// SPDX-License-Identifier: Apache-2.0
// Arguments of the embedding gradient's kernel, shared by host and kernel.
#ifndef CARAT_KERNELS_EMBEDDING_ARGS_H
#define CARAT_KERNELS_EMBEDDING_ARGS_H

typedef struct embedding_args {
    void *out;             // [rows, cols], contiguous
    const void *grad;      // [tokens, cols], unit column stride
    const i32 *first;      // per row of out: the first token that names it, -1 for none
    const i32 *next;       // per token: the next one that names the same row, -1 for none
    i64 rows, cols, grad_stride;
    i64 group_rows, group_cols, groups_across;
} embedding_args;

#endif

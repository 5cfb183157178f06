// SPDX-License-Identifier: Apache-2.0
// Arguments of the matrix product's kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_MATMUL_ARGS_H
#define CARAT_KERNELS_MATMUL_ARGS_H

#ifndef MATVEC_THIN
#define MATVEC_THIN 8  // rows of A that matvec takes at most
#define MATVEC_SPAN 2048 // rows x columns of C that matvec holds at once where rows of B are dense
#endif

typedef struct matmul_view {
    void *data;
    i64 batch, row, col; // strides in elements
} matmul_view;

// C = beta * input + alpha * A B: (m,n) of (m,k) and (k,n), `batch` times.
typedef struct matmul_args {
    matmul_view a, b, c, input;    // input.data is null where there is none or beta is 0
    i64 batch, m, n, k;
    i64 block_m, block_n, block_k; // rows and columns of C in a step; depth of a pass
    i64 workers;                   // groups of the launch, each with its share of the steps
    i64 left_row;                  // distance of A's rows in scratch; 0: A is read where it lies
    i64 right_in_place;            // 1: whole panels of B are read where they lie
    i64 packing;                   // 1: the launch only packs B for the one that follows
    void *packed;                  // packed B, or null: each step packs its own
    void *scratch;                 // worker w's: scratch_stride * w bytes into it
    i64 scratch_stride;
    struct { f64 bits[2]; } alpha, beta; // one ACC each
} matmul_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the reducing kernels (reduce, argreduce, moments), shared by host and kernel: an index space of kept
// and reduced dimensions, and how groups cut it.
#ifndef CARAT_KERNELS_REDUCE_ARGS_H
#define CARAT_KERNELS_REDUCE_ARGS_H

#ifndef REDUCE_RANK
#define REDUCE_RANK 6     // outer dimensions, kept and reduced each, after coalescing
#define REDUCE_TILE 1024  // most columns of a group
#define REDUCE_BLOCK 4096 // elements of a row that go into one set of partial results
#define REDUCE_ROWS 256   // rows of a column tile that go into one set of partial results
#endif

// Strides count elements. The innermost kept dimension are the columns, the innermost reduced one has n elements.
typedef struct reduce_args {
    const void *in;
    void *out, *second;                  // second: of operators with two results
    void *partial, *partial_second;      // partial results [part][output], where the reduction is cut into parts
    i64 outputs;                         // columns of all outer places
    i64 cols, col_in, col_out;
    i64 outer_size[REDUCE_RANK], outer_in[REDUCE_RANK], outer_out[REDUCE_RANK];
    i64 n, n_in;
    i64 runs;                            // places of the outer reduced dimensions
    i64 run_size[REDUCE_RANK], run_in[REDUCE_RANK];
    i64 tile, tiles;                     // columns of a group; tiles that all columns take
    i64 parts, part_n, part_runs;        // a part takes part_n of n (all, if there are several runs) and part_runs of the runs
    i64 by_columns;                      // 1: a group works on its columns side by side; 0: one after the other
    i64 folded;                          // 1: the columns are those of several rows, `outputs` each, side by side;
    i64 ragged;                          // then the elements beyond n such rows
    i64 combining;                       // 1: this launch joins the partial results of `parts` parts
    f64 count, p;                        // numbers that an operator's formula uses
    f64 correction;
} reduce_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// Arguments of the scan kernels, shared by host and kernel. Strides count elements.
#ifndef CARAT_KERNELS_SCAN_ARGS_H
#define CARAT_KERNELS_SCAN_ARGS_H

#ifndef SCAN_RANK
#define SCAN_RANK 6     // outer dimensions after coalescing
#define SCAN_TILE 512   // most columns of a group
#define SCAN_SIDE 8     // rows that are scanned side by side, and segments of a single row
#define SCAN_BLOCK 4096 // elements of a single row at a time
#define SCAN_RUN 32     // elements of a row that are searched for a new extreme at once,
#define SCAN_ROWS 16    // rows side by side that are brought through a buffer where their elements lie apart,
#define SCAN_STAGE 64   // and elements of each
#endif

typedef struct scan_args {
    const void *in;
    void *out, *second;        // second: indices, laid out like `out`
    i64 n, n_in, n_out;        // the scanned dimension
    i64 cols, col_in, col_out; // the dimension whose members a group scans side by side
    i64 outer_size[SCAN_RANK], outer_in[SCAN_RANK], outer_out[SCAN_RANK];
    i64 tile, tiles;
} scan_args;

#endif

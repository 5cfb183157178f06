// SPDX-License-Identifier: Apache-2.0
// Arguments of the index kernels, shared by host and kernel.
#ifndef CARAT_KERNELS_INDEX_ARGS_H
#define CARAT_KERNELS_INDEX_ARGS_H

#ifndef INDEX_RANK
#define INDEX_RANK 6    // dimensions after coalescing
#define INDEX_TENSORS 4 // index tensors of one call
#endif

// An index tensor over the iteration space: its value times `step` moves the indexed operand.
typedef struct index_tensor {
    const void *data;
    i64 stride[INDEX_RANK];
    i64 step, size; // of the indexed dimension
    i64 wrap;       // what a negative value is raised by: size, or 0 where it is out of range
} index_tensor;

// Strides count elements; dimension 0 is the innermost. Dimensions 1 .. row_dims are a group's rows, the others lie outside.
typedef struct index_args {
    void *to;
    const void *from;
    i64 size[INDEX_RANK]; // 1 beyond the rank
    i64 to_stride[INDEX_RANK], from_stride[INDEX_RANK];
    i64 rank, row_dims;
    i64 rows, group_rows, group_cols;    // rows: product of sizes 1 .. row_dims
    i64 groups_across, groups_down;      // parts of dimension 0 and of the rows
    i64 indices;
    i64 constant_along_rows;             // no index changes along dimension 0
    index_tensor index[INDEX_TENSORS];
    f64 alpha[2];                        // what added values are multiplied with, in the arithmetic type
    u32 *out_of_range;                   // set to 1 if an index is; its element is left out
} index_args;

#endif

// SPDX-License-Identifier: Apache-2.0
// The batch norm family's parts: what its operators share (batch_norm.c), and its two passes.
#ifndef CARAT_OPS_BATCH_NORM_H
#define CARAT_OPS_BATCH_NORM_H

#include "core/kernel_types.h"
#include "ops/norm.h"
#include "batch_norm_args.h"

// Planes shorter than this are taken for columns.
enum { CARAT_BATCH_NORM_LONG_PLANE = 32 };

// Kernels: which function of kernels/batch_norm.k.c.
typedef enum carat_batch_norm_part {
#define CARAT_BATCH_NORM_PARTS(PART) \
    PART(channels) PART(planes) PART(channels_backward) PART(row_moments) PART(row_products) PART(tables) PART(tables_backward) \
    PART(write_rows) PART(write_rows_backward)
#define PART(name) CARAT_BATCH_NORM_##name,
    CARAT_BATCH_NORM_PARTS(PART)
#undef PART
    CARAT_BATCH_NORM_PART_COUNT
} carat_batch_norm_part;

// A call, settled: dtypes, layout and how the work is cut.
typedef struct carat_batch_norm {
    carat_norm_dtypes dtypes;
    bool by_planes;
    int64_t strides[CARAT_MAX_DIMS]; // of x and of results like it
    int64_t result_channels;         // of results 1 and 2: the channels, or none where nothing is saved
    carat_dtype result_dtype;        // of results 1 and 2
    batch_norm_args args;            // without data
    void *scratch;                   // of a CPU's kernels, for carat_free
} carat_batch_norm;

// Checks x and the parameters, those of params that aren't NULL, and that the kernels of a set of parts exist.
carat_status carat_batch_norm_settle(const carat_frame *call, const carat_tensor *x, const carat_tensor *const *params, int count,
                                     bool training, uint32_t parts, carat_batch_norm *b);
// Result 0 is like x, the others have a number a channel. A given one must share nothing with the inputs.
carat_status carat_batch_norm_check_output(const carat_frame *call, int index, const carat_batch_norm *b, const carat_tensor *x,
                                           const carat_tensor *const *inputs, int count);
carat_status carat_batch_norm_make_output(carat_frame *call, int index, const carat_batch_norm *b, const carat_tensor *x, void **data);
// Partial results and tables, in a block that the caller frees.
carat_status carat_batch_norm_alloc(carat_batch_norm *b);

carat_status carat_batch_norm_launch(const carat_frame *call, carat_norm_dtypes dtypes, carat_batch_norm_part part,
                                     const batch_norm_args *a, int64_t groups);
// Groups of tables, of row_moments and row_products, and of planes, write_rows and write_rows_backward.
int64_t carat_batch_norm_table_groups(const carat_batch_norm *b);
int64_t carat_batch_norm_part_groups(const carat_batch_norm *b);
int64_t carat_batch_norm_write_groups(const carat_batch_norm *b);

// The two passes in groups of many lanes (batch_norm_lanes.c); b.args holds the data of the call. grad has the strides of x.
carat_status carat_batch_norm_forward_lanes(const carat_frame *call, const carat_tensor *x, const carat_batch_norm *b);
carat_status carat_batch_norm_backward_lanes(const carat_frame *call, const carat_tensor *x, const carat_tensor *grad, const carat_batch_norm *b);

carat_status carat_batch_norm_run_statistics(carat_frame *call);
carat_status carat_batch_norm_run_no_statistics(carat_frame *call);
carat_status carat_batch_norm_run_update(carat_frame *call);
carat_status carat_batch_norm_run_no_update(carat_frame *call);
carat_status carat_batch_norm_run_no_training(carat_frame *call);
carat_status carat_batch_norm_run_backward(carat_frame *call);

#endif

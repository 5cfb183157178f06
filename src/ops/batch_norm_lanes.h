// SPDX-License-Identifier: Apache-2.0
// Batch norm and group norm in groups of many lanes (kernels/batch_norm_lanes.k.c): what their passes share.
#ifndef CARAT_OPS_BATCH_NORM_LANES_H
#define CARAT_OPS_BATCH_NORM_LANES_H

#include "core/kernel_types.h"
#include "ops/batch_norm.h"
#include "batch_norm_lanes_args.h"

// Functions of kernels/batch_norm_lanes.k.c.
typedef enum carat_channel_norm_part {
#define CARAT_CHANNEL_NORM_PARTS(PART) \
    PART(tables) PART(tables_backward) PART(group_tables) PART(group_tables_backward) PART(group_parameters) PART(write) PART(write_backward)
#define PART(name) CARAT_CHANNEL_NORM_##name,
    CARAT_CHANNEL_NORM_PARTS(PART)
#undef PART
    CARAT_CHANNEL_NORM_PART_COUNT
} carat_channel_norm_part;

// A call: dtypes of x, of parameters and of saved moments; how a vector lies; the kernels' arguments.
typedef struct carat_channel_norm {
    carat_dtype x, param, moment;
    bool planes;
    int vec;       // elements of a vector, as a logarithm
    void *scratch; // for carat_scratch_free
    batch_norm_lanes_args args;
} carat_channel_norm;

enum { CARAT_CHANNEL_NORM_MOST = 0x7fff0000 }; // elements of a call

// How args.x, args.grad and args.out, all set, are taken in vectors: `numel` elements in rows of `cols`, whose tables last for
// `period` rows (see batch_norm_lanes_args).
void carat_channel_norm_lay_out(carat_channel_norm *n, int64_t numel, int64_t cols, int64_t period);
// Room for `numbers` numbers in first, second and each table.
carat_status carat_channel_norm_alloc(const carat_frame *call, carat_channel_norm *n, int64_t numbers);
// The moments or sums of `in` over the dimensions `dims` to args.first and args.second; the sums beside `other`.
carat_status carat_channel_norm_moments(const carat_frame *call, const carat_channel_norm *n, const carat_tensor *in, uint32_t dims);
carat_status carat_channel_norm_sums(const carat_frame *call, const carat_channel_norm *n, const carat_tensor *grad, const carat_tensor *x,
                                     uint32_t dims, const void *center, carat_dtype center_dtype, int64_t center_outputs);
// One kernel, after the call's last launch; `count`: channels, or rows of group_tables_backward.
carat_status carat_channel_norm_launch(const carat_frame *call, const carat_channel_norm *n, carat_channel_norm_part part, int64_t count);
carat_status carat_channel_norm_write(const carat_frame *call, const carat_channel_norm *n, carat_channel_norm_part part);

void carat_channel_norm_describe(const carat_key *key, carat_defines *defines);
void carat_channel_norm_enumerate(void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

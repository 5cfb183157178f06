// SPDX-License-Identifier: Apache-2.0
// Between the parts of the move family: copies of whole tensors (move.c), joined rows (move_join.c), writes into a part of a
// tensor (move_part.c).
#ifndef CARAT_OPS_MOVE_H
#define CARAT_OPS_MOVE_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "move_args.h"
#include "ops/pointwise.h"

#define ROW(id, overloads, dtypes, function) carat_status carat_##function(carat_frame *call);
#include "move.def"
#undef ROW

// One stretch of the joined dimension of a result: a view whose other dimensions are those of the result, or (data NULL) filled.
typedef struct carat_stretch {
    const carat_tensor *view; // NULL: filled
    int64_t length;           // along the joined dimension
} carat_stretch;

// out = the stretches one after the other along `dim`; `fill` in those without a view. Dtypes may differ from out's.
carat_status carat_join(const carat_frame *call, const carat_tensor *out, int dim, const carat_stretch *stretches, int64_t count,
                        carat_scalar fill);

// Steps aside where rows of a result are many and its stretches so short that walking them costs more than moving them.
carat_status carat_join_check(const carat_frame *call, carat_dtype dtype, int ndim, const int64_t *shape, int dim, int64_t count);

// A launch of joined rows in groups of many lanes: the plan of kernels/move.k.c with words of any size (move_lanes.c).
carat_status carat_move_launch_lanes(const carat_frame *call, const move_args *a, carat_dtype word);
void carat_move_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_move_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg);

// to[...] = from[...], from broadcast to `to`: words where the dtypes agree, else (and in groups of many lanes) carat_copy. They must not overlap.
carat_status carat_move(const carat_frame *call, const carat_tensor *to, const carat_tensor *from);
carat_status carat_fill(const carat_frame *call, const carat_tensor *out, carat_scalar value);
// Whether ATen takes the strides for NHWC (NDHWC): suggest_memory_format() == channels_last.
bool carat_is_channels_last(const carat_tensor *tensor);
// Steps aside where ATen warns or this library has no conversion.
carat_status carat_copy_check(carat_dtype to, carat_dtype from);
// The strides of clone(self, memory_format) and its like; memory_format is PyTorch's number.
enum { CARAT_FORMAT_CONTIGUOUS = 0, CARAT_FORMAT_PRESERVE = 1 };
carat_status carat_format_strides(const carat_tensor *self, int64_t memory_format, int64_t *strides);

#endif

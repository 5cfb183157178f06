// SPDX-License-Identifier: Apache-2.0
// The norm family's parts: what its operators share (norm.c), layer norm (norm_layer.c), RMS norm, on devices only
// (norm_lanes.c), group norm (norm_group.c, norm_group_lanes.c), weight norm (norm_weight.c).
#ifndef CARAT_OPS_NORM_H
#define CARAT_OPS_NORM_H

#include "core/kernel_types.h"
#include "ops/operand.h"
#include "norm_args.h"

// Kernels: which function of kernels/norm.k.c.
typedef enum carat_norm_part {
#define CARAT_NORM_PARTS(PART) \
    PART(layer) PART(layer_backward) PART(group_forward) PART(group_backward) PART(parameters) PART(weight) PART(weight_backward)
#define PART(name) CARAT_NORM_##name,
    CARAT_NORM_PARTS(PART)
#undef PART
    CARAT_NORM_PART_COUNT
} carat_norm_part;

// The dtypes of a call: of x, and of weight, bias, mean and rstd (f32 beside a half, or the same).
typedef struct carat_norm_dtypes {
    carat_dtype x, param;
} carat_norm_dtypes;

// A call as rows x size: x's first `outer` dimensions are rows. `moments` is the shape of mean and rstd: that of x with 1 in the
// normalised dimensions.
typedef struct carat_norm_shape {
    int outer;
    int64_t rows, size;
    int64_t moments[CARAT_MAX_DIMS];
} carat_norm_shape;

// From the argument that is the normalised shape; also checks the parameters' shapes, which may be NULL.
carat_status carat_norm_shape_call(const carat_frame *call, const carat_tensor *x, int normalized, const carat_tensor *weight,
                                   const carat_tensor *bias, carat_norm_shape *s);
// x, weight, bias, in the rules that ATen has for a CPU; others step aside. weight and bias may be NULL.
carat_status carat_norm_settle(const carat_tensor *x, const carat_tensor *weight, const carat_tensor *bias, carat_norm_dtypes *dtypes);
// A parameter of `count` elements, or absent.
carat_status carat_norm_check_param(const carat_tensor *param, int64_t count);
// Whether all kernels that a call needs exist, before it makes outputs.
carat_status carat_norm_find(const carat_frame *call, carat_norm_dtypes dtypes, carat_norm_part first, carat_norm_part second);
// A given output must be contiguous and share nothing with the tensors it is computed from.
carat_status carat_norm_check_output(const carat_frame *call, int index, carat_dtype dtype, int ndim, const int64_t *shape,
                                     const carat_tensor *const *inputs, int input_count);
carat_status carat_norm_launch(const carat_frame *call, carat_norm_dtypes dtypes, carat_norm_part part, const norm_args *a, int64_t groups);

// The same in groups of many lanes (norm_lanes.c). inputs: x and, or NULL, weight and bias, whose shapes fit; for `outer` and
// `moments` see carat_norm_shape.
carat_status carat_norm_run_layer_lanes(carat_frame *call, const carat_tensor *const *inputs, int outer, const int64_t *moments);
carat_status carat_norm_run_layer_backward_lanes(carat_frame *call, const carat_norm_shape *s);
// Group norm (norm_group_lanes.c); args holds the data of the call, whose operands are contiguous and of one dtype.
carat_status carat_norm_group_forward_lanes(const carat_frame *call, const carat_tensor *x, const norm_args *args);
carat_status carat_norm_group_backward_lanes(const carat_frame *call, const carat_tensor *grad, const carat_tensor *x, const norm_args *args);
void carat_norm_describe_lanes(const carat_key *key, carat_defines *defines);
void carat_norm_enumerate_lanes(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);

carat_status carat_norm_run_layer(carat_frame *call);
carat_status carat_norm_run_layer_backward(carat_frame *call);
carat_status carat_norm_run_rms(carat_frame *call);
carat_status carat_norm_run_rms_backward(carat_frame *call);
carat_status carat_norm_run_group(carat_frame *call);
carat_status carat_norm_run_group_backward(carat_frame *call);
carat_status carat_norm_run_weight(carat_frame *call);
carat_status carat_norm_run_weight_backward(carat_frame *call);

// Which of a backward call's results are asked for (its output_mask).
static inline bool carat_norm_wants(const carat_frame *call, int mask, int i)
{
    const carat_arg *arg = &call->args[mask];
    return mask < call->nargs && arg->kind == CARAT_ARG_INTS && i < arg->ints.count && arg->ints.items[i] != 0;
}

#endif

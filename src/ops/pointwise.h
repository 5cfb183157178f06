// SPDX-License-Identifier: Apache-2.0
// The pointwise family for other families: run a row on views whose dtypes are settled, and copy between views.
#ifndef CARAT_OPS_POINTWISE_H
#define CARAT_OPS_POINTWISE_H

#include "core/tensor.h"

enum {
    CARAT_POINTWISE_INPUTS = 12,
    CARAT_POINTWISE_OPERANDS = CARAT_MAX_OUTPUTS + CARAT_POINTWISE_INPUTS,
    CARAT_POINTWISE_SCALARS = 8,
    CARAT_POINTWISE_RANK = 8,
};

typedef enum carat_pointwise_id {
#define POINTWISE(id, ...) CARAT_POINTWISE_##id,
#include "pointwise_forms.h"
#include "pointwise.def"
#undef POINTWISE
    CARAT_POINTWISE_COUNT
} carat_pointwise_id;

// One launch: views over one shape (inputs broadcast to the output), all of settled dtypes.
typedef struct carat_pointwise {
    int row;                          // a carat_pointwise_id, or that of a row made at run time
    carat_dtype compute;              // dtype that the row computes in
    carat_dtype common;               // what inputs of another dtype become first; needed for groups of many lanes only
    const carat_tensor *out[CARAT_MAX_OUTPUTS];
    const carat_tensor *in[CARAT_POINTWISE_INPUTS];
    carat_scalar scalar[CARAT_POINTWISE_SCALARS];
    carat_kernel kernel;              // as carat_pointwise_check found it, if the launch was checked
} carat_pointwise;

// Runs a row. Outputs and inputs may be the same view; otherwise they must not overlap. Steps aside where no kernel exists.
carat_status carat_pointwise_launch(const carat_frame *call, const carat_pointwise *launch);
// to[...] = from[...] with conversion; from broadcasts to `to`.
carat_status carat_copy(const carat_frame *call, const carat_tensor *to, const carat_tensor *from);
// The family's own way from arguments to results, for rows whose arguments need work first.
carat_status carat_pointwise_run_row(carat_frame *call, carat_pointwise_id row);

#endif

// SPDX-License-Identifier: Apache-2.0
// An operand as a kernel wants it: contiguous and of a given dtype. The view of the call where it is that already,
// else a converted copy; a large strided operand steps aside.
#ifndef CARAT_OPS_OPERAND_H
#define CARAT_OPS_OPERAND_H

#include "core/tensor.h"

typedef struct carat_operand {
    carat_tensor view;
    void *copy; // from carat_alloc, or NULL
    int64_t strides[CARAT_MAX_DIMS]; // of the copy
} carat_operand;

// `from` may be NULL (an absent argument): then view.data is NULL.
carat_status carat_operand_contiguous(const carat_frame *call, const carat_tensor *from, carat_dtype dtype, carat_operand *to);
// The same for operators next to which a copy costs little: large strided operands are copied too.
carat_status carat_operand_consecutive(const carat_frame *call, const carat_tensor *from, carat_dtype dtype, carat_operand *to);

static inline void carat_operand_release(carat_operand *operand)
{
    carat_free(operand->copy);
}

static inline void *carat_operand_data(const carat_operand *operand)
{
    return operand->view.data ? carat_data(&operand->view) : NULL;
}

#endif

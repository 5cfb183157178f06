// SPDX-License-Identifier: Apache-2.0
// A contiguous operand, copied where the call gives something else.
#include "ops/operand.h"

#include "ops/pointwise.h"

// Beyond this many elements the copy decides, and ATen's own copy is as good.
enum { LARGE = 16384 };

carat_status carat_operand_contiguous(const carat_frame *call, const carat_tensor *from, carat_dtype dtype, carat_operand *to)
{
    to->copy = NULL;
    const bool strided = from && carat_dtype_of(from) == dtype && !carat_is_contiguous(from);
    if (strided && carat_numel(from) > LARGE) return carat_step_aside("strided operand");
    return carat_operand_consecutive(call, from, dtype, to);
}

carat_status carat_operand_consecutive(const carat_frame *call, const carat_tensor *from, carat_dtype dtype, carat_operand *to)
{
    to->copy = NULL;
    to->view = from ? *from : (carat_tensor){ .data = NULL };
    if (!from || (carat_dtype_of(from) == dtype && carat_is_contiguous(from))) return CARAT_OK;
    const size_t bytes = (size_t)carat_numel(from) * carat_dtype_size(dtype);
    to->copy = carat_alloc(bytes ? bytes : 1);
    if (!to->copy) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for a contiguous copy of %zu bytes", bytes);
    carat_contiguous_strides(from->ndim, from->shape, to->strides);
    to->view.data = to->copy;
    to->view.byte_offset = 0;
    to->view.dl_dtype = carat_dtype_to_dl(dtype);
    to->view.strides = to->strides;
    return carat_copy(call, &to->view, from);
}

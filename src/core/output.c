// SPDX-License-Identifier: Apache-2.0
// Results: made through the host's hook, or given by the in-place and out= forms.
#include "core/tensor.h"

#include <string.h>

const carat_tensor *carat_output_given(const carat_frame *call, int index)
{
    if (index < call->nouts) return &call->outs[index];
    if (!call->op->in_place) return NULL;
    const carat_arg *self = &call->args[0];
    if (self->kind == CARAT_ARG_TENSORS) return index < self->tensors.count ? &self->tensors.items[index] : NULL;
    return index == 0 ? &self->tensor : NULL;
}

carat_status carat_output_check(const carat_frame *call, int index, carat_dtype dtype, int ndim, const int64_t *shape)
{
    const carat_tensor *given = carat_output_given(call, index);
    if (!given && !carat_shape_fits(ndim, shape)) return carat_step_aside("shape");
    if (!given) return call->context->make_output ? CARAT_OK : carat_step_aside("no allocator");
    if (carat_dtype_of(given) != dtype) return carat_step_aside("dtype of the output");
    if (given->ndim != ndim || (ndim && memcmp(given->shape, shape, sizeof *shape * (size_t)ndim)))
        return carat_step_aside("shape of the output");
    if (given->device.type != call->device.type || given->device.index != call->device.index)
        return carat_step_aside("device of the output");
    return carat_overlaps_itself(given) ? carat_step_aside("output overlaps itself") : CARAT_OK;
}

carat_status carat_output_make(carat_frame *call, int index, carat_dtype dtype, int ndim, const int64_t *shape,
                               const int64_t *strides, carat_output *out)
{
    CARAT_TRY(carat_output_check(call, index, dtype, ndim, shape));
    const carat_tensor *given = carat_output_given(call, index);
    if (given) {
        out->view = *given;
        return CARAT_OK;
    }
    if (ndim) memcpy(out->shape, shape, sizeof *shape * (size_t)ndim);
    if (strides && ndim) memcpy(out->strides, strides, sizeof *strides * (size_t)ndim);
    else carat_contiguous_strides(ndim, shape, out->strides);
    out->view = (carat_tensor){ .device = call->device, .ndim = ndim, .dl_dtype = carat_dtype_to_dl(dtype),
                                .shape = out->shape, .strides = out->strides };
    return call->context->make_output(call->context->host, call->first_output + index, call->device, dtype, ndim, out->shape, out->strides,
                                      &out->view.data);
}

// ---- results for programs without an allocator

static carat_status make_result(void *host, int index, carat_device device, carat_dtype dtype, int ndim, const int64_t *shape,
                                const int64_t *strides, void **data)
{
    carat_results *results = host;
    if (index < 0 || index >= CARAT_MAX_OUTPUTS)
        return carat_fail(CARAT_OUT_OF_RANGE, "result %d of at most %d", index, CARAT_MAX_OUTPUTS);
    if (device.type != CARAT_CPU) return carat_fail(CARAT_UNSUPPORTED, "results on device type %d need a host's allocator", device.type);
    if (!carat_shape_fits(ndim, shape)) return carat_fail(CARAT_INVALID_SHAPE, "a result of %d dimensions that no memory holds", ndim);
    size_t elements = 1;
    for (int d = 0; d < ndim; ++d) elements *= (size_t)shape[d];
    carat_tensor *tensor = &results->tensor[index];
    if (!tensor->data) ++results->count;
    carat_free(tensor->data);
    *tensor = (carat_tensor){ .device = device, .ndim = ndim, .dl_dtype = carat_dtype_to_dl(dtype),
                              .shape = results->shape[index], .strides = results->strides[index] };
    if (ndim) memcpy(tensor->shape, shape, sizeof *shape * (size_t)ndim);
    if (ndim) memcpy(tensor->strides, strides, sizeof *strides * (size_t)ndim);
    tensor->data = *data = carat_alloc(elements * carat_dtype_size(dtype));
    return tensor->data ? CARAT_OK : carat_fail(CARAT_OUT_OF_MEMORY, "no memory for a result of %zu elements", elements);
}

carat_context carat_results_context(carat_results *results)
{
    return (carat_context){ .host = results, .default_dtype = CARAT_f32, .make_output = make_result };
}

void carat_results_free(carat_results *results)
{
    for (int i = 0; i < CARAT_MAX_OUTPUTS; ++i) {
        carat_free(results->tensor[i].data);
        results->tensor[i].data = NULL;
    }
    results->count = 0;
}

// SPDX-License-Identifier: Apache-2.0
// Tensors for the driver.
#include "cases.h"

#include "core/dtype.h"
#include "core/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 64, CANARY_BYTE = 0xa5 };

carat_device case_device = { CARAT_CPU, 0 };

static carat_status make_output(void *self, int index, carat_device device, carat_dtype dtype, int ndim, const int64_t *shape,
                                const int64_t *strides, void **data)
{
    case_host *const host = self;
    const carat_device here = { CARAT_CPU, 0 };
    const carat_status status = host->results.make_output(host->results.host, index, here, dtype, ndim, shape, strides, data);
    if (status == CARAT_OK) host->made->tensor[index].device = device;
    return status;
}

static void *allocate(void *host, carat_device device, size_t bytes) { return (void)host, (void)device, malloc(bytes); }
static void release(void *host, carat_device device, void *block) { (void)host, (void)device, free(block); }

carat_context case_context(case_host *host, carat_results *results)
{
    *host = (case_host){ carat_results_context(results), results };
    return (carat_context){ .host = host, .default_dtype = CARAT_f32, .make_output = make_output, .allocate = allocate, .release = release };
}

bool case_shape(int index, int *ndim, int64_t *shape)
{
    static const struct { int ndim; int64_t shape[5]; } shapes[] = {
        { 0, { 0 } }, { 1, { 1 } }, { 1, { 0 } }, { 1, { 7 } }, { 1, { 64 } }, { 1, { 1027 } }, { 2, { 3, 0 } }, { 2, { 33, 65 } },
        { 2, { 70, 70 } }, { 2, { 1, 129 } }, { 2, { 300, 5 } }, { 3, { 3, 5, 7 } }, { 4, { 2, 3, 17, 4 } }, { 5, { 2, 2, 3, 2, 5 } },
    };
    if (index < 0 || index >= (int)(sizeof shapes / sizeof *shapes)) return false;
    *ndim = shapes[index].ndim;
    memcpy(shape, shapes[index].shape, sizeof *shape * (size_t)*ndim);
    return true;
}

uint64_t random_bits(uint64_t *seed) // splitmix64 (Steele, Lea, Flood)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

double random_unit(uint64_t *seed)
{
    return (double)(random_bits(seed) >> 11) * 0x1p-53;
}

// Strides of the layout, and the offset of element 0 and the reach of the buffer in elements.
static void lay_out(sample *s, layout how, int64_t *offset, int64_t *reach)
{
    const int ndim = s->tensor.ndim;
    carat_contiguous_strides(ndim, s->shape, s->strides);
    if (how == TRANSPOSED && ndim > 1) {
        int64_t step = 1;
        for (int d = 0; d < ndim; ++d) {
            s->strides[d] = step;
            step *= s->shape[d] > 1 ? s->shape[d] : 1;
        }
    }
    if (how == SLICED)
        for (int d = 0; d < ndim; ++d) s->strides[d] *= 2;
    if (how == REVERSED && ndim > 0) s->strides[ndim - 1] = -s->strides[ndim - 1];
    for (int d = 0; how == BROADCAST && d < ndim; ++d)
        if (s->shape[d] > 1) {
            s->strides[d] = 0;
            break;
        }
    *offset = 0, *reach = 1;
    for (int d = 0; d < ndim; ++d) {
        const int64_t extent = s->shape[d] ? s->strides[d] * (s->shape[d] - 1) : 0;
        if (extent < 0) *offset -= extent;
        *reach += llabs(extent);
    }
}

void sample_make(sample *s, carat_dtype dtype, int ndim, const int64_t *shape, layout how)
{
    memset(s, 0, sizeof *s);
    memcpy(s->shape, shape, sizeof *shape * (size_t)ndim);
    s->tensor = (carat_tensor){ .device = case_device, .ndim = ndim, .dl_dtype = carat_dtype_to_dl(dtype),
                                .shape = s->shape, .strides = s->strides };
    int64_t offset, reach;
    lay_out(s, how, &offset, &reach);
    const size_t size = carat_dtype_size(dtype);
    s->bytes = (size_t)reach * size;
    s->buffer = aligned_alloc(64, (2 * CANARY + s->bytes + 63) / 64 * 64);
    if (!s->buffer) abort();
    memset(s->buffer, CANARY_BYTE, CANARY);
    memset(s->buffer + CANARY, 0, s->bytes);
    memset(s->buffer + CANARY + s->bytes, CANARY_BYTE, CANARY);
    s->tensor.data = s->buffer + CANARY + (size_t)offset * size;
}

void sample_free(sample *s)
{
    free(s->buffer);
    s->buffer = NULL;
}

bool sample_intact(const sample *s)
{
    for (size_t i = 0; i < CANARY; ++i)
        if (s->buffer[i] != CANARY_BYTE || s->buffer[CANARY + s->bytes + i] != CANARY_BYTE) return false;
    return true;
}

static void *element(const carat_tensor *tensor, int64_t index)
{
    int64_t offset = 0;
    for (int d = tensor->ndim; d-- > 0;) {
        offset += index % tensor->shape[d] * tensor->strides[d];
        index /= tensor->shape[d];
    }
    return (char *)carat_data(tensor) + offset * (int64_t)carat_dtype_size(carat_dtype_of(tensor));
}

double sample_get(const carat_tensor *tensor, int64_t index)
{
    const carat_scalar value = carat_scalar_load(carat_dtype_of(tensor), element(tensor, index));
    return value.kind <= CARAT_SCALAR_INT ? (double)value.i : value.re;
}

void sample_fill(sample *s, uint64_t *seed, double low, double high, bool special)
{
    static const double specials[] = { 0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 1e-30, 30 };
    const carat_dtype dtype = carat_dtype_of(&s->tensor);
    for (int64_t i = 0, n = carat_numel(&s->tensor); i < n; ++i) {
        double value = low + (high - low) * random_unit(seed);
        if (carat_is_integral(dtype)) value = floor(dtype == CARAT_u8 ? fabs(value) : value);
        else if (special && random_unit(seed) < 0.1) value = specials[(int)(random_unit(seed) * 9)];
        const carat_scalar scalar = { .kind = CARAT_SCALAR_FLOAT, .i = isfinite(value) ? (int64_t)value : 0, .re = value };
        carat_scalar_store(scalar, dtype, element(&s->tensor, i));
    }
}

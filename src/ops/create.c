// SPDX-License-Identifier: Apache-2.0
// The create family: fills, factories, ranges, triangles, membership.
#include "ops/create.h"
#include "ops/move.h"

#include <math.h>
#include <string.h>

enum { GROUP_ELEMENTS = 16384, THREAD_ELEMENTS = 65536 };

static const carat_scalar zero = { .kind = CARAT_SCALAR_INT }, one = { .kind = CARAT_SCALAR_INT, .i = 1, .re = 1 };

static carat_status launch(const carat_frame *call, carat_create_kind kind, carat_dtype dtype, create_args *a, int64_t row_elements)
{
    if (carat_has_lanes(call)) return carat_create_launch_lanes(call, kind, dtype, a, false);
    carat_key key = { .family = CARAT_FAMILY_create };
    key.params[0] = (uint8_t)kind;
    key.dtypes[0] = (uint8_t)dtype;
    a->group_elements = GROUP_ELEMENTS / row_elements > 1 ? GROUP_ELEMENTS / row_elements : 1;
    const int64_t groups = (a->count + a->group_elements - 1) / a->group_elements, work = a->group_elements * row_elements;
    return carat_run_kernel(call, &key, a, sizeof *a, groups, work < THREAD_ELEMENTS ? THREAD_ELEMENTS / work : 1);
}

// ---- fills

static bool number_arg(const carat_frame *call, int i, carat_scalar *value)
{
    if (i >= call->nargs) return false;
    const carat_arg *arg = &call->args[i];
    if (arg->kind == CARAT_ARG_SCALAR) *value = arg->scalar;
    else if (arg->kind == CARAT_ARG_TENSOR && arg->tensor.ndim == 0 && arg->tensor.device.type == CARAT_CPU && carat_dtype_in(carat_dtype_of(&arg->tensor), CARAT_ALL))
        *value = carat_scalar_load(carat_dtype_of(&arg->tensor), carat_data(&arg->tensor));
    else return false;
    return true;
}

// Large fills are writes and nothing else, at which ATen's are as fast as a device is.
static carat_status check_fill(const carat_frame *call, carat_dtype dtype, int ndim, const int64_t *shape, carat_scalar value)
{
    enum { LARGE_BYTES = 1 << 22 };
    int64_t bytes = (int64_t)carat_dtype_size(dtype);
    if (!carat_scalar_fits(value, dtype)) return carat_step_aside("value");
    for (int d = 0; d < ndim && bytes <= LARGE_BYTES; ++d)
        if (__builtin_mul_overflow(bytes, shape[d], &bytes)) return carat_step_aside("sizes");
    return carat_has_lanes(call) && bytes > LARGE_BYTES ? carat_step_aside("large fills") : CARAT_OK;
}

static carat_status filled(carat_frame *call, carat_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides, carat_scalar value)
{
    carat_output out;
    CARAT_TRY(check_fill(call, dtype, ndim, shape, value));
    CARAT_TRY(carat_output_make(call, 0, dtype, ndim, shape, strides, &out));
    return carat_fill(call, &out.view, value);
}

// With a number that lies on a device.
static carat_status filled_from(carat_frame *call, const carat_tensor *self, const int64_t *strides, const carat_tensor *number)
{
    carat_output out;
    const carat_dtype dtype = carat_dtype_of(self);
    if (number->ndim != 0) return carat_step_aside("arguments");
    if (call->op->in_place && carat_overlap_of(self, number) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    CARAT_TRY(carat_copy_check(dtype, carat_dtype_of(number)));
    CARAT_TRY(carat_output_make(call, 0, dtype, self->ndim, self->shape, strides, &out));
    return carat_copy(call, &out.view, number);
}

static carat_status run_fill(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *number = carat_tensor_arg(call, 1);
    carat_scalar value;
    int64_t strides[CARAT_MAX_DIMS];
    if (!self) return carat_step_aside("arguments");
    if (!call->op->in_place) carat_like_strides(self, strides);
    if (number && number->device.type != CARAT_CPU) return filled_from(call, self, strides, number);
    if (!number_arg(call, 1, &value)) return carat_step_aside("arguments");
    return filled(call, carat_dtype_of(self), self->ndim, self->shape, strides, value);
}

static carat_dtype dtype_arg(const carat_frame *call, int i, carat_dtype missing)
{
    return i < call->nargs && call->args[i].kind == CARAT_ARG_DTYPE ? (carat_dtype)call->args[i].i : missing;
}

// What zeros.., ones.. and full.. fill with; a full.. has its value at `at`, which moves the arguments behind it.
static carat_status value_arg(const carat_frame *call, int at, carat_scalar *value, int *moved)
{
    const char *const id = call->op->row->id;
    *moved = 0;
    *value = strstr(id, "ones") ? one : zero;
    if (!strstr(id, "full")) return CARAT_OK;
    *moved = 1;
    return number_arg(call, at, value) ? CARAT_OK : carat_step_aside("value");
}

// self, (fill_value,) dtype, layout, device, pin_memory, memory_format
static carat_status run_like(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    carat_scalar value;
    int moved;
    int64_t strides[CARAT_MAX_DIMS];
    CARAT_TRY(value_arg(call, 1, &value, &moved));
    if (!self || carat_int_arg(call, 4 + moved, 0)) return carat_step_aside("arguments");
    CARAT_TRY(carat_format_strides(self, carat_int_arg(call, 5 + moved, CARAT_FORMAT_PRESERVE), strides));
    return filled(call, dtype_arg(call, 1 + moved, carat_dtype_of(self)), self->ndim, self->shape, strides, value);
}

static carat_status filled_sizes(carat_frame *call, int at, carat_dtype dtype, carat_scalar value)
{
    if (call->nargs <= at || call->args[at].kind != CARAT_ARG_INTS || call->args[at].ints.count > CARAT_MAX_DIMS) return carat_step_aside("arguments");
    const int64_t *shape = call->args[at].ints.items;
    int64_t numel = 1;
    for (int64_t d = 0; d < call->args[at].ints.count; ++d)
        if (shape[d] < 0 || __builtin_mul_overflow(numel, shape[d], &numel)) return carat_step_aside("sizes");
    return filled(call, dtype, (int)call->args[at].ints.count, shape, NULL, value);
}

// self, size, (fill_value,) dtype, layout, device, pin_memory
static carat_status run_new(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    carat_scalar value;
    int moved;
    CARAT_TRY(value_arg(call, 2, &value, &moved));
    if (!self || carat_int_arg(call, 5 + moved, 0)) return carat_step_aside("arguments");
    return filled_sizes(call, 1, dtype_arg(call, 2 + moved, carat_dtype_of(self)), value);
}

static carat_dtype dtype_of_number(const carat_frame *call, carat_scalar value)
{
    return value.kind == CARAT_SCALAR_BOOL ? CARAT_b8 : value.kind == CARAT_SCALAR_INT ? CARAT_i64 : call->context->default_dtype;
}

// size, (fill_value,) dtype, layout, device, pin_memory
static carat_status run_factory(carat_frame *call)
{
    carat_scalar value;
    int moved;
    CARAT_TRY(value_arg(call, 1, &value, &moved));
    if (carat_int_arg(call, 4 + moved, 0)) return carat_step_aside("pinned memory");
    if (value.kind == CARAT_SCALAR_COMPLEX) return carat_step_aside("value");
    const carat_dtype dtype = dtype_arg(call, 1 + moved, moved ? dtype_of_number(call, value) : call->context->default_dtype);
    return filled_sizes(call, 0, dtype, value);
}

static carat_status run_eye(carat_frame *call)
{
    const carat_tensor *out = carat_output_given(call, 0);
    const int64_t n = carat_int_arg(call, 0, -1), m = carat_int_arg(call, 1, n);
    const int64_t shape[2] = { n, m };
    if (!out || n < 0 || m < 0) return carat_step_aside("arguments");
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(out), 2, shape));
    if (!carat_scalar_fits(one, carat_dtype_of(out))) return carat_step_aside("dtype");
    CARAT_TRY(carat_fill(call, out, zero));
    int64_t length = n < m ? n : m, stride = out->strides[0] + out->strides[1];
    carat_tensor diagonal = *out;
    diagonal.ndim = 1;
    diagonal.shape = &length;
    diagonal.strides = &stride;
    return carat_fill(call, &diagonal, one);
}

// ---- ranges

static bool whole_number(carat_scalar value)
{
    return value.kind == CARAT_SCALAR_INT || value.kind == CARAT_SCALAR_BOOL;
}

static double as_double(carat_scalar value)
{
    return whole_number(value) ? (double)value.i : value.re;
}

// ATen's number of elements: of integers exactly, else ceil((end - start) / step) in f64. Negative: it raises.
static int64_t range_length(carat_scalar start, carat_scalar end, carat_scalar step, bool whole)
{
    if (whole) {
        const int64_t far = (int64_t)1 << 62;
        if (step.i == 0 || start.i > far || start.i < -far || end.i > far || end.i < -far) return -1;
        const int64_t span = end.i - start.i;
        if (span != 0 && (span > 0) != (step.i > 0)) return -1;
        return (span + step.i - (step.i > 0 ? 1 : -1)) / step.i;
    }
    const double length = ceil((as_double(end) - as_double(start)) / as_double(step));
    return as_double(step) != 0 && length >= 0 && length < 0x1p40 ? (int64_t)length : -1;
}

static carat_status run_arange(carat_frame *call)
{
    const carat_tensor *given = carat_output_given(call, 0);
    int numbers = 0;
    carat_scalar value[3] = { zero, zero, one }, read[3];
    while (numbers < 3 && numbers < call->nargs && call->args[numbers].kind == CARAT_ARG_SCALAR) {
        read[numbers] = call->args[numbers].scalar;
        if (read[numbers].kind == CARAT_SCALAR_COMPLEX) return carat_step_aside("value");
        ++numbers;
    }
    if (numbers == 0) return carat_step_aside("arguments");
    if (numbers == 1) value[1] = read[0];
    else memcpy(value, read, sizeof *read * (size_t)numbers);
    const bool integers = whole_number(value[0]) && whole_number(value[1]) && whole_number(value[2]);
    // `arange` is (end, dtype, layout ...), `arange.start` (start, end, dtype ...), `arange.start_step` (start, end, step, dtype ...).
    const carat_dtype dtype = given ? carat_dtype_of(given) : dtype_arg(call, numbers, integers ? CARAT_i64 : call->context->default_dtype);
    if (!given && carat_int_arg(call, numbers + 3, 0)) return carat_step_aside("pinned memory");
    if (!carat_dtype_in(dtype, CARAT_REALS)) return carat_step_aside("dtype");
    const bool whole = carat_is_integral(dtype);
    if (whole && !integers) return carat_step_aside("value");
    for (int i = 0; i < 3 && carat_dtype_in(dtype, CARAT_HALVES); ++i) // whose ranges ATen counts in f32
        if (!carat_scalar_fits(value[i], CARAT_f32)) return carat_step_aside("value");
    const int64_t length = range_length(value[0], value[1], value[2], integers);
    if (length < 0) return carat_step_aside("value");
    CARAT_TRY(carat_output_check(call, 0, dtype, 1, &length));
    if (given && !carat_is_contiguous(given)) return carat_step_aside("layout of out");
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, 1, &length, NULL, &out));
    create_args a = { .out = carat_data(&out.view), .count = length, .start = as_double(value[0]), .step = as_double(value[2]),
                      .whole_start = value[0].i, .whole_step = value[2].i };
    return launch(call, CREATE_RANGE, dtype, &a, 1);
}

// start, end, steps, dtype, layout, device, pin_memory
static carat_status run_linspace(carat_frame *call)
{
    const carat_tensor *given = carat_output_given(call, 0);
    carat_scalar start, end;
    const int64_t steps = carat_int_arg(call, 2, -1);
    if (!number_arg(call, 0, &start) || !number_arg(call, 1, &end) || steps < 0) return carat_step_aside("arguments");
    if (start.kind == CARAT_SCALAR_COMPLEX || end.kind == CARAT_SCALAR_COMPLEX || carat_int_arg(call, 6, 0)) return carat_step_aside("value");
    const carat_dtype dtype = given ? carat_dtype_of(given) : dtype_arg(call, 3, call->context->default_dtype);
    if (dtype != CARAT_f32 && dtype != CARAT_f64) return carat_step_aside("dtype");
    if (!carat_scalar_fits(start, dtype) || !carat_scalar_fits(end, dtype)) return carat_step_aside("value");
    CARAT_TRY(carat_output_check(call, 0, dtype, 1, &steps));
    if (given && !carat_is_contiguous(given)) return carat_step_aside("layout of out");
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, 1, &steps, NULL, &out));
    create_args a = { .out = carat_data(&out.view), .count = steps, .start = as_double(start), .end = as_double(end) };
    if (dtype == CARAT_f32) {
        a.start = (float)a.start;
        a.end = (float)a.end;
    }
    a.step = steps > 1 ? (a.end - a.start) / (double)(steps - 1) : 0;
    if (steps == 1) a.end = a.start;
    return launch(call, CREATE_LINSPACE, dtype, &a, 1);
}

// ---- triangles

static carat_status run_tri(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *given = carat_output_given(call, 0);
    if (!self || self->ndim < 2) return carat_step_aside("arguments");
    if (given && (!carat_is_contiguous(given) || carat_overlap_of(given, self) == CARAT_PARTIAL)) return carat_step_aside("layout of out");
    create_args a = { .rows = self->shape[self->ndim - 2], .cols = self->shape[self->ndim - 1] };
    a.diagonal = carat_int_arg(call, 1, 0);
    a.lower = call->op->name[3] == 'l';
    const int64_t numel = carat_numel(self), limit = a.rows + a.cols + 1;
    a.diagonal = a.diagonal > limit ? limit : a.diagonal < -limit ? -limit : a.diagonal;
    a.in_strides[1] = self->strides[self->ndim - 2];
    a.in_strides[2] = self->strides[self->ndim - 1];
    for (int d = self->ndim - 2, first = 1; d-- > 0;) { // the outer dimensions as one
        if (self->shape[d] == 1) continue;
        int64_t inside = 1;
        for (int e = d + 1; e < self->ndim - 2; ++e) inside *= self->shape[e];
        if (first) a.in_strides[0] = self->strides[d];
        else if (self->strides[d] != a.in_strides[0] * inside) return carat_step_aside("layout");
        first = 0;
    }
    carat_output out;
    a.in = carat_data(self);
    a.out = given ? carat_data(given) : NULL;
    if (carat_has_lanes(call)) CARAT_TRY(carat_create_check_triangles(&a, carat_dtype_of(self)));
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(self), self->ndim, self->shape, NULL, &out));
    if (numel == 0) return CARAT_OK;
    a.out = carat_data(&out.view);
    a.count = numel / a.cols;
    return launch(call, CREATE_TRI, carat_raw_dtype(carat_dtype_of(self)), &a, a.cols);
}

// ---- isin: elements, test elements, assume_unique, invert

// Stores a number that keeps its value in dtype: ATen compares others in a wider dtype, or not, as the sizes are.
static bool store_member(carat_scalar number, carat_dtype dtype, void *element)
{
    const bool is_float = number.kind == CARAT_SCALAR_FLOAT && carat_is_float(dtype);
    if (!is_float && (number.kind != CARAT_SCALAR_INT || !carat_scalar_fits(number, dtype))) return false;
    carat_scalar_store(number, dtype, element);
    return !is_float || carat_scalar_load(dtype, element).re == number.re;
}

static carat_status run_isin(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0), *values = carat_tensor_arg(call, 1);
    carat_scalar number;
    int64_t element[2];
    if (!self || !carat_dtype_in(carat_dtype_of(self), CARAT_REALS)) return carat_step_aside("dtype");
    const carat_dtype dtype = carat_dtype_of(self);
    create_args a = { .in = carat_data(self), .count = carat_numel(self), .value_count = 1, .invert = carat_int_arg(call, 3, 0) };
    if (values) {
        if (carat_dtype_of(values) != dtype || !carat_is_contiguous(values)) return carat_step_aside("dtypes differ");
        a.values = carat_data(values);
        a.value_count = carat_numel(values);
    } else {
        if (!number_arg(call, 1, &number) || !store_member(number, dtype, element)) return carat_step_aside("value");
        a.values = element;
    }
    // ATen's own bound between comparing with each value and sorting.
    if ((double)a.value_count >= 10 * pow((double)a.count, 0.145)) return carat_step_aside("many values");
    const carat_tensor *given = carat_output_given(call, 0);
    if (!carat_is_contiguous(self) || (given && !carat_is_contiguous(given))) return carat_step_aside("layout");
    if (given && (carat_overlap_of(given, self) != CARAT_DISJOINT || (values && carat_overlap_of(given, values) != CARAT_DISJOINT)))
        return carat_step_aside("output overlaps an input");
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, CARAT_b8, self->ndim, self->shape, NULL, &out));
    a.out = carat_data(&out.view);
    if (carat_has_lanes(call)) return carat_create_launch_lanes(call, CREATE_ISIN, dtype, &a, !values);
    return launch(call, CREATE_ISIN, dtype, &a, 1);
}

// element, test elements, assume_unique, invert: whether any of them is the number. (The out= form is ATen's, which resizes out twice.)
static carat_status run_isin_number(carat_frame *call)
{
    const carat_tensor *values = carat_tensor_arg(call, 1);
    carat_scalar number;
    int64_t element[2];
    if (!values || !carat_dtype_in(carat_dtype_of(values), CARAT_REALS) || !carat_is_contiguous(values)) return carat_step_aside("dtype or layout");
    const carat_dtype dtype = carat_dtype_of(values);
    if (!number_arg(call, 0, &number) || !store_member(number, dtype, element)) return carat_step_aside("value");
    CARAT_TRY(carat_output_check(call, 0, CARAT_b8, 0, NULL));
    create_args a = { .in = carat_data(values), .count = carat_numel(values), .value_count = 1, .values = element };
    uint8_t *const equal = a.out = carat_alloc((size_t)a.count + 1);
    if (!equal) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to compare %lld elements", (long long)a.count);
    carat_output out;
    carat_status status = launch(call, CREATE_ISIN, dtype, &a, 1);
    if (status == CARAT_OK) status = carat_output_make(call, 0, CARAT_b8, 0, NULL, NULL, &out);
    if (status == CARAT_OK) *(uint8_t *)carat_data(&out.view) = (memchr(equal, 1, (size_t)a.count) != NULL) != (carat_int_arg(call, 3, 0) != 0);
    carat_free(equal);
    return status;
}

// ---- the family

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, function },
#include "create.def"
#undef ROW
};

// Of one number the host asks whether any is: it would have to wait for a device.
static bool row_has_lanes(int index)
{
    return rows[index].run != run_isin_number;
}

static bool takes_number(int row, int argument)
{
    return rows[row].run == run_fill && argument == 1;
}

uint32_t carat_create_dtypes(carat_create_kind kind)
{
    static const uint32_t dtypes[CREATE_KINDS] = {
        CARAT_REALS, 1u << CARAT_f32 | 1u << CARAT_f64,
        1u << CARAT_u8 | 1u << CARAT_i16 | 1u << CARAT_i32 | 1u << CARAT_i64 | 1u << CARAT_c128, CARAT_REALS,
    };
    return dtypes[kind];
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const kinds[CREATE_KINDS] = { "RANGE", "LINSPACE", "TRI", "ISIN" };
    if (target->lanes > 1) {
        carat_create_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, kinds[key->params[0]], "1");
    carat_define(defines, "WHOLE", "%d", carat_is_integral((carat_dtype)key->dtypes[0]));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_create_enumerate_lanes(emit, arg);
        return;
    }
    for (carat_create_kind kind = 0; kind < CREATE_KINDS; ++kind)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            carat_key key = { .family = CARAT_FAMILY_create };
            key.params[0] = (uint8_t)kind;
            key.dtypes[0] = (uint8_t)dtype;
            if (carat_dtype_in(dtype, carat_create_dtypes(kind))) emit(arg, &key);
        }
}

const carat_family carat_family_create = {
    .name = "create",
    .source = "create.k.c",
    .lanes_source = "create_lanes.k.c",
    .row_has_lanes = row_has_lanes,
    .takes_number = takes_number,
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

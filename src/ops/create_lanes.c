// SPDX-License-Identifier: Apache-2.0
// Ranges, triangles and membership in groups of many lanes (kernels/create_lanes.k.c).
#include "core/integer.h"
#include "ops/create.h"
#include "ops/lanes.h"
#include "create_lanes_args.h"

#include <string.h>

enum { LANES = 128, VECTOR_BYTES = 16 };
enum { KEY_KIND, KEY_VECTOR }; // key.params; the vector as a logarithm

static int keep_of(carat_create_kind kind)
{
    return kind >= CREATE_TRI ? 4 : 2;
}

static carat_key make_key(carat_create_kind kind, carat_dtype dtype, int64_t vec)
{
    carat_key key = { .family = CARAT_FAMILY_create };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[KEY_KIND] = (uint8_t)kind;
    key.params[KEY_VECTOR] = (uint8_t)log2_ceil(vec);
    return key;
}

void carat_create_describe_lanes(const carat_key *key, carat_defines *defines)
{
    static const char *const parts[CREATE_KINDS] = { "range", "linspace", "tri", "isin" };
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "PART", "%s", parts[key->params[KEY_KIND]]);
    carat_define(defines, "RANGES", "%d", key->params[KEY_KIND] == CREATE_RANGE || key->params[KEY_KIND] == CREATE_LINSPACE);
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", keep_of((carat_create_kind)key->params[KEY_KIND]));
    carat_define(defines, "VEC", "%d", 1 << key->params[KEY_VECTOR]);
}

static int64_t widest(carat_create_kind kind, carat_dtype dtype)
{
    return kind == CREATE_ISIN ? 1 : VECTOR_BYTES / (int64_t)carat_dtype_size(dtype);
}

void carat_create_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_create_kind kind = 0; kind < CREATE_KINDS; ++kind)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            if (!carat_dtype_in(dtype, carat_create_dtypes(kind))) continue;
            const carat_key vectors = make_key(kind, dtype, widest(kind, dtype)), elements = make_key(kind, dtype, 1);
            emit(arg, &vectors);
            if (widest(kind, dtype) > 1) emit(arg, &elements);
        }
}

// A range's numbers in the arithmetic type, in which ATen computes there.
static void fill_range(create_lanes_args *b, carat_create_kind kind, carat_dtype dtype, const create_args *a)
{
    const carat_dtype acc = carat_compute_dtype(dtype);
    const int number = carat_is_integral(dtype) ? CARAT_SCALAR_INT : CARAT_SCALAR_FLOAT;
    double step = a->step;
    if (kind == CREATE_LINSPACE && a->count > 1)
        step = dtype == CARAT_f32 ? ((float)a->end - (float)a->start) / (float)(a->count - 1) : (a->end - a->start) / (double)(a->count - 1);
    carat_scalar_store((carat_scalar){ .kind = number, .i = a->whole_start, .re = a->start }, acc, &b->start);
    carat_scalar_store((carat_scalar){ .kind = number, .i = a->whole_step, .re = step }, acc, &b->step);
    carat_scalar_store((carat_scalar){ .kind = number, .re = a->end }, acc, &b->end);
}

// Whether rows can be taken in whole vectors; `out` may be missing, as results of our own begin at one.
static bool takes_vectors(const create_args *a, size_t bytes, int64_t vec)
{
    return a->cols % vec == 0 && a->in_strides[2] == 1 && a->in_strides[0] % vec == 0 && carat_lanes_aligned(a->in, a->in_strides[1], bytes, vec)
           && carat_lanes_aligned(a->out, 0, bytes, vec);
}

// Small elements one by one leave memory idle.
carat_status carat_create_check_triangles(const create_args *a, carat_dtype dtype)
{
    const size_t bytes = carat_dtype_size(dtype);
    return bytes >= 4 || takes_vectors(a, bytes, widest(CREATE_TRI, dtype)) ? CARAT_OK : carat_step_aside("small elements in odd rows");
}

static carat_status fill_triangles(create_lanes_args *b, const create_args *a, int64_t *vec, size_t bytes)
{
    if (a->count > INT32_MAX / a->cols) return carat_step_aside("more than 2^31 elements");
    if (!takes_vectors(a, bytes, *vec)) *vec = 1;
    b->count = a->count * a->cols;
    b->in = a->in;
    memcpy(b->in_strides, a->in_strides, sizeof b->in_strides);
    b->diagonal = a->diagonal;
    b->rows = (uint32_t)a->rows;
    b->cols = (uint32_t)a->cols;
    b->lower = (uint32_t)a->lower;
    carat_lanes_divisor(b->rows, &b->rows_magic, &b->rows_shift);
    carat_lanes_divisor((uint64_t)(a->cols / *vec), &b->across_magic, &b->across_shift);
    return CARAT_OK;
}

carat_status carat_create_launch_lanes(const carat_frame *call, carat_create_kind kind, carat_dtype dtype, const create_args *a, bool number)
{
    const size_t bytes = carat_dtype_size(dtype);
    int64_t vec = widest(kind, dtype);
    create_lanes_args b = { .out = a->out, .count = a->count };
    if (a->count == 0) return CARAT_OK;
    if (kind == CREATE_TRI) {
        CARAT_TRY(fill_triangles(&b, a, &vec, bytes));
    } else if (kind == CREATE_ISIN) {
        b.in = a->in;
        b.value_count = a->value_count;
        b.invert = a->invert;
        if (number) memcpy(&b.value, a->values, bytes);
        else b.values = a->values;
    } else {
        if (!carat_lanes_aligned(a->out, 0, bytes, vec)) vec = 1;
        fill_range(&b, kind, dtype, a);
    }
    const carat_key key = make_key(kind, dtype, vec);
    return carat_run_kernel(call, &key, &b, sizeof b, pieces(b.count, vec * LANES * keep_of(kind)), 1);
}

// SPDX-License-Identifier: Apache-2.0
// The sort family: sort along a dimension, and the first k in order.
#include "ops/sort.h"

#include "jit/jit.h"
#include "core/kernel_types.h"
#include "sort_args.h"

#include <string.h>

enum {
    MOST_GROUPS = 16,       // each has buffers
    THREAD_ELEMENTS = 4096, // sorting is dear
    FEW = 16,               // that topk keeps in order as it goes
    SHORT_ROW = 256,        // up to here ATen finds more than FEW as fast
    EXTRA_CANDIDATES = 256, // of topk, beyond twice k: how seldom they are sorted
};

// What both operators come down to.
typedef struct ordering {
    const carat_tensor *self;
    int dim;
    int64_t kept;
    bool descending;
    bool select; // one only: that with `kept` before it
    bool keepdim;
} ordering;

static int key_bits(carat_dtype dtype)
{
    return 8 * (int)carat_dtype_size(dtype);
}

static size_t pair_bytes(carat_dtype dtype)
{
    return key_bits(dtype) == 64 ? 16 : 8;
}

// A result may lack the dimension.
static void fill_operand(sort_operand *operand, const carat_tensor *tensor, int dim, bool lacks_dim)
{
    int at = 0;
    operand->data = carat_data(tensor);
    operand->step = lacks_dim || tensor->shape[dim] == 1 ? 1 : tensor->strides[dim];
    for (int d = tensor->ndim; d-- > 0;)
        if ((lacks_dim || d != dim) && tensor->shape[d] != 1) operand->stride[at++] = tensor->strides[d];
}

static int outer_rank(const ordering *o)
{
    int rank = 0;
    for (int d = 0; d < o->self->ndim; ++d) rank += d != o->dim && o->self->shape[d] != 1;
    return rank;
}

static carat_key key_of(const ordering *o)
{
    carat_key key = { .family = CARAT_FAMILY_sort };
    key.dtypes[0] = (uint8_t)carat_dtype_of(o->self);
    return key;
}

static carat_status launch(const carat_frame *call, const ordering *o, const carat_tensor *values, const carat_tensor *indices)
{
    const carat_dtype dtype = carat_dtype_of(o->self);
    sort_args a = { .length = o->self->shape[o->dim], .kept = o->kept, .descending = o->descending, .select = o->select, .rank = outer_rank(o), .rows = 1 };
    const bool lacks_dim = o->select && !o->keepdim;
    fill_operand(&a.in, o->self, o->dim, false);
    fill_operand(&a.values, values, o->dim, lacks_dim);
    fill_operand(&a.indices, indices, o->dim, lacks_dim);
    for (int d = o->self->ndim, at = 0; d-- > 0;) {
        if (d == o->dim || o->self->shape[d] == 1) continue;
        a.size[at++] = o->self->shape[d];
        a.rows *= o->self->shape[d];
    }
    a.few = !a.select && a.kept <= FEW && 2 * a.kept <= a.length;
    a.capacity = !a.select && 2 * a.kept + EXTRA_CANDIDATES < a.length ? 2 * a.kept + EXTRA_CANDIDATES : a.length;
    a.group_rows = (a.rows + MOST_GROUPS - 1) / MOST_GROUPS;
    const int64_t groups = (a.rows + a.group_rows - 1) / a.group_rows, work = a.group_rows * a.length;
    a.scratch = carat_alloc((size_t)(groups * 2 * a.capacity) * pair_bytes(dtype));
    if (!a.scratch) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to sort %lld elements", (long long)a.length);
    const carat_key key = key_of(o);
    const carat_status status = carat_run_kernel(call, &key, &a, sizeof a, groups, work < THREAD_ELEMENTS ? THREAD_ELEMENTS / work : 1);
    carat_free(a.scratch);
    return status;
}

static int result_shape(const ordering *o, int64_t *shape)
{
    int ndim = 0;
    for (int d = 0; d < o->self->ndim; ++d) {
        if (d != o->dim) shape[ndim++] = o->self->shape[d];
        else if (!o->select || o->keepdim) shape[ndim++] = o->select ? 1 : o->kept;
    }
    return ndim;
}

static carat_status run_ordering(carat_frame *call, const ordering *o, const int64_t *strides)
{
    int64_t shape[CARAT_MAX_DIMS];
    carat_output values, indices;
    if (carat_numel(o->self) == 0 || o->self->shape[o->dim] > INT32_MAX) return carat_step_aside("size");
    if (outer_rank(o) > SORT_RANK) return carat_step_aside("rank");
    const carat_key key = key_of(o);
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    const int ndim = result_shape(o, shape);
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(o->self), ndim, shape));
    CARAT_TRY(carat_output_check(call, 1, CARAT_i64, ndim, shape));
    for (int i = 0; i < call->nouts; ++i)
        if (carat_overlap_of(&call->outs[i], o->self) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(o->self), ndim, shape, strides, &values));
    CARAT_TRY(carat_output_make(call, 1, CARAT_i64, ndim, shape, strides, &indices));
    return launch(call, o, &values.view, &indices.view);
}

// self, (stable,) dim, descending
static carat_status run_sort(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const int at = strstr(call->op->name, "stable") ? 2 : 1;
    if (!self || self->ndim == 0 || !carat_dtype_in(carat_dtype_of(self), CARAT_REALS | CARAT_BOOLS)) return carat_step_aside("arguments");
    ordering o = { .self = self, .dim = carat_wrap_dim(carat_int_arg(call, at, -1), self->ndim), .descending = carat_int_arg(call, at + 1, 0) };
    if (o.dim < 0) return carat_step_aside("dim");
    o.kept = self->shape[o.dim];
    int64_t strides[CARAT_MAX_DIMS];
    carat_like_strides(self, strides);
    return run_ordering(call, &o, strides);
}

// self, k, dim, largest, sorted
static carat_status run_topk(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || self->ndim == 0 || !carat_dtype_in(carat_dtype_of(self), CARAT_FLOATS)) return carat_step_aside("arguments");
    const ordering o = { .self = self, .dim = carat_wrap_dim(carat_int_arg(call, 2, -1), self->ndim), .kept = carat_int_arg(call, 1, -1),
                         .descending = carat_int_arg(call, 3, 1) };
    if (o.dim < 0 || o.kept < 1 || o.kept > self->shape[o.dim]) return carat_step_aside("k");
    if (carat_has_lanes(call)) return carat_topk_run_lanes(call, self, o.dim, o.kept, o.descending);
    if (o.kept > FEW && self->shape[o.dim] <= SHORT_ROW && self->shape[o.dim] > SHORT_ROW / 4) return carat_step_aside("short rows");
    return run_ordering(call, &o, NULL);
}

// self, k, dim, keepdim
static carat_status run_kthvalue(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || self->ndim == 0 || !carat_dtype_in(carat_dtype_of(self), CARAT_FLOATS)) return carat_step_aside("arguments");
    const ordering o = { .self = self, .dim = carat_wrap_dim(carat_int_arg(call, 2, -1), self->ndim), .kept = carat_int_arg(call, 1, 0) - 1,
                         .select = true, .keepdim = carat_int_arg(call, 3, 0) };
    if (o.dim < 0 || o.kept < 0 || o.kept >= self->shape[o.dim]) return carat_step_aside("k");
    return run_ordering(call, &o, NULL);
}

// ---- the family

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, function },
#include "sort.def"
#undef ROW
};

static bool row_has_lanes(int index)
{
    return rows[index].run == run_topk;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    if (target->lanes > 1) {
        carat_topk_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "BITS", "%d", key_bits(dtype));
    carat_define(defines, "FLOATING", "%d", carat_is_float(dtype));
    carat_define(defines, "SIGNED", "%d", carat_is_integral(dtype) && dtype != CARAT_u8 && dtype != CARAT_b8);
    carat_define(defines, "INFINITY_BITS", "%s", dtype == CARAT_f16 ? "0x7c00u" : "0x7f80u");
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_topk_enumerate_lanes(emit, arg);
        return;
    }
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        carat_key key = { .family = CARAT_FAMILY_sort };
        key.dtypes[0] = (uint8_t)dtype;
        if (carat_dtype_in(dtype, CARAT_REALS | CARAT_BOOLS)) emit(arg, &key);
    }
}

const carat_family carat_family_sort = {
    .name = "sort",
    .source = "sort.k.c",
    .lanes_source = "sort_lanes.k.c",
    .row_has_lanes = row_has_lanes,
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

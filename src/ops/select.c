// SPDX-License-Identifier: Apache-2.0
// The select family: results of which only the values say how many there are. They are counted before anything is made.
#include "core/kernel_types.h"
#include "jit/jit.h"
#include "ops/operand.h"
#include "select_args.h"

#include <string.h>

enum {
    SELECT_REPEATS = 1u << CARAT_i32 | 1u << CARAT_i64,
    SELECT_ORDERED = CARAT_FLOATS | 1u << CARAT_i16 | 1u << CARAT_i32 | 1u << CARAT_i64, // of few values ATen is as fast
};

_Static_assert(SELECT_RANK == CARAT_MAX_DIMS, "the kernel takes every rank");

// ---- kernels: key.params[0] is the part

static carat_key make_key(select_part part, carat_dtype dtype)
{
    carat_key key = { .family = CARAT_FAMILY_select, .params = { (uint8_t)part } };
    key.dtypes[0] = (uint8_t)dtype;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const parts[] = { "COUNT", "SUM", "MASKED", "INDICES", "REPEATED", "CHANGES", "UNIQUE", "LENGTHS" };
    (void)target;
    carat_define(defines, parts[key->params[0]], "1");
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const uint32_t words = 1u << CARAT_u8 | 1u << CARAT_i16 | 1u << CARAT_i32 | 1u << CARAT_i64 | 1u << CARAT_c128;
    static const uint32_t dtypes[] = { CARAT_ALL, SELECT_REPEATS, words, CARAT_ALL, SELECT_REPEATS, SELECT_ORDERED, SELECT_ORDERED,
                                       1u << CARAT_i64 };
    (void)target;
    for (select_part part = SELECT_COUNT; part <= SELECT_LENGTHS; ++part)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            const carat_key key = make_key(part, dtype);
            if (carat_dtype_in(dtype, dtypes[part])) emit(arg, &key);
        }
}

// ---- two launches

typedef struct selection {
    carat_frame *call;
    carat_key counting, writing;
    select_args args;
    int64_t groups, total; // total: results of all groups
} selection;

static carat_status launch(const selection *s, const carat_key *key)
{
    enum { THREAD_GROUPS = 2 }; // below this a second thread costs more than it brings
    return carat_run_kernel(s->call, key, &s->args, sizeof s->args, s->groups, THREAD_GROUPS);
}

// Counts; args.counts, which the caller frees, then says where each group's results begin.
static carat_status count(selection *s)
{
    carat_kernel kernel;
    s->groups = (s->args.count + SELECT_GROUP - 1) / SELECT_GROUP;
    CARAT_TRY(carat_kernel_get(s->call->backend, s->call->device, &s->counting, &kernel));
    CARAT_TRY(carat_kernel_get(s->call->backend, s->call->device, &s->writing, &kernel));
    s->args.counts = carat_alloc((size_t)s->groups * sizeof *s->args.counts + 1);
    if (!s->args.counts) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld counts", (long long)s->groups);
    CARAT_TRY(launch(s, &s->counting));
    for (int64_t g = 0; g < s->groups; ++g) {
        const int64_t of_group = s->args.counts[g];
        if (of_group < 0) return carat_step_aside("negative repeats");
        s->args.counts[g] = s->total;
        if (__builtin_add_overflow(s->total, of_group, &s->total)) return carat_step_aside("too many repeats");
    }
    return CARAT_OK;
}

static carat_status check_given(const carat_frame *call, const carat_tensor *input)
{
    const carat_tensor *given = carat_output_given(call, 0);
    return given && input && carat_overlap_of(given, input) != CARAT_DISJOINT ? carat_step_aside("output overlaps an input") : CARAT_OK;
}

static carat_status write(selection *s, carat_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides)
{
    carat_output out;
    CARAT_TRY(carat_output_make(s->call, 0, dtype, ndim, shape, strides, &out));
    const carat_tensor *result = &out.view;
    s->args.out = carat_data(result);
    s->args.next_index = result->strides[0];
    s->args.next_dim = ndim > 1 ? result->strides[1] : 0;
    return s->total ? launch(s, &s->writing) : CARAT_OK;
}

// A result of one dimension, whose elements the kernels write one after the other.
static carat_status write_row(selection *s, carat_dtype dtype)
{
    const carat_tensor *given = carat_output_given(s->call, 0);
    if (given && !carat_is_contiguous(given)) return carat_step_aside("layout of out");
    return write(s, dtype, 1, &s->total, NULL);
}

// ---- operators

static carat_status run_nonzero(carat_frame *call) // self
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || !carat_dtype_in(carat_dtype_of(self), CARAT_ALL)) return carat_step_aside("dtype");
    if (self->ndim == 0 || carat_numel(self) == 0) return carat_step_aside("empty or 0-d");
    CARAT_TRY(check_given(call, self));
    const carat_dtype dtype = carat_dtype_of(self);
    selection s = { .call = call, .counting = make_key(SELECT_COUNT, dtype), .writing = make_key(SELECT_INDICES, dtype) };
    s.args.count = carat_numel(self);
    s.args.rank = self->ndim;
    memcpy(s.args.size, self->shape, sizeof *self->shape * (size_t)self->ndim);
    carat_operand in;
    carat_status status = carat_operand_consecutive(call, self, dtype, &in);
    s.args.in = carat_operand_data(&in);
    if (status == CARAT_OK) status = count(&s);
    const int64_t shape[2] = { s.total, self->ndim }, strides[2] = { 1, s.total };
    if (status == CARAT_OK) status = write(&s, CARAT_i64, 2, shape, strides);
    carat_free(s.args.counts);
    carat_operand_release(&in);
    return status;
}

static carat_status run_masked_select(carat_frame *call) // self, mask
{
    const carat_tensor *const both[2] = { carat_tensor_arg(call, 0), carat_tensor_arg(call, 1) };
    if (!both[0] || !carat_dtype_in(carat_dtype_of(both[0]), CARAT_ALL)) return carat_step_aside("dtype");
    if (!both[1] || carat_dtype_of(both[1]) != CARAT_b8) return carat_step_aside("mask is not bool");
    int64_t shape[CARAT_MAX_DIMS], strides[2][CARAT_MAX_DIMS];
    int ndim;
    if (carat_broadcast_shapes(both, 2, &ndim, shape) != CARAT_OK) return carat_step_aside("shapes");
    carat_operand operands[2] = { { .copy = NULL }, { .copy = NULL } };
    const carat_dtype dtype = carat_dtype_of(both[0]);
    selection s = { .call = call, .counting = make_key(SELECT_COUNT, CARAT_b8), .writing = make_key(SELECT_MASKED, carat_raw_dtype(dtype)) };
    carat_status status = CARAT_OK;
    for (int i = 0; i < 2 && status == CARAT_OK; ++i) {
        const carat_tensor view = carat_expand(both[i], ndim, shape, strides[i]);
        s.args.count = carat_numel(&view);
        status = check_given(call, both[i]);
        if (status == CARAT_OK) status = carat_operand_consecutive(call, &view, carat_dtype_of(both[i]), &operands[i]);
    }
    s.args.mask = carat_operand_data(&operands[1]);
    s.args.in = s.args.mask; // to be counted
    if (status == CARAT_OK) status = count(&s);
    s.args.in = carat_operand_data(&operands[0]);
    if (status == CARAT_OK) status = write_row(&s, dtype);
    carat_free(s.args.counts);
    carat_operand_release(&operands[0]);
    carat_operand_release(&operands[1]);
    return status;
}

static carat_status run_repeat_interleave(carat_frame *call) // repeats, output_size
{
    const carat_tensor *repeats = carat_tensor_arg(call, 0);
    if (!repeats || !carat_dtype_in(carat_dtype_of(repeats), SELECT_REPEATS)) return carat_step_aside("dtype");
    if (repeats->ndim != 1 || repeats->shape[0] == 0) return carat_step_aside("shape");
    const carat_dtype dtype = carat_dtype_of(repeats);
    selection s = { .call = call, .counting = make_key(SELECT_SUM, dtype), .writing = make_key(SELECT_REPEATED, dtype) };
    s.args.count = repeats->shape[0];
    carat_operand in;
    carat_status status = carat_operand_consecutive(call, repeats, dtype, &in);
    s.args.in = carat_operand_data(&in);
    if (status == CARAT_OK) status = count(&s);
    if (status == CARAT_OK && carat_int_arg(call, 1, s.total) != s.total) status = carat_step_aside("output_size");
    if (status == CARAT_OK) status = write_row(&s, dtype);
    carat_free(s.args.counts);
    carat_operand_release(&in);
    return status;
}

// ---- unique: runs of the sorted elements

typedef struct unique {
    selection s;
    const carat_tensor *self;
    bool wants_inverse, wants_lengths;
    void *sorted;
    int64_t *order, *starts;
} unique;

// The elements and their places in order, by the operator that sorts.
static carat_status sort_elements(unique *u, const carat_operand *in, carat_dtype dtype)
{
    int64_t length = u->s.args.count, step = 1;
    u->sorted = carat_alloc((size_t)length * carat_dtype_size(dtype));
    u->order = carat_alloc((size_t)length * sizeof *u->order);
    if (!u->sorted || !u->order) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to sort %lld elements", (long long)length);
    const carat_tensor row = { .data = carat_operand_data(in), .device = u->self->device, .ndim = 1, .dl_dtype = carat_dtype_to_dl(dtype),
                               .shape = &length, .strides = &step };
    carat_tensor results[2] = { row, row };
    results[0].data = u->sorted;
    results[1].data = u->order;
    results[1].dl_dtype = carat_dtype_to_dl(CARAT_i64);
    const carat_arg args[3] = { { .kind = CARAT_ARG_TENSOR, .tensor = row }, { .kind = CARAT_ARG_INT }, { .kind = CARAT_ARG_INT } };
    const carat_op *op = carat_op_find("sort.values");
    return op ? carat_call(u->s.call->context, op, args, 3, results, 2) : carat_step_aside("no operator");
}

// Results of one dimension but the inverse, which is laid out like self; empty ones that aren't wanted.
static carat_status make_results(unique *u, carat_dtype dtype)
{
    static const int64_t none = 0;
    carat_output out;
    select_args *a = &u->s.args;
    CARAT_TRY(carat_output_make(u->s.call, 0, dtype, 1, &u->s.total, NULL, &out));
    a->out = carat_data(&out.view);
    if (u->wants_inverse) CARAT_TRY(carat_output_make(u->s.call, 1, CARAT_i64, u->self->ndim, u->self->shape, NULL, &out));
    else CARAT_TRY(carat_output_make(u->s.call, 1, CARAT_i64, 1, &none, NULL, &out));
    a->inverse = carat_data(&out.view);
    CARAT_TRY(carat_output_make(u->s.call, 2, CARAT_i64, 1, u->wants_lengths ? &u->s.total : &none, NULL, &out));
    a->lengths = carat_data(&out.view);
    return CARAT_OK;
}

static carat_status write_runs(unique *u)
{
    select_args *a = &u->s.args;
    if (u->wants_lengths) {
        u->starts = carat_alloc((size_t)(u->s.total + 1) * sizeof *u->starts);
        if (!u->starts) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld runs", (long long)u->s.total);
        u->starts[u->s.total] = a->count;
    }
    a->starts = u->starts;
    a->order = u->wants_inverse ? u->order : NULL;
    CARAT_TRY(launch(&u->s, &u->s.writing));
    if (!u->wants_lengths) return CARAT_OK;
    const carat_key measuring = make_key(SELECT_LENGTHS, CARAT_i64);
    a->count = u->s.total;
    u->s.groups = (a->count + SELECT_GROUP - 1) / SELECT_GROUP;
    return launch(&u->s, &measuring);
}

static carat_status run_unique(carat_frame *call) // self, sorted, return_inverse, return_counts
{
    unique u = { .self = carat_tensor_arg(call, 0), .wants_inverse = carat_int_arg(call, 2, 0), .wants_lengths = carat_int_arg(call, 3, 0) };
    if (!u.self || !carat_dtype_in(carat_dtype_of(u.self), SELECT_ORDERED)) return carat_step_aside("dtype");
    if (!carat_int_arg(call, 1, 1)) return carat_step_aside("any order"); // which is the host's choice
    if (carat_numel(u.self) == 0) return carat_step_aside("empty");
    const carat_dtype dtype = carat_dtype_of(u.self);
    u.s = (selection){ .call = call, .counting = make_key(SELECT_CHANGES, dtype), .writing = make_key(SELECT_UNIQUE, dtype) };
    u.s.args.count = carat_numel(u.self);
    carat_operand in;
    carat_status status = carat_operand_consecutive(call, u.self, dtype, &in);
    if (status == CARAT_OK) status = sort_elements(&u, &in, dtype);
    u.s.args.in = u.sorted;
    if (status == CARAT_OK) status = count(&u.s);
    if (status == CARAT_OK) status = make_results(&u, dtype);
    if (status == CARAT_OK) status = write_runs(&u);
    carat_operand_release(&in);
    carat_free(u.sorted);
    carat_free(u.order);
    carat_free(u.starts);
    carat_free(u.s.args.counts);
    return status;
}

// ---- the family

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, function },
#include "select.def"
#undef ROW
};

const carat_family carat_family_select = {
    .name = "select",
    .source = "select.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

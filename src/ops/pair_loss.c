// SPDX-License-Identifier: Apache-2.0
// The pair_loss family: losses of an input and a target, and their gradients. A reduced loss has a kernel of its own, which
// computes and adds up at once; a loss that isn't reduced, and every gradient, is a row of the pointwise family.
#include "ops/pair_loss.h"

#include "jit/jit.h"
#include "ops/operand.h"

#include <string.h>

// Two rows a loss: it and its gradient.
static const carat_pair_loss_row rows[] = {
#define TEXT(...) #__VA_ARGS__ // of bodies whose macros are expanded
#define PAIR_LOSS(id, forward, gradients, weights, layout, parameter, body, gradient, domain)                                     \
    { { #id, forward, CARAT_FLOATS, NULL }, CARAT_POINTWISE_##id, false, weights, layout, parameter, TEXT(body), TEXT(domain) }, \
    { { #id "_backward", gradients, CARAT_FLOATS, NULL }, CARAT_POINTWISE_##id##_backward, true, weights, layout, parameter,     \
      TEXT(body), TEXT(domain) },
#include "pair_loss.def"
#undef PAIR_LOSS
#undef TEXT
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

// ---- kernels: key.row is a forward row, key.dtypes[0] the element type, key.params[0] the part

typedef enum part { SUM, FINISH, DOMAIN_CHECK, PART_COUNT } part;

const carat_pair_loss_row *carat_pair_loss_row_at(int index)
{
    return &rows[index];
}

static carat_key make_key(const carat_pair_loss_row *row, carat_dtype dtype, part of)
{
    carat_key key = { .family = CARAT_FAMILY_pair_loss, .row = (uint16_t)(row - rows), .params = { (uint8_t)of } };
    key.dtypes[0] = (uint8_t)dtype;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_pair_loss_row *row = &rows[key->row];
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "BODY", "%s", row->body);
    carat_define(defines, "WEIGHTED", "%d", row->weights);
    carat_define(defines, "PARAMETER", "%s", row->parameter);
    carat_define(defines, "DOMAIN", "%s", row->domain);
    if (target->lanes > 1) {
        carat_pair_loss_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, "PART", "%d", key->params[0]);
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(carat_compute_dtype(dtype)));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_pair_loss_enumerate_lanes(ROW_COUNT, emit, arg);
        return;
    }
    for (int r = 0; r < ROW_COUNT; ++r)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
            for (part of = 0; of < PART_COUNT; ++of) {
                const carat_key key = make_key(&rows[r], dtype, of);
                if (!rows[r].backward && carat_is_float(dtype) && (of != DOMAIN_CHECK || carat_pair_loss_has_domain(&rows[r]))) emit(arg, &key);
            }
}

static carat_status launch(const carat_frame *call, const carat_pair_loss_row *row, carat_dtype dtype, part of, const pair_loss_args *a, int64_t groups)
{
    enum { THREAD_GROUPS = 2 }; // below this a second thread costs more than it brings
    const carat_key key = make_key(row, dtype, of);
    return carat_run_kernel(call, &key, a, sizeof *a, groups, THREAD_GROUPS);
}

// ---- arguments

// The least divisor of the gradient of the cross entropy. ATen rounds it to the input's dtype, where it vanishes for f16.
static double least_divisor(carat_dtype dtype)
{
    return dtype == CARAT_f16 ? 0 : (double)1e-12f;
}

#define LEAST_PARAMETER 1e-30 // its reciprocal is finite in f32

// (grad_output,) self, target, (weight,) reduction, (parameter)
static carat_status read_arguments(const carat_frame *call, carat_pair_loss *r)
{
    const bool cross_entropy = carat_pair_loss_has_domain(r->row);
    int at = r->row->backward;
    r->grad = r->row->backward ? carat_tensor_arg(call, 0) : NULL;
    r->x = carat_tensor_arg(call, at);
    r->y = carat_tensor_arg(call, at + 1);
    at += 2;
    if (!r->x || !r->y || (r->row->backward && !r->grad)) return carat_step_aside("argument kind");
    r->dtype = carat_dtype_of(r->x);
    if (cross_entropy) r->weight = carat_tensor_arg(call, at++);
    if (r->weight) r->row += 2; // the weighted loss follows
    r->reduction = carat_int_arg(call, at, CARAT_PAIR_MEAN);
    r->parameter = cross_entropy ? least_divisor(r->dtype) : carat_float_arg(call, at + 1, 1);
    if (r->reduction < CARAT_PAIR_NONE || r->reduction > CARAT_PAIR_TOTAL) return carat_step_aside("reduction");
    if (!cross_entropy && !(r->parameter >= LEAST_PARAMETER)) return carat_step_aside("parameter"); // 0: another loss, or an error
    return CARAT_OK;
}

// Operands that are broadcast fit the input's shape; a cross entropy's target has that very shape.
static carat_status check_operand(const carat_pair_loss *r, const carat_tensor *operand, bool same_shape)
{
    if (!operand) return CARAT_OK;
    if (carat_dtype_of(operand) != r->dtype) return carat_step_aside("mixed dtypes");
    if (carat_same_shape(operand, r->x)) return CARAT_OK;
    int64_t shape[CARAT_MAX_DIMS];
    int ndim;
    const carat_tensor *const both[2] = { r->x, operand };
    if (same_shape || carat_broadcast_shapes(both, 2, &ndim, shape) != CARAT_OK) return carat_step_aside("shape of an operand");
    const bool fits = ndim == r->x->ndim && (!ndim || !memcmp(shape, r->x->shape, sizeof *shape * (size_t)ndim));
    return fits ? CARAT_OK : carat_step_aside("shape of an operand");
}

static carat_status check(const carat_frame *call, const carat_pair_loss *r)
{
    const bool cross_entropy = carat_pair_loss_has_domain(r->row);
    if (!carat_is_float(r->dtype)) return carat_step_aside("dtype");
    if (carat_numel(r->x) == 0) return carat_step_aside("empty");
    CARAT_TRY(check_operand(r, r->y, cross_entropy));
    CARAT_TRY(check_operand(r, r->weight, false));
    CARAT_TRY(check_operand(r, r->grad, cross_entropy && r->grad && r->grad->ndim > 0));
    const carat_tensor *given = carat_output_given(call, 0);
    if (!given) return CARAT_OK;
    const bool reduced = !r->row->backward && r->reduction != CARAT_PAIR_NONE;
    if (!r->row->backward && r->row->layout == BY_INPUT && (reduced || r->weight)) return carat_step_aside("out= that ATen resizes");
    const carat_tensor *const inputs[] = { r->x, r->y, r->grad, r->weight };
    for (int i = 0; i < 4; ++i) {
        const carat_overlap overlap = inputs[i] ? carat_overlap_of(given, inputs[i]) : CARAT_DISJOINT;
        if (overlap == CARAT_PARTIAL || (overlap == CARAT_SAME && (reduced || inputs[i] == r->weight)))
            return carat_step_aside("output overlaps an input");
    }
    return CARAT_OK;
}

// ---- operands one after the other

typedef struct consecutive {
    carat_operand x, y, z;
} consecutive;

static carat_status line_up(const carat_frame *call, const carat_pair_loss *r, const carat_tensor *operand, bool as_they_lie, carat_operand *to)
{
    if (!operand) return carat_operand_contiguous(call, NULL, r->dtype, to);
    if (as_they_lie) {
        *to = (carat_operand){ .view = *operand };
        return CARAT_OK;
    }
    int64_t strides[CARAT_MAX_DIMS];
    const carat_tensor expanded = carat_expand(operand, r->x->ndim, r->x->shape, strides);
    return carat_operand_contiguous(call, &expanded, r->dtype, to); // the view, if it is kept, isn't asked for its strides
}

static carat_status line_up_all(const carat_frame *call, const carat_pair_loss *r, consecutive *to, pair_loss_args *a)
{
    const bool as_they_lie = carat_pair_loss_as_they_lie(r);
    CARAT_TRY(line_up(call, r, r->x, as_they_lie, &to->x));
    CARAT_TRY(line_up(call, r, r->y, as_they_lie, &to->y));
    CARAT_TRY(line_up(call, r, r->weight, as_they_lie, &to->z));
    a->x = carat_operand_data(&to->x);
    a->y = carat_operand_data(&to->y);
    a->z = carat_operand_data(&to->z);
    return CARAT_OK;
}

static void release(consecutive *operands)
{
    carat_operand_release(&operands->x);
    carat_operand_release(&operands->y);
    carat_operand_release(&operands->z);
}

static pair_loss_args start_args(const carat_pair_loss *r)
{
    const int64_t count = carat_numel(r->x);
    return (pair_loss_args){ .count = count, .groups = (count + PAIR_LOSS_GROUP - 1) / PAIR_LOSS_GROUP, .parameter = r->parameter,
                             .divisor = r->reduction == CARAT_PAIR_MEAN ? (double)count : 1 };
}

// An input or target outside of the loss's domain is an error, which ATen words. Both are consecutive, in any order.
static carat_status check_domain(const carat_frame *call, const carat_pair_loss *r, pair_loss_args *a)
{
    i32 outside = 0;
    if (!carat_pair_loss_has_domain(r->row)) return CARAT_OK;
    a->outside = &outside;
    CARAT_TRY(launch(call, r->row, r->dtype, DOMAIN_CHECK, a, a->groups));
    return outside ? carat_step_aside("element out of range") : CARAT_OK;
}

// ---- reduced

static carat_status add_up(const carat_frame *call, const carat_pair_loss *r, pair_loss_args *a)
{
    f64 near[64];
    if (a->groups > (int64_t)(sizeof near / sizeof *near)) a->sums = carat_alloc((size_t)a->groups * sizeof *a->sums);
    else a->sums = near;
    if (!a->sums) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld sums", (long long)a->groups);
    carat_status status = launch(call, r->row, r->dtype, SUM, a, a->groups);
    if (status == CARAT_OK && a->groups > 1) status = launch(call, r->row, r->dtype, FINISH, a, 1);
    if (a->sums != near) carat_free(a->sums);
    return status;
}

static carat_status run_reduced(carat_frame *call, const carat_pair_loss *r)
{
    pair_loss_args a = start_args(r);
    CARAT_TRY(carat_output_check(call, 0, r->dtype, 0, NULL));
    if (carat_has_lanes(call)) return carat_pair_loss_reduce_lanes(call, r, &a);
    for (part of = SUM; of <= FINISH; ++of) {
        const carat_key key = make_key(r->row, r->dtype, of);
        carat_kernel kernel;
        CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    }
    consecutive operands = { .x = { .copy = NULL } };
    carat_output out;
    carat_status status = line_up_all(call, r, &operands, &a);
    if (status == CARAT_OK) status = check_domain(call, r, &a);
    if (status == CARAT_OK) status = carat_output_make(call, 0, r->dtype, 0, NULL, NULL, &out);
    if (status == CARAT_OK) {
        a.out = carat_data(&out.view);
        status = add_up(call, r, &a);
    }
    release(&operands);
    return status;
}

// ---- each element for itself

static void choose_strides(const carat_pair_loss *r, int64_t *strides)
{
    const carat_tensor *const operands[2] = { r->x, r->y };
    if (r->row->layout == BY_INPUT) carat_like_strides(r->x, strides);
    else if (r->row->backward) carat_contiguous_strides(r->x->ndim, r->x->shape, strides);
    else carat_elementwise_strides(operands, 2, r->x->ndim, r->x->shape, strides);
}

static carat_status check_each_domain(const carat_frame *call, const carat_pair_loss *r)
{
    if (r->row->backward || !carat_pair_loss_has_domain(r->row)) return CARAT_OK;
    if (carat_has_lanes(call)) return carat_step_aside("elements can't be checked beforehand");
    pair_loss_args a = start_args(r);
    consecutive operands = { .x = { .copy = NULL } };
    carat_status status = line_up(call, r, r->x, carat_is_dense(r->x), &operands.x);
    if (status == CARAT_OK) status = line_up(call, r, r->y, carat_is_dense(r->y), &operands.y);
    a.x = carat_operand_data(&operands.x);
    a.y = carat_operand_data(&operands.y);
    if (status == CARAT_OK) status = check_domain(call, r, &a);
    release(&operands);
    return status;
}

static carat_status run_each(carat_frame *call, const carat_pair_loss *r)
{
    const double scale = r->reduction == CARAT_PAIR_MEAN ? 1 / (double)carat_numel(r->x) : 1;
    carat_pointwise each = { .row = r->row->each, .compute = carat_compute_dtype(r->dtype), .common = r->dtype, .in = { r->x, r->y } };
    each.scalar[0] = (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = r->parameter };
    each.scalar[1] = (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = scale };
    int inputs = 2;
    if (r->grad) each.in[inputs++] = r->grad;
    if (r->weight) each.in[inputs++] = r->weight;
    CARAT_TRY(carat_output_check(call, 0, r->dtype, r->x->ndim, r->x->shape));
    CARAT_TRY(carat_pointwise_check(call, &each, r->dtype));
    CARAT_TRY(check_each_domain(call, r));
    int64_t strides[CARAT_MAX_DIMS];
    choose_strides(r, strides);
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, r->dtype, r->x->ndim, r->x->shape, strides, &out));
    each.out[0] = &out.view;
    return carat_pointwise_launch(call, &each);
}

static carat_status run(carat_frame *call)
{
    carat_pair_loss r = { .row = &rows[call->op->row_index] };
    CARAT_TRY(read_arguments(call, &r));
    CARAT_TRY(check(call, &r));
    return r.row->backward || r.reduction == CARAT_PAIR_NONE ? run_each(call, &r) : run_reduced(call, &r);
}

const carat_family carat_family_pair_loss = {
    .name = "pair_loss",
    .source = "pair_loss.k.c",
    .lanes_source = "pair_loss_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROW_COUNT,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

// SPDX-License-Identifier: Apache-2.0
// A call of an operator made of an expression: its row for the operands' dtypes, the result's shape and layout, the launch.
#include "ops/expression_op.h"

#include "jit/lock.h"
#include <stdlib.h>
#include <string.h>

// ---- rows

static carat_expression_row *find_row(const carat_expression_operator *e, const carat_expression_signature *signature)
{
    for (carat_expression_row *row = atomic_load_explicit(&e->rows, memory_order_acquire); row; row = row->next)
        if (!memcmp(&row->signature, signature, sizeof *signature)) return row;
    return NULL;
}

static carat_dtype scalar_dtype(carat_scalar_kind kind)
{
    return kind == CARAT_SCALAR_BOOL ? CARAT_b8 : kind == CARAT_SCALAR_INT ? CARAT_i64 : CARAT_f64;
}

static carat_status fill_row(const carat_tree *tree, carat_expression_row *row)
{
    const carat_expression_signature *const signature = &row->signature;
    const carat_dtype default_dtype = (carat_dtype)signature->default_dtype;
    carat_node_type types[CARAT_EXPRESSION_NODES];
    carat_dtype given[CARAT_MAX_OUTPUTS];
    CARAT_TRY(carat_tree_types(tree, signature->input, default_dtype, types));
    for (int k = 0; k < tree->output_count; ++k) {
        given[k] = (carat_dtype)signature->given[k];
        const carat_dtype result = carat_tree_result(tree, k, types, default_dtype);
        if (given[k] != CARAT_DTYPE_NONE && !carat_can_cast(result, given[k]))
            return carat_fail(CARAT_INVALID_DTYPE, "output %d: %s can't be written to a tensor of %s", k, carat_dtype_name(result), carat_dtype_name(given[k]));
    }
    row->row = (carat_pointwise_row){ .made = &row->made, .inputs = (uint8_t)tree->input_count, .scalars = (uint8_t)tree->scalar_count,
                                      .scalar_names = "s0 s1 s2 s3 s4 s5 s6 s7" };
    row->made.outputs = (uint8_t)tree->output_count;
    for (int j = 0; j < tree->input_count; ++j) row->made.in[j] = signature->input[j].dtype;
    for (int s = 0; s < tree->scalar_count; ++s) row->made.scalar[s] = (uint8_t)scalar_dtype(tree->scalar_default[s].kind);
    CARAT_TRY(carat_tree_emit(tree, types, default_dtype, given, &row->row, &row->made));
    row->index = carat_pointwise_add_row(&row->row);
    return row->index >= 0 ? CARAT_OK : carat_fail(CARAT_OUT_OF_MEMORY, "too many expressions for too many dtypes");
}

static __attribute__((noinline, cold)) carat_status make_row(carat_expression_operator *e, const carat_expression_signature *signature,
                                                             const carat_expression_row **found)
{
    carat_expression_row *const row = calloc(1, sizeof *row);
    if (!row) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for an expression's kernel");
    row->signature = *signature;
    carat_lock(); // so that no two threads make the same
    *found = find_row(e, signature);
    carat_status status = CARAT_OK;
    if (!*found && (status = fill_row(e->tree, row)) == CARAT_OK) {
        row->next = atomic_load_explicit(&e->rows, memory_order_relaxed);
        atomic_store_explicit(&e->rows, row, memory_order_release);
        *found = row;
    }
    carat_unlock();
    if (*found != row) {
        free((void *)(uintptr_t)row->made.steps);
        free(row);
    }
    return status;
}

carat_status carat_expression_row_of(carat_expression_operator *e, const carat_expression_signature *signature, const carat_expression_row **row)
{
    *row = find_row(e, signature);
    return *row ? CARAT_OK : make_row(e, signature, row);
}

// ---- arguments

carat_status carat_expression_sign(const carat_expression_operator *e, const carat_arg *args, int nargs, carat_expression_signature *signature)
{
    const int inputs = e->tree->input_count;
    memset(signature, 0, sizeof *signature);
    memset(signature->given, CARAT_DTYPE_NONE, sizeof signature->given);
    if (nargs < inputs || nargs > inputs + e->tree->scalar_count)
        return carat_fail(CARAT_INVALID_ARGUMENT, "%d arguments for %d inputs and %d scalars", nargs, inputs, e->tree->scalar_count);
    for (int j = 0; j < inputs; ++j) {
        const carat_arg *const arg = &args[j];
        carat_dtype dtype = CARAT_DTYPE_NONE;
        carat_rank rank = CARAT_RANK_NUMBER;
        if (arg->kind == CARAT_ARG_TENSOR) {
            dtype = carat_dtype_of(&arg->tensor);
            rank = arg->tensor.ndim ? CARAT_RANK_DIMENSIONED : arg->flags & CARAT_TENSOR_WRAPPED_NUMBER ? CARAT_RANK_NUMBER : CARAT_RANK_ZERO_DIM;
        } else if (arg->kind == CARAT_ARG_SCALAR && arg->scalar.kind <= CARAT_SCALAR_FLOAT) {
            dtype = scalar_dtype(arg->scalar.kind);
        }
        if (!carat_dtype_in(dtype, CARAT_REALS | CARAT_BOOLS))
            return carat_fail(CARAT_INVALID_DTYPE, "%s: expressions take real tensors and numbers, of 64 bits at most", e->tree->input[j]);
        signature->input[j] = (carat_node_type){ .dtype = (uint8_t)dtype, .rank = (uint8_t)rank };
    }
    return CARAT_OK;
}

// A call while it is prepared: numbers among the inputs become views of one element.
typedef struct preparation {
    carat_pointwise launch;
    carat_expression_signature signature;
    carat_tensor number[CARAT_POINTWISE_INPUTS];
    int64_t element[CARAT_POINTWISE_INPUTS];
    const carat_tensor *tensor[CARAT_POINTWISE_INPUTS];
    int tensors, ndim;
    int64_t shape[CARAT_MAX_DIMS];
} preparation;

static carat_status take_inputs(const carat_frame *call, const carat_tree *tree, preparation *p)
{
    for (int j = 0; j < tree->input_count; ++j) {
        const carat_arg *const arg = &call->args[j];
        if (arg->kind == CARAT_ARG_TENSOR) {
            p->launch.in[j] = p->tensor[p->tensors++] = &arg->tensor;
            continue;
        }
        const carat_dtype dtype = (carat_dtype)p->signature.input[j].dtype;
        carat_scalar_store(arg->scalar, dtype, &p->element[j]);
        p->number[j] = (carat_tensor){ .data = &p->element[j], .device = { CARAT_CPU, 0 }, .dl_dtype = carat_dtype_to_dl(dtype) };
        p->launch.in[j] = &p->number[j];
    }
    return carat_broadcast_shapes(p->tensor, p->tensors, &p->ndim, p->shape);
}

static carat_status take_scalars(const carat_frame *call, const carat_tree *tree, preparation *p)
{
    for (int s = 0; s < tree->scalar_count; ++s) {
        const int place = tree->input_count + s;
        carat_scalar *const value = &p->launch.scalar[s];
        *value = tree->scalar_default[s];
        if (place >= call->nargs || call->args[place].kind == CARAT_ARG_NONE) continue;
        const carat_scalar_kind kind = value->kind;
        if (!carat_pointwise_number(&call->args[place], value) || value->kind > CARAT_SCALAR_FLOAT)
            return carat_fail(CARAT_INVALID_ARGUMENT, "%s: this is no real number", tree->scalar[s]);
        if (kind < CARAT_SCALAR_FLOAT && value->kind == CARAT_SCALAR_FLOAT)
            return carat_fail(CARAT_INVALID_ARGUMENT, "%s is a whole number by its default, not %g", tree->scalar[s], value->re);
    }
    return CARAT_OK;
}

// ---- outputs

static carat_status check_given(const carat_frame *call, const preparation *p, int k)
{
    const carat_tensor *const out = &call->outs[k];
    if (out->ndim != p->ndim || memcmp(out->shape, p->shape, sizeof *p->shape * (size_t)p->ndim))
        return carat_fail(CARAT_INVALID_SHAPE, "output %d doesn't have the shape that the inputs broadcast to", k);
    if (carat_overlaps_itself(out)) return carat_fail(CARAT_INVALID_ARGUMENT, "output %d: several of its elements share memory", k);
    for (int j = 0; j < p->tensors; ++j)
        if (carat_overlap_of(out, p->tensor[j]) == CARAT_PARTIAL) return carat_fail(CARAT_INVALID_ARGUMENT, "output %d overlaps an input", k);
    for (int other = 0; other < k; ++other)
        if (carat_overlap_of(out, &call->outs[other]) != CARAT_DISJOINT) return carat_fail(CARAT_INVALID_ARGUMENT, "outputs %d and %d overlap", other, k);
    return CARAT_OK;
}

static carat_status check_outputs(const carat_frame *call, const carat_tree *tree, preparation *p)
{
    if (call->nouts && call->nouts != tree->output_count)
        return carat_fail(CARAT_INVALID_ARGUMENT, "%d tensors for %d outputs", call->nouts, tree->output_count);
    if (!call->nouts && !call->context->make_output) return carat_fail(CARAT_INVALID_ARGUMENT, "neither outputs nor an allocator for them");
    if (!call->nouts && !carat_shape_fits(p->ndim, p->shape)) return carat_fail(CARAT_INVALID_SHAPE, "a result that no memory holds");
    for (int k = 0; k < call->nouts; ++k) {
        CARAT_TRY(check_given(call, p, k));
        p->signature.given[k] = (uint8_t)carat_dtype_of(&call->outs[k]);
        if (!carat_dtype_in((carat_dtype)p->signature.given[k], CARAT_REALS | CARAT_BOOLS)) return carat_fail(CARAT_INVALID_DTYPE, "output %d: dtype", k);
    }
    return CARAT_OK;
}

static carat_status make_outputs(carat_frame *call, const carat_pointwise_made *made, preparation *p, carat_output *out)
{
    int64_t strides[CARAT_MAX_DIMS];
    if (!call->nouts) carat_elementwise_strides(p->tensor, p->tensors, p->ndim, p->shape, strides);
    for (int k = 0; k < made->outputs; ++k) {
        p->launch.out[k] = &out[k].view;
        if (call->nouts) out[k].view = call->outs[k];
        else CARAT_TRY(carat_output_make(call, k, (carat_dtype)made->out[k], p->ndim, p->shape, strides, &out[k]));
    }
    return CARAT_OK;
}

// ---- the call

// There is no other operator to step aside to: what is missing is an error, and says how to mend it.
static carat_status say_what_is_missing(const carat_frame *call)
{
    const char *why = NULL;
    carat_lock();
    const bool compiles = call->backend->compiler && call->backend->compiler(&why);
    carat_unlock();
    if (compiles || !why) return carat_fail(CARAT_NOT_FOUND, "the expression's kernel can't be used: %s", carat_last_reason());
    if (call->device.type != CARAT_CPU) return carat_fail(CARAT_NOT_FOUND, "expressions are compiled by the first call, but: %s", why);
    return carat_fail(CARAT_NOT_FOUND, "expressions are compiled by the first call, but: %s. Install one (Debian and Ubuntu: apt-get install gcc "
                      "libc6-dev; Fedora: dnf install gcc; or pip install ziglang and CARAT_CC=\"python -m ziglang cc\")", why);
}

carat_status carat_expression_run(carat_frame *call)
{
    carat_expression_operator *const e = carat_expression_operator_of(call->op);
    preparation p;
    carat_output out[CARAT_MAX_OUTPUTS];
    const carat_expression_row *row;
    p.tensors = 0;
    CARAT_TRY(carat_expression_sign(e, call->args, call->nargs, &p.signature));
    CARAT_TRY(take_inputs(call, e->tree, &p));
    CARAT_TRY(take_scalars(call, e->tree, &p));
    CARAT_TRY(check_outputs(call, e->tree, &p));
    p.signature.default_dtype = (uint8_t)call->context->default_dtype;
    CARAT_TRY(carat_expression_row_of(e, &p.signature, &row));
    p.launch.row = row->index;
    p.launch.kernel.handle = NULL;
    carat_status status = carat_pointwise_check(call, &p.launch, (carat_dtype)row->made.out[0]);
    if (status == CARAT_OK) status = make_outputs(call, &row->made, &p, out);
    if (status == CARAT_OK) status = carat_pointwise_launch(call, &p.launch);
    return status == CARAT_UNSUPPORTED ? say_what_is_missing(call) : status;
}

carat_status carat_expression_dtypes(const carat_op *op, const carat_arg *args, int nargs, carat_dtype default_dtype, carat_dtype *dtypes)
{
    const carat_expression_operator *const e = carat_expression_operator_of(op);
    if (!e || !args || !dtypes) return carat_fail(CARAT_INVALID_ARGUMENT, "carat_expression_dtypes: no operator made of an expression, or a null pointer");
    carat_expression_signature signature;
    carat_node_type types[CARAT_EXPRESSION_NODES];
    CARAT_TRY(carat_expression_sign(e, args, nargs, &signature));
    CARAT_TRY(carat_tree_types(e->tree, signature.input, default_dtype, types));
    for (int k = 0; k < e->tree->output_count; ++k) dtypes[k] = carat_tree_result(e->tree, k, types, default_dtype);
    return CARAT_OK;
}

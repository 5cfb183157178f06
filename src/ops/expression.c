// SPDX-License-Identifier: Apache-2.0
// Operators made of expressions: found by what they are made of, made once, kept as long as the process.
#include "ops/expression_op.h"

#include "jit/lock.h"
#include "jit/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

carat_expression_operator *carat_expression_operator_of(const carat_op *op)
{
    return op && op->row->run == carat_expression_run ? (carat_expression_operator *)(uintptr_t)op : NULL;
}

// ---- names: "pointwise_" and a hash of what the operator is made of

static void add_text(carat_sha256 *sha, const char *text)
{
    carat_sha256_add(sha, text ? "+" : "-", 1);
    if (text) carat_sha256_add(sha, text, strlen(text) + 1);
}

static void end_name(carat_sha256 *sha, const char *stem, char name[48])
{
    uint8_t digest[CARAT_SHA256_BYTES];
    carat_sha256_end(sha, digest);
    const size_t length = strlen(stem);
    memcpy(name, stem, length);
    carat_hex_make(digest, 16, name + length);
}

static void name_expression(const carat_expression *of, const carat_tree *tree, char name[48])
{
    carat_sha256 sha;
    carat_sha256_begin(&sha);
    add_text(&sha, of->text);
    add_text(&sha, of->gradients);
    carat_sha256_add(&sha, tree->output_dtype, (size_t)tree->output_count);
    for (int s = 0; s < tree->scalar_count; ++s) {
        const carat_scalar *const value = &tree->scalar_default[s];
        add_text(&sha, tree->scalar[s]);
        carat_sha256_add(&sha, &value->kind, sizeof value->kind);
        carat_sha256_add(&sha, value->kind == CARAT_SCALAR_FLOAT ? (const void *)&value->re : &value->i, 8);
    }
    end_name(&sha, "pointwise_", name);
}

static void name_gradient(const carat_expression_operator *of, const int *inputs, const carat_dtype *dtypes, int count, char name[48])
{
    carat_sha256 sha;
    carat_sha256_begin(&sha);
    add_text(&sha, of->name);
    for (int k = 0; k < count; ++k) {
        const uint8_t output[2] = { (uint8_t)inputs[k], (uint8_t)dtypes[k] };
        carat_sha256_add(&sha, output, sizeof output);
    }
    end_name(&sha, "gradient_", name);
}

// ---- making and finding

// Takes the tree; the operator of that name if there is one by now.
static carat_status publish(carat_tree *tree, const char *name, const char *formulas, const carat_op **op)
{
    carat_expression_operator *e = calloc(1, sizeof *e);
    char *const copy = formulas ? strdup(formulas) : NULL;
    if (!e || (formulas && !copy)) {
        free(copy);
        free(e);
        carat_tree_free(tree);
        return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for an operator");
    }
    strcpy(e->name, name);
    e->tree = tree;
    e->formulas = copy;
    e->row = (carat_row){ .id = e->name, .overloads = "", .dtypes = CARAT_REALS | CARAT_BOOLS, .run = carat_expression_run };
    e->op = (carat_op){ .name = e->name, .family = &carat_family_pointwise, .row = &e->row };
    *op = carat_op_publish(&e->op);
    if (*op != &e->op) {
        carat_tree_free(tree);
        free(copy);
        free(e);
    }
    return CARAT_OK;
}

static carat_status take_scalars(const carat_expression *of, carat_tree *tree)
{
    if (of->scalar_count > CARAT_POINTWISE_SCALARS)
        return carat_fail(CARAT_INVALID_ARGUMENT, "%zu scalars: at most %d", of->scalar_count, CARAT_POINTWISE_SCALARS);
    for (size_t s = 0; s < of->scalar_count; ++s) {
        const carat_named_scalar *const scalar = &of->scalars[s];
        CARAT_TRY(carat_tree_check_name(tree, scalar->name));
        if ((unsigned)scalar->value.kind > CARAT_SCALAR_FLOAT) return carat_fail(CARAT_INVALID_ARGUMENT, "%s: a complex number", scalar->name);
        strcpy(tree->scalar[s], scalar->name);
        tree->scalar_default[s] = scalar->value;
        tree->scalar_count++;
    }
    return CARAT_OK;
}

static carat_status take_dtypes(const carat_expression *of, carat_tree *tree)
{
    for (int k = 0; of->dtypes && k < tree->output_count; ++k) {
        const carat_dtype dtype = of->dtypes[k];
        if (dtype != CARAT_DTYPE_NONE && !carat_dtype_in(dtype, CARAT_REALS | CARAT_BOOLS))
            return carat_fail(CARAT_INVALID_DTYPE, "output %d: %s", k, carat_dtype_name(dtype));
        tree->output_dtype[k] = (uint8_t)dtype;
    }
    return CARAT_OK;
}

// Formulas that are none are found out now, not by the first backward pass.
static carat_status check_formulas(const carat_expression *of, const carat_tree *tree)
{
    carat_tree *gradients = NULL;
    if (of->gradients) CARAT_TRY(carat_tree_gradients(tree, of->gradients, &gradients));
    carat_tree_free(gradients);
    return CARAT_OK;
}

static carat_status fill(const carat_expression *of, carat_tree *tree)
{
    CARAT_TRY(take_scalars(of, tree));
    CARAT_TRY(carat_tree_parse(tree));
    CARAT_TRY(take_dtypes(of, tree));
    return check_formulas(of, tree);
}

carat_status carat_expression_op(const carat_expression *expression, const carat_op **op)
{
    if (!expression || !op || !expression->text || (expression->scalar_count && !expression->scalars))
        return carat_fail(CARAT_INVALID_ARGUMENT, "carat_expression_op: a null pointer");
    carat_tree *const tree = calloc(1, sizeof *tree);
    if (tree) tree->text = strdup(expression->text);
    if (!tree || !tree->text) {
        carat_tree_free(tree);
        return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for an expression");
    }
    const carat_status status = fill(expression, tree);
    if (status != CARAT_OK) {
        carat_tree_free(tree);
        return status;
    }
    char name[48];
    name_expression(expression, tree, name);
    return publish(tree, name, expression->gradients, op);
}

// ---- gradients

static carat_status gradients_of(carat_expression_operator *e, const carat_tree **gradients)
{
    carat_lock();
    *gradients = e->gradients;
    carat_unlock();
    if (*gradients) return CARAT_OK;
    carat_tree *made = NULL;
    CARAT_TRY(carat_tree_gradients(e->tree, e->formulas, &made));
    carat_lock();
    carat_tree *const other = e->gradients;
    if (!other) e->gradients = made;
    *gradients = e->gradients;
    carat_unlock();
    if (other) carat_tree_free(made);
    return CARAT_OK;
}

carat_status carat_expression_gradient(const carat_op *op, const int *inputs, const carat_dtype *dtypes, int count, const carat_op **gradient)
{
    carat_expression_operator *const e = carat_expression_operator_of(op);
    if (!e || !inputs || !dtypes || !gradient || count < 1 || count > CARAT_MAX_OUTPUTS)
        return carat_fail(CARAT_INVALID_ARGUMENT, "carat_expression_gradient: no operator made of an expression, a null pointer, or %d gradients", count);
    for (int k = 0; k < count; ++k)
        if (inputs[k] < 0 || inputs[k] >= e->tree->input_count || !carat_dtype_in(dtypes[k], CARAT_FLOATS))
            return carat_fail(CARAT_INVALID_ARGUMENT, "the gradient of input %d in %s", inputs[k], carat_dtype_name(dtypes[k]));
    char name[48];
    name_gradient(e, inputs, dtypes, count, name);
    *gradient = carat_op_find(name);
    if (*gradient) return CARAT_OK;
    const carat_tree *all_gradients;
    CARAT_TRY(gradients_of(e, &all_gradients));
    carat_tree *const tree = carat_tree_select(all_gradients, inputs, count, e->tree->input_count);
    if (!tree) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for an expression's gradient");
    for (int k = 0; k < count; ++k) tree->output_dtype[k] = (uint8_t)dtypes[k];
    return publish(tree, name, NULL, gradient);
}

// ---- what an operator is

int carat_expression_inputs(const carat_op *op)
{
    const carat_expression_operator *const e = carat_expression_operator_of(op);
    return e ? e->tree->input_count : 0;
}

int carat_expression_outputs(const carat_op *op)
{
    const carat_expression_operator *const e = carat_expression_operator_of(op);
    return e ? e->tree->output_count : 0;
}

int carat_expression_scalars(const carat_op *op)
{
    const carat_expression_operator *const e = carat_expression_operator_of(op);
    return e ? e->tree->scalar_count : 0;
}

const char *carat_expression_input(const carat_op *op, int index)
{
    return index >= 0 && index < carat_expression_inputs(op) ? carat_expression_operator_of(op)->tree->input[index] : NULL;
}

const char *carat_expression_scalar(const carat_op *op, int index, carat_scalar *value)
{
    if (index < 0 || index >= carat_expression_scalars(op)) return NULL;
    const carat_tree *const tree = carat_expression_operator_of(op)->tree;
    if (value) *value = tree->scalar_default[index];
    return tree->scalar[index];
}

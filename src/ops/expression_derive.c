// SPDX-License-Identifier: Apache-2.0
// Gradients of an expression: reverse differentiation of its graph, an operation's derivatives being expressions themselves
// (ops/expression.def). Nodes come after their operands, so one pass from the last to the first sums up every node's gradient; nodes
// that are alike are one, so that the gradients share what they have in common with each other and with the expression.
#include "ops/expression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_input(const carat_tree *tree, const char *name)
{
    for (int j = 0; j < tree->input_count; ++j)
        if (!strcmp(tree->input[j], name)) return true;
    for (int s = 0; s < tree->scalar_count; ++s)
        if (!strcmp(tree->scalar[s], name)) return true;
    return false;
}

// Inputs for the gradients of the outputs: grad, or grad0, grad1 ...; of gradients again, grad_ and so on.
static carat_status add_gradient_inputs(const carat_tree *tree, bool may_rename, carat_tree *to)
{
    if (tree->input_count + tree->output_count > CARAT_POINTWISE_INPUTS)
        return carat_fail(CARAT_INVALID_ARGUMENT, "%d inputs and %d outputs are too many for a gradient, which has at most %d inputs",
                          tree->input_count, tree->output_count, CARAT_POINTWISE_INPUTS);
    char stem[CARAT_EXPRESSION_NAME] = "grad";
    for (int k = 0; k < tree->output_count; ++k) {
        char name[CARAT_EXPRESSION_NAME];
        if (tree->output_count == 1) memcpy(name, stem, sizeof name);
        else snprintf(name, sizeof name, "%.29s%c", stem, '0' + k);
        if (is_input(tree, name)) {
            if (!may_rename || strlen(stem) + 3 > sizeof stem)
                return carat_fail(CARAT_INVALID_ARGUMENT, "%s is the gradient of an output and can't be an input too", name);
            strcat(stem, "_");
            to->input_count = tree->input_count;
            k = -1;
            continue;
        }
        strcpy(to->input[to->input_count++], name);
    }
    return CARAT_OK;
}

static carat_status too_long(void)
{
    return carat_fail(CARAT_INVALID_ARGUMENT, "the expression is too long to be differentiated: more than %d operations and operands", CARAT_EXPRESSION_NODES);
}

// Adds what node i hands on to its operands.
static carat_status hand_on(carat_tree *tree, int i, const bool *varies, int *gradient)
{
    const carat_node node = tree->node[i];
    if (node.kind != CARAT_NODE_OPERATION) return CARAT_OK;
    const int bound[5] = { node.operand[0], node.operand[1], node.operand[2], i, gradient[i] };
    for (int j = 0; j < 3; ++j) {
        const int to = node.operand[j];
        const char *const derivative = carat_operations[node.operation].derivative[j];
        if (to < 0 || !varies[to] || !strcmp(derivative, "0")) continue;
        int part;
        if (carat_tree_parse_derivative(tree, derivative, bound, &part) != CARAT_OK) return too_long();
        if (gradient[to] >= 0) part = carat_tree_operation(tree, CARAT_OPERATION_add, (int[]){ gradient[to], part, -1 }, -1);
        if (part < 0) return too_long();
        gradient[to] = part;
    }
    return CARAT_OK;
}

// Which nodes depend on an input.
static void mark_varying(const carat_tree *tree, bool *varies)
{
    for (int i = 0; i < tree->node_count; ++i) {
        varies[i] = tree->node[i].kind == CARAT_NODE_INPUT;
        for (int j = 0; j < 3; ++j)
            if (tree->node[i].operand[j] >= 0) varies[i] = varies[i] || varies[tree->node[i].operand[j]];
    }
}

static carat_status differentiate(const carat_tree *tree, carat_tree *to)
{
    bool varies[CARAT_EXPRESSION_NODES];
    int gradient[CARAT_EXPRESSION_NODES];
    mark_varying(tree, varies);
    for (int i = 0; i < tree->node_count; ++i) gradient[i] = -1;
    for (int k = 0; k < tree->output_count; ++k) {
        const int output = tree->output[k], from = carat_tree_leaf(to, CARAT_NODE_INPUT, tree->input_count + k, -1);
        if (from < 0) return too_long();
        gradient[output] = gradient[output] < 0 ? from : carat_tree_operation(to, CARAT_OPERATION_add, (int[]){ gradient[output], from, -1 }, -1);
        if (gradient[output] < 0) return too_long();
    }
    for (int i = tree->node_count; i-- > 0;)
        if (gradient[i] >= 0 && varies[i]) CARAT_TRY(hand_on(to, i, varies, gradient));
    for (int j = 0; j < tree->input_count; ++j) {
        to->output[j] = -1;
        for (int i = 0; i < tree->node_count; ++i)
            if (tree->node[i].kind == CARAT_NODE_INPUT && tree->node[i].operation == j) to->output[j] = (int16_t)gradient[i];
        if (to->output[j] < 0) to->output[j] = (int16_t)carat_tree_number(to, (carat_scalar){ .kind = CARAT_SCALAR_FLOAT }, -1);
        if (to->output[j] < 0) return too_long();
    }
    return CARAT_OK;
}

static carat_status fill(const carat_tree *tree, const char *formulas, carat_tree *to)
{
    memcpy(to->input, tree->input, sizeof to->input);
    memcpy(to->scalar, tree->scalar, sizeof to->scalar);
    memcpy(to->scalar_default, tree->scalar_default, sizeof to->scalar_default);
    to->input_count = tree->input_count;
    to->scalar_count = tree->scalar_count;
    CARAT_TRY(add_gradient_inputs(tree, !formulas, to));
    if (formulas) return carat_tree_parse_gradients(to, tree->input_count);
    memcpy(to->node, tree->node, sizeof *to->node * (size_t)tree->node_count);
    to->node_count = tree->node_count;
    return differentiate(tree, to);
}

carat_status carat_tree_gradients(const carat_tree *tree, const char *formulas, carat_tree **gradients)
{
    carat_tree *to = calloc(1, sizeof *to);
    if (to) to->text = strdup(formulas ? formulas : tree->text);
    if (!to || !to->text) {
        carat_tree_free(to);
        return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for an expression's gradient");
    }
    const carat_status status = fill(tree, formulas, to);
    if (status != CARAT_OK) {
        carat_tree_free(to);
        return status;
    }
    to->output_count = tree->input_count;
    for (int j = 0; j < to->output_count; ++j) to->output_dtype[j] = CARAT_DTYPE_NONE;
    *gradients = to;
    return CARAT_OK;
}

// SPDX-License-Identifier: Apache-2.0
// The graph of an expression: the table of operations, nodes that are made once, and errors that point into the text.
#include "ops/expression.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const carat_operation carat_operations[CARAT_OPERATION_COUNT] = {
#define OPERATION(id, spelled_given, operands_given, rule_given, dtypes_given, body_given, by_x, by_y, by_z, ...)                \
    [CARAT_OPERATION_##id] = { .spelled = spelled_given, .operands = operands_given, .rule = CARAT_RULE_##rule_given,            \
                               .dtypes = dtypes_given, .body = #body_given, .derivative = { #by_x, #by_y, #by_z }, __VA_ARGS__ },
#define NEAR(condition, cheaper) .near = #condition, .near_body = #cheaper
#define TO(name) .to = CARAT_##name
#include "expression.def"
#undef OPERATION
};

// ---- nodes

static bool are_alike(const carat_node *a, const carat_node *b)
{
    return a->kind == b->kind && a->operation == b->operation && !memcmp(a->operand, b->operand, sizeof a->operand)
           && a->number.kind == b->number.kind && a->number.i == b->number.i && !memcmp(&a->number.re, &b->number.re, sizeof a->number.re);
}

static int add_node(carat_tree *tree, const carat_node *node)
{
    for (int i = tree->node_count; i-- > 0;)
        if (are_alike(&tree->node[i], node)) return i;
    if (tree->node_count == CARAT_EXPRESSION_NODES) return -1;
    tree->node[tree->node_count] = *node;
    return tree->node_count++;
}

int carat_tree_leaf(carat_tree *tree, carat_node_kind kind, int index, int place)
{
    return add_node(tree, &(carat_node){ .kind = (uint8_t)kind, .operation = (uint8_t)index, .operand = { -1, -1, -1 }, .place = place });
}

int carat_tree_number(carat_tree *tree, carat_scalar number, int place)
{
    return add_node(tree, &(carat_node){ .kind = CARAT_NODE_NUMBER, .operand = { -1, -1, -1 }, .place = place, .number = number });
}

static bool is_number(const carat_tree *tree, int node, double value)
{
    const carat_node *n = &tree->node[node];
    return n->kind == CARAT_NODE_NUMBER && n->number.kind != CARAT_SCALAR_BOOL
           && (n->number.kind == CARAT_SCALAR_INT ? (double)n->number.i : n->number.re) == value;
}

// Powers with the exponents that PyTorch computes without pow.
static bool plain_power(carat_tree *tree, const int operand[3], int place, int *node)
{
    const bool third = is_number(tree, operand[1], 3), root = is_number(tree, operand[1], 0.5);
    if (!third && !root && !is_number(tree, operand[1], 2) && !is_number(tree, operand[1], -0.5)) return false;
    const int x = carat_tree_operation(tree, CARAT_OPERATION_power_base, operand, place);
    if (third || is_number(tree, operand[1], 2)) {
        *node = carat_tree_operation(tree, CARAT_OPERATION_mul, (int[]){ x, x, -1 }, place);
        if (third && *node >= 0) *node = carat_tree_operation(tree, CARAT_OPERATION_mul, (int[]){ *node, x, -1 }, place);
        return true;
    }
    *node = carat_tree_operation(tree, root ? CARAT_OPERATION_sqrt : CARAT_OPERATION_rsqrt, (int[]){ x, -1, -1 }, place);
    return true;
}

int carat_tree_operation(carat_tree *tree, carat_operation_id id, const int operand[3], int place)
{
    int node;
    if (id == CARAT_OPERATION_pow && plain_power(tree, operand, place, &node)) return node;
    carat_node made = { .kind = CARAT_NODE_OPERATION, .operation = (uint8_t)id, .operand = { -1, -1, -1 }, .place = place };
    for (int j = 0; j < carat_operations[id].operands; ++j) {
        if (operand[j] < 0) return -1;
        made.operand[j] = (int16_t)operand[j];
    }
    return add_node(tree, &made);
}

// ---- errors

carat_status carat_tree_fail(const carat_tree *tree, carat_status status, int place, const char *format, ...)
{
    enum { WIDTH = 100 };
    char words[256];
    va_list values;
    va_start(values, format);
    vsnprintf(words, sizeof words, format, values);
    va_end(values);
    if (place < 0) return carat_fail(status, "%s", words);
    const char *const text = tree->text, *const at = text + place;
    const char *first = at, *last = at; // of the line, or what fits of it
    while (first > text && first[-1] != '\n' && at - first < WIDTH / 2) --first;
    while (*last && *last != '\n' && last - first < WIDTH) ++last;
    return carat_fail(status, "%s\n    %.*s\n    %*s^", words, (int)(last - first), first, (int)(at - first), "");
}

// ---- whole trees

void carat_tree_free(carat_tree *tree)
{
    if (tree) free(tree->text);
    free(tree);
}

static void mark_used(const carat_tree *tree, const int *outputs, int output_count, bool *used)
{
    for (int k = 0; k < output_count; ++k) used[tree->output[outputs[k]]] = true;
    for (int i = tree->node_count; i-- > 0;)
        for (int j = 0; used[i] && j < 3; ++j)
            if (tree->node[i].operand[j] >= 0) used[tree->node[i].operand[j]] = true;
}

// The inputs that stay, with their new numbers.
static void copy_inputs(const carat_tree *tree, const bool *used, int kept, carat_tree *copy, int *number)
{
    for (int j = 0; j < tree->input_count; ++j) {
        bool stays = j >= kept;
        for (int i = 0; i < tree->node_count; ++i)
            stays = stays || (used[i] && tree->node[i].kind == CARAT_NODE_INPUT && tree->node[i].operation == j);
        number[j] = stays ? copy->input_count : -1;
        if (stays) memcpy(copy->input[copy->input_count++], tree->input[j], CARAT_EXPRESSION_NAME);
    }
}

carat_tree *carat_tree_select(const carat_tree *tree, const int *outputs, int output_count, int kept)
{
    bool used[CARAT_EXPRESSION_NODES] = { false };
    int number[CARAT_POINTWISE_INPUTS], moved[CARAT_EXPRESSION_NODES];
    carat_tree *copy = calloc(1, sizeof *copy);
    if (copy) copy->text = strdup(tree->text);
    if (!copy || !copy->text) {
        carat_tree_free(copy);
        return NULL;
    }
    mark_used(tree, outputs, output_count, used);
    copy_inputs(tree, used, kept, copy, number);
    for (int i = 0; i < tree->node_count; ++i) {
        if (!used[i]) continue;
        carat_node *node = &copy->node[moved[i] = copy->node_count++];
        *node = tree->node[i];
        for (int j = 0; j < 3; ++j)
            if (node->operand[j] >= 0) node->operand[j] = (int16_t)moved[node->operand[j]];
        if (node->kind == CARAT_NODE_INPUT) node->operation = (uint8_t)number[node->operation];
    }
    copy->scalar_count = tree->scalar_count;
    memcpy(copy->scalar, tree->scalar, sizeof copy->scalar);
    memcpy(copy->scalar_default, tree->scalar_default, sizeof copy->scalar_default);
    copy->output_count = output_count;
    for (int k = 0; k < output_count; ++k) {
        copy->output[k] = (int16_t)moved[tree->output[outputs[k]]];
        copy->output_dtype[k] = tree->output_dtype[outputs[k]];
    }
    return copy;
}

// SPDX-License-Identifier: Apache-2.0
// Users' expressions: from text to a graph of operations (expression_parse.c), its gradients (expression_derive.c), dtypes
// (expression_types.c) and kernel C (expression_emit.c); operators made of them (expression.c) are rows of the pointwise family.
#ifndef CARAT_OPS_EXPRESSION_H
#define CARAT_OPS_EXPRESSION_H

#include "core/dtype.h"
#include "ops/pointwise_row.h"

enum {
    CARAT_EXPRESSION_TEXT = 4096, // characters
    CARAT_EXPRESSION_NODES = 512,
    CARAT_EXPRESSION_DEPTH = 64,  // of parentheses and the like
    CARAT_EXPRESSION_NAME = 32,   // characters of a name, with its NUL
};

typedef enum carat_operation_id {
#define OPERATION(id, ...) CARAT_OPERATION_##id,
#include "expression.def"
#undef OPERATION
    CARAT_OPERATION_COUNT
} carat_operation_id;

typedef enum carat_operation_rule {
    CARAT_RULE_SAME, CARAT_RULE_FLOAT, CARAT_RULE_WHOLE, CARAT_RULE_TEST, CARAT_RULE_EACH, CARAT_RULE_CHOOSE, CARAT_RULE_CAST
} carat_operation_rule;

// A row of ops/expression.def.
typedef struct carat_operation {
    const char *spelled;
    uint8_t operands;
    uint8_t rule;
    uint8_t to; // of a CAST
    uint32_t dtypes;
    const char *body;
    const char *derivative[3]; // by each operand; "0": none
    const char *near, *near_body;
} carat_operation;
extern const carat_operation carat_operations[CARAT_OPERATION_COUNT];

// A node comes after its operands; equal nodes are one.
typedef enum carat_node_kind { CARAT_NODE_INPUT, CARAT_NODE_SCALAR, CARAT_NODE_NUMBER, CARAT_NODE_OPERATION } carat_node_kind;
typedef struct carat_node {
    uint8_t kind;
    uint8_t operation;  // carat_operation_id, or which input or scalar it is
    int16_t operand[3]; // -1 where there is none
    int32_t place;      // in the text; -1: it came by differentiation
    carat_scalar number;
} carat_node;

typedef struct carat_tree {
    char *text;   // as it was written; owned
    int node_count, input_count, scalar_count, output_count;
    carat_node node[CARAT_EXPRESSION_NODES];
    int16_t output[CARAT_POINTWISE_INPUTS]; // nodes; gradients may be as many as inputs
    uint8_t output_dtype[CARAT_POINTWISE_INPUTS]; // carat_dtype; CARAT_DTYPE_NONE: by promotion
    char input[CARAT_POINTWISE_INPUTS][CARAT_EXPRESSION_NAME];
    char scalar[CARAT_POINTWISE_SCALARS][CARAT_EXPRESSION_NAME];
    carat_scalar scalar_default[CARAT_POINTWISE_SCALARS];
} carat_tree;

// ---- building (expression_tree.c)

// The node for an operation, an input or scalar, a number; an existing one if there is one alike. -1 when the tree is full.
int carat_tree_operation(carat_tree *tree, carat_operation_id id, const int operand[3], int place);
int carat_tree_leaf(carat_tree *tree, carat_node_kind kind, int index, int place);
int carat_tree_number(carat_tree *tree, carat_scalar number, int place);
// Fails with words, the line of the text and a caret under `place` (-1: the words alone).
carat_status carat_tree_fail(const carat_tree *tree, carat_status status, int place, const char *format, ...) __attribute__((format(printf, 4, 5)));
// A copy with some of the outputs, and of the inputs those that they need and all from `kept` on. NULL: out of memory.
carat_tree *carat_tree_select(const carat_tree *tree, const int *outputs, int output_count, int kept);
void carat_tree_free(carat_tree *tree); // NULL is fine

// ---- parsing (expression_parse.c)

// Fails for what can't be the name of another scalar (expression_token.c).
carat_status carat_tree_check_name(const carat_tree *tree, const char *name);
// Fills tree's nodes, inputs and outputs from its text; scalars are there already.
carat_status carat_tree_parse(carat_tree *tree);
// The same of formulas for gradients: one expression if there is one input, else "x = ...; y = ..."; inputs are there already,
// output j is the gradient of input j < count.
carat_status carat_tree_parse_gradients(carat_tree *tree, int count);
// The node of an operation's derivative with x, y, z, r and g bound to nodes.
carat_status carat_tree_parse_derivative(carat_tree *tree, const char *text, const int bound[5], int *node);

// ---- gradients (expression_derive.c)

// A new tree whose inputs are tree's and then the gradients of its outputs, and whose output j is the gradient of input j:
// by the formulas, or by differentiation where `formulas` is NULL.
carat_status carat_tree_gradients(const carat_tree *tree, const char *formulas, carat_tree **gradients);

// ---- dtypes (expression_types.c)

typedef enum carat_rank { CARAT_RANK_NUMBER, CARAT_RANK_ZERO_DIM, CARAT_RANK_DIMENSIONED } carat_rank; // in promotion
typedef struct carat_node_type {
    uint8_t dtype;  // of numbers b8, i64 or f64
    uint8_t rank;
    uint8_t common; // dtype of an operation's operands where it joins them
} carat_node_type;

carat_status carat_tree_types(const carat_tree *tree, const carat_node_type *inputs, carat_dtype default_dtype, carat_node_type *types);
// An output's dtype, if the expression doesn't fix it and the call doesn't bring it.
carat_dtype carat_tree_result(const carat_tree *tree, int output, const carat_node_type *types, carat_dtype default_dtype);

// ---- kernel C (expression_emit.c)

// The texts of a row for a tree with types: steps, bodies of the outputs, which `given` says that calls bring in another dtype than
// the result's (CARAT_DTYPE_NONE: as it comes), and the near form if there is one. The texts are one block, `made->steps`.
carat_status carat_tree_emit(const carat_tree *tree, const carat_node_type *types, carat_dtype default_dtype, const carat_dtype *given,
                             carat_pointwise_row *row, carat_pointwise_made *made);

#endif

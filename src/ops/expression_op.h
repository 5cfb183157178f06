// SPDX-License-Identifier: Apache-2.0
// An operator made of an expression, and the rows of the pointwise family that it has become for the dtypes of its calls so far.
#ifndef CARAT_OPS_EXPRESSION_OP_H
#define CARAT_OPS_EXPRESSION_OP_H

#include "ops/expression.h"

#include <stdatomic.h>

// What a call's operands make of the expression's types: compared bytewise.
typedef struct carat_expression_signature {
    carat_node_type input[CARAT_POINTWISE_INPUTS];
    uint8_t given[CARAT_MAX_OUTPUTS]; // carat_dtype of outputs that the call brings, CARAT_DTYPE_NONE of others
    uint8_t default_dtype;
} carat_expression_signature;

typedef struct carat_expression_row {
    carat_pointwise_row row;
    carat_pointwise_made made;
    int index; // in the family
    carat_expression_signature signature;
    struct carat_expression_row *next;
} carat_expression_row;

typedef struct carat_expression_operator {
    carat_op op;
    carat_row row;
    carat_tree *tree;
    char *formulas;        // of the gradients; NULL: by differentiation
    carat_tree *gradients; // made when first asked for
    _Atomic(carat_expression_row *) rows; // prepended to, never changed: readers take no lock
    char name[48];
} carat_expression_operator;

// NULL unless the operator is one.
carat_expression_operator *carat_expression_operator_of(const carat_op *op);
carat_status carat_expression_run(carat_frame *call);
carat_status carat_expression_sign(const carat_expression_operator *e, const carat_arg *args, int nargs, carat_expression_signature *signature);
// The row for a signature; makes it.
carat_status carat_expression_row_of(carat_expression_operator *e, const carat_expression_signature *signature, const carat_expression_row **row);

#endif

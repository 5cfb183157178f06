// SPDX-License-Identifier: Apache-2.0
// Dtypes of an expression's nodes: those that PyTorch's operators give to the same expression of tensors, one operator after the other.
#include "ops/expression.h"

#include <ctype.h>

// The name by which users know a dtype: that of its conversion.
static const char *dtype_name(carat_dtype dtype)
{
    for (int id = 0; id < CARAT_OPERATION_COUNT; ++id)
        if (carat_operations[id].rule == CARAT_RULE_CAST && carat_operations[id].to == dtype) return carat_operations[id].spelled;
    return carat_dtype_name(dtype);
}

static carat_node_type number_type(carat_scalar_kind kind)
{
    const carat_dtype dtype = kind == CARAT_SCALAR_BOOL ? CARAT_b8 : kind == CARAT_SCALAR_INT ? CARAT_i64 : CARAT_f64;
    return (carat_node_type){ .dtype = (uint8_t)dtype, .rank = CARAT_RANK_NUMBER };
}

// The common type of some. A number's float counts as the default dtype beside tensors; among numbers it stays f64.
static carat_node_type join(const carat_node_type *types, int count, carat_dtype default_dtype)
{
    carat_promotion promotion = CARAT_PROMOTION_START;
    uint8_t rank = CARAT_RANK_NUMBER;
    for (int i = 0; i < count; ++i) {
        carat_dtype *const at = types[i].rank == CARAT_RANK_NUMBER ? &promotion.number
                                : types[i].rank == CARAT_RANK_ZERO_DIM ? &promotion.zero_dim : &promotion.dimensioned;
        const carat_dtype dtype = types[i].rank == CARAT_RANK_NUMBER && types[i].dtype == CARAT_f64 ? default_dtype : (carat_dtype)types[i].dtype;
        *at = *at == CARAT_DTYPE_NONE ? dtype : carat_promote(*at, dtype);
        if (types[i].rank > rank) rank = types[i].rank;
    }
    const carat_dtype dtype = carat_promotion_result(&promotion);
    const bool number = rank == CARAT_RANK_NUMBER && carat_is_float(dtype);
    return (carat_node_type){ .dtype = (uint8_t)(number ? CARAT_f64 : dtype), .rank = rank };
}

// Bools among numbers are ints to arithmetic, as in Python: true + true is 2.
static bool counts_bools(const carat_operation *operation)
{
    return operation->rule == CARAT_RULE_SAME && operation->dtypes & CARAT_FLOATS && !isalpha((unsigned char)operation->spelled[0]);
}

static carat_status operation_type(const carat_tree *tree, const carat_node *node, const carat_node_type *types, carat_dtype default_dtype,
                                   carat_node_type *type)
{
    const carat_operation *const operation = &carat_operations[node->operation];
    const bool choose = operation->rule == CARAT_RULE_CHOOSE;
    carat_node_type operand[3];
    uint8_t rank = CARAT_RANK_NUMBER;
    for (int j = 0; j < operation->operands; ++j) {
        operand[j] = types[node->operand[j]];
        if (operand[j].rank > rank) rank = operand[j].rank;
    }
    carat_node_type common = choose ? join(operand + 1, 2, default_dtype) : join(operand, operation->operands, default_dtype);
    if (rank == CARAT_RANK_NUMBER && common.dtype == CARAT_b8 && counts_bools(operation)) common.dtype = CARAT_i64;
    if (!carat_dtype_in((carat_dtype)common.dtype, operation->dtypes))
        return carat_tree_fail(tree, CARAT_INVALID_DTYPE, node->place, "%s doesn't take %s", operation->spelled, dtype_name((carat_dtype)common.dtype));
    *type = (carat_node_type){ .dtype = common.dtype, .rank = rank, .common = common.dtype };
    // Numbers chosen by a tensor make a tensor.
    if (common.rank == CARAT_RANK_NUMBER && rank > CARAT_RANK_NUMBER && common.dtype == CARAT_f64) type->dtype = type->common = (uint8_t)default_dtype;
    switch (operation->rule) {
    case CARAT_RULE_FLOAT:
        if (carat_is_integral((carat_dtype)common.dtype)) type->dtype = (uint8_t)(rank == CARAT_RANK_NUMBER ? CARAT_f64 : default_dtype);
        type->common = type->dtype;
        break;
    case CARAT_RULE_TEST: case CARAT_RULE_EACH: type->dtype = CARAT_b8; break;
    case CARAT_RULE_CAST:
        type->dtype = operation->to;
        if (rank == CARAT_RANK_NUMBER) type->rank = CARAT_RANK_ZERO_DIM;
        break;
    default: break;
    }
    return CARAT_OK;
}

carat_status carat_tree_types(const carat_tree *tree, const carat_node_type *inputs, carat_dtype default_dtype, carat_node_type *types)
{
    for (int i = 0; i < tree->node_count; ++i) {
        const carat_node *const node = &tree->node[i];
        switch (node->kind) {
        case CARAT_NODE_INPUT: types[i] = inputs[node->operation]; break;
        case CARAT_NODE_SCALAR: types[i] = number_type(tree->scalar_default[node->operation].kind); break;
        case CARAT_NODE_NUMBER: types[i] = number_type(node->number.kind); break;
        default: CARAT_TRY(operation_type(tree, node, types, default_dtype, &types[i]));
        }
    }
    return CARAT_OK;
}

carat_dtype carat_tree_result(const carat_tree *tree, int output, const carat_node_type *types, carat_dtype default_dtype)
{
    const carat_node_type type = types[tree->output[output]];
    if (tree->output_dtype[output] != CARAT_DTYPE_NONE) return (carat_dtype)tree->output_dtype[output];
    return type.rank == CARAT_RANK_NUMBER && type.dtype == CARAT_f64 ? default_dtype : (carat_dtype)type.dtype;
}

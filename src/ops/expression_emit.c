// SPDX-License-Identifier: Apache-2.0
// Kernel C of an expression: a declaration for each node, t0, t1 ..., of its arithmetic type, all conversions written out. The text
// comes from the graph and the bodies of ops/expression.def alone; of what the user wrote it holds numbers only.
#include "jit/text.h"
#include "ops/expression.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct emitter {
    const carat_tree *tree;
    const carat_node_type *types;
    bool used[CARAT_EXPRESSION_NODES];  // by an output
    bool dear[CARAT_EXPRESSION_NODES];  // takes a function of many instructions
    bool near[CARAT_EXPRESSION_NODES];  // has a cheaper form whose condition is cheap itself
    carat_text text;
} emitter;

static const char *const input_names[CARAT_POINTWISE_INPUTS] = { "x", "y", "z", "w", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11" };

// The C type of a dtype's arithmetic; of bools, that of comparisons.
static const char *c_type(carat_dtype dtype)
{
    return dtype == CARAT_b8 ? "i32" : carat_dtype_name(carat_compute_dtype(dtype));
}

// ---- operands in the type that an operation wants

// Comparisons of halves see numbers and what was computed as halves, as in PyTorch; other operations see them as they are.
static void add_operand(emitter *e, const carat_node *node, carat_node_type type, int j)
{
    const carat_operation *const operation = &carat_operations[node->operation];
    const int from = node->operand[j];
    const carat_node_type own = e->types[from];
    const bool computed = e->tree->node[from].kind == CARAT_NODE_OPERATION;
    const bool as_it_is = operation->rule == CARAT_RULE_EACH || operation->rule == CARAT_RULE_CAST || (operation->rule == CARAT_RULE_CHOOSE && j == 0);
    const carat_dtype wanted = as_it_is ? (carat_dtype)own.dtype : (carat_dtype)type.common;
    if (operation->rule == CARAT_RULE_TEST && carat_dtype_in(wanted, CARAT_HALVES) && (own.dtype != wanted || computed))
        carat_text_format(&e->text, "load_%s(store_%s(t%d))", carat_dtype_name(wanted), carat_dtype_name(wanted), from);
    else if (!strcmp(c_type(wanted), c_type((carat_dtype)own.dtype)))
        carat_text_format(&e->text, "t%d", from);
    else
        carat_text_format(&e->text, "(%s)t%d", c_type(wanted), from);
}

// A body or condition with its operands' text for the words x, y and z.
static void add_template(emitter *e, const carat_node *node, carat_node_type type, const char *template)
{
    for (const char *at = template; *at;) {
        size_t length = 1;
        if (isalpha((unsigned char)*at) || *at == '_') {
            while (isalnum((unsigned char)at[length]) || at[length] == '_') ++length;
        } else if (isdigit((unsigned char)*at)) {
            while (isalnum((unsigned char)at[length]) || at[length] == '.') ++length;
        }
        if (length == 1 && *at >= 'x' && *at <= 'z') add_operand(e, node, type, *at - 'x');
        else carat_text_add(&e->text, at, length);
        at += length;
    }
}

// ---- steps

// Exact, and the same in every locale: a whole number times a power of two.
static void add_float(carat_text *text, double value)
{
    int exponent = 0;
    if (isnan(value)) carat_text_format(text, "MATH_NAN_F64");
    else if (isinf(value)) carat_text_format(text, value < 0 ? "-MATH_INF_F64" : "MATH_INF_F64");
    else if (value == 0) carat_text_format(text, signbit(value) ? "-0x0p0" : "0x0p0");
    else {
        const double fraction = frexp(value, &exponent);
        carat_text_format(text, "%s0x%llxp%d", value < 0 ? "-" : "", (unsigned long long)ldexp(fabs(fraction), 53), exponent - 53);
    }
}

static void add_leaf(emitter *e, const carat_node *node)
{
    if (node->kind == CARAT_NODE_INPUT) carat_text_format(&e->text, "%s", input_names[node->operation]);
    else if (node->kind == CARAT_NODE_SCALAR) carat_text_format(&e->text, "s%d", node->operation);
    else if (node->number.kind == CARAT_SCALAR_FLOAT) add_float(&e->text, node->number.re);
    else carat_text_format(&e->text, "%lldLL", (long long)node->number.i);
}

static void add_step(emitter *e, int i, bool near)
{
    const carat_node *const node = &e->tree->node[i];
    const carat_node_type type = e->types[i];
    const char *const c = c_type((carat_dtype)type.dtype);
    carat_text_format(&e->text, "const %s t%d = ", c, i);
    if (node->kind != CARAT_NODE_OPERATION) {
        carat_text_format(&e->text, "(%s)", c);
        add_leaf(e, node);
        carat_text_format(&e->text, "; ");
        return;
    }
    const carat_operation *const operation = &carat_operations[node->operation];
    const bool whole = operation->rule == CARAT_RULE_WHOLE && carat_is_integral((carat_dtype)type.dtype);
    carat_text_format(&e->text, type.dtype == CARAT_b8 ? "(" : "(%s)(", c);
    add_template(e, node, type, whole ? "x" : near && e->near[i] ? operation->near_body : operation->body);
    carat_text_format(&e->text, type.dtype == CARAT_b8 ? ") != 0; " : "); ");
}

static void add_steps(emitter *e, bool near)
{
    for (int i = 0; i < e->tree->node_count; ++i)
        if (e->used[i]) add_step(e, i, near);
    carat_text_add(&e->text, "", 1);
}

// ---- the near form

static bool takes_long(const carat_operation *operation)
{
    const bool function = isalpha((unsigned char)operation->spelled[0]);
    return operation->near || (function && operation->rule == CARAT_RULE_FLOAT) || operation == &carat_operations[CARAT_OPERATION_pow];
}

static void survey(emitter *e)
{
    for (int k = 0; k < e->tree->output_count; ++k) e->used[e->tree->output[k]] = true;
    for (int i = e->tree->node_count; i-- > 0;)
        for (int j = 0; e->used[i] && j < 3; ++j)
            if (e->tree->node[i].operand[j] >= 0) e->used[e->tree->node[i].operand[j]] = true;
    for (int i = 0; i < e->tree->node_count; ++i) {
        const carat_node *const node = &e->tree->node[i];
        if (node->kind != CARAT_NODE_OPERATION) continue;
        const carat_operation *const operation = &carat_operations[node->operation];
        bool dear = false;
        for (int j = 0; j < operation->operands; ++j) dear = dear || e->dear[node->operand[j]];
        e->near[i] = e->used[i] && operation->near && !dear && carat_is_float((carat_dtype)e->types[i].dtype);
        e->dear[i] = dear || takes_long(operation);
    }
}

// The condition of the near form, all of its nodes' together; false if there is none.
static bool add_condition(emitter *e)
{
    bool any = false;
    for (int i = 0; i < e->tree->node_count; ++i) {
        if (!e->near[i]) continue;
        carat_text_format(&e->text, any ? " & (" : "(");
        add_template(e, &e->tree->node[i], e->types[i], carat_operations[e->tree->node[i].operation].near);
        carat_text_format(&e->text, ")");
        any = true;
    }
    carat_text_add(&e->text, "", 1);
    return any;
}

// ---- outputs

static void add_body(emitter *e, int output, carat_dtype result, carat_dtype given)
{
    const char *const name = carat_dtype_name(result);
    const int node = e->tree->output[output];
    if (given == CARAT_DTYPE_NONE || given == result) carat_text_format(&e->text, "t%d", node);
    else carat_text_format(&e->text, "load_%s(store_%s(t%d))", name, name, node);
    carat_text_add(&e->text, "", 1);
}

carat_status carat_tree_emit(const carat_tree *tree, const carat_node_type *types, carat_dtype default_dtype, const carat_dtype *given,
                             carat_pointwise_row *row, carat_pointwise_made *made)
{
    emitter e = { .tree = tree, .types = types };
    size_t body[CARAT_MAX_OUTPUTS];
    survey(&e);
    add_steps(&e, false);
    for (int k = 0; k < tree->output_count; ++k) {
        body[k] = e.text.length;
        const carat_dtype result = carat_tree_result(tree, k, types, default_dtype);
        add_body(&e, k, result, given[k]);
        made->out[k] = (uint8_t)(given[k] == CARAT_DTYPE_NONE ? result : given[k]);
    }
    const size_t condition = e.text.length;
    bool has_near = add_condition(&e);
    const size_t near_steps = e.text.length;
    if (has_near) add_steps(&e, true);
    enum { OTHER_DEFINES = 4096 };
    const size_t room = sizeof ((carat_defines *)0)->text - OTHER_DEFINES;
    has_near = has_near && e.text.length <= room;
    char *const block = carat_text_take(&e.text);
    if (!block) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for an expression's kernel");
    if (condition > room) {
        free(block);
        return carat_fail(CARAT_INVALID_ARGUMENT, "the kernel of an expression with %d operations and operands is too long", tree->node_count);
    }
    made->steps = block;
    for (int k = 0; k < tree->output_count; ++k) made->body[k] = block + body[k];
    row->near = has_near ? block + condition : NULL;
    made->near_steps = block + near_steps;
    return CARAT_OK;
}

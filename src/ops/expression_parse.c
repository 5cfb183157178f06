// SPDX-License-Identifier: Apache-2.0
// The grammar of expressions. What isn't in it is refused here; nothing of a text but its numbers and names goes on, and names only
// as keys: the kernel is written anew from the graph (expression_emit.c).
//
//   program    = statement { ";" statement } [ ";" ]
//   statement  = [ name "=" ] choice               a name of its own, out0, out1 ... or none: the one output
//   choice     = binary [ "?" choice ":" choice ]
//   binary     = operators of C with C's precedence, left to right; comparisons don't chain
//   unary      = ( "-" | "+" | "!" | "~" ) unary | primary
//   primary    = number | name | name "(" choice { "," choice } ")" | "(" choice ")"
#include "ops/expression_token.h"

#include <string.h>

// A name that stands for a node.
typedef struct binding {
    char name[CARAT_EXPRESSION_NAME];
    int node;
} binding;

enum { MOST_BINDINGS = 64 };

typedef enum mode { VALUES, GRADIENTS, DERIVATIVE } mode;

typedef struct parser {
    carat_tree *tree;
    const char *text;
    mode mode;
    int gradients;     // GRADIENTS: of how many inputs
    int depth, bindings;
    int place;         // that nodes get: the token's, or -1
    carat_token now;
    binding bound[MOST_BINDINGS];
} parser;

#define FAIL(p, place, ...) carat_tree_fail((p)->tree, CARAT_INVALID_ARGUMENT, (p)->mode == DERIVATIVE ? -1 : (place), __VA_ARGS__)

// Goes to the next token, whose place nodes get from now on.
static carat_status advance(parser *p)
{
    CARAT_TRY(carat_token_next(p->tree, p->text, &p->now));
    if (p->mode != DERIVATIVE) p->place = p->now.place;
    return CARAT_OK;
}

static bool token_is(const parser *p, const char *spelled)
{
    return p->now.kind != CARAT_TOKEN_END && strlen(spelled) == (size_t)p->now.length && !strncmp(p->text + p->now.place, spelled, (size_t)p->now.length);
}

static carat_status expect(parser *p, const char *mark)
{
    return token_is(p, mark) ? advance(p) : FAIL(p, p->now.place, "%s is missing here", mark);
}

static int find_name(char (*names)[CARAT_EXPRESSION_NAME], int count, const char *name)
{
    for (int i = 0; i < count; ++i)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

static int bound_to(const parser *p, const char *name)
{
    for (int i = p->bindings; i-- > 0;)
        if (!strcmp(p->bound[i].name, name)) return p->bound[i].node;
    return -1;
}

static carat_status made(const parser *p, int place, int *node)
{
    return *node >= 0 ? CARAT_OK : FAIL(p, place, "the expression is too long: more than %d operations and operands", CARAT_EXPRESSION_NODES);
}

static carat_status parse_name(parser *p, const char *name, int *node)
{
    carat_tree *const tree = p->tree;
    const int place = p->now.place, at = p->place;
    carat_scalar value;
    CARAT_TRY(advance(p));
    if ((*node = bound_to(p, name)) >= 0) return CARAT_OK;
    if (carat_constant_named(name, &value)) {
        *node = carat_tree_number(tree, value, at);
        return made(p, place, node);
    }
    int index = find_name(tree->scalar, tree->scalar_count, name);
    if (index >= 0) {
        *node = carat_tree_leaf(tree, CARAT_NODE_SCALAR, index, at);
        return made(p, place, node);
    }
    index = find_name(tree->input, tree->input_count, name);
    if (index < 0) {
        CARAT_TRY(carat_name_check(p->tree, name, place));
        if (p->mode != VALUES) return FAIL(p, place, "%s is neither an input, nor a scalar, nor a gradient", name);
        if (carat_output_named(name) >= 0) return FAIL(p, place, "%s is read before it is written", name);
        if (tree->input_count == CARAT_POINTWISE_INPUTS) return FAIL(p, place, "more than %d inputs", CARAT_POINTWISE_INPUTS);
        strcpy(tree->input[index = tree->input_count++], name);
    }
    *node = carat_tree_leaf(tree, CARAT_NODE_INPUT, index, at);
    return made(p, place, node);
}

// ---- expressions

static carat_status parse_choice(parser *p, int *node);

static carat_status parse_call(parser *p, const char *name, int *node)
{
    const int place = p->now.place, at = p->place;
    int operand[3] = { -1, -1, -1 }, count = 0;
    const int id = carat_function_named(name);
    if (id < 0) return FAIL(p, place, "there is no function %s", name);
    const int operands = carat_operations[id].operands;
    CARAT_TRY(advance(p));
    CARAT_TRY(expect(p, "("));
    do {
        if (count == operands) return FAIL(p, p->now.place, "%s takes %d operand%s", name, operands, operands == 1 ? "" : "s");
        if (count) CARAT_TRY(advance(p));
        CARAT_TRY(parse_choice(p, &operand[count++]));
    } while (token_is(p, ","));
    if (count < operands) return FAIL(p, p->now.place, "%s takes %d operands", name, operands);
    CARAT_TRY(expect(p, ")"));
    *node = carat_tree_operation(p->tree, (carat_operation_id)id, operand, at);
    return made(p, place, node);
}

static carat_status parse_primary(parser *p, int *node)
{
    const int place = p->now.place;
    if (p->now.kind == CARAT_TOKEN_NUMBER) {
        *node = carat_tree_number(p->tree, p->now.number, p->place);
        CARAT_TRY(made(p, place, node));
        return advance(p);
    }
    if (p->now.kind == CARAT_TOKEN_NAME) {
        char name[CARAT_EXPRESSION_NAME] = { 0 };
        memcpy(name, p->text + place, (size_t)p->now.length);
        const char *next = p->text + place + p->now.length;
        next += strspn(next, " \t\n\r");
        return *next == '(' ? parse_call(p, name, node) : parse_name(p, name, node);
    }
    if (!token_is(p, "(")) return FAIL(p, place, p->now.kind == CARAT_TOKEN_END ? "the expression ends too early" : "an operand is missing here");
    CARAT_TRY(advance(p));
    CARAT_TRY(parse_choice(p, node));
    return expect(p, ")");
}

static carat_status parse_unary(parser *p, int *node)
{
    static const struct { const char *mark; carat_operation_id id; } operators[] = {
        { "-", CARAT_OPERATION_neg }, { "+", CARAT_OPERATION_plus }, { "!", CARAT_OPERATION_logical_not }, { "~", CARAT_OPERATION_bitwise_not },
    };
    const int place = p->now.place, at = p->place;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i) {
        if (!token_is(p, operators[i].mark)) continue;
        if (++p->depth > CARAT_EXPRESSION_DEPTH) return FAIL(p, place, "the expression is nested too deeply");
        CARAT_TRY(advance(p));
        int operand[3] = { -1, -1, -1 };
        CARAT_TRY(parse_unary(p, &operand[0]));
        --p->depth;
        carat_node *const number = &p->tree->node[operand[0]];
        if (operators[i].id == CARAT_OPERATION_neg && number->kind == CARAT_NODE_NUMBER && number->number.kind != CARAT_SCALAR_BOOL) {
            carat_scalar value = number->number; // a constant, as in -0.5
            value.re = value.kind == CARAT_SCALAR_FLOAT ? -value.re : 0;
            value.i = -value.i;
            *node = carat_tree_number(p->tree, value, at);
        } else {
            *node = carat_tree_operation(p->tree, operators[i].id, operand, at);
        }
        return made(p, place, node);
    }
    return parse_primary(p, node);
}

typedef struct infix {
    const char *mark;
    uint8_t id, strength;
} infix;

static const infix infixes[] = {
    { "||", CARAT_OPERATION_logical_or, 1 }, { "&&", CARAT_OPERATION_logical_and, 2 }, { "|", CARAT_OPERATION_bitwise_or, 3 },
    { "^", CARAT_OPERATION_bitwise_xor, 4 }, { "&", CARAT_OPERATION_bitwise_and, 5 }, { "==", CARAT_OPERATION_eq, 6 },
    { "!=", CARAT_OPERATION_ne, 6 }, { "<", CARAT_OPERATION_lt, 7 }, { "<=", CARAT_OPERATION_le, 7 }, { ">", CARAT_OPERATION_gt, 7 },
    { ">=", CARAT_OPERATION_ge, 7 }, { "<<", CARAT_OPERATION_shift_left, 8 }, { ">>", CARAT_OPERATION_shift_right, 8 },
    { "+", CARAT_OPERATION_add, 9 }, { "-", CARAT_OPERATION_sub, 9 }, { "*", CARAT_OPERATION_mul, 10 }, { "/", CARAT_OPERATION_div, 10 },
    { "%", CARAT_OPERATION_mod, 10 },
};

static const infix *infix_now(const parser *p)
{
    for (size_t i = 0; p->now.kind == CARAT_TOKEN_MARK && i < sizeof infixes / sizeof *infixes; ++i)
        if (token_is(p, infixes[i].mark)) return &infixes[i];
    return NULL;
}

static bool compares(const infix *with) { return with->strength == 6 || with->strength == 7; }

// Operators that bind at least as strongly as `strength`.
static carat_status parse_binary(parser *p, int strength, int *node)
{
    CARAT_TRY(parse_unary(p, node));
    const infix *before = NULL;
    for (const infix *with; (with = infix_now(p)) && with->strength >= strength; before = with) {
        const int place = p->now.place, at = p->place;
        if (before && compares(before) && compares(with) && before->strength == with->strength)
            return FAIL(p, place, "comparisons don't chain: write a < b && b < c");
        CARAT_TRY(advance(p));
        int operand[3] = { *node, -1, -1 };
        CARAT_TRY(parse_binary(p, with->strength + 1, &operand[1]));
        *node = carat_tree_operation(p->tree, (carat_operation_id)with->id, operand, at);
        CARAT_TRY(made(p, place, node));
    }
    return CARAT_OK;
}

static carat_status parse_choice(parser *p, int *node)
{
    if (++p->depth > CARAT_EXPRESSION_DEPTH) return FAIL(p, p->now.place, "the expression is nested too deeply");
    CARAT_TRY(parse_binary(p, 1, node));
    if (token_is(p, "?")) {
        const int place = p->now.place, at = p->place;
        int operand[3] = { *node, -1, -1 };
        CARAT_TRY(advance(p));
        CARAT_TRY(parse_choice(p, &operand[1]));
        CARAT_TRY(expect(p, ":"));
        CARAT_TRY(parse_choice(p, &operand[2]));
        *node = carat_tree_operation(p->tree, CARAT_OPERATION_choose, operand, at);
        CARAT_TRY(made(p, place, node));
    }
    --p->depth;
    return CARAT_OK;
}

// ---- statements

// The name that a statement assigns to, "" if it is a bare expression.
static carat_status parse_target(parser *p, char name[CARAT_EXPRESSION_NAME])
{
    name[0] = 0;
    if (p->now.kind != CARAT_TOKEN_NAME) return CARAT_OK;
    const char *next = p->text + p->now.place + p->now.length;
    next += strspn(next, " \t\n\r");
    if (next[0] != '=' || next[1] == '=') return CARAT_OK;
    memcpy(name, p->text + p->now.place, (size_t)p->now.length);
    name[p->now.length] = 0;
    CARAT_TRY(advance(p));
    return advance(p);
}

// Which output a statement writes: -1 for a name of its own.
static carat_status output_of(const parser *p, const char *name, int place, int *output)
{
    carat_tree *const tree = p->tree;
    const int limit = p->mode == GRADIENTS ? p->gradients : CARAT_MAX_OUTPUTS;
    *output = p->mode == GRADIENTS ? find_name(tree->input, p->gradients, name) : carat_output_named(name);
    if (!*name) {
        *output = 0;
        if (p->mode == GRADIENTS && p->gradients != 1) return FAIL(p, place, "with %d inputs, each formula says whose it is: %s = ...", p->gradients, tree->input[0]);
        if (tree->output_count) return FAIL(p, place, "this is an output beside others: write out0 = ...; out1 = ...");
    } else if (*output < 0) {
        CARAT_TRY(carat_name_check(p->tree, name, place));
        if (bound_to(p, name) >= 0 || find_name(tree->input, tree->input_count, name) >= 0
            || find_name(tree->scalar, tree->scalar_count, name) >= 0)
            return FAIL(p, place, "%s has a meaning already", name);
        return CARAT_OK;
    }
    if (*output >= limit) return FAIL(p, place, "there are at most %d outputs", limit);
    return tree->output[*output] >= 0 ? FAIL(p, place, "%s is written twice", *name ? name : "the output") : CARAT_OK;
}

static carat_status parse_statement(parser *p)
{
    const int place = p->now.place;
    char name[CARAT_EXPRESSION_NAME];
    int output, node;
    CARAT_TRY(parse_target(p, name));
    CARAT_TRY(output_of(p, name, place, &output));
    CARAT_TRY(parse_choice(p, &node));
    // It may have become an input's name on the right.
    if (*name && p->mode == VALUES && find_name(p->tree->input, p->tree->input_count, name) >= 0)
        return FAIL(p, place, "%s is read before it is written", name);
    if (output >= 0) {
        p->tree->output[output] = (int16_t)node;
        p->tree->output_dtype[output] = CARAT_DTYPE_NONE;
        p->tree->output_count++;
    }
    if (*name && p->mode == VALUES) {
        if (p->bindings == MOST_BINDINGS) return FAIL(p, place, "more than %d names", MOST_BINDINGS);
        strcpy(p->bound[p->bindings].name, name);
        p->bound[p->bindings++].node = node;
    } else if (*name && output < 0) {
        return FAIL(p, place, "%s is no input", name);
    }
    return CARAT_OK;
}

static carat_status parse_program(parser *p)
{
    if (strlen(p->text) > CARAT_EXPRESSION_TEXT) return FAIL(p, -1, "the expression has more than %d characters", CARAT_EXPRESSION_TEXT);
    for (int k = 0; k < CARAT_POINTWISE_INPUTS; ++k) p->tree->output[k] = -1;
    CARAT_TRY(advance(p));
    do {
        CARAT_TRY(parse_statement(p));
        if (p->now.kind == CARAT_TOKEN_END) break;
        if (!token_is(p, ";")) return FAIL(p, p->now.place, "an operator is missing here");
        CARAT_TRY(advance(p));
    } while (p->now.kind != CARAT_TOKEN_END);
    return CARAT_OK;
}

carat_status carat_tree_parse(carat_tree *tree)
{
    parser p = { .tree = tree, .text = tree->text, .mode = VALUES };
    CARAT_TRY(parse_program(&p));
    if (tree->output_count == 0) return FAIL(&p, -1, "the expression has no output: write out0 = ...");
    for (int k = 0; k < tree->output_count; ++k)
        if (tree->output[k] < 0) return FAIL(&p, -1, "out%d is missing among %d outputs", k, tree->output_count);
    return tree->input_count ? CARAT_OK : FAIL(&p, -1, "the expression has no input");
}

carat_status carat_tree_parse_gradients(carat_tree *tree, int count)
{
    parser p = { .tree = tree, .text = tree->text, .mode = GRADIENTS, .gradients = count };
    CARAT_TRY(parse_program(&p));
    for (int k = 0; k < count; ++k)
        if (tree->output[k] < 0) return FAIL(&p, -1, "the gradient of %s is missing", tree->input[k]);
    return CARAT_OK;
}

carat_status carat_tree_parse_derivative(carat_tree *tree, const char *text, const int bound[5], int *node)
{
    static const char names[] = "xyzrg";
    parser p = { .tree = tree, .text = text, .mode = DERIVATIVE, .place = -1 };
    for (int i = 0; i < 5; ++i)
        if (bound[i] >= 0) p.bound[p.bindings++] = (binding){ { names[i] }, bound[i] };
    CARAT_TRY(advance(&p));
    return parse_choice(&p, node);
}

// SPDX-License-Identifier: Apache-2.0
// Users' expressions up to their kernel C, without compiling it: expression_test [seconds [seed]].
//
// First what must be taken and what refused, and where the caret points. Then arbitrary text: soups of tokens, and good expressions
// with a few characters changed. Of all that is accepted, for random dtypes and for its gradients too, the kernel's text must consist
// of our own words and numbers: nothing that the user wrote may reach a compiler.
#include "ops/expression_op.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;
static int failed;
static long accepted, refused;

static unsigned draw(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

static void fail(const char *text, const char *what)
{
    printf("FAILED %s: %s (%s)\n", text, what, carat_last_error());
    failed = 1;
}

static carat_status make(const char *text, const carat_op **op)
{
    static const carat_named_scalar scalars[] = { { "alpha", { .kind = CARAT_SCALAR_FLOAT, .re = 0.5 } }, { "n", { .kind = CARAT_SCALAR_INT, .i = 3 } } };
    return carat_expression_op(&(carat_expression){ .text = text, .scalars = scalars, .scalar_count = 2 }, op);
}

// ---- what is taken, what refused

static const struct { const char *text; int inputs, outputs; } good[] = {
    { "x", 1, 1 }, { "x / (1 + exp(-x)) * y", 2, 1 }, { "x > 0 ? x : alpha * x", 1, 1 }, { "out0 = sin(x); out1 = cos(x)", 1, 2 },
    { "out1 = x; out0 = y;", 2, 2 }, { "t = x * y; t + exp(t)", 2, 1 }, { "a+b+c+d+e+f+g+h", 8, 1 }, { "x<<2|y&~3", 2, 1 },
    { "!x && y || z", 3, 1 }, { ".5*x + 1e3 - 2.5e-3 + 0x1F", 1, 1 }, { "x ? y ? 1 : 2 : 3", 2, 1 }, { "float16(x) + int64(y)", 2, 1 },
    { "clamp(x, -1, +1)", 1, 1 }, { "\t x\n + \r\n y ", 2, 1 }, { "(x == y) != z > 0", 3, 1 }, { "pi * inf * nan * x", 1, 1 }, { "true ? x : false", 1, 1 },
    { "output + outer", 2, 1 }, { "x - -x", 1, 1 }, { "out0 = x; out1 = out0 * y", 2, 2 },
};

static const struct { const char *text, *words; int column; } bad[] = {
    { "", "ends too early", 0 }, { "x +", "ends too early", 3 }, { "x + * y", "operand is missing", 4 }, { "x y", "operator is missing", 2 },
    { "return x", "keyword", 0 }, { "x + out", "keyword", 4 }, { "x; while", "output beside others", 3 }, { "#include <x>", "no place", 0 }, { "x{y}", "no place", 1 },
    { "system(x)", "no function", 0 }, { "exp", "is a function", 0 }, { "exp(x, y)", "1 operand", 5 }, { "pow(x)", "2 operands", 5 },
    { "exp()", "operand is missing", 4 }, { "0 < x < 1", "chain", 6 }, { "x == y == z", "chain", 7 }, { "1.5f * x", "no number", 0 },
    { "01 * x", "begin with 0", 0 }, { "1e999 * x", "too large", 0 }, { "9223372036854775808 + x", "too large", 0 }, { "0x + x", "no number", 0 },
    { "1..2 + x", "no number", 0 }, { "(x", "missing", 2 }, { "x)", "operator is missing", 1 }, { "x ? y", "missing", 5 }, { "3", "no input", -1 },
    { "out1 = x", "out0 is missing", -1 }, { "out0 = x; out0 = y", "twice", 10 }, { "out4 = x", "at most", 0 }, { "x = 2; x", "no input", -1 },
    { "x + t; t = 3", "meaning already", 7 }, { "t = t + x", "before it is written", 0 }, { "alpha = x", "meaning already", 0 }, { "x = x", "before", 0 },
    { "out0 = out1; out1 = x", "before it is written", 7 }, { "x \\ y", "no place", 2 }, { "x \"y\"", "no place", 2 }, { "x $ y", "no place", 2 },
    { "a.b", "no place", 1 }, { "x[0]", "no place", 1 }, { "x->y", "operand is missing", 2 }, { "x++y++", "ends too early", 6 }, { "x, y", "operator is missing", 1 },
    { "x = y = z", "operator is missing", 6 }, { "\xc3\xa9 + x", "no place", 0 }, { "__asm__(x)", "no function", 0 }, { "sizeof(x)", "no function", 0 },
    { "x // y", "operand is missing", 3 }, { "x /* y */", "operand is missing", 3 }, { "pi = x", "constant", 0 }, { "sin = x", "function", 0 },
    { "a_name_of_more_than_thirty_one_characters", "at most 31", 0 },
};

static void test_lists(void)
{
    const carat_op *op;
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i)
        if (make(good[i].text, &op) != CARAT_OK || carat_expression_inputs(op) != good[i].inputs || carat_expression_outputs(op) != good[i].outputs)
            fail(good[i].text, "should be taken");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        if (make(bad[i].text, &op) != CARAT_INVALID_ARGUMENT || !strstr(carat_last_error(), bad[i].words)) {
            fail(bad[i].text, "should be refused with other words");
            continue;
        }
        const char *caret = strrchr(carat_last_error(), '\n');
        if (bad[i].column >= 0 ? !caret || (int)strlen(caret) - 6 != bad[i].column || caret[strlen(caret) - 1] != '^' : caret != NULL)
            fail(bad[i].text, "the caret should be elsewhere");
    }
}

// Limits: depth, length, nodes.
static void test_limits(void)
{
    static char text[CARAT_EXPRESSION_TEXT + 64];
    const carat_op *op;
    memset(text, '(', 300);
    strcpy(text + 300, "x");
    if (make(text, &op) != CARAT_INVALID_ARGUMENT || !strstr(carat_last_error(), "deeply")) fail("((((", "should be nested too deeply");
    memset(text, '-', 300);
    if (make(text, &op) != CARAT_INVALID_ARGUMENT || !strstr(carat_last_error(), "deeply")) fail("----", "should be nested too deeply");
    memset(text, ' ', sizeof text - 2);
    text[0] = 'x';
    if (make(text, &op) != CARAT_INVALID_ARGUMENT || !strstr(carat_last_error(), "characters")) fail("long", "should be too long");
    strcpy(text, "x");
    for (int i = 0; i < 300; ++i) sprintf(text + strlen(text), "+x*%d", i);
    if (make(text, &op) != CARAT_INVALID_ARGUMENT || !strstr(carat_last_error(), "too long")) fail("x+x*0...", "should have too many nodes");
}

// Gradients by formulas.
static void test_formulas(void)
{
    static const struct { const char *text, *formulas; bool fine; } cases[] = {
        { "x * y", "x = grad * y; y = grad * x", true }, { "x * x", "2 * grad * x", true }, { "x * y", "grad", false }, { "x * y", "x = grad", false },
        { "x * y", "x = grad; y = z", false }, { "x", "x = grad; x = grad", false }, { "out0 = x; out1 = x", "grad0 + grad1", true },
        { "out0 = x; out1 = x", "grad", false }, { "grad * x", "x = grad; grad = x", false },
    };
    const carat_op *op;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        if ((carat_expression_op(&(carat_expression){ .text = cases[i].text, .gradients = cases[i].formulas }, &op) == CARAT_OK) != cases[i].fine)
            fail(cases[i].formulas, cases[i].fine ? "should be a gradient" : "should be no gradient");
}

// ---- the text that goes to a compiler

static bool is_own_word(const char *word, size_t length)
{
    static const char *const words[] = { "const", "i8", "u8", "i16", "i32", "i64", "f32", "f64", "LL", "MATH_INF_F64", "MATH_NAN_F64", "x", "y", "z", "w" };
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        if (strlen(words[i]) == length && !memcmp(words[i], word, length)) return true;
    if (length > 2 && !memcmp(word, "k_", 2)) return true;
    if (length > 5 && (!memcmp(word, "load_", 5) || !memcmp(word, "store_", 6))) return true;
    for (size_t i = 1; i < length; ++i)
        if (!isdigit((unsigned char)word[i])) return false;
    return length > 1 && strchr("tsx", word[0]);
}

static bool is_own_text(const char *text)
{
    for (const char *at = text; *at;) {
        size_t length = 1;
        if (isdigit((unsigned char)*at)) {
            while (isalnum((unsigned char)at[length]) || (at[length] == '-' && at[length - 1] == 'p')) ++length;
        } else if (isalpha((unsigned char)*at) || *at == '_') {
            while (isalnum((unsigned char)at[length]) || at[length] == '_') ++length;
            if (!is_own_word(at, length)) return false;
        } else if (!strchr(" ()+-*/%<>=!&|^~?:;,", *at)) {
            return false;
        }
        at += length;
    }
    return true;
}

static const carat_dtype dtypes[] = { CARAT_b8, CARAT_u8, CARAT_i8, CARAT_i16, CARAT_i32, CARAT_i64, CARAT_f16, CARAT_bf16, CARAT_f32, CARAT_f64 };

static void check_text(const carat_op *op, const char *text)
{
    carat_expression_operator *const e = carat_expression_operator_of(op);
    carat_expression_signature signature;
    memset(&signature, 0, sizeof signature);
    memset(signature.given, CARAT_DTYPE_NONE, sizeof signature.given);
    signature.default_dtype = CARAT_f32;
    for (int j = 0; j < e->tree->input_count; ++j)
        signature.input[j] = (carat_node_type){ .dtype = (uint8_t)(draw(2) ? CARAT_f32 : dtypes[draw(10)]), .rank = (uint8_t)draw(3) };
    carat_node_type types[CARAT_EXPRESSION_NODES];
    carat_pointwise_row row = { 0 };
    carat_pointwise_made made = { 0 };
    carat_dtype given[CARAT_MAX_OUTPUTS] = { CARAT_DTYPE_NONE, CARAT_DTYPE_NONE, CARAT_DTYPE_NONE, CARAT_DTYPE_NONE };
    if (carat_tree_types(e->tree, signature.input, CARAT_f32, types) != CARAT_OK) return;
    if (carat_tree_emit(e->tree, types, CARAT_f32, given, &row, &made) != CARAT_OK) return;
    if (!is_own_text(made.steps) || !is_own_text(made.near_steps) || (row.near && !is_own_text(row.near))) fail(text, "reaches the compiler");
    for (int k = 0; k < e->tree->output_count; ++k)
        if (!is_own_text(made.body[k])) fail(text, "reaches the compiler");
    free((void *)(uintptr_t)made.steps);
}

static void try_text(const char *text)
{
    const carat_op *op;
    const carat_status status = make(text, &op);
    if (status != CARAT_OK) {
        ++refused;
        if (status != CARAT_INVALID_ARGUMENT || !*carat_last_error()) fail(text, "refused without words");
        return;
    }
    ++accepted;
    check_text(op, text);
    const int input = (int)draw((unsigned)carat_expression_inputs(op));
    if (carat_expression_gradient(op, &input, (carat_dtype[]){ CARAT_f32 }, 1, &op) == CARAT_OK) check_text(op, text);
}

// ---- arbitrary text

static const char *const pieces[] = {
    "x", "y", "alpha", "n", "out0", "out1", "grad", "+", "-", "*", "/", "%", "<", "<=", "==", "&&", "||", "!", "~", "&", "|", "^", "<<", ">>", "?", ":",
    "(", ")", ",", ";", "=", "exp(", "max(", "where(", "pow(", "int8(", "1", "0", "2.5", "1e3", "0xff", "nan", "true", " ", "\n", "#", "return", "\"", "{",
};

static void make_soup(char *text, size_t size)
{
    text[0] = 0;
    for (unsigned n = 1 + draw(14); n-- > 0;) {
        const char *piece = pieces[draw(sizeof pieces / sizeof *pieces)];
        if (strlen(text) + strlen(piece) + 1 < size) strcat(text, piece);
    }
}

static void mutate(char *text, size_t size)
{
    strcpy(text, good[draw(sizeof good / sizeof *good)].text);
    for (unsigned n = 1 + draw(4); n-- > 0;) {
        const size_t length = strlen(text), at = draw((unsigned)length + 1);
        const char *piece = pieces[draw(sizeof pieces / sizeof *pieces)];
        switch (draw(4)) {
        case 0: if (at < length) memmove(text + at, text + at + 1, length - at); break;
        case 1: if (at < length) text[at] = (char)(1 + draw(255)); break;
        default:
            if (length + strlen(piece) + 1 >= size) break;
            memmove(text + at + strlen(piece), text + at, length - at + 1);
            memcpy(text + at, piece, strlen(piece));
        }
    }
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 3;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
    const uint64_t seed = state;
    test_lists();
    test_limits();
    test_formulas();
    const clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
    for (char text[256]; !failed && clock() < end;) {
        if (draw(3)) mutate(text, sizeof text);
        else make_soup(text, sizeof text);
        try_text(text);
        if (accepted > 20000) break; // operators are kept
    }
    printf("%ld taken, %ld refused%s; seed %llu\n", accepted, refused, failed ? ", FAILED" : "", (unsigned long long)seed);
    return failed;
}

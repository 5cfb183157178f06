// SPDX-License-Identifier: Apache-2.0
// Tokens of expressions, and the names that have a meaning in all of them.
#include "ops/expression_token.h"

#include <ctype.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool begins_name(char c) { return isascii((unsigned char)c) && (isalpha((unsigned char)c) || c == '_'); }
static bool goes_on_name(char c) { return begins_name(c) || (c >= '0' && c <= '9'); }

static locale_t c_locale;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

// Digits with a point or an exponent are a float; hexadecimal numbers are whole. The longest run that may belong to a number is one.
static carat_status read_number(const carat_tree *tree, const char *at, carat_token *now)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    if (!c_locale) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to read numbers");
    const bool hex = at[0] == '0' && (at[1] | 32) == 'x';
    const size_t digits = hex ? 2 + strspn(at + 2, "0123456789abcdefABCDEF") : strspn(at, "0123456789");
    size_t length = digits;
    if (!hex && at[length] == '.') length += 1 + strspn(at + length + 1, "0123456789");
    if (!hex && (at[length] | 32) == 'e') {
        const size_t sign = length + 1 + (at[length + 1] == '+' || at[length + 1] == '-');
        const size_t exponent = strspn(at + sign, "0123456789");
        if (exponent) length = sign + exponent;
    }
    if (goes_on_name(at[length]) || at[length] == '.' || (hex && digits == 2) || length > 64)
        return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, now->place, "this is no number");
    char copy[72];
    memcpy(copy, at, length);
    copy[length] = 0;
    now->kind = CARAT_TOKEN_NUMBER;
    now->length = (int)length;
    if (length > digits) {
        now->number = (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = strtod_l(copy, NULL, c_locale) };
        return now->number.re < 1.0 / 0.0 ? CARAT_OK : carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, now->place, "this number is too large");
    }
    if (!hex && length > 1 && at[0] == '0') return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, now->place, "a whole number doesn't begin with 0");
    uint64_t value = 0;
    for (const char *c = copy + (hex ? 2 : 0); *c; ++c) {
        const unsigned digit = *c <= '9' ? (unsigned)(*c - '0') : (unsigned)((*c | 32) - 'a' + 10);
        if (value > ((uint64_t)INT64_MAX - digit) / (hex ? 16u : 10u)) return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, now->place, "this number is too large");
        value = value * (hex ? 16u : 10u) + digit;
    }
    now->number = (carat_scalar){ .kind = CARAT_SCALAR_INT, .i = (int64_t)value };
    return CARAT_OK;
}

// Goes to the next token.
carat_status carat_token_next(const carat_tree *tree, const char *text, carat_token *now)
{
    static const char *const marks[] = { "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "&", "|", "^",
                                         "~", "!", "?", ":", "(", ")", ",", ";", "=" };
    int place = now->place + now->length;
    while (text[place] && strchr(" \t\n\r", text[place])) ++place;
    const char *const at = text + place;
    *now = (carat_token){ .place = place };
    if (!*at) return CARAT_OK;
    if (begins_name(*at)) {
        now->kind = CARAT_TOKEN_NAME;
        while (goes_on_name(at[now->length])) ++now->length;
        if (now->length >= CARAT_EXPRESSION_NAME) return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, place, "a name has at most %d characters", CARAT_EXPRESSION_NAME - 1);
        return CARAT_OK;
    }
    if ((*at >= '0' && *at <= '9') || (*at == '.' && at[1] >= '0' && at[1] <= '9')) return read_number(tree, at, now);
    for (size_t m = 0; m < sizeof marks / sizeof *marks; ++m) {
        const size_t length = strlen(marks[m]);
        if (strncmp(at, marks[m], length)) continue;
        now->kind = CARAT_TOKEN_MARK;
        now->length = (int)length;
        return CARAT_OK;
    }
    if (*at == '#' || *at == '{' || *at == '}' || *at == '[' || *at == '"' || *at == '\'' || *at == '\\' || *at == '@')
        return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, place, "%c has no place in an expression", *at);
    return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, place, "this character has no place in an expression");
}

// ---- names

// C's and Python's: the names of inputs and scalars are arguments in Python too, beside `out`, and `self` of its calls.
static bool is_keyword(const char *name)
{
    static const char *const words[] = {
        "asm", "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float", "for",
        "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch",
        "typedef", "union", "unsigned", "void", "volatile", "while",
        "None", "True", "False", "and", "as", "assert", "async", "await", "class", "def", "del", "elif", "except", "finally", "from", "global",
        "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "try", "with", "yield", "out", "self",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        if (!strcmp(words[i], name)) return true;
    return false;
}

int carat_function_named(const char *name)
{
    for (int id = 0; id < CARAT_OPERATION_COUNT; ++id)
        if (begins_name(carat_operations[id].spelled[0]) && !strcmp(carat_operations[id].spelled, name)) return id;
    return -1;
}

bool carat_constant_named(const char *name, carat_scalar *value)
{
    static const struct { const char *name; carat_scalar value; } constants[] = {
        { "pi", { .kind = CARAT_SCALAR_FLOAT, .re = 3.14159265358979323846 } },
        { "inf", { .kind = CARAT_SCALAR_FLOAT, .re = 1.0 / 0.0 } },
        { "nan", { .kind = CARAT_SCALAR_FLOAT, .re = 0.0 / 0.0 } },
        { "true", { .kind = CARAT_SCALAR_BOOL, .i = 1 } },
        { "false", { .kind = CARAT_SCALAR_BOOL, .i = 0 } },
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; ++i)
        if (!strcmp(constants[i].name, name)) {
            *value = constants[i].value;
            return true;
        }
    return false;
}

int carat_output_named(const char *name)
{
    return !strncmp(name, "out", 3) && name[3] >= '0' && name[3] <= '9' && !name[4] ? name[3] - '0' : -1;
}

carat_status carat_name_check(const carat_tree *tree, const char *name, int place)
{
    carat_scalar value;
    if (is_keyword(name)) return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, place, "%s is a keyword", name);
    if (carat_function_named(name) >= 0) return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, place, "%s is a function: write %s(...)", name, name);
    if (carat_constant_named(name, &value)) return carat_tree_fail(tree, CARAT_INVALID_ARGUMENT, place, "%s is a constant", name);
    return CARAT_OK;
}

carat_status carat_tree_check_name(const carat_tree *tree, const char *name)
{
    size_t length = 0;
    while (name && goes_on_name(name[length])) ++length;
    if (!name || !begins_name(name[0]) || name[length] || length >= CARAT_EXPRESSION_NAME || carat_output_named(name) >= 0)
        return carat_fail(CARAT_INVALID_ARGUMENT, "%.40s is no name for a scalar", name ? name : "NULL");
    for (int s = 0; s < tree->scalar_count; ++s)
        if (!strcmp(tree->scalar[s], name)) return carat_fail(CARAT_INVALID_ARGUMENT, "there are two scalars %s", name);
    return carat_name_check(tree, name, -1);
}

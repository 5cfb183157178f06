// SPDX-License-Identifier: Apache-2.0
// The words of an expression: tokens of its text, and what a name may mean before any expression gives it a meaning.
#ifndef CARAT_OPS_EXPRESSION_TOKEN_H
#define CARAT_OPS_EXPRESSION_TOKEN_H

#include "ops/expression.h"

typedef enum carat_token_kind { CARAT_TOKEN_END, CARAT_TOKEN_NAME, CARAT_TOKEN_NUMBER, CARAT_TOKEN_MARK } carat_token_kind;

typedef struct carat_token {
    carat_token_kind kind;
    int place, length;
    carat_scalar number;
} carat_token;

// Goes to the next token of a text. `tree` is for errors.
carat_status carat_token_next(const carat_tree *tree, const char *text, carat_token *now);

int carat_function_named(const char *name); // carat_operation_id; -1: none
bool carat_constant_named(const char *name, carat_scalar *value);
int carat_output_named(const char *name); // of out0, out1 ...: which one; -1: of other names
// Fails for a name that has a meaning of its own or can't have one.
carat_status carat_name_check(const carat_tree *tree, const char *name, int place);

#endif

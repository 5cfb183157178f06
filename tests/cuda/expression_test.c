// SPDX-License-Identifier: Apache-2.0
// Every operation of users' expressions compiles through NVRTC, for each dtype that it takes. Exit status 77: no NVRTC here.
#include "backends/cuda/cuda.h"
#include "jit/jit.h"
#include "ops/expression_op.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77, LOG = 4096 };

// The sum of all operations that take a dtype.
static void sum_up(carat_dtype dtype, char *text, size_t size)
{
    static const char *const forms[2][4] = { { "", "%s(x)", "(x %s y)", "(x ? y : z)" }, { "", "%s(x)", "%s(x, y)", "%s(x, y, z)" } };
    size_t used = (size_t)snprintf(text, size, "inf - nan * 0.1 + 3");
    for (int id = 0; id < CARAT_OPERATION_COUNT; ++id) {
        const carat_operation *const operation = &carat_operations[id];
        if (!carat_dtype_in(dtype, operation->dtypes)) continue;
        char term[64];
        snprintf(term, sizeof term, forms[isalpha((unsigned char)operation->spelled[0]) != 0][operation->operands], operation->spelled);
        used += (size_t)snprintf(text + used, size - used, " + float32(%s)", term);
    }
}

static bool compiles(const carat_target *target, const char *path, carat_dtype dtype)
{
    static char text[CARAT_EXPRESSION_TEXT], log[LOG];
    const carat_op *op;
    carat_expression_signature signature;
    const carat_expression_row *row;
    sum_up(dtype, text, sizeof text);
    if (carat_expression_op(&(carat_expression){ .text = text }, &op) != CARAT_OK) return false;
    memset(&signature, 0, sizeof signature);
    memset(signature.given, CARAT_DTYPE_NONE, sizeof signature.given);
    signature.default_dtype = CARAT_f32;
    for (int j = 0; j < carat_expression_inputs(op); ++j) signature.input[j] = (carat_node_type){ .dtype = (uint8_t)dtype, .rank = CARAT_RANK_DIMENSIONED };
    if (carat_expression_row_of(carat_expression_operator_of(op), &signature, &row) != CARAT_OK) return false;
    const carat_key key = { .family = CARAT_FAMILY_pointwise, .row = (uint16_t)row->index };
    char symbol[40];
    carat_symbol_make(target, &key, symbol);
    char *const source = carat_source_make(target, &key, symbol);
    const carat_status status = source ? carat_cuda_compile(target, source, path, log, sizeof log) : CARAT_OUT_OF_MEMORY;
    free(source);
    if (status != CARAT_OK) printf("%s\n", log);
    return status == CARAT_OK;
}

int main(void)
{
    const char *why = NULL;
    if (!carat_cuda_compiler(&why)) {
        printf("skipped: %s\n", why);
        return SKIPPED;
    }
    char path[] = "/tmp/carat-cubin-XXXXXX";
    const int file = mkstemp(path);
    if (file < 0) return 2;
    const carat_target *const target = carat_cuda_target_find("sm_90a");
    int failed = 0;
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        if (!carat_dtype_in(dtype, CARAT_REALS | CARAT_BOOLS) || compiles(target, path, dtype)) continue;
        printf("FAILED %s (%s)\n", carat_dtype_name(dtype), carat_last_error());
        ++failed;
    }
    remove(path);
    printf("%d dtypes failed\n", failed);
    return failed != 0;
}

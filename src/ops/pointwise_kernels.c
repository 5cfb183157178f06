// SPDX-License-Identifier: Apache-2.0
// Which kernels the pointwise rows have: their keys, their -D constants, and those that the pack holds.
#include "ops/pointwise_row.h"

#include "jit/jit.h"
#include <stdio.h>
#include <string.h>

// key.dtypes: [0] the output's, [1] the common dtype of the inputs, [2] the arithmetic dtype.
// key.params[0]: a bit per operand that comes in the arithmetic dtype instead (a number beside halves).
enum { KEY_OUT = CARAT_POINTWISE_KEY_OUT, KEY_IN, KEY_COMPUTE = CARAT_POINTWISE_KEY_COMPUTE };

// Of a row made at run time the key is its number alone.
static carat_key make_key(int row, carat_dtype out, carat_dtype in, carat_dtype compute, unsigned numbers)
{
    carat_key key = { .family = CARAT_FAMILY_pointwise, .row = (uint16_t)row };
    key.dtypes[KEY_OUT] = (uint8_t)out;
    key.dtypes[KEY_IN] = (uint8_t)in;
    key.dtypes[KEY_COMPUTE] = (uint8_t)compute;
    key.params[0] = (uint8_t)numbers;
    return key;
}

static carat_key key_of(const carat_pointwise *launch, carat_dtype out)
{
    const carat_pointwise_row *row = carat_pointwise_row_at(launch->row);
    if (row->made) return make_key(launch->row, 0, 0, 0, 0);
    if (row->raw && (launch->row != CARAT_POINTWISE_copy || carat_dtype_of(launch->in[0]) == out)) {
        const carat_dtype raw = carat_raw_dtype(out);
        return make_key(launch->row, raw, raw, raw, 0);
    }
    if (row->bits && carat_dtype_in(out, CARAT_HALVES)) return make_key(row->bits, CARAT_i16, CARAT_i16, CARAT_i16, 0);
    carat_dtype in = launch->compute;
    unsigned in_compute = 0, all = 0;
    for (int j = 0; j < row->inputs; ++j) {
        if (carat_pointwise_is_mask(row, j)) continue;
        const carat_dtype dtype = carat_dtype_of(launch->in[j]);
        all |= 1u << j;
        if (dtype == launch->compute) in_compute |= 1u << j;
        else in = dtype;
    }
    return make_key(launch->row, out, in, launch->compute, in_compute == all ? 0 : in_compute);
}

carat_status carat_pointwise_find_kernel(const carat_frame *call, const carat_pointwise *launch, carat_dtype out, carat_kernel *kernel)
{
    const carat_key key = key_of(launch, out);
    return carat_kernel_get(call->backend, call->device, &key, kernel);
}

carat_status carat_pointwise_check(const carat_frame *call, carat_pointwise *launch, carat_dtype out)
{
    if (carat_has_lanes(call)) return carat_pointwise_check_lanes(launch, out); // layouts have kernels of their own: the launch finds those
    return carat_pointwise_find_kernel(call, launch, out, &launch->kernel);
}

static carat_dtype output_dtype(const carat_pointwise_row *row, const carat_key *key, int k)
{
    return (carat_dtype)(row->made ? row->made->out[k] : key->dtypes[KEY_OUT]);
}

static carat_dtype input_dtype(const carat_pointwise_row *row, const carat_key *key, int j)
{
    if (row->made) return (carat_dtype)row->made->in[j];
    if (carat_pointwise_is_mask(row, j)) return CARAT_b8;
    return (carat_dtype)key->dtypes[key->params[0] >> j & 1 ? KEY_COMPUTE : KEY_IN];
}

// Elements of a block: bytes fill 64 of them, and clang unrolls fewer than 32 elements before it looks for SIMD. The near
// form's test is made once a block, and a lengthy body waits for itself, so that theirs are longer.
static int block_elements(const carat_pointwise_row *row, const carat_key *key)
{
    size_t smallest = 16;
    for (int k = 0; k < carat_pointwise_outputs(row); ++k) {
        const size_t size = carat_dtype_size(output_dtype(row, key, k));
        if (size < smallest) smallest = size;
    }
    for (int j = 0; j < row->inputs; ++j) {
        const size_t size = carat_dtype_size(input_dtype(row, key, j));
        if (size < smallest) smallest = size;
    }
    return row->near || row->lengthy || smallest <= 2 ? 64 : 32;
}

// A define whose name ends in a number.
static void define_at(carat_defines *defines, const char *name, int index, const char *value)
{
    char full[16];
    snprintf(full, sizeof full, "%s%d", name, index);
    carat_define(defines, full, "%s", value);
}

static void describe_scalars(const carat_pointwise_row *row, const carat_key *key, carat_defines *defines)
{
    const char *scalar = row->scalar_names;
    carat_define(defines, "NSCALARS", "%d", row->scalars);
    for (int s = 0; s < row->scalars; ++s) {
        const int length = (int)strcspn(scalar, " ");
        char name[8];
        snprintf(name, sizeof name, "S%d", s);
        carat_define(defines, name, "%.*s", length, scalar);
        define_at(defines, "T", s, carat_dtype_name((carat_dtype)(row->made ? row->made->scalar[s] : key->dtypes[KEY_COMPUTE])));
        scalar += length + (scalar[length] == ' ');
    }
}

// What kernels of one lane and of many have in common.
void carat_pointwise_describe_row(const carat_pointwise_row *row, const carat_key *key, carat_defines *defines)
{
    const int outputs = carat_pointwise_outputs(row);
    carat_define(defines, "NOUT", "%d", outputs);
    carat_define(defines, "NIN", "%d", row->inputs);
    for (int k = 0; k < outputs; ++k) {
        define_at(defines, "O", k, carat_dtype_name(output_dtype(row, key, k)));
        define_at(defines, "BODY", k, row->made ? row->made->body[k] : row->body);
    }
    carat_define(defines, "STEPS", "%s", row->made ? row->made->steps : "");
    if (row->made) carat_define(defines, CARAT_NO_CONTRACTION, "1"); // each step rounds, as PyTorch's operator does that it stands for
    else carat_define(defines, "CS", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_COMPUTE]));
    describe_scalars(row, key, defines);
}

static void describe_near(const carat_pointwise_row *row, carat_defines *defines)
{
    carat_define(defines, "NEAR", "%s", row->near);
    carat_define(defines, "NEAR_STEPS", "%s", row->made ? row->made->near_steps : "");
    for (int k = 0; k < carat_pointwise_outputs(row); ++k) define_at(defines, "NEAR_BODY", k, row->made ? row->made->body[k] : row->near_body);
}

void carat_pointwise_describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    if (target->lanes > 1) {
        carat_pointwise_describe_lanes(key, defines);
        return;
    }
    const carat_pointwise_row *row = carat_pointwise_row_at(key->row);
    carat_pointwise_describe_row(row, key, defines);
    carat_define(defines, "BLOCK", "%d", block_elements(row, key));
    const bool exact = row->exact && key->params[0] == 0 && key->dtypes[KEY_IN] == key->dtypes[KEY_OUT];
    carat_define(defines, "WRITE", "%s", exact ? "write_exact_" : "write_block_");
    for (int j = 0; j < row->inputs; ++j) {
        const carat_dtype dtype = input_dtype(row, key, j);
        const bool as_it_is = row->made || carat_pointwise_is_mask(row, j);
        define_at(defines, "X", j, carat_dtype_name(dtype));
        define_at(defines, "C", j, carat_dtype_name(as_it_is ? dtype : (carat_dtype)key->dtypes[KEY_COMPUTE]));
    }
    if (row->near) describe_near(row, defines);
}

typedef struct emitter {
    void (*emit)(void *arg, const carat_key *key);
    void *arg;
} emitter;

static void emit(const emitter *to, carat_key key)
{
    to->emit(to->arg, &key);
}

static void emit_copies(const emitter *to)
{
    for (carat_dtype from = 0; from < CARAT_DTYPE_COUNT; ++from)
        for (carat_dtype out = 0; out < CARAT_DTYPE_COUNT; ++out)
            if (from != out && carat_dtype_in(from, CARAT_ALL) && carat_dtype_in(out, CARAT_ALL))
                emit(to, make_key(CARAT_POINTWISE_copy, out, from, carat_compute_dtype(from), 0));
}

static void emit_raw(const emitter *to, carat_pointwise_id id)
{
    for (int i = 0; i < CARAT_RAW_DTYPE_COUNT; ++i) {
        const carat_dtype raw = carat_raw_dtypes[i];
        emit(to, make_key(id, raw, raw, raw, 0));
    }
}

static void emit_row(const emitter *to, carat_pointwise_id id)
{
    const carat_pointwise_row *row = carat_pointwise_row_at((int)id);
    if (row->raw) {
        emit_raw(to, id);
        return;
    }
    for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in) {
        if (!carat_dtype_in(in, row->base.dtypes) || (row->bits && carat_dtype_in(in, CARAT_HALVES))) continue;
        const carat_dtype compute = carat_compute_dtype(in);
        carat_dtype out = row->rule == TEST ? CARAT_b8 : in;
        if (row->rule == FLOAT && carat_is_integral(in)) continue; // converted before
        if (row->rule == POLAR) out = in == CARAT_f64 ? CARAT_c128 : CARAT_c64;
        emit(to, make_key(id, out, row->inputs ? in : compute, compute, 0));
        if (row->rule == TEST && in != CARAT_b8) emit(to, make_key(id, in, in, compute, 0));
        if (!row->opmath || !carat_dtype_in(in, CARAT_HALVES)) continue;
        for (int j = 0; j < row->inputs; ++j)
            if (!carat_pointwise_is_mask(row, j)) emit(to, make_key(id, out, in, compute, 1u << j));
        if (row->inputs == 3) emit(to, make_key(id, out, in, compute, 1u << 1 | 1u << 2)); // two numbers beside a tensor
    }
}

void carat_pointwise_enumerate(const carat_target *target, void (*emit_key)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_pointwise_enumerate_lanes(emit_key, arg);
        return;
    }
    const emitter to = { emit_key, arg };
    emit_copies(&to);
    for (carat_pointwise_id id = 0; id < CARAT_POINTWISE_COUNT; ++id) emit_row(&to, id);
}

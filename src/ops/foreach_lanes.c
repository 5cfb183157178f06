// SPDX-License-Identifier: Apache-2.0
// Operators over lists in groups of many lanes (kernels/foreach_lanes.k.c): lists of floating tensors of one dtype, each tensor laid
// out like the others at its place. ATen goes through any other list tensor by tensor; so it does from here.
#include "ops/foreach.h"
#include "ops/list_lanes.h"

#include "foreach_lanes_args.h"
#include "jit/jit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

_Static_assert(sizeof(foreach_lanes_args) < 4096, "arguments of a kernel on a device");

// ---- keys: dtypes as of a pointwise kernel, of which the lists' is the output's; params have a bit an input

enum { KEY_NUMBERS, KEY_REPEATED, KEY_IN_PLACE };

static const carat_pointwise_row *row_of(const carat_key *key)
{
    return carat_pointwise_row_at((int)carat_foreach_applied(key->row, key->params[KEY_NUMBERS] != 0));
}

static bool bit(const carat_key *key, int param, int j)
{
    return key->params[param] >> j & 1;
}

static carat_key make_key(int row, carat_dtype dtype)
{
    carat_key key = { .family = CARAT_FAMILY_foreach, .row = (uint16_t)row };
    key.dtypes[CARAT_POINTWISE_KEY_OUT] = (uint8_t)dtype;
    key.dtypes[CARAT_POINTWISE_KEY_COMPUTE] = (uint8_t)carat_compute_dtype(dtype);
    return key;
}

// What an entry holds: the output's place, those of the inputs (the first is the output's of a call in place) and numbers in their
// stead, scalars.
typedef struct entry_layout {
    int input[CARAT_POINTWISE_INPUTS], scalars, words;
} entry_layout;

static entry_layout layout_of(const carat_key *key, const carat_pointwise_row *row)
{
    entry_layout at = { .words = LIST_FIRST + 1 };
    for (int j = 0; j < row->inputs; ++j) at.input[j] = j == 0 && key->params[KEY_IN_PLACE] ? LIST_FIRST : at.words++;
    at.scalars = at.words;
    at.words += row->scalars;
    return at;
}

// Vectors of an input that a lane holds: as measured of pointwise kernels.
static int vectors_held(const carat_key *key, const carat_pointwise_row *row)
{
    int read = 0;
    for (int j = 0; j < row->inputs; ++j) read += !bit(key, KEY_NUMBERS, j) && !bit(key, KEY_REPEATED, j);
    return read == 1 && carat_list_vector((carat_dtype)key->dtypes[0]) > 4 ? 2 : 1;
}

void carat_foreach_describe_lanes(const carat_key *key, carat_defines *defines)
{
    const carat_pointwise_row *row = row_of(key);
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    const char *const element = carat_dtype_name(dtype), *const compute = carat_dtype_name(carat_compute_dtype(dtype));
    const entry_layout at = layout_of(key, row);
    carat_pointwise_describe_row(row, key, defines);
    carat_define(defines, "LANES", "%d", CARAT_LIST_LANES);
    carat_define(defines, "KEEP", "%d", vectors_held(key, row));
    carat_define(defines, "VEC", "%d", (int)carat_list_vector(dtype));
    carat_define(defines, "WORDS", "%d", at.words);
    carat_define(defines, "AT_OUT", "%d", LIST_FIRST);
    carat_define(defines, "AT_SCALARS", "%d", at.scalars);
    for (int j = 0; j < row->inputs; ++j) {
        char name[8];
        const bool number = bit(key, KEY_NUMBERS, j);
        snprintf(name, sizeof name, "X%d", j);
        carat_define(defines, name, "%s", number ? compute : element);
        snprintf(name, sizeof name, "C%d", j);
        carat_define(defines, name, "%s", compute);
        snprintf(name, sizeof name, "FROM%d", j);
        carat_define(defines, name, "%s", number ? "number" : bit(key, KEY_REPEATED, j) ? "repeated" : "memory");
        snprintf(name, sizeof name, "AT%d", j);
        carat_define(defines, name, "%d", at.input[j]);
    }
}

// The forms that ATen's operators have: all lists, or a number in the last input's place.
void carat_foreach_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < carat_foreach_row_count(); ++row)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            const int inputs = carat_pointwise_row_at((int)carat_foreach_applied(row, false))->inputs;
            for (int form = 0; carat_is_float(dtype) && form < (inputs > 1 ? 4 : 2); ++form) {
                carat_key key = make_key(row, dtype);
                key.params[KEY_IN_PLACE] = form & 1;
                key.params[KEY_NUMBERS] = form & 2 ? (uint8_t)(1u << (inputs - 1)) : 0;
                emit(arg, &key);
            }
        }
}

// ---- checks

static carat_status check_self(const carat_tensor *self, carat_dtype dtype)
{
    if (carat_dtype_of(self) != dtype) return carat_step_aside("lists of several dtypes");
    if (self->device.type == CARAT_CPU) return carat_step_aside("tensors on several devices");
    return carat_is_dense(self) ? CARAT_OK : carat_step_aside("layout");
}

static carat_status check_tensor(const carat_tensor *self, const carat_tensor *tensor, carat_dtype dtype, bool in_place)
{
    if (carat_dtype_of(tensor) != dtype) return carat_step_aside("lists of several dtypes");
    if (tensor->device.type == CARAT_CPU) return carat_step_aside("tensors on several devices");
    if (!carat_list_alike(self, tensor)) return carat_step_aside("tensors of different layouts");
    if (in_place && carat_overlap_of(self, tensor) == CARAT_PARTIAL) return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

// A complex number would change the result's dtype; one that f32 doesn't reach is an error, which ATen words.
static carat_status check_number(const carat_scalar *number, carat_dtype dtype)
{
    if (number->kind == CARAT_SCALAR_COMPLEX) return carat_step_aside("complex number");
    if (number->kind == CARAT_SCALAR_FLOAT && dtype != CARAT_f64 && fabs(number->re) > FLT_MAX && !isinf(number->re))
        return carat_step_aside("number out of the dtype's range");
    return CARAT_OK;
}

static carat_status check_numbers(const carat_arg *arg, carat_dtype dtype)
{
    for (int64_t i = 0; i < arg->scalars.count; ++i) CARAT_TRY(check_number(&arg->scalars.items[i], dtype));
    return CARAT_OK;
}

// An argument after the first: a list, a number of each tensor, or one thing for all of them.
static carat_status check_argument(const carat_frame *call, const carat_pointwise_row *row, int a, carat_dtype dtype, carat_key *key)
{
    const carat_arg *arg = &call->args[a];
    const bool operand = a < row->inputs;
    carat_scalar number;
    if (arg->kind == CARAT_ARG_TENSORS && operand) {
        for (int64_t i = 0; i < arg->tensors.count; ++i)
            CARAT_TRY(check_tensor(&call->args[0].tensors.items[i], &arg->tensors.items[i], dtype, call->op->in_place));
        return CARAT_OK;
    }
    if (arg->kind == CARAT_ARG_TENSOR && operand && arg->tensor.device.type != CARAT_CPU) {
        if (arg->tensor.ndim || carat_dtype_of(&arg->tensor) != dtype) return carat_step_aside("tensor for a whole list");
        key->params[KEY_REPEATED] |= (uint8_t)(1u << a);
        return CARAT_OK;
    }
    if (operand) key->params[KEY_NUMBERS] |= (uint8_t)(1u << a);
    if (arg->kind == CARAT_ARG_SCALARS) return check_numbers(arg, dtype);
    if (a - row->inputs >= row->scalars || !carat_pointwise_number(arg, &number)) return carat_step_aside("argument kind");
    if (!operand && number.kind == CARAT_SCALAR_BOOL) return carat_step_aside("scalar's kind");
    return check_number(&number, dtype);
}

// Everything about the lists; nothing is made or written before it is known that all of them can be served.
static carat_status check(const carat_frame *call, const carat_pointwise_row *row, carat_key *key)
{
    const carat_arg *self = &call->args[0];
    if (!self->tensors.count || call->nargs < row->inputs) return carat_step_aside("form of the list");
    const carat_dtype dtype = carat_dtype_of(&self->tensors.items[0]);
    if (!carat_is_float(dtype) || !carat_dtype_in(dtype, row->base.dtypes)) return carat_step_aside("dtype");
    *key = make_key(call->op->row_index, dtype);
    key->params[KEY_IN_PLACE] = call->op->in_place;
    for (int64_t i = 0; i < self->tensors.count; ++i) CARAT_TRY(check_self(&self->tensors.items[i], dtype));
    for (int a = 1; a < call->nargs; ++a) CARAT_TRY(check_argument(call, row, a, dtype, key));
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

// ---- entries

static uint64_t number_word(const carat_arg *arg, int64_t i, carat_dtype compute)
{
    carat_scalar number;
    uint64_t word = 0;
    if (arg->kind == CARAT_ARG_SCALARS) number = arg->scalars.items[i];
    else carat_pointwise_number(arg, &number);
    carat_scalar_store(number, compute, &word);
    return word;
}

static uint64_t place_word(const carat_tensor *tensor, bool *aligned)
{
    const uint64_t place = (uint64_t)(uintptr_t)carat_data(tensor);
    *aligned = *aligned && place % CARAT_LIST_VECTOR == 0;
    return place;
}

static carat_status add_item(carat_list_launch *launch, const carat_pointwise_row *row, entry_layout at, int64_t i, const carat_tensor *out)
{
    const carat_frame *call = launch->call;
    const carat_dtype compute = carat_compute_dtype((carat_dtype)launch->key->dtypes[0]);
    uint64_t entry[LIST_FIRST + 1 + CARAT_POINTWISE_INPUTS + CARAT_POINTWISE_SCALARS];
    bool aligned = true;
    entry[LIST_FIRST] = place_word(out, &aligned);
    for (int a = call->op->in_place; a < row->inputs; ++a) {
        const carat_arg *arg = &call->args[a];
        if (arg->kind == CARAT_ARG_TENSORS) entry[at.input[a]] = place_word(&arg->tensors.items[i], &aligned);
        else if (bit(launch->key, KEY_REPEATED, a)) entry[at.input[a]] = (uint64_t)(uintptr_t)carat_data(&arg->tensor);
        else entry[at.input[a]] = number_word(arg, i, compute);
    }
    for (int s = 0; s < row->scalars; ++s) {
        const carat_arg missing = { .kind = CARAT_ARG_FLOAT, .f = row->scalar_defaults[s] };
        entry[at.scalars + s] = number_word(row->inputs + s < call->nargs ? &call->args[row->inputs + s] : &missing, i, compute);
    }
    return carat_list_add(launch, carat_numel(out), aligned, entry + LIST_FIRST);
}

carat_status carat_foreach_run_lanes(carat_frame *call)
{
    const bool to_numbers = call->nargs > 1 && call->args[1].kind != CARAT_ARG_TENSORS;
    const carat_pointwise_row *row = carat_pointwise_row_at((int)carat_foreach_applied(call->op->row_index, to_numbers));
    carat_key key;
    foreach_lanes_args args;
    CARAT_TRY(check(call, row, &key));
    const carat_dtype dtype = (carat_dtype)key.dtypes[0];
    args.table.count = 0;
    args.table.reach = (uint32_t)carat_list_step(dtype, vectors_held(&key, row));
    const entry_layout at = layout_of(&key, row);
    carat_list_launch launch = { call, &key, &args, sizeof args, &args.table, at.words, 0 };
    for (int64_t i = 0; i < call->args[0].tensors.count; ++i) {
        const carat_tensor *self = &call->args[0].tensors.items[i];
        carat_output out;
        if (!call->op->in_place) CARAT_TRY(carat_output_make(call, (int)i, dtype, self->ndim, self->shape, self->strides, &out));
        CARAT_TRY(add_item(&launch, row, at, i, call->op->in_place ? self : &out.view));
    }
    return carat_list_flush(&launch);
}

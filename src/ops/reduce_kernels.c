// SPDX-License-Identifier: Apache-2.0
// Which kernels the reduce rows have: their keys, their -D constants, and those that the pack holds.
#include "ops/reduce.h"

enum { KEY_IN, KEY_OUT };

carat_key carat_reduce_key(carat_reduce_id row, carat_dtype in, carat_dtype out)
{
    carat_key key = { .family = CARAT_FAMILY_reduce, .row = (uint16_t)row };
    key.dtypes[KEY_IN] = (uint8_t)in;
    key.dtypes[KEY_OUT] = (uint8_t)out;
    return key;
}

static carat_dtype accumulator(const carat_reduce_row *row, carat_dtype in)
{
    if (row->accumulate == TALLY) return row->base.dtypes && row->result == TRUTH ? CARAT_u8 : CARAT_i32;
    const carat_dtype compute = carat_compute_dtype(in);
    if (row->accumulate == PLAIN) return compute == CARAT_b8 ? CARAT_u8 : compute;
    if (!carat_is_integral(in)) return compute;
    return carat_dtype_size(in) < 4 && row->identity[0] == '0' ? CARAT_i32 : CARAT_i64; // a block's products don't fit 32 bits
}

static carat_dtype wide(const carat_reduce_row *row, carat_dtype in)
{
    const carat_dtype acc = accumulator(row, in);
    if (row->accumulate == PLAIN || row->result == TRUTH) return acc;
    return acc == CARAT_f32 ? CARAT_f64 : acc == CARAT_i32 ? CARAT_i64 : acc;
}

size_t carat_reduce_partial_bytes(const carat_key *key)
{
    return carat_dtype_size(wide(carat_reduce_row_at(key->row), (carat_dtype)key->dtypes[KEY_IN]));
}

static const char *floor_of(carat_dtype dtype)
{
    switch (dtype) {
    case CARAT_u8: return "0";
    case CARAT_i8: return "(-128)";
    case CARAT_i16: return "(-32768)";
    case CARAT_i32: return "(-2147483647 - 1)";
    case CARAT_i64: return "(-9223372036854775807 - 1)";
    default: return "(-K_INFINITY)";
    }
}

static const char *ceiling_of(carat_dtype dtype)
{
    switch (dtype) {
    case CARAT_u8: return "255";
    case CARAT_i8: return "127";
    case CARAT_i16: return "32767";
    case CARAT_i32: return "2147483647";
    case CARAT_i64: return "9223372036854775807";
    default: return "K_INFINITY";
    }
}

void carat_reduce_describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_reduce_row *row = carat_reduce_row_at(key->row);
    const carat_dtype in = (carat_dtype)key->dtypes[KEY_IN], acc = accumulator(row, in);
    const char *const wide_name = carat_dtype_name(wide(row, in));
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_OUT", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_OUT]));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    carat_define(defines, "T_WIDE", "%s", wide_name);
    carat_define(defines, "FLOATING", "%d", !carat_is_integral(acc) && !carat_is_complex(acc));
    carat_define(defines, "FLOOR", "%s", floor_of(acc));
    carat_define(defines, "CEILING", "%s", ceiling_of(acc));
    carat_define(defines, "IDENTITY", "%s", row->identity);
    carat_define(defines, "MAP", "%s", row->map);
    carat_define(defines, "COMBINE", "%s", row->combine);
    carat_define(defines, "FINISH", "%s", row->finish);
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(acc));
}

static void emit_row(int index, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    const carat_reduce_row *row = carat_reduce_row_at(index);
    if (row->form >= FOREACH) return; // run by other rows' kernels
    for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in) {
        if (!carat_dtype_in(in, row->base.dtypes)) continue;
        carat_dtype out = in;
        if (row->result == TOTAL && carat_is_integral(in)) out = CARAT_i64;
        if (row->result == TRUTH) out = in == CARAT_u8 ? CARAT_u8 : CARAT_b8;
        if (row->result == COUNT) out = CARAT_i64;
        if (row->result == FLOATING && carat_is_integral(in)) continue;
        carat_key key = carat_reduce_key((carat_reduce_id)index, in, out);
        emit(arg, &key);
        if (!carat_dtype_in(in, CARAT_HALVES) || (row->result != TOTAL && row->result != FLOATING)) continue;
        key = carat_reduce_key((carat_reduce_id)index, in, CARAT_f32);
        emit(arg, &key);
    }
}

void carat_reduce_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    for (int i = 0; i < CARAT_REDUCE_COUNT; ++i) emit_row(i, emit, arg);
}

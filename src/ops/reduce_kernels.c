// SPDX-License-Identifier: Apache-2.0
// Which kernels the reduce rows have: their keys, their -D constants, and those that the pack holds.
#include "ops/reduce.h"

#include "ops/reduce_lanes.h"

enum { KEY_IN, KEY_OUT, KEY_AS }; // KEY_AS: what elements are converted to, in groups of many lanes

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

// ---- groups of many lanes: registers of 32 bits, and a tree of sums, which is exact enough in f32

static carat_dtype lanes_accumulator(const carat_reduce_row *row, carat_dtype as)
{
    const bool narrow = carat_is_integral(as) && carat_dtype_size(as) < 4, product = row->identity[0] == '1';
    if (row->accumulate == TALLY || (narrow && !product)) return CARAT_i32;
    return row->accumulate == SUMS && carat_is_integral(as) ? CARAT_i64 : carat_compute_dtype(as);
}

static carat_dtype lanes_wide(const carat_reduce_row *row, carat_dtype acc)
{
    const bool grows = row->accumulate == SUMS || (row->accumulate == TALLY && row->result != TRUTH);
    return acc == CARAT_i32 && grows ? CARAT_i64 : acc;
}

carat_key carat_reduce_lanes_key(carat_reduce_id row, carat_dtype in, carat_dtype as, carat_dtype out)
{
    carat_key key = carat_reduce_key(row, in, out);
    key.dtypes[KEY_AS] = (uint8_t)as;
    return key;
}

size_t carat_reduce_lanes_joined_bytes(const carat_key *key)
{
    const carat_reduce_row *row = carat_reduce_row_at(key->row);
    return carat_dtype_size(lanes_wide(row, lanes_accumulator(row, (carat_dtype)key->dtypes[KEY_AS])));
}

// How an element is read, and the constants of the layout.
static void describe_lanes(const carat_key *key, carat_defines *defines)
{
    const carat_dtype in = (carat_dtype)key->dtypes[KEY_IN], as = (carat_dtype)key->dtypes[KEY_AS];
    const char *const from = carat_dtype_name(in), *const to = carat_dtype_name(as);
    carat_define(defines, "T_AS", "%s", to);
    if (in == as) carat_define(defines, "LOAD(e)", "load_%s(e)", from);
    else carat_define(defines, "LOAD(e)", "load_%s(store_%s(load_%s(e)))", to, to, from);
    carat_reduce_lanes_define(key, carat_dtype_size(in), defines);
}

// ---- constants

void carat_reduce_describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_reduce_row *row = carat_reduce_row_at(key->row);
    const bool lanes = target->lanes > 1;
    const carat_dtype in = (carat_dtype)key->dtypes[KEY_IN], as = (carat_dtype)key->dtypes[KEY_AS];
    const carat_dtype acc = lanes ? lanes_accumulator(row, as) : accumulator(row, in);
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_OUT", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_OUT]));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    carat_define(defines, "T_WIDE", "%s", carat_dtype_name(lanes ? lanes_wide(row, acc) : wide(row, in)));
    carat_define(defines, "FLOATING", "%d", !carat_is_integral(acc) && !carat_is_complex(acc));
    carat_define(defines, "FLOOR", "%s", floor_of(acc));
    carat_define(defines, "CEILING", "%s", ceiling_of(acc));
    carat_define(defines, "IDENTITY", "%s", row->identity);
    carat_define(defines, "MAP", "%s", row->map);
    carat_define(defines, "COMBINE", "%s", row->combine);
    carat_define(defines, "FINISH", "%s", row->finish);
    if (lanes) describe_lanes(key, defines);
    else carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(acc));
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

typedef struct layouts {
    void (*emit)(void *arg, const carat_key *key);
    void *arg;
} layouts;

static void emit_layouts(void *arg, const carat_key *key)
{
    const layouts *to = arg;
    carat_key with = *key;
    with.dtypes[KEY_AS] = key->dtypes[KEY_IN];
    carat_reduce_lanes_enumerate(with, carat_dtype_size((carat_dtype)key->dtypes[KEY_IN]), to->emit, to->arg);
}

void carat_reduce_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    layouts to = { emit, arg };
    for (int i = 0; i < CARAT_REDUCE_COUNT; ++i)
        if (target->lanes > 1) emit_row(i, emit_layouts, &to);
        else emit_row(i, emit, arg);
}

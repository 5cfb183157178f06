// SPDX-License-Identifier: Apache-2.0
// Pointwise launches in groups of many lanes (kernels/pointwise_lanes.k.c): which way through the elements, how wide the
// vectors, and the kernels that there are.
#include "core/kernel_types.h"
#include "ops/lanes.h"
#include "ops/pointwise_space.h"
#include "pointwise_lanes_args.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

_Static_assert(LANES_INPUTS == CARAT_POINTWISE_INPUTS && LANES_SCALARS == CARAT_POINTWISE_SCALARS, "host and kernel agree");
_Static_assert(sizeof(pointwise_lanes_args) < 4096, "arguments of a kernel on a device");

enum {
    LANES = 128,
    VECTOR_BYTES = 16,
    TILE_VECTOR_BYTES = 4, // of a bank
    SHORT_SIDE = 8, // fewer rows or columns than this are no tile
    LARGEST_U32_COUNT = 0x7fff0000,
};

// ---- keys: dtypes are the output's, the inputs' common one, the arithmetic one, and another one that some inputs come in. Rows made
// at run time say all these themselves.

enum { KEY_OUT = CARAT_POINTWISE_KEY_OUT, KEY_COMMON, KEY_COMPUTE = CARAT_POINTWISE_KEY_COMPUTE, KEY_OTHER };
// params: NUMBERS (inputs in the arithmetic dtype) and OTHERS (in the other one) have a bit for each input of a row of the table;
// FROM, three bytes, has two bits for each input of any row
enum { KEY_NUMBERS, KEY_PART, KEY_RANK, KEY_WIDE, KEY_OTHERS, KEY_FROM };
typedef enum part { SPANS, STRIDED_SPANS, TILES, STRIDED_TILES } part; // STRIDED: vectors of one element
typedef enum origin { MEMORY, REPEATED, NUMBER, TRANSPOSED } origin;    // where an input is read from
_Static_assert(CARAT_POINTWISE_INPUTS * 2 <= 3 * 8, "origins fit their bytes");

static void set_origin(carat_key *key, int j, origin from)
{
    key->params[KEY_FROM + j / 4] |= (uint8_t)(from << j % 4 * 2);
}

static origin origin_of(const carat_key *key, int j)
{
    return (origin)(key->params[KEY_FROM + j / 4] >> j % 4 * 2 & 3);
}

static carat_dtype input_dtype(const carat_key *key, const carat_pointwise_row *row, int j)
{
    if (row->made) return (carat_dtype)row->made->in[j];
    if (carat_pointwise_is_mask(row, j)) return CARAT_b8;
    const int place = key->params[KEY_NUMBERS] >> j & 1 ? KEY_COMPUTE : key->params[KEY_OTHERS] >> j & 1 ? KEY_OTHER : KEY_COMMON;
    return (carat_dtype)key->dtypes[place];
}

static int64_t largest_element(const carat_key *key, const carat_pointwise_row *row)
{
    size_t largest = row->made ? 1 : carat_dtype_size((carat_dtype)key->dtypes[KEY_OUT]);
    for (int k = 0; row->made && k < row->made->outputs; ++k) {
        const size_t size = carat_dtype_size((carat_dtype)row->made->out[k]);
        if (size > largest) largest = size;
    }
    for (int j = 0; j < row->inputs; ++j) {
        const size_t size = carat_dtype_size(input_dtype(key, row, j));
        if (size > largest) largest = size;
    }
    return (int64_t)largest;
}

static int64_t vector_elements(const carat_key *key, const carat_pointwise_row *row)
{
    const int64_t size = largest_element(key, row);
    switch (key->params[KEY_PART]) {
    case SPANS: return VECTOR_BYTES / size;
    case TILES: return size < TILE_VECTOR_BYTES ? TILE_VECTOR_BYTES / size : 1;
    default: return 1;
    }
}

// Vectors that a lane holds of each input. Measured on an H200: one of 16 bytes keeps memory busy where a lane's work is short;
// a single input of halves and none at all are worth two, and elements one by one as many as registers allow.
static int64_t vectors_held(const carat_key *key, const carat_pointwise_row *row)
{
    const bool wide = row->made ? largest_element(key, row) >= 8 : carat_dtype_size((carat_dtype)key->dtypes[KEY_COMPUTE]) >= 8;
    if (key->params[KEY_PART] == STRIDED_SPANS) return wide || row->inputs > 2 ? 4 : 8;
    return row->inputs == 0 || (row->inputs == 1 && vector_elements(key, row) > 4) ? 2 : 1;
}

static int64_t tile_side(const carat_key *key, const carat_pointwise_row *row)
{
    const int64_t size = largest_element(key, row);
    return size <= 2 ? 64 : size <= 8 ? 32 : 16;
}

// An element of another dtype becomes the common one before it becomes the arithmetic one, as in ATen.
static void describe_input(const carat_key *key, const carat_pointwise_row *row, int j, carat_defines *defines)
{
    char name[16];
    static const char *const origins[] = { "memory", "repeated", "number", "transposed" };
    const char *const dtype = carat_dtype_name(input_dtype(key, row, j));
    const bool as_it_is = row->made || carat_pointwise_is_mask(row, j);
    const char *const common = carat_dtype_name((carat_dtype)key->dtypes[KEY_COMMON]);
    snprintf(name, sizeof name, "X%d", j);
    carat_define(defines, name, "%s", dtype);
    snprintf(name, sizeof name, "FROM%d", j);
    carat_define(defines, name, "%s", origins[origin_of(key, j)]);
    snprintf(name, sizeof name, "C%d", j);
    carat_define(defines, name, "%s", as_it_is ? dtype : carat_dtype_name((carat_dtype)key->dtypes[KEY_COMPUTE]));
    snprintf(name, sizeof name, "LOAD%d(e)", j);
    if (key->params[KEY_OTHERS] >> j & 1) carat_define(defines, name, "load_%s(store_%s(load_%s(e)))", common, common, dtype);
    else carat_define(defines, name, "load_%s(e)", dtype);
}

void carat_pointwise_describe_lanes(const carat_key *key, carat_defines *defines)
{
    const carat_pointwise_row *row = carat_pointwise_row_at(key->row);
    carat_pointwise_describe_row(row, key, defines);
    carat_define(defines, "LANES_OPERANDS", "%d", carat_pointwise_outputs(row) + row->inputs);
    carat_define(defines, "PART", "%s", key->params[KEY_PART] >= TILES ? "tiles" : "spans");
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", (int)vectors_held(key, row));
    carat_define(defines, "VEC", "%d", (int)vector_elements(key, row));
    carat_define(defines, "RANK", "%d", key->params[KEY_RANK] ? key->params[KEY_RANK] : 1);
    carat_define(defines, "SIDE", "%d", (int)tile_side(key, row));
    carat_define(defines, "INDEX", "%s", key->params[KEY_WIDE] ? "u64" : "u32");
    for (int j = 0; j < row->inputs; ++j) describe_input(key, row, j, defines);
}

// An input that lies on the host beside an output on a device: it travels in the arguments.
static bool is_number(const carat_pointwise *launch, int j)
{
    return launch->in[j]->device.type == CARAT_CPU;
}

static bool all_of(const carat_pointwise *launch, const carat_pointwise_row *row, carat_dtype dtype)
{
    for (int j = 0; j < row->inputs; ++j)
        if (!carat_pointwise_is_mask(row, j) && carat_dtype_of(launch->in[j]) != dtype) return false;
    return true;
}

// The dtypes of a launch's key; the part comes later. Steps aside where inputs come in more dtypes than a key names.
static carat_status begin_key(const carat_pointwise *launch, const carat_pointwise_row *row, carat_dtype out, carat_key *key)
{
    *key = (carat_key){ .family = CARAT_FAMILY_pointwise, .row = (uint16_t)launch->row };
    if (row->made) return CARAT_OK;
    const bool raw = row->raw && launch->common == out && all_of(launch, row, out);
    key->dtypes[KEY_OUT] = (uint8_t)(raw ? carat_raw_dtype(out) : out);
    key->dtypes[KEY_COMMON] = (uint8_t)(raw ? carat_raw_dtype(out) : launch->common);
    key->dtypes[KEY_COMPUTE] = (uint8_t)(raw ? carat_raw_dtype(out) : launch->compute);
    for (int j = 0; j < row->inputs && !raw; ++j) {
        const carat_dtype dtype = carat_dtype_of(launch->in[j]);
        const bool number = is_number(launch, j);
        if (carat_pointwise_is_mask(row, j) || dtype == launch->common) continue;
        if (number && dtype == launch->compute) {
            key->params[KEY_NUMBERS] |= (uint8_t)(1u << j);
        } else {
            if (key->params[KEY_OTHERS] && key->dtypes[KEY_OTHER] != dtype) return carat_step_aside("operands of three dtypes");
            key->params[KEY_OTHERS] |= (uint8_t)(1u << j);
            key->dtypes[KEY_OTHER] = (uint8_t)dtype;
        }
    }
    return CARAT_OK;
}

carat_status carat_pointwise_check_lanes(const carat_pointwise *launch, carat_dtype out)
{
    carat_key key;
    return begin_key(launch, carat_pointwise_row_at(launch->row), out, &key);
}

// ---- the plan

static bool divides(int64_t n, int64_t by)
{
    return n % by == 0;
}

// Whether every operand can be taken in vectors of `width` elements along dimension 0.
static bool takes_vectors(const carat_pointwise_space *s, const carat_pointwise *launch, int64_t width)
{
    if (s->size[0] < width || (s->rank > 1 && !divides(s->size[0], width))) return false;
    for (int j = 0; j < s->operands; ++j) {
        const bool input = j >= s->outputs;
        const carat_tensor *tensor = input ? launch->in[j - s->outputs] : launch->out[j];
        if (input && (s->stride[j][0] == 0 || is_number(launch, j - s->outputs))) continue; // one element for all of it
        if (s->stride[j][0] != 1) return false;
        if (!divides((int64_t)(uintptr_t)carat_data(tensor), width * (int64_t)carat_dtype_size(carat_dtype_of(tensor)))) return false;
        for (int d = 1; d < s->rank; ++d)
            if (!divides(s->stride[j][d], width)) return false;
    }
    return true;
}

static int64_t parts_of(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

// Sizes and steps, with dimension 0 in whole vectors of `width`.
static void fill_space(pointwise_lanes_args *a, const carat_pointwise_space *s, int64_t width)
{
    for (int d = 0; d < LANES_RANK; ++d) a->size[d] = 1;
    for (int d = 0; d < s->rank; ++d) a->size[d] = (uint64_t)(d ? s->size[d] : s->size[0] / width);
    for (int j = 0; j < s->operands; ++j)
        for (int d = 0; d < s->rank; ++d) a->operand[j].step[d] = s->stride[j][d] * (d ? 1 : width);
}

static int64_t plan_spans(pointwise_lanes_args *a, const carat_pointwise_space *s, const carat_pointwise *launch,
                          const carat_pointwise_row *row, carat_key *key)
{
    const int64_t width = vector_elements(key, row);
    const bool vectors = takes_vectors(s, launch, width);
    if (!vectors) key->params[KEY_PART] = STRIDED_SPANS;
    for (int j = 0; vectors && j < row->inputs; ++j)
        if (s->stride[s->outputs + j][0] == 0 && !is_number(launch, j)) set_origin(key, j, REPEATED);
    fill_space(a, s, vectors ? width : 1);
    a->count = 1;
    for (int d = 0; d < s->rank; ++d) a->count *= a->size[d];
    key->params[KEY_RANK] = (uint8_t)(s->rank <= 1 ? 1 : s->rank <= 3 ? s->rank : LANES_RANK);
    key->params[KEY_WIDE] = a->count > LARGEST_U32_COUNT;
    for (int d = 0; d < LANES_RANK && !key->params[KEY_WIDE]; ++d) carat_lanes_divisor(a->size[d], &a->magic[d], &a->shift[d]);
    return parts_of((int64_t)a->count, LANES * vectors_held(key, row));
}

// Whether operand j is consecutive along dimension 1 and not 0.
static bool is_transposed(const carat_pointwise_space *s, int j)
{
    return s->stride[j][1] == 1 && s->stride[j][0] != 1 && s->stride[j][0] != 0;
}

// Whether every operand of a tile can be taken in vectors of `width` along the dimension in which it is consecutive.
static bool tile_takes_vectors(const carat_pointwise_space *s, const carat_pointwise *launch, int64_t width)
{
    if (!divides(s->size[0], width) || !divides(s->size[1], width)) return false;
    for (int j = 0; j < s->operands; ++j) {
        const bool input = j >= s->outputs;
        const carat_tensor *tensor = input ? launch->in[j - s->outputs] : launch->out[j];
        if (input && (s->stride[j][0] == 0 || is_number(launch, j - s->outputs))) continue;
        const int consecutive = input && is_transposed(s, j);
        if (s->stride[j][consecutive] != 1) return false;
        if (!divides((int64_t)(uintptr_t)carat_data(tensor), width * (int64_t)carat_dtype_size(carat_dtype_of(tensor)))) return false;
        for (int d = 0; d < s->rank; ++d)
            if (d != consecutive && !divides(s->stride[j][d], width)) return false;
    }
    return true;
}

static int64_t plan_tiles(pointwise_lanes_args *a, const carat_pointwise_space *s, const carat_pointwise *launch,
                          const carat_pointwise_row *row, carat_key *key)
{
    key->params[KEY_PART] = TILES;
    if (!tile_takes_vectors(s, launch, vector_elements(key, row))) key->params[KEY_PART] = STRIDED_TILES;
    fill_space(a, s, 1);
    for (int j = 0; j < row->inputs; ++j) {
        if (is_number(launch, j)) continue;
        if (s->stride[s->outputs + j][0] == 0) set_origin(key, j, REPEATED);
        else if (is_transposed(s, s->outputs + j)) set_origin(key, j, TRANSPOSED);
    }
    const int64_t side = tile_side(key, row);
    int64_t groups = 1;
    for (int d = 0; d < 2; ++d) groups *= (int64_t)(a->tiles[d] = (uint64_t)parts_of(s->size[d], side));
    for (int d = 2; d < s->rank; ++d) groups *= s->size[d];
    key->params[KEY_WIDE] = groups > LARGEST_U32_COUNT;
    return groups;
}

static void fill_operands(pointwise_lanes_args *a, const carat_pointwise *launch, const carat_pointwise_row *row, carat_key *key)
{
    const int outputs = carat_pointwise_outputs(row);
    for (int k = 0; k < outputs; ++k) a->operand[k].data = carat_data(launch->out[k]);
    for (int j = 0; j < row->inputs; ++j) {
        const carat_tensor *in = launch->in[j];
        if (!is_number(launch, j)) {
            a->operand[outputs + j].data = carat_data(in);
            continue;
        }
        memcpy(a->number[j].bits, carat_data(in), carat_dtype_size(carat_dtype_of(in)));
        set_origin(key, j, NUMBER);
    }
    for (int i = 0; i < row->scalars; ++i)
        carat_scalar_store(launch->scalar[i], carat_pointwise_scalar_dtype(row, launch, i), a->scalar[i].bits);
}

carat_status carat_pointwise_launch_lanes(const carat_frame *call, const carat_pointwise *launch)
{
    const carat_pointwise_row *row = carat_pointwise_row_at(launch->row);
    pointwise_lanes_args a;
    carat_pointwise_space s;
    carat_key key;
    CARAT_TRY(begin_key(launch, row, carat_dtype_of(launch->out[0]), &key));
    carat_pointwise_shape(&s, launch, carat_pointwise_outputs(row), row->inputs);
    const bool transposed = carat_pointwise_find_transposed(&s);
    if (s.rank > LANES_RANK) return carat_step_aside("rank");
    memset(&a, 0, offsetof(pointwise_lanes_args, operand) + sizeof *a.operand * (size_t)(carat_pointwise_outputs(row) + row->inputs));
    a.numel = (uint64_t)carat_numel(launch->out[0]);
    fill_operands(&a, launch, row, &key);
    if (s.rank == 0) s = (carat_pointwise_space){ .rank = 1, .outputs = s.outputs, .operands = s.operands, .size = { 1 }, .stride = { { 1 } } };
    const bool tiled = transposed && s.size[0] >= SHORT_SIDE && s.size[1] >= SHORT_SIDE;
    const int64_t groups = tiled ? plan_tiles(&a, &s, launch, row, &key) : plan_spans(&a, &s, launch, row, &key);
    return carat_run_kernel(call, &key, &a, sizeof a, groups, 1);
}

// ---- kernels that can be compiled ahead: contiguous operands, rows of a broadcast, any strides, tiles

typedef struct emitter {
    void (*emit)(void *arg, const carat_key *key);
    void *arg;
} emitter;

static void emit_layouts(const emitter *to, carat_key key)
{
    static const struct { part part; int rank; bool repeated, transposed; } layouts[] = {
        { SPANS, 1, false, false }, { SPANS, 2, true, false }, { STRIDED_SPANS, 1, false, false }, { STRIDED_SPANS, 2, false, false }, { STRIDED_SPANS, LANES_RANK, false, false },
        { TILES, 0, false, true }, { STRIDED_TILES, 0, false, true },
    };
    const int inputs = carat_pointwise_row_at(key.row)->inputs;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; ++i) {
        key.params[KEY_PART] = (uint8_t)layouts[i].part;
        key.params[KEY_RANK] = (uint8_t)layouts[i].rank;
        key.params[KEY_FROM] = 0;
        if (inputs > 1 && layouts[i].repeated) set_origin(&key, 1, REPEATED);
        if (inputs && layouts[i].transposed) set_origin(&key, 0, TRANSPOSED);
        to->emit(to->arg, &key);
    }
}

static carat_key make_key(int row, carat_dtype out, carat_dtype common, carat_dtype compute)
{
    carat_key key = { .family = CARAT_FAMILY_pointwise, .row = (uint16_t)row };
    key.dtypes[KEY_OUT] = (uint8_t)out;
    key.dtypes[KEY_COMMON] = (uint8_t)common;
    key.dtypes[KEY_COMPUTE] = (uint8_t)compute;
    return key;
}

static void emit_raw(const emitter *to, int row)
{
    for (int i = 0; i < CARAT_RAW_DTYPE_COUNT; ++i) {
        const carat_dtype raw = carat_raw_dtypes[i];
        emit_layouts(to, make_key(row, raw, raw, raw));
    }
}

static void emit_row(const emitter *to, int index)
{
    const carat_pointwise_row *row = carat_pointwise_row_at(index);
    if (row->raw) {
        emit_raw(to, index);
        return;
    }
    for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in) {
        if (!carat_dtype_in(in, row->base.dtypes)) continue;
        const bool converted = row->rule == FLOAT && carat_is_integral(in);
        const carat_dtype common = converted ? CARAT_f32 : in;
        carat_dtype out = row->rule == TEST ? CARAT_b8 : common;
        if (row->rule == POLAR) out = in == CARAT_f64 ? CARAT_c128 : CARAT_c64;
        carat_key key = make_key(index, out, common, carat_compute_dtype(common));
        if (converted) {
            key.dtypes[KEY_OTHER] = (uint8_t)in;
            key.params[KEY_OTHERS] = (uint8_t)((1u << row->inputs) - 1);
        }
        emit_layouts(to, key);
        if (!row->opmath || !carat_dtype_in(in, CARAT_HALVES)) continue;
        for (int j = 0; j < row->inputs; ++j) {
            key.params[KEY_NUMBERS] = (uint8_t)(1u << j);
            emit_layouts(to, key);
        }
    }
}

void carat_pointwise_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    const emitter to = { emit, arg };
    for (int index = 0; index < CARAT_POINTWISE_COUNT; ++index) emit_row(&to, index);
    for (carat_dtype from = 0; from < CARAT_DTYPE_COUNT; ++from)
        for (carat_dtype out = 0; out < CARAT_DTYPE_COUNT; ++out)
            if (from != out && carat_dtype_in(from, CARAT_ALL) && carat_dtype_in(out, CARAT_ALL))
                emit_layouts(&to, make_key(CARAT_POINTWISE_copy, out, from, carat_compute_dtype(from)));
}

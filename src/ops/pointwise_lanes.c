// SPDX-License-Identifier: Apache-2.0
// Pointwise launches in groups of many lanes (kernels/pointwise_lanes.k.c): which way through the elements, how wide the
// vectors, and the kernels that there are.
#include "core/kernel_types.h"
#include "ops/lanes.h"
#include "ops/pointwise_space.h"
#include "pointwise_lanes_args.h"

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

// ---- keys: dtypes are the output's, the inputs' common one, the arithmetic one, and another one that some inputs come in

enum { KEY_OUT, KEY_COMMON, KEY_COMPUTE, KEY_OTHER };
// params: NUMBERS (inputs in the arithmetic dtype), OTHERS (in the other one) and how inputs are read have a bit for each input
enum { KEY_NUMBERS, KEY_PART, KEY_RANK, KEY_WIDE, KEY_OTHERS, KEY_REPEATED, KEY_IN_ARGS, KEY_TRANSPOSED };
typedef enum part { SPANS, STRIDED_SPANS, TILES, STRIDED_TILES } part; // STRIDED: vectors of one element

static carat_dtype input_dtype(const carat_key *key, const carat_pointwise_row *row, int j)
{
    if (carat_pointwise_is_mask(row, j)) return CARAT_b8;
    const int place = key->params[KEY_NUMBERS] >> j & 1 ? KEY_COMPUTE : key->params[KEY_OTHERS] >> j & 1 ? KEY_OTHER : KEY_COMMON;
    return (carat_dtype)key->dtypes[place];
}

static int64_t largest_element(const carat_key *key, const carat_pointwise_row *row)
{
    size_t largest = carat_dtype_size((carat_dtype)key->dtypes[KEY_OUT]);
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
    const bool wide = carat_dtype_size((carat_dtype)key->dtypes[KEY_COMPUTE]) >= 8;
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
    const char *const dtype = carat_dtype_name(input_dtype(key, row, j));
    const char *const from = key->params[KEY_IN_ARGS] >> j & 1 ? "number" : key->params[KEY_REPEATED] >> j & 1 ? "repeated"
                             : key->params[KEY_TRANSPOSED] >> j & 1 ? "transposed" : "memory";
    const char *const common = carat_dtype_name((carat_dtype)key->dtypes[KEY_COMMON]);
    snprintf(name, sizeof name, "X%d", j);
    carat_define(defines, name, "%s", dtype);
    snprintf(name, sizeof name, "FROM%d", j);
    carat_define(defines, name, "%s", from);
    snprintf(name, sizeof name, "C%d", j);
    carat_define(defines, name, "%s", carat_pointwise_is_mask(row, j) ? "b8" : carat_dtype_name((carat_dtype)key->dtypes[KEY_COMPUTE]));
    snprintf(name, sizeof name, "LOAD%d(e)", j);
    if (key->params[KEY_OTHERS] >> j & 1) carat_define(defines, name, "load_%s(store_%s(load_%s(e)))", common, common, dtype);
    else carat_define(defines, name, "load_%s(e)", dtype);
}

void carat_pointwise_describe_lanes(const carat_key *key, carat_defines *defines)
{
    const carat_pointwise_row *row = carat_pointwise_row_at(key->row);
    carat_define(defines, "BODY", "%s", row->body);
    carat_define(defines, "NIN", "%d", row->inputs);
    carat_define(defines, "PART", "%s", key->params[KEY_PART] >= TILES ? "tiles" : "spans");
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", (int)vectors_held(key, row));
    carat_define(defines, "VEC", "%d", (int)vector_elements(key, row));
    carat_define(defines, "RANK", "%d", key->params[KEY_RANK] ? key->params[KEY_RANK] : 1);
    carat_define(defines, "SIDE", "%d", (int)tile_side(key, row));
    carat_define(defines, "INDEX", "%s", key->params[KEY_WIDE] ? "u64" : "u32");
    carat_define(defines, "O0", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_OUT]));
    carat_define(defines, "CS", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_COMPUTE]));
    for (int j = 0; j < row->inputs; ++j) describe_input(key, row, j, defines);
    carat_pointwise_describe_scalars(row, defines);
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
    const bool raw = row->raw && launch->common == out && all_of(launch, row, out);
    *key = (carat_key){ .family = CARAT_FAMILY_pointwise, .row = (uint16_t)launch->row };
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
    return begin_key(launch, carat_pointwise_row_at((int)launch->row), out, &key);
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
        const carat_tensor *tensor = j ? launch->in[j - 1] : launch->out;
        if (j && (s->stride[j][0] == 0 || is_number(launch, j - 1))) continue; // one element for all of it
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
        if (s->stride[j + 1][0] == 0 && !is_number(launch, j)) key->params[KEY_REPEATED] |= (uint8_t)(1u << j);
    fill_space(a, s, vectors ? width : 1);
    a->count = 1;
    for (int d = 0; d < s->rank; ++d) a->count *= a->size[d];
    key->params[KEY_RANK] = (uint8_t)(s->rank <= 1 ? 1 : s->rank <= 3 ? s->rank : LANES_RANK);
    key->params[KEY_WIDE] = a->count > LARGEST_U32_COUNT;
    for (int d = 0; d < LANES_RANK && !key->params[KEY_WIDE]; ++d) carat_lanes_divisor(a->size[d], &a->magic[d], &a->shift[d]);
    return parts_of((int64_t)a->count, LANES * vectors_held(key, row));
}

// Whether an input is consecutive along dimension 1 and not 0.
static bool is_transposed(const carat_pointwise_space *s, int j)
{
    return s->stride[j][1] == 1 && s->stride[j][0] != 1 && s->stride[j][0] != 0;
}

// Whether every operand of a tile can be taken in vectors of `width` along the dimension in which it is consecutive.
static bool tile_takes_vectors(const carat_pointwise_space *s, const carat_pointwise *launch, int64_t width)
{
    if (!divides(s->size[0], width) || !divides(s->size[1], width)) return false;
    for (int j = 0; j < s->operands; ++j) {
        const carat_tensor *tensor = j ? launch->in[j - 1] : launch->out;
        if (j && is_number(launch, j - 1)) continue;
        const int consecutive = j && is_transposed(s, j);
        if (j && s->stride[j][0] == 0) continue;
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
        if (s->stride[j + 1][0] == 0) key->params[KEY_REPEATED] |= (uint8_t)(1u << j);
        else if (is_transposed(s, j + 1)) key->params[KEY_TRANSPOSED] |= (uint8_t)(1u << j);
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
    a->operand[0].data = carat_data(launch->out);
    for (int j = 0; j < row->inputs; ++j) {
        const carat_tensor *in = launch->in[j];
        if (!is_number(launch, j)) {
            a->operand[1 + j].data = carat_data(in);
            continue;
        }
        memcpy(a->number[j].bits, carat_data(in), carat_dtype_size(carat_dtype_of(in)));
        key->params[KEY_IN_ARGS] |= (uint8_t)(1u << j);
    }
    const carat_dtype scalars = row->raw ? carat_dtype_of(launch->out) : launch->compute;
    for (int i = 0; i < row->scalars; ++i) carat_scalar_store(launch->scalar[i], scalars, a->scalar[i].bits);
}

carat_status carat_pointwise_launch_lanes(const carat_frame *call, const carat_pointwise *launch)
{
    const carat_pointwise_row *row = carat_pointwise_row_at((int)launch->row);
    pointwise_lanes_args a;
    carat_pointwise_space s;
    carat_key key;
    CARAT_TRY(begin_key(launch, row, carat_dtype_of(launch->out), &key));
    carat_pointwise_shape(&s, launch, row->inputs);
    const bool transposed = carat_pointwise_find_transposed(&s);
    if (s.rank > LANES_RANK) return carat_step_aside("rank");
    memset(&a, 0, sizeof a);
    a.numel = (uint64_t)carat_numel(launch->out);
    fill_operands(&a, launch, row, &key);
    if (s.rank == 0) s = (carat_pointwise_space){ .rank = 1, .operands = s.operands, .size = { 1 }, .stride = { { 1 } } };
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
    static const struct { part part; int rank, repeated, transposed; } layouts[] = {
        { SPANS, 1, 0, 0 }, { SPANS, 2, 1, 0 }, { STRIDED_SPANS, 1, 0, 0 }, { STRIDED_SPANS, 2, 0, 0 }, { STRIDED_SPANS, LANES_RANK, 0, 0 },
        { TILES, 0, 0, 1 }, { STRIDED_TILES, 0, 0, 1 },
    };
    const int inputs = carat_pointwise_row_at(key.row)->inputs;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; ++i) {
        key.params[KEY_PART] = (uint8_t)layouts[i].part;
        key.params[KEY_RANK] = (uint8_t)layouts[i].rank;
        key.params[KEY_REPEATED] = inputs > 1 ? (uint8_t)(layouts[i].repeated << 1) : 0;
        key.params[KEY_TRANSPOSED] = inputs ? (uint8_t)layouts[i].transposed : 0;
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
    static const carat_dtype sizes[] = { CARAT_u8, CARAT_i16, CARAT_i32, CARAT_i64, CARAT_c128 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) emit_layouts(to, make_key(row, sizes[i], sizes[i], sizes[i]));
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

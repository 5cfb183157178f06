// SPDX-License-Identifier: Apache-2.0
// Indexed moves in groups of many lanes (kernels/index_lanes.k.c): how wide the words or vectors are, and the kernels that there are.
#include "core/integer.h"
#include "ops/index_row.h"
#include "ops/lanes.h"
#include "index_lanes_args.h"

#include <string.h>

_Static_assert(sizeof(index_lanes_args) < 4096, "arguments of a kernel on a device");

enum { LANES = 128, KEEP = 4, WORD_BYTES = 16 };
enum { KEY_WRITES, KEY_COMBINE, KEY_NARROW, KEY_RANK, KEY_INDICES, KEY_VECTOR, KEY_NUMBER }; // key.params; the vector as a logarithm

// ---- kernels

static carat_key make_key(bool writes, carat_combine combine, carat_dtype dtype, int rank, int indices, int64_t vec)
{
    carat_key key = { .family = CARAT_FAMILY_index };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[KEY_WRITES] = writes;
    key.params[KEY_COMBINE] = (uint8_t)combine;
    key.params[KEY_RANK] = (uint8_t)(rank <= 3 ? rank : INDEX_RANK);
    key.params[KEY_INDICES] = (uint8_t)indices;
    key.params[KEY_VECTOR] = (uint8_t)log2_ceil(vec);
    return key;
}

void carat_walk_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", KEEP);
    carat_define(defines, "VEC", "%d", 1 << key->params[KEY_VECTOR]);
    carat_define(defines, "RANK", "%d", key->params[KEY_RANK]);
    carat_define(defines, "INDICES", "%d", key->params[KEY_INDICES]);
    carat_define(defines, "FROM_NUMBER", "%d", key->params[KEY_NUMBER]);
    carat_define(defines, "ADDS", "%d", key->params[KEY_COMBINE] == CARAT_ADD);
}

// Elements that a device adds up by vectors.
static int64_t widest_sum(carat_dtype dtype)
{
    return dtype == CARAT_f32 ? 4 : carat_dtype_in(dtype, CARAT_HALVES) ? 8 : 1;
}

void carat_walk_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const int ranks[] = { 1, 2, 3, INDEX_RANK };
    for (int w = 0; w < CARAT_RAW_DTYPE_COUNT; ++w)
        for (int form = 0; form < 16; ++form) {
            carat_key key = make_key(form & 1, CARAT_PUT, carat_raw_dtypes[w], ranks[form >> 2], 1 + (form >> 1 & 1), 1);
            emit(arg, &key);
            key.params[KEY_NUMBER] = form & 1;
            if (form & 1) emit(arg, &key);
        }
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (int combine = CARAT_ADD; combine < CARAT_COMBINE_COUNT; ++combine) {
            if (!carat_dtype_in(dtype, CARAT_REALS)) continue;
            for (int64_t vec = combine == CARAT_ADD ? widest_sum(dtype) : 1; vec; vec /= 2) {
                const carat_key key = make_key(true, (carat_combine)combine, dtype, 2, 1, vec);
                emit(arg, &key);
            }
        }
}

// ---- the plan

// Whether neighbours along dimension 0 lie side by side in both operands and have their place from one index.
static bool has_runs(const carat_walk *walk, const index_args *a)
{
    for (int k = 0; k < a->indices; ++k)
        if (a->index[k].stride[0] != 0) return false;
    return a->to_stride[0] == 1 && (a->from_stride[0] == 1 || walk->from_host);
}

// The most elements, up to `most`, of which all runs are whole multiples and to whose size all addresses are aligned.
static int64_t run_unit(const carat_walk *walk, const index_args *a, int64_t most)
{
    const size_t bytes = carat_dtype_size(walk->dtype);
    uintptr_t elements = (uintptr_t)most | (uintptr_t)a->size[0], address = (uintptr_t)walk->to;
    if (!walk->from_host) address |= (uintptr_t)walk->from;
    for (int d = 1; d < a->rank; ++d) elements |= (uintptr_t)a->to_stride[d] | (uintptr_t)(walk->from_host ? 0 : a->from_stride[d]);
    for (int k = 0; k < a->indices; ++k) elements |= (uintptr_t)a->index[k].step;
    const uintptr_t unit = (elements & -elements) * bytes, aligned = (address | unit) & -(address | unit);
    return aligned < bytes ? 1 : (int64_t)(aligned / bytes);
}

// From elements to words of `unit` of them.
static carat_dtype to_words(index_args *a, int64_t unit, size_t bytes)
{
    a->size[0] /= unit;
    for (int d = 1; d < a->rank; ++d) {
        a->to_stride[d] /= unit;
        a->from_stride[d] /= unit;
    }
    for (int k = 0; k < a->indices; ++k) a->index[k].step /= unit;
    return carat_raw_of_size((size_t)unit * bytes);
}

// A number repeated to a whole word.
static void fill_number(index_lanes_args *b, const carat_walk *walk)
{
    const size_t bytes = carat_dtype_size(walk->dtype);
    for (size_t at = 0; at < sizeof b->number; at += bytes) memcpy((char *)b->number + at, walk->from, bytes);
}

static bool fill_args(index_lanes_args *b, const carat_walk *walk, const index_args *a, int64_t vec)
{
    int64_t count = 1;
    memset(b, 0, sizeof *b);
    b->to = walk->to;
    if (walk->from_host) fill_number(b, walk);
    else b->from = walk->from;
    for (int d = 0; d < INDEX_RANK; ++d) {
        const int64_t size = d >= a->rank ? 1 : d ? a->size[d] : a->size[0] / vec;
        if (count > INT32_MAX / size) return false;
        count *= size;
        b->size[d] = (uint32_t)size;
        carat_lanes_divisor(b->size[d], &b->magic[d], &b->shift[d]);
        b->to_stride[d] = d < a->rank ? a->to_stride[d] : 0;
        b->from_stride[d] = d < a->rank && !walk->from_host ? a->from_stride[d] : 0;
    }
    for (int k = 0; k < a->indices; ++k) b->index[k] = a->index[k];
    b->count = (uint32_t)count;
    if (walk->combine == CARAT_ADD) carat_scalar_store(walk->alpha, carat_compute_dtype(walk->dtype), b->alpha);
    return true;
}

// `a`: the walk's space, merged and ordered.
carat_status carat_walk_run_lanes(const carat_frame *call, const carat_walk *walk, index_args *a)
{
    index_lanes_args b;
    const size_t bytes = carat_dtype_size(walk->dtype);
    const bool moves = walk->combine == CARAT_PUT, runs = has_runs(walk, a);
    const int64_t unit = runs ? run_unit(walk, a, moves ? WORD_BYTES / (int64_t)bytes : widest_sum(walk->dtype)) : 1;
    const int64_t vec = walk->combine == CARAT_ADD ? unit : 1;
    const carat_dtype dtype = moves ? to_words(a, unit, bytes) : walk->dtype;
    if (!fill_args(&b, walk, a, vec)) return carat_step_aside("more than 2^31 elements");
    carat_key key = make_key(walk->writes, walk->combine, dtype, (int)a->rank, (int)a->indices, vec);
    key.params[KEY_NARROW] = walk->index_dtype == CARAT_i32;
    key.params[KEY_NUMBER] = walk->from_host;
    return carat_run_kernel(call, &key, &b, sizeof b, pieces(b.count, LANES * KEEP), 1);
}

// SPDX-License-Identifier: Apache-2.0
// The attention family: rows, kernels, and the arguments that both passes share.
#include "ops/attention.h"

#include "core/integer.h"
#include "jit/jit.h"

#include <math.h>

static const carat_row rows[] = {
#define ATTENTION(id, overloads, run) { #id, overloads, CARAT_FLOATS, carat_attention_##run },
#include "attention.def"
#undef ATTENTION
};

// ---- kernels: one for each dtype

carat_key carat_attention_key(carat_family_id family, carat_dtype dtype)
{
    return (carat_key){ .family = (uint8_t)family, .dtypes = { (uint8_t)dtype } };
}

// 6 x 2 vectors of sums fill 16 registers, 14 x 2 fill 32; a matrix unit's tile of sums is 2 x 2 registers.
enum { TILE_VECTORS = 2, UNIT_ROWS = 32 };
static int rows_of_tile(const carat_key *key, const carat_target *target)
{
    if (key->family == CARAT_FAMILY_attention_tiles) return UNIT_ROWS;
    return target->vector_registers >= 32 ? 14 : 6;
}

carat_attention_tile carat_attention_tile_of(const carat_frame *call, const carat_key *key)
{
    const carat_target *target = call->backend->target(call->device);
    const int64_t sum = (int64_t)carat_dtype_size(carat_compute_dtype((carat_dtype)key->dtypes[0]));
    return (carat_attention_tile){ .rows = rows_of_tile(key, target), .cols = TILE_VECTORS * target->vector_bytes / sum, .sum = sum };
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0], sums = carat_compute_dtype(dtype);
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "ACC", "%s", carat_dtype_name(sums));
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(sums));
    carat_define(defines, "MR", "%d", rows_of_tile(key, target));
    carat_define(defines, "NV", "%d", TILE_VECTORS);
}

static void enumerate_of(carat_family_id family, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        const carat_key key = carat_attention_key(family, dtype);
        if (carat_is_float(dtype)) emit(arg, &key);
    }
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    enumerate_of(CARAT_FAMILY_attention, emit, arg);
}

static void enumerate_tiles(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    const carat_key key = carat_attention_key(CARAT_FAMILY_attention_tiles, CARAT_bf16);
    if (carat_has_tiles(target, CARAT_bf16)) emit(arg, &key);
}

static void enumerate_backward(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    enumerate_of(CARAT_FAMILY_attention_backward, emit, arg);
}

// ---- arguments

attention_view carat_attention_view(const carat_tensor *tensor)
{
    const int64_t *strides = tensor->strides;
    return (attention_view){ carat_data(tensor), strides[0], strides[1], strides[2], tensor->ndim > 3 ? strides[3] : 1 };
}

static bool is_operand(const carat_tensor *tensor, carat_dtype dtype)
{
    return tensor && tensor->ndim == 4 && carat_dtype_of(tensor) == dtype && carat_numel(tensor) > 0
           && (tensor->strides[3] == 1 || tensor->shape[3] == 1);
}

carat_status carat_attention_settle(const carat_frame *call, int first, attention_args *a, carat_dtype *dtype)
{
    const carat_tensor *q = carat_tensor_arg(call, first), *k = carat_tensor_arg(call, first + 1), *v = carat_tensor_arg(call, first + 2);
    *dtype = q ? carat_dtype_of(q) : CARAT_DTYPE_NONE;
    if (!carat_is_float(*dtype)) return carat_step_aside("dtype");
    if (!is_operand(q, *dtype) || !is_operand(k, *dtype) || !is_operand(v, *dtype)) return carat_step_aside("empty, or elements apart");
    a->batch = q->shape[0];
    a->queries = q->shape[2];
    a->dim = q->shape[3];
    a->key_heads = k->shape[1];
    a->group_heads = q->shape[1] / a->key_heads;
    a->keys = k->shape[2];
    if (!carat_same_shape(k, v) || k->shape[0] != a->batch || k->shape[3] != a->dim || q->shape[1] % a->key_heads)
        return carat_step_aside("shapes");
    if (a->dim > ATTENTION_DEPTH) return carat_step_aside("long heads");
    if (a->group_heads * a->queries > INT32_MAX) return carat_step_aside("too many rows");
    a->q = carat_attention_view(q);
    a->k = carat_attention_view(k);
    a->v = carat_attention_view(v);
    return CARAT_OK;
}

static carat_status settle_mask(const carat_tensor *mask, carat_dtype dtype, attention_args *a)
{
    const int64_t shape[4] = { a->batch, a->key_heads * a->group_heads, a->queries, a->keys };
    const carat_dtype given = carat_dtype_of(mask);
    if (given != dtype && given != CARAT_f32) return carat_step_aside("dtype of the mask");
    if (given != dtype && dtype == CARAT_f64) return carat_step_aside("narrow mask");
    if (mask->ndim != 2 && mask->ndim != 4) return carat_step_aside("shape of the mask");
    for (int d = 0; d < mask->ndim; ++d) {
        const int64_t size = mask->shape[d], full = shape[4 - mask->ndim + d];
        if (size != full && size != 1) return carat_step_aside("shape of the mask");
    }
    int64_t strides[4];
    carat_broadcast_strides(mask, 4, shape, strides);
    a->mask = (attention_view){ carat_data(mask), strides[0], strides[1], strides[2], a->keys == 1 ? 1 : strides[3] };
    a->mask_is_float = given != dtype;
    return CARAT_OK;
}

carat_status carat_attention_settle_scores(const carat_frame *call, int first, carat_dtype dtype, attention_args *a)
{
    const carat_tensor *mask = carat_tensor_arg(call, first + 2);
    if (carat_float_arg(call, first, 0) != 0) return carat_step_aside("dropout");
    a->causal = carat_int_arg(call, first + 1, 0) != 0;
    a->scale = carat_float_arg(call, first + 3, 1 / sqrt((double)a->dim));
    return mask ? settle_mask(mask, dtype, a) : CARAT_OK;
}

// ---- launching

enum { WORKER_PRODUCTS = 64 * 1024 }; // multiply-adds below which a further thread costs more than it brings

int64_t carat_attention_threads(const carat_frame *call, const attention_args *a)
{
    const int64_t worth = carat_attention_rows(a) * a->keys * a->dim / WORKER_PRODUCTS;
    return smaller(carat_thread_count(call), larger(1, worth));
}

carat_status carat_attention_launch(const carat_frame *call, const carat_key *key, attention_args *a, int64_t partial)
{
    const int64_t scratch = a->scratch_stride * a->workers, bytes = scratch + (a->splits > 1 ? a->splits * partial : 0);
    a->scratch = carat_alloc((size_t)bytes);
    if (!a->scratch) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld bytes", (long long)bytes);
    a->partial = (char *)a->scratch + scratch;
    carat_status status = carat_run_kernel(call, key, a, sizeof *a, a->workers, 1);
    if (status == CARAT_OK && a->splits > 1) {
        const int64_t grain = larger(1, WORKER_PRODUCTS / (a->splits * a->dim));
        a->combining = 1;
        status = carat_run_kernel(call, key, a, sizeof *a, carat_attention_rows(a), grain);
    }
    carat_free(a->scratch);
    return status;
}

// ---- the families

const carat_family carat_family_attention = {
    .name = "attention",
    .source = "attention.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

// Kernels for matrix units; no operators of their own.
const carat_family carat_family_attention_tiles = {
    .name = "attention_tiles",
    .source = "attention_tiles.k.c",
    .describe = describe,
    .enumerate = enumerate_tiles,
};

// Kernels of the backward pass; no operators of its own.
const carat_family carat_family_attention_backward = {
    .name = "attention_backward",
    .source = "attention_backward.k.c",
    .describe = describe,
    .enumerate = enumerate_backward,
};

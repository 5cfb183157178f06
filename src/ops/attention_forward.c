// SPDX-License-Identifier: Apache-2.0
// The plan of attention's forward pass (see kernels/attention.k.c): chunks of rows, blocks of keys, parts of the keys.
// Chunks may follow the number of threads, since a row's result doesn't depend on its neighbours; blocks and parts of
// the keys follow shapes only.
#include "ops/attention.h"

#include "core/integer.h"
#include "jit/jit.h"

enum {
    CHUNK_ELEMENTS = 48 * 1024,  // of a chunk's query rows, so many that copying keys and values weighs little
    CHUNK_ROWS = 512,            // of a chunk at most
    BLOCK_ELEMENTS = 32 * 1024,  // of a block of keys, in L2 too
    FEW_ROWS = 8,                // query rows that are few,
    FEW_KEYS = 64,               // where keys are that many: below, scores are rounded as the backward pass rounds them
    SPLIT_KEYS = 512,            // keys of a part, at least
    SPLIT_STEPS = 64,            // steps beyond which keys aren't split
    SPLIT_ROWS = 64,             // query rows that count as one such step
};

// Keys are split where their heads and rows are too few steps for many threads. Causal rows see few keys then.
static int64_t splits_of(const attention_args *a, int64_t rows)
{
    if (a->causal) return 1;
    const int64_t steps = a->batch * a->key_heads * pieces(rows, SPLIT_ROWS);
    return larger(1, smaller(a->keys / SPLIT_KEYS, SPLIT_STEPS / steps));
}

static void choose_blocks(attention_args *a, const carat_attention_tile *tile, int64_t threads)
{
    const int64_t rows = a->group_heads * a->queries;
    const int64_t chunk = smaller(CHUNK_ROWS, larger(ATTENTION_TILES * tile->rows, CHUNK_ELEMENTS / a->dim));
    const int64_t block = smaller(ATTENTION_DEPTH, BLOCK_ELEMENTS / a->dim);
    a->block_keys = round_up(smaller(block, pieces(a->keys, pieces(a->keys, block))), tile->cols);
    a->splits = splits_of(a, rows);
    a->row_chunks = pieces(rows, chunk);
    for (;;) {
        const int64_t steps = a->batch * a->key_heads * a->row_chunks * a->splits;
        if (steps % threads == 0 || steps >= 4 * threads || rows / a->row_chunks < 2 * tile->rows) break;
        ++a->row_chunks;
    }
    a->workers = smaller(threads, a->batch * a->key_heads * a->row_chunks * a->splits);
}

static int64_t scratch_bytes(const attention_args *a, const carat_attention_tile *tile)
{
    const int64_t chunk = pieces(a->group_heads * a->queries, a->row_chunks), stride = ATTENTION_DEPTH + ATTENTION_PAD;
    const int64_t width = round_up(a->dim, tile->cols), score_rows = ATTENTION_TILES * tile->rows;
    const int64_t keys = (a->block_keys + tile->cols) * a->dim, values = a->block_keys * (width + ATTENTION_PAD);
    return round_up((chunk * (stride + width) + keys + values + score_rows * (stride + 1) + 2 * chunk) * tile->sum, 64);
}

// The same for a matrix unit, whose operands are halves in whole tiles.
static int64_t tiles_scratch_bytes(const attention_args *a, const carat_attention_tile *tile)
{
    const int64_t chunk = round_up(pieces(a->group_heads * a->queries, a->row_chunks), tile->rows), width = round_up(a->dim, tile->cols);
    const int64_t sums = chunk * (width + 2) + tile->rows * (ATTENTION_DEPTH + ATTENTION_PAD + 1);
    const int64_t halves = (chunk + 2 * a->block_keys) * width + tile->rows * ATTENTION_DEPTH;
    return round_up(sums * tile->sum + halves * tile->sum / 2, 64);
}

static carat_status launch(const carat_frame *call, const carat_key *key, attention_args *a)
{
    const carat_attention_tile tile = carat_attention_tile_of(call, key);
    const int64_t rows = carat_attention_rows(a);
    choose_blocks(a, &tile, carat_attention_threads(call, a));
    a->scratch_stride = key->family == CARAT_FAMILY_attention_tiles ? tiles_scratch_bytes(a, &tile) : scratch_bytes(a, &tile);
    return carat_attention_launch(call, key, a, rows * (round_up(a->dim, tile.cols) + 2) * tile.sum);
}

// Few rows wait for memory, a matrix unit or not.
static carat_family_id family_of(const carat_frame *call, const attention_args *a, carat_dtype dtype)
{
    const bool tiles = !a->few && carat_has_tiles(call->backend->target(call->device), dtype);
    return tiles ? CARAT_FAMILY_attention_tiles : CARAT_FAMILY_attention;
}

// ATen's products of halves are made by what the machine has for them.
static bool is_better_native(const carat_frame *call, const attention_args *a, carat_dtype dtype)
{
    enum { LARGE = 64 * 1024 };
    const int64_t rows = a->group_heads * a->queries;
    return rows > FEW_ROWS && rows * a->keys * a->dim >= LARGE && carat_multiplies_natively(call, dtype);
}

// _scaled_dot_product_flash_attention_for_cpu(query, key, value, dropout_p, is_causal, attn_mask, scale) -> (output, logsumexp)
carat_status carat_attention_run_forward(carat_frame *call)
{
    attention_args a = { .combining = 0 };
    carat_dtype dtype;
    carat_kernel kernel;
    CARAT_TRY(carat_attention_settle(call, 0, &a, &dtype));
    CARAT_TRY(carat_attention_settle_scores(call, 3, dtype, &a));
    a.few = a.group_heads * a.queries <= FEW_ROWS && a.keys >= FEW_KEYS;
    const carat_family_id family = family_of(call, &a, dtype);
    if (family == CARAT_FAMILY_attention && is_better_native(call, &a, dtype))
        return carat_step_aside("products of a dtype that the machine multiplies natively");
    const carat_key key = carat_attention_key(family, dtype);
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    const carat_tensor *q = carat_tensor_arg(call, 0);
    const int64_t sums[3] = { a.queries * q->shape[1], 1, q->shape[1] }; // a transposed [batch, rows, heads]
    int64_t strides[4];
    carat_output out, logsumexp;
    carat_like_strides(q, strides);
    CARAT_TRY(carat_output_make(call, 0, dtype, 4, q->shape, strides, &out));
    CARAT_TRY(carat_output_make(call, 1, carat_compute_dtype(dtype), 3, q->shape, sums, &logsumexp));
    a.out = carat_attention_view(&out.view);
    a.logsumexp = carat_attention_view(&logsumexp.view);
    return launch(call, &key, &a);
}

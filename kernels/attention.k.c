// SPDX-License-Identifier: Apache-2.0
// out = softmax(scale * Q K^T + mask) V for each head, and the logarithm of each row's sum of exponentials. Scores never
// reach memory: blocks of them live in L1 while a running maximum and sum correct what came before (Rabe and Staats
// 2021, "Self-attention does not need O(n^2) memory"; Dao 2023, "FlashAttention-2").
//
// A group is a worker with an even share of the steps. A step is a chunk of the query rows that share a key head (with
// grouped queries, of all its heads) and a part of the keys:
//     the chunk's query rows, times the scale, are copied to scratch as ACC                               (L2)
//     for each block of keys: keys are copied transposed, in panels of NR; values as they are              (L2)
//         for every ATTENTION_TILES tiles of MR query rows:
//             S = Q K^T panel by panel, a panel for all tiles in turn                                      (L1)
//             row by row: S + mask; top' = max(top, S); P = exp(S - top'); sum' = sum * exp(top - top') + P
//             O = O * exp(top - top') + P V, the factor taken when the tile of O is fetched
//     O / sum is rounded once and stored
// Causal rows end at their own key: tiles skip blocks that none of their rows sees, and depths end with the last key seen.
// Where rows are few and keys are many, steps split the keys, and a second launch joins their partial results (O, top
// and sum); the split depends on shapes only, so results don't depend on the number of threads.
// A row without any key to see (all masked by -inf) becomes zeros with logarithm 0, as in ATen.
//
// Work: 4 * rows * keys * dim operations, half of it when causal.
// Defines: T, ACC, VEC, MR, NV.
#include "attention_args.h"
#include "softmax_exp.h"
#include "attention_tile.c"

#define PACKED ACC
#define SCORE_ROWS (ATTENTION_TILES * MR)

#include "attention_steps.c"

// ---- a block of keys

static void LOCAL_NAME(soften_tiles)(const attention_args *a, const struct LOCAL_NAME(step) *s, const struct LOCAL_NAME(tiles) *t,
                                     i64 key, i64 keys, const i64 *needed)
{
    const i64 first = LOCAL_NAME(tile_row)(t, t->first);
    for (i64 tile = t->first; tile < t->last; ++tile) {
        const i64 padded = needed[tile - t->first], start = LOCAL_NAME(tile_row)(t, tile);
        for (i64 r = start; padded > 0 && r < start + LOCAL_NAME(tile_rows)(t, tile); ++r)
            s->factor[r - first] = LOCAL_NAME(mask_row)(a, s, r, s->score + (r - first) * STRIDE, key, keys);
        for (i64 r = start; padded > 0 && r < start + LOCAL_NAME(tile_rows)(t, tile); ++r) {
            ACC *const factor = s->factor + (r - first);
            LOCAL_NAME(soften_row)(a, s, r, s->score + (r - first) * STRIDE, key, keys, padded, *factor, factor);
        }
    }
}

static void LOCAL_NAME(run_block)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 key, i64 keys)
{
    const T *const k = (const T *)a->k.data + LOCAL_NAME(key_offset)(&a->k, s->batch, s->key_head, key);
    const T *const v = (const T *)a->v.data + LOCAL_NAME(key_offset)(&a->v, s->batch, s->key_head, key);
    LOCAL_NAME(fetch_rows)(v, a->v.row, keys, a->dim);
    LOCAL_NAME(copy_panels)(s->keys, k, a->k.row, keys, a->dim);
    LOCAL_NAME(copy_rows)(s->values, s->value_row, v, a->v.row, keys, a->dim, s->width, 1);

    struct LOCAL_NAME(tiles) t = LOCAL_NAME(tiles_of)(s->rows);
    for (; t.first < t.count; t.first = t.last) {
        i64 needed[ATTENTION_TILES];
        t.last = LEAST(t.first + ATTENTION_TILES, t.count);
        for (i64 tile = t.first; tile < t.last; ++tile) needed[tile - t.first] = LOCAL_NAME(tile_keys)(a, &t, s->row, tile, key, keys);
        const i64 first = LOCAL_NAME(tile_row)(&t, t.first);
        const struct LOCAL_NAME(product) add_values = { .left = s->score, .right = s->values, .right_row = s->value_row,
            .c = s->o + first * s->width, .c_row = s->width, .keep = key == s->key ? 0 : s->factor };
        LOCAL_NAME(multiply_panels)(&t, s->q + first * STRIDE, s->keys, a->dim, s->score, keys, needed);
        LOCAL_NAME(soften_tiles)(a, s, &t, key, keys, needed);
        LOCAL_NAME(add_products)(&t, &add_values, s->width, 1, needed);
    }
}

#include "attention_few.c"

// ---- a step

static void LOCAL_NAME(run_step)(const attention_args *a, const struct LOCAL_NAME(step) *s)
{
    LOCAL_NAME(take_rows)(a, &a->q, s->batch, s->key_head, s->row, s->rows, s->q, a->dim, (ACC)a->scale);
    for (i64 r = 0; r < s->rows; ++r) {
        s->top[r] = LOWEST;
        s->sum[r] = 0;
    }
    const i64 end = LOCAL_NAME(keys_seen_by)(a, s->row, s->rows, s->end);
    for (i64 key = s->key; key < end; key += a->block_keys) {
        const i64 keys = LEAST(a->block_keys, end - key);
        if (a->few)
            LOCAL_NAME(run_few)(a, s, key, keys);
        else
            LOCAL_NAME(run_block)(a, s, key, keys);
    }
    LOCAL_NAME(finish)(a, s);
}

// Scratch: Q, O, keys, values, scores, then top, sum and factor of each row.
static void LOCAL_NAME(place_scratch)(const attention_args *a, struct LOCAL_NAME(step) *s, i64 worker, i64 chunk)
{
    s->width = LOCAL_NAME(width_of)(a);
    s->value_row = s->width + ATTENTION_PAD;
    s->q = (ACC *)((char *)a->scratch + worker * a->scratch_stride);
    s->o = s->q + chunk * STRIDE;
    s->keys = s->o + chunk * s->width;
    s->values = s->keys + (a->block_keys + NR) * a->dim;
    s->score = s->values + a->block_keys * s->value_row;
    s->top = s->score + SCORE_ROWS * STRIDE;
    s->sum = s->top + chunk;
    s->factor = s->sum + chunk;
}

KERNEL(attention_args, a)
{
    if (a->combining)
        LOCAL_NAME(join_row)(a, group_id());
    else
        LOCAL_NAME(run_steps)(a, group_id());
}
#undef NR
#undef STRIDE
#undef LEAST
#undef LOAD
#undef AHEAD
#undef LOWEST
#undef MAX
#undef SCORE_ROWS
#undef PACKED
#undef MULTIPLY_ROWS
#undef MULTIPLY_MORE

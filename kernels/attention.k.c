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

#define LOWEST ((ACC)-MATH_INF_F32)
#define MAX(a, b) ((a) > (b) ? (a) : (b)) // a NaN is lost here; the sum of exponentials finds it
#define TILE_ROWS (ATTENTION_TILES * MR)

struct LOCAL_NAME(step) {
    i64 batch, key_head, row, rows; // query rows of the key head
    i64 key, end;                   // keys [key, end)
    i64 split;
    i64 width, value_row;           // columns of O and distance of the copied values
    ACC *q, *o, *keys, *values, *score, *top, *sum, *factor;
};

// ---- a block of keys

// One row of scores: n of them count, the rest up to `padded` become 0.
WORD void LOCAL_NAME(soften)(ACC *score, i64 n, i64 padded, ACC *top, ACC *sum, ACC *factor)
{
    ACC tops[VEC], sums[VEC];
    const i64 full = (n + VEC - 1) / VEC * VEC;
    for (i64 j = n; j < full; ++j) score[j] = LOWEST;
    for (i64 j = full; j < padded; ++j) score[j] = 0;
    FOR_SIMD(k) tops[k] = *top;
    for (i64 j = 0; j < full; j += VEC)
        FOR_SIMD(k) tops[k] = MAX(score[j + k], tops[k]);
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) tops[k] = MAX(tops[k + half], tops[k]);
    const ACC base = tops[0] == LOWEST ? 0 : tops[0]; // of a row that has seen nothing yet
    FOR_SIMD(k) sums[k] = 0;
    for (i64 j = 0; j < full; j += VEC)
        FOR_SIMD(k) {
            const ACC e = k_exp_below(score[j + k] - base);
            score[j + k] = e;
            sums[k] += e;
        }
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) sums[k] += sums[k + half];
    *factor = 0;
    if (*top != LOWEST) *factor = k_exp_below(*top - base);
    *sum = *sum * *factor + sums[0];
    *top = tops[0];
}

// Row `r` of a step, whose scores are those of the block's first `keys` keys.
WORD void LOCAL_NAME(soften_row)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 r, ACC *score, i64 key, i64 keys, i64 padded,
                                 ACC *factor)
{
    const i64 seen = LOCAL_NAME(keys_seen)(a, s->row + r, key + keys) - key, n = seen > 0 ? seen : 0;
    if (a->mask.data) LOCAL_NAME(add_mask)(a, s->batch, s->key_head, s->row + r, key, score, n);
    LOCAL_NAME(soften)(score, n, padded, s->top + r, s->sum + r, factor);
}

static void LOCAL_NAME(soften_tiles)(const attention_args *a, const struct LOCAL_NAME(step) *s, const struct LOCAL_NAME(tiles) *t,
                                     i64 key, i64 keys, const i64 *needed)
{
    const i64 first = LOCAL_NAME(tile_row)(t, t->first);
    for (i64 tile = t->first; tile < t->last; ++tile) {
        const i64 padded = needed[tile - t->first], start = LOCAL_NAME(tile_row)(t, tile);
        for (i64 r = start; padded > 0 && r < start + LOCAL_NAME(tile_rows)(t, tile); ++r)
            LOCAL_NAME(soften_row)(a, s, r, s->score + (r - first) * STRIDE, key, keys, padded, s->factor + (r - first));
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

// O / sum and the logarithm of the sum; a row that saw no key gives zeros.
WORD void LOCAL_NAME(store_row)(const attention_args *a, i64 batch, i64 key_head, i64 row, const ACC *o, ACC top, ACC sum)
{
    T *const out = (T *)a->out.data + LOCAL_NAME(row_offset)(a, &a->out, batch, key_head, row);
    ACC *const logsumexp = (ACC *)a->logsumexp.data + LOCAL_NAME(row_offset)(a, &a->logsumexp, batch, key_head, row);
    const ACC scale = sum == 0 ? 1 : 1 / sum;
    LOCAL_NAME(give_row)(out, o, a->dim, scale);
    *logsumexp = sum == 0 ? 0 : top == -LOWEST ? top : top + k_log(sum);
}

// Where a row's partial result waits: O, then top and sum.
WORD ACC *LOCAL_NAME(partial_of)(const attention_args *a, i64 width, i64 batch, i64 key_head, i64 row, i64 split)
{
    const i64 index = (batch * a->key_heads + key_head) * LOCAL_NAME(rows_of_key_head)(a) + row;
    return (ACC *)a->partial + (index * a->splits + split) * (width + 2);
}

static void LOCAL_NAME(finish)(const attention_args *a, const struct LOCAL_NAME(step) *s)
{
    for (i64 r = 0; r < s->rows; ++r) {
        const ACC *const o = s->o + r * s->width;
        if (a->splits == 1) {
            LOCAL_NAME(store_row)(a, s->batch, s->key_head, s->row + r, o, s->top[r], s->sum[r]);
            continue;
        }
        ACC *const to = LOCAL_NAME(partial_of)(a, s->width, s->batch, s->key_head, s->row + r, s->split);
        FOR_LANES(d, s->width) to[d] = o[d];
        to[s->width] = s->top[r];
        to[s->width + 1] = s->sum[r];
    }
}

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
WORD void LOCAL_NAME(place_scratch)(const attention_args *a, struct LOCAL_NAME(step) *s, i64 worker, i64 chunk)
{
    s->width = LOCAL_NAME(width_of)(a);
    s->value_row = s->width + ATTENTION_PAD;
    s->q = (ACC *)((char *)a->scratch + worker * a->scratch_stride);
    s->o = s->q + chunk * STRIDE;
    s->keys = s->o + chunk * s->width;
    s->values = s->keys + (a->block_keys + NR) * a->dim;
    s->score = s->values + a->block_keys * s->value_row;
    s->top = s->score + TILE_ROWS * STRIDE;
    s->sum = s->top + chunk;
    s->factor = s->sum + chunk;
}

// Steps in order: batch, key head, chunk, split. Causal chunks have unequal work: the first, the last, the second, ...
static void LOCAL_NAME(run_steps)(const attention_args *a, i64 worker)
{
    const i64 rows = LOCAL_NAME(rows_of_key_head)(a), chunk = (rows + a->row_chunks - 1) / a->row_chunks;
    const i64 steps = a->batch * a->key_heads * a->row_chunks * a->splits, end = steps * (worker + 1) / a->workers;
    struct LOCAL_NAME(step) s;
    LOCAL_NAME(place_scratch)(a, &s, worker, chunk);
    for (i64 i = steps * worker / a->workers; i < end; ++i) {
        const i64 head = i / a->splits / a->row_chunks, turn = i / a->splits % a->row_chunks;
        const i64 part = turn % 2 ? a->row_chunks - 1 - turn / 2 : turn / 2;
        s.split = i % a->splits;
        s.batch = head / a->key_heads;
        s.key_head = head % a->key_heads;
        s.row = rows * part / a->row_chunks;
        s.rows = rows * (part + 1) / a->row_chunks - s.row;
        s.key = a->keys * s.split / a->splits;
        s.end = a->keys * (s.split + 1) / a->splits;
        LOCAL_NAME(run_step)(a, &s);
    }
}

// ---- joining

// The partial results of one query row.
static void LOCAL_NAME(join_row)(const attention_args *a, i64 index)
{
    const i64 rows = LOCAL_NAME(rows_of_key_head)(a), width = LOCAL_NAME(width_of)(a);
    const i64 head = index / rows, batch = head / a->key_heads, key_head = head % a->key_heads, row = index % rows;
    const ACC *const part = LOCAL_NAME(partial_of)(a, width, batch, key_head, row, 0);
    LOCAL(ACC, o, STRIDE);
    ACC top = LOWEST, sum = 0;
    for (i64 i = 0; i < a->splits; ++i) top = MAX(part[i * (width + 2) + width], top);
    const ACC base = top == LOWEST ? 0 : top;
    FOR_LANES(d, width) o[d] = 0;
    for (i64 i = 0; i < a->splits; ++i) {
        const ACC *const at = part + i * (width + 2);
        const ACC factor = k_exp_below(at[width] - base);
        FOR_LANES(d, width) o[d] += factor * at[d];
        sum += factor * at[width + 1];
    }
    LOCAL_NAME(store_row)(a, batch, key_head, row, o, top, sum);
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
#undef TILE_ROWS
#undef MULTIPLY_ROWS
#undef MULTIPLY_MORE

// SPDX-License-Identifier: Apache-2.0
// The gradients of attention (Dao 2023, "FlashAttention-2"), from its inputs, its result O and each row's logsumexp L:
//
//     P = exp(scale * Q K^T + mask - L)       dV = P^T dO
//     dP = dO V^T                             dS = P * (dP - rowsum(dO * O))
//     dQ = scale * dS K                       dK = scale * dS^T Q
//
// A group is a worker with an even share of the steps. A step is a key head of a batch and a part of its keys; it has
// all query rows that share the head, so that dK and dV are whole when it ends:
//     for each block of keys: keys and values are copied transposed, in panels, and keys as they are     (L2)
//         for every group of GROUP tiles of query rows: Q, times the scale, and dO are copied            (L1)
//             S and dP, a panel for all tiles in turn; P and dS, row by row                              (L2)
//             dQ += dS K, tile after tile; dV += P^T dO and dK += dS^T Q by tiles of MR keys
//         dK and dV of the block are rounded once and stored
//     dQ, times the scale, too
// All five products are the same loop: P^T and dS^T are read where P and dS lie, since a tile of their columns is MR
// neighbours. Where heads are few, steps split the keys; each then leaves a partial dQ, and a second launch adds them
// up. The split depends on shapes only, so results don't depend on the number of threads.
//
// Work: 10 * rows * keys * dim operations, half of it when causal.
// Defines: T, ACC, VEC, MR, NV.
#include "attention_args.h"
#include "softmax_exp.h"
#include "attention_tile.c"

#define GROUP (ATTENTION_GROUP / MR)

struct LOCAL_NAME(step) {
    i64 batch, key_head, rows; // all query rows of the key head
    i64 key, end;              // keys [key, end)
    i64 width, key_row;        // padded elements of a head, and the distance of keys copied as they are
    ACC *key_panels, *value_panels, *keys;
    ACC *q, *grad_out, *p, *grad_s;   // of a group of tiles, STRIDE apart
    ACC *grad_k, *grad_v;             // of a block of keys
    ACC *grad_q, *delta;              // of all rows; delta is rowsum(dO * O)
    ACC *ones;
};

static void LOCAL_NAME(multiply_columns)(const struct LOCAL_NAME(product) *p, i64 rows)
{
    MULTIPLY_ROWS(1)
}

// ---- a group of tiles and a block of keys

// Scores become P, and dP becomes dS: n of them count, the rest up to `most` become 0.
WORD void LOCAL_NAME(soften)(ACC *score, ACC *grad, i64 n, i64 most, ACC logsumexp, ACC delta)
{
    const i64 full = (n + VEC - 1) / VEC * VEC;
    for (i64 j = 0; j < full; j += VEC)
        FOR_SIMD(k) {
            const ACC e = k_exp_below(score[j + k] - logsumexp);
            score[j + k] = e;
            grad[j + k] = e * (grad[j + k] - delta);
        }
    for (i64 j = n; j < most; ++j) score[j] = grad[j] = 0;
}

static void LOCAL_NAME(soften_rows)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 first, i64 last, i64 key, i64 keys, i64 most)
{
    for (i64 row = first; row < last; ++row) {
        ACC *const score = s->p + (row - first) * STRIDE, *const grad = s->grad_s + (row - first) * STRIDE;
        const i64 seen = LOCAL_NAME(keys_seen)(a, row, key + keys) - key, n = seen > 0 ? seen : 0;
        const i64 at = LOCAL_NAME(row_offset)(a, &a->logsumexp, s->batch, s->key_head, row);
        if (a->mask.data) LOCAL_NAME(add_mask)(a, s->batch, s->key_head, row, key, score, n);
        LOCAL_NAME(soften)(score, grad, n, most, ((const ACC *)a->logsumexp.data)[at], s->delta[row]);
    }
}

// grad += weights^T rows, for the first `keys` keys; the group has `depth` rows.
static void LOCAL_NAME(add_keys)(const struct LOCAL_NAME(step) *s, ACC *grad, const ACC *weights, const ACC *rows, i64 keys, i64 depth)
{
    struct LOCAL_NAME(product) p = { .keep = s->ones, .right_row = STRIDE, .c_row = s->width, .depth = depth };
    const struct LOCAL_NAME(tiles) t = LOCAL_NAME(tiles_of)(keys);
    for (i64 tile = 0; tile < t.count; ++tile)
        for (i64 col = 0; col < s->width; col += NR) {
            const i64 key = LOCAL_NAME(tile_row)(&t, tile);
            p.left = weights + key;
            p.right = rows + col;
            p.c = grad + key * s->width + col;
            LOCAL_NAME(multiply_columns)(&p, LOCAL_NAME(tile_rows)(&t, tile));
        }
}

static void LOCAL_NAME(run_group)(const attention_args *a, const struct LOCAL_NAME(step) *s, const struct LOCAL_NAME(tiles) *t, i64 key, i64 keys)
{
    const i64 first = LOCAL_NAME(tile_row)(t, t->first), last = LOCAL_NAME(tile_row)(t, t->last);
    i64 needed[GROUP], most = 0;
    for (i64 tile = t->first; tile < t->last; ++tile) {
        const i64 n = LOCAL_NAME(tile_keys)(a, t, 0, tile, key, keys);
        needed[tile - t->first] = n;
        if (n > most) most = n;
    }
    if (most == 0) return;
    LOCAL_NAME(take_rows)(a, &a->q, s->batch, s->key_head, first, last - first, s->q, s->width, (ACC)a->scale);
    LOCAL_NAME(take_rows)(a, &a->grad_out, s->batch, s->key_head, first, last - first, s->grad_out, s->width, 1);
    LOCAL_NAME(multiply_panels)(t, s->q, s->key_panels, a->dim, s->p, keys, needed);
    LOCAL_NAME(multiply_panels)(t, s->grad_out, s->value_panels, a->dim, s->grad_s, keys, needed);
    LOCAL_NAME(soften_rows)(a, s, first, last, key, keys, most);
    const struct LOCAL_NAME(product) add_queries = { .left = s->grad_s, .right = s->keys, .right_row = s->key_row,
        .c = s->grad_q + first * s->width, .c_row = s->width, .keep = key == s->key ? 0 : s->ones };
    LOCAL_NAME(add_products)(t, &add_queries, s->width, 0, needed);
    LOCAL_NAME(add_keys)(s, s->grad_v, s->p, s->grad_out, most, last - first);
    LOCAL_NAME(add_keys)(s, s->grad_k, s->grad_s, s->q, most, last - first);
}

// ---- a step

static void LOCAL_NAME(run_block)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 key, i64 keys)
{
    const T *const k = (const T *)a->k.data + LOCAL_NAME(key_offset)(&a->k, s->batch, s->key_head, key);
    const T *const v = (const T *)a->v.data + LOCAL_NAME(key_offset)(&a->v, s->batch, s->key_head, key);
    LOCAL_NAME(fetch_rows)(v, a->v.row, keys, a->dim);
    LOCAL_NAME(copy_panels)(s->key_panels, k, a->k.row, keys, a->dim);
    LOCAL_NAME(copy_rows)(s->keys, s->key_row, k, a->k.row, keys, a->dim, s->width, 1);
    LOCAL_NAME(copy_panels)(s->value_panels, v, a->v.row, keys, a->dim);
    FOR_LANES(i, keys * s->width) s->grad_k[i] = s->grad_v[i] = 0;

    struct LOCAL_NAME(tiles) t = LOCAL_NAME(tiles_of)(s->rows);
    for (; t.first < t.count; t.first = t.last) {
        t.last = LEAST(t.first + GROUP, t.count);
        LOCAL_NAME(run_group)(a, s, &t, key, keys);
    }
    T *const grad_k = (T *)a->grad_k.data + LOCAL_NAME(key_offset)(&a->grad_k, s->batch, s->key_head, key);
    T *const grad_v = (T *)a->grad_v.data + LOCAL_NAME(key_offset)(&a->grad_v, s->batch, s->key_head, key);
    for (i64 j = 0; j < keys; ++j) {
        LOCAL_NAME(give_row)(grad_k + j * a->grad_k.row, s->grad_k + j * s->width, a->dim, 1);
        LOCAL_NAME(give_row)(grad_v + j * a->grad_v.row, s->grad_v + j * s->width, a->dim, 1);
    }
}

// delta = rowsum(dO * O), a group's rows at a time.
static void LOCAL_NAME(sum_rows)(const attention_args *a, const struct LOCAL_NAME(step) *s)
{
    for (i64 row = 0; row < s->rows; row += ATTENTION_GROUP) {
        const i64 count = LEAST(ATTENTION_GROUP, s->rows - row);
        LOCAL_NAME(take_rows)(a, &a->grad_out, s->batch, s->key_head, row, count, s->p, s->width, 1);
        LOCAL_NAME(take_rows)(a, &a->out, s->batch, s->key_head, row, count, s->grad_s, s->width, 1);
        for (i64 r = 0; r < count; ++r) {
            const ACC *const x = s->p + r * STRIDE, *const y = s->grad_s + r * STRIDE;
            vec sum = vec_zero();
            for (i64 d = 0; d < s->width; d += VEC) sum = vec_fma(vec_read(x + d), vec_read(y + d), sum);
            s->delta[row + r] = vec_total(sum);
        }
    }
}

static void LOCAL_NAME(run_step)(const attention_args *a, const struct LOCAL_NAME(step) *s)
{
    LOCAL_NAME(sum_rows)(a, s);
    for (i64 key = s->key; key < s->end; key += a->block_keys) LOCAL_NAME(run_block)(a, s, key, LEAST(a->block_keys, s->end - key));
    if (a->splits > 1) return;
    for (i64 r = 0; r < s->rows; ++r) {
        T *const to = (T *)a->grad_q.data + LOCAL_NAME(row_offset)(a, &a->grad_q, s->batch, s->key_head, r);
        LOCAL_NAME(give_row)(to, s->grad_q + r * s->width, a->dim, (ACC)a->scale);
    }
}

WORD void LOCAL_NAME(place_scratch)(const attention_args *a, struct LOCAL_NAME(step) *s, i64 worker)
{
    const i64 panels = (a->block_keys + NR) * a->dim, group = ATTENTION_GROUP * STRIDE;
    s->rows = LOCAL_NAME(rows_of_key_head)(a);
    s->width = LOCAL_NAME(width_of)(a);
    s->key_row = s->width + ATTENTION_PAD;
    s->key_panels = (ACC *)((char *)a->scratch + worker * a->scratch_stride);
    s->value_panels = s->key_panels + panels;
    s->keys = s->value_panels + panels;
    s->q = s->keys + a->block_keys * s->key_row;
    s->grad_out = s->q + group;
    s->p = s->grad_out + group;
    s->grad_s = s->p + group;
    s->grad_k = s->grad_s + group;
    s->grad_v = s->grad_k + a->block_keys * s->width;
    s->ones = s->grad_v + a->block_keys * s->width;
    s->delta = s->ones + ATTENTION_PAD;
    s->grad_q = s->delta + s->rows;
    for (i64 i = 0; i < ATTENTION_PAD; ++i) s->ones[i] = 1;
}

// Partial dQ: [split, batch, key head, row, width].
WORD ACC *LOCAL_NAME(partial_of)(const attention_args *a, i64 head, i64 row, i64 split)
{
    const i64 rows = LOCAL_NAME(rows_of_key_head)(a);
    return (ACC *)a->partial + ((split * a->batch * a->key_heads + head) * rows + row) * LOCAL_NAME(width_of)(a);
}

// Steps in order: batch, key head, split.
static void LOCAL_NAME(run_steps)(const attention_args *a, i64 worker)
{
    const i64 steps = a->batch * a->key_heads * a->splits, end = steps * (worker + 1) / a->workers;
    struct LOCAL_NAME(step) s;
    LOCAL_NAME(place_scratch)(a, &s, worker);
    for (i64 i = steps * worker / a->workers; i < end; ++i) {
        const i64 head = i / a->splits, split = i % a->splits;
        s.batch = head / a->key_heads;
        s.key_head = head % a->key_heads;
        s.key = a->keys * split / a->splits;
        s.end = a->keys * (split + 1) / a->splits;
        if (a->splits > 1) s.grad_q = LOCAL_NAME(partial_of)(a, head, 0, split);
        LOCAL_NAME(run_step)(a, &s);
    }
}

// Adds up the partial results of one query row: of the splits of which it sees a key.
static void LOCAL_NAME(join_row)(const attention_args *a, i64 index)
{
    const i64 rows = LOCAL_NAME(rows_of_key_head)(a), head = index / rows, row = index % rows;
    const i64 seen = LOCAL_NAME(keys_seen)(a, row, a->keys);
    LOCAL(ACC, sum, STRIDE);
    FOR_LANES(d, a->dim) sum[d] = 0;
    for (i64 split = 0; split < a->splits && a->keys * split / a->splits < seen; ++split) {
        const ACC *const part = LOCAL_NAME(partial_of)(a, head, row, split);
        FOR_LANES(d, a->dim) sum[d] += part[d];
    }
    T *const to = (T *)a->grad_q.data + LOCAL_NAME(row_offset)(a, &a->grad_q, head / a->key_heads, head % a->key_heads, row);
    LOCAL_NAME(give_row)(to, sum, a->dim, (ACC)a->scale);
}

KERNEL(attention_args, a)
{
    if (a->combining)
        LOCAL_NAME(join_row)(a, group_id());
    else
        LOCAL_NAME(run_steps)(a, group_id());
}
#undef GROUP
#undef NR
#undef STRIDE
#undef LEAST
#undef LOAD
#undef AHEAD
#undef MULTIPLY_ROWS
#undef MULTIPLY_MORE

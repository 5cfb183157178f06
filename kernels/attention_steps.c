// SPDX-License-Identifier: Apache-2.0
// The steps of attention's forward pass, the softmax of a row, and how partial results are joined: a part of attention.k.c and
// attention_tiles.k.c, which say how one step is done (run_step).
// Of the including kernel: T, ACC, VEC, NR, STRIDE (ACC between rows of scores), and PACKED, what copies of operands are made of.
#define LOWEST ((ACC)-MATH_INF_F32)
#define MAX(a, b) ((a) > (b) ? (a) : (b)) // a NaN is lost here; the sum of exponentials finds it

struct LOCAL_NAME(step) {
    i64 batch, key_head, row, rows; // query rows of the key head
    i64 key, end;                   // keys [key, end)
    i64 split;
    i64 width, value_row;           // columns of O and distance of the copied values
    PACKED *q, *keys, *values, *weights;
    ACC *o, *score, *top, *sum, *factor;
};

static void LOCAL_NAME(place_scratch)(const attention_args *a, struct LOCAL_NAME(step) *s, i64 worker, i64 chunk);
static void LOCAL_NAME(run_step)(const attention_args *a, const struct LOCAL_NAME(step) *s);

// ---- rows

// The largest of n scores and of those that a row has seen before. Fills the last vector up.
WORD ACC LOCAL_NAME(top_of)(ACC *score, i64 n, ACC before)
{
    ACC tops[VEC];
    const i64 full = (n + VEC - 1) / VEC * VEC;
    for (i64 j = n; j < full; ++j) score[j] = LOWEST;
    FOR_SIMD(k) tops[k] = before;
    for (i64 j = 0; j < full; j += VEC)
        FOR_SIMD(k) tops[k] = MAX(score[j + k], tops[k]);
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) tops[k] = MAX(tops[k + half], tops[k]);
    return tops[0];
}

// Scores become exponentials below a new top: n of them count, the rest up to `padded` become 0. `factor` is what becomes of those before.
WORD void LOCAL_NAME(soften)(ACC *score, i64 n, i64 padded, ACC new_top, ACC *top, ACC *sum, ACC *factor)
{
    ACC sums[VEC];
    const i64 full = (n + VEC - 1) / VEC * VEC;
    const ACC base = new_top == LOWEST ? 0 : new_top; // of a row that has seen nothing yet
    for (i64 j = full; j < padded; ++j) score[j] = 0;
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
    *top = new_top;
}

// How many of a block's keys row `r` of a step sees.
WORD i64 LOCAL_NAME(keys_of_row)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 r, i64 key, i64 keys)
{
    const i64 seen = LOCAL_NAME(keys_seen)(a, s->row + r, key + keys) - key;
    return seen > 0 ? seen : 0;
}

// Row `r` of a step, whose scores are those of the block's first `keys` keys, in two halves: many rows' first halves leave the
// processor more to do side by side.
WORD ACC LOCAL_NAME(mask_row)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 r, ACC *score, i64 key, i64 keys)
{
    const i64 n = LOCAL_NAME(keys_of_row)(a, s, r, key, keys);
    if (a->mask.data) LOCAL_NAME(add_mask)(a, s->batch, s->key_head, s->row + r, key, score, n);
    return LOCAL_NAME(top_of)(score, n, s->top[r]);
}
WORD void LOCAL_NAME(soften_row)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 r, ACC *score, i64 key, i64 keys, i64 padded,
                                 ACC top, ACC *factor)
{
    const i64 n = LOCAL_NAME(keys_of_row)(a, s, r, key, keys);
    LOCAL_NAME(soften)(score, n, padded, top, s->top + r, s->sum + r, factor);
}

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

// ---- shares of the workers

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

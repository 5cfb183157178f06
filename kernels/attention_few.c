// SPDX-License-Identifier: Apache-2.0
// Attention for the few query rows of a decoding step, where reading keys and values is the cost: both stream through
// once, straight from memory. No header, since attention.k.c includes it once for each specialisation.
//
// Scores: a tile of `rows` x VEC / rows dot products, each a vector of partial sums over the head's elements. The VEC
// vectors are transposed and added, which leaves all dot products in one vector. Values: for a run of keys that stays in
// L1, eight vectors of O at a time are fetched, get the run's P V added, and go back.
#define RUN 16 // keys

// Scores of `rows` query rows from `row` on against VEC / rows keys; where fewer keys are left the last one stands in.
WORD void LOCAL_NAME(few_dots)(const attention_args *a, const struct LOCAL_NAME(step) *s, const T *k, i64 row, i64 at, i64 keys, const int rows)
{
    const int cols = VEC / rows;
    const ACC *const q = s->q + row * STRIDE;
    const i64 depth = a->dim - a->dim % VEC;
    vec sum[VEC];
    const T *key[VEC];
    ACC totals[VEC];
    UNROLL(16) for (int c = 0; c < cols; ++c) key[c] = k + LEAST(at + c, keys - 1) * a->k.row;
    UNROLL(16) FOR_VEC(i) sum[i] = vec_zero();
    for (i64 d = 0; d < depth; d += VEC) {
        vec part[4];
        UNROLL(4) for (int r = 0; r < rows; ++r) part[r] = vec_read(q + r * STRIDE + d);
        UNROLL(16) for (int c = 0; c < cols; ++c) {
            const vec column = vec_load(key[c] + d);
            UNROLL(4) for (int r = 0; r < rows; ++r) sum[r * cols + c] = vec_fma(part[r], column, sum[r * cols + c]);
        }
    }
    vec_transpose(sum);
    UNROLL(4) for (int width = VEC / 2; width > 0; width /= 2)
        UNROLL(16) for (int i = 0; i < width; ++i) sum[i] = vec_add(sum[i], sum[i + width]);
    vec_write(totals, sum[0]);
    for (i64 d = depth; d < a->dim; ++d)
        for (int i = 0; i < VEC; ++i) totals[i] += q[i / cols * STRIDE + d] * LOAD(key[i % cols][d]);
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < cols; ++c) s->score[(row + r) * STRIDE + at + c] = totals[r * cols + c];
}

// All rows for one run of keys after the other, so that the second row finds them in L1.
static void LOCAL_NAME(few_scores)(const attention_args *a, const struct LOCAL_NAME(step) *s, const T *k, i64 keys)
{
    for (i64 at = 0; at < keys; at += VEC) {
        const i64 ahead = LEAST(at + RUN, keys);
        LOCAL_NAME(fetch_rows)(k + ahead * a->k.row, a->k.row, LEAST(VEC, keys - ahead), a->dim);
        i64 row = 0;
        for (; row + 4 <= s->rows; row += 4)
            for (i64 c = at; c < LEAST(at + VEC, keys); c += VEC / 4) LOCAL_NAME(few_dots)(a, s, k, row, c, keys, 4);
        for (; row + 2 <= s->rows; row += 2)
            for (i64 c = at; c < LEAST(at + VEC, keys); c += VEC / 2) LOCAL_NAME(few_dots)(a, s, k, row, c, keys, 2);
        if (row < s->rows) LOCAL_NAME(few_dots)(a, s, k, row, at, keys, 1);
    }
}

// O += P V for `rows` rows and `count` vectors of columns; P's and V's rows are those of a run of keys.
WORD void LOCAL_NAME(few_add)(const attention_args *a, ACC *o, i64 width, const ACC *p, const T *v, i64 keys, const int rows, const int count)
{
    vec sum[8];
    UNROLL(4) for (int r = 0; r < rows; ++r)
        UNROLL(8) for (int i = 0; i < count; ++i) sum[r * count + i] = vec_read(o + r * width + i * VEC);
    for (i64 j = 0; j < keys; ++j, v += a->v.row) {
        vec value[8];
        UNROLL(8) for (int i = 0; i < count; ++i) value[i] = vec_load(v + i * VEC);
        UNROLL(4) for (int r = 0; r < rows; ++r) {
            const vec x = vec_splat(p[r * STRIDE + j]);
            UNROLL(8) for (int i = 0; i < count; ++i) sum[r * count + i] = vec_fma(x, value[i], sum[r * count + i]);
        }
    }
    UNROLL(4) for (int r = 0; r < rows; ++r)
        UNROLL(8) for (int i = 0; i < count; ++i) vec_write(o + r * width + i * VEC, sum[r * count + i]);
}

WORD void LOCAL_NAME(few_rows)(const attention_args *a, ACC *o, i64 width, const ACC *p, const T *v, i64 keys, const int rows)
{
    i64 d = 0;
    for (; d + 8 / rows * VEC <= a->dim; d += 8 / rows * VEC) LOCAL_NAME(few_add)(a, o + d, width, p, v + d, keys, rows, 8 / rows);
    for (; rows < 4 && d + 2 * VEC <= a->dim; d += 2 * VEC) LOCAL_NAME(few_add)(a, o + d, width, p, v + d, keys, rows, 2);
    for (; d + VEC <= a->dim; d += VEC) LOCAL_NAME(few_add)(a, o + d, width, p, v + d, keys, rows, 1);
    for (; d < a->dim; ++d)
        for (i64 j = 0; j < keys; ++j)
            for (int r = 0; r < rows; ++r) o[r * width + d] += p[r * STRIDE + j] * LOAD(v[j * a->v.row + d]);
}

static void LOCAL_NAME(few_values)(const attention_args *a, const struct LOCAL_NAME(step) *s, const T *v, i64 keys)
{
    for (i64 at = 0; at < keys; at += RUN) {
        const i64 count = LEAST(RUN, keys - at), ahead = LEAST(at + RUN, keys);
        const T *const run = v + at * a->v.row;
        LOCAL_NAME(fetch_rows)(v + ahead * a->v.row, a->v.row, LEAST(RUN, keys - ahead), a->dim);
        i64 row = 0;
        for (; row + 4 <= s->rows; row += 4)
            LOCAL_NAME(few_rows)(a, s->o + row * s->width, s->width, s->score + row * STRIDE + at, run, count, 4);
        for (; row + 2 <= s->rows; row += 2)
            LOCAL_NAME(few_rows)(a, s->o + row * s->width, s->width, s->score + row * STRIDE + at, run, count, 2);
        if (row < s->rows) LOCAL_NAME(few_rows)(a, s->o + row * s->width, s->width, s->score + row * STRIDE + at, run, count, 1);
    }
}

static void LOCAL_NAME(run_few)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 key, i64 keys)
{
    const T *const k = (const T *)a->k.data + LOCAL_NAME(key_offset)(&a->k, s->batch, s->key_head, key);
    const T *const v = (const T *)a->v.data + LOCAL_NAME(key_offset)(&a->v, s->batch, s->key_head, key);
    LOCAL_NAME(few_scores)(a, s, k, keys);
    for (i64 r = 0; r < s->rows; ++r) {
        ACC *const o = s->o + r * s->width;
        const ACC top = LOCAL_NAME(mask_row)(a, s, r, s->score + r * STRIDE, key, keys);
        LOCAL_NAME(soften_row)(a, s, r, s->score + r * STRIDE, key, keys, keys, top, s->factor + r);
        FOR_LANES(d, s->width) o[d] = key == s->key ? 0 : o[d] * s->factor[r];
    }
    LOCAL_NAME(few_values)(a, s, v, keys);
}
#undef RUN

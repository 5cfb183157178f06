// SPDX-License-Identifier: Apache-2.0
// Attention as in attention.k.c, on a matrix unit (see the dialect's tile words): bf16, scores and sums in f32.
//
// The workers' steps are those of attention.k.c. In a step the chunk's query rows are copied to scratch in tiles; then
//     for each block of keys: keys and values are copied as right tiles, in panels of 32 columns               (L2)
//         for every 32 query rows:
//             S = Q K^T panel by panel                                                                         (L1)
//             row by row: scale * S + mask, softened; P is rounded to bf16 and laid in tiles                   (L1)
//             O = O * factor + P V panel by panel, four tiles of O in registers
// Cost of 32 rows x 32 keys: 4 * dim / 32 multiplications of 16 cycles in each product, and 64 vectors of exponentials, which for
// heads of 32 are most of it. Measured on one Sapphire Rapids core, 2048 keys, heads of 64: 60 % softmax, most of it exponentials,
// 40 % products; with 128 keys and heads of 32 a fifth waits for memory. ATen's time is 1.1 to 1.7 times that.
//
// Defines: T (bf16), ACC (f32), VEC (16), MR (32), NV (2).
#include "attention_args.h"
#include "softmax_exp.h"
#include "dialect/cpu_tile.h"

#define NR (NV * VEC)
#define STRIDE (ATTENTION_DEPTH + ATTENTION_PAD)
#define PACKED T

_Static_assert(VEC == TILE_COLS && VEC == LANES_OF(ACC) && NV == 2 && MR == 2 * TILE_ROWS && NR == TILE_DEPTH, "2 x 2 tiles");

#include "attention_rows.c"
#include "attention_steps.c"
#include "tile_pack.c"

WORD i64 LOCAL_NAME(whole)(i64 n)
{
    return (n + NR - 1) / NR * NR;
}

// ---- products: C = A B or C + A B for 32 x 32 of C

struct LOCAL_NAME(product) {
    const PACKED *left, *right; // tiles along the depth; right ones two side by side
    ACC *c;
    i64 below;                  // halves from A's upper tiles to its lower ones
    i64 c_row, depth;
    int keep;                   // whether C holds anything
};

WORD void LOCAL_NAME(multiply)(const struct LOCAL_NAME(product) *p, const int tall)
{
    const i64 line = p->c_row * (i64)sizeof(ACC), dense = TILE_DEPTH * sizeof(T);
    ACC *const upper = p->c, *const lower = upper + TILE_ROWS * p->c_row;
    if (p->keep) {
        tile_load(0, upper, line);
        tile_load(1, upper + TILE_COLS, line);
        if (tall) tile_load(2, lower, line);
        if (tall) tile_load(3, lower + TILE_COLS, line);
    } else {
        tile_zero(0);
        tile_zero(1);
        if (tall) tile_zero(2);
        if (tall) tile_zero(3);
    }
    const PACKED *left = p->left, *right = p->right;
    for (i64 k = 0; k < p->depth; k += TILE_DEPTH, left += TILE_SIZE, right += 2 * TILE_SIZE) {
        tile_load(6, right, dense);
        tile_load(4, left, dense);
        tile_multiply(0, 4, 6);
        tile_load(7, right + TILE_SIZE, dense);
        tile_multiply(1, 4, 7);
        if (tall) tile_load(5, left + p->below, dense);
        if (tall) tile_multiply(2, 5, 6);
        if (tall) tile_multiply(3, 5, 7);
    }
    tile_store(0, upper, line);
    tile_store(1, upper + TILE_COLS, line);
    if (tall) tile_store(2, lower, line);
    if (tall) tile_store(3, lower + TILE_COLS, line);
}

// For each panel of `cols` columns; panels of B are `high` deep.
static void LOCAL_NAME(multiply_panels)(struct LOCAL_NAME(product) p, i64 rows, i64 cols, i64 high)
{
    for (i64 col = 0; col < cols; col += NR, p.right += NR * high, p.c += NR)
        if (rows > TILE_ROWS)
            LOCAL_NAME(multiply)(&p, 1);
        else
            LOCAL_NAME(multiply)(&p, 0);
}

// ---- copies

// A chunk's query rows as left tiles, with zeros around them.
static void LOCAL_NAME(take_queries)(const attention_args *a, const struct LOCAL_NAME(step) *s)
{
    for (i64 r = 0; r < LOCAL_NAME(whole)(s->rows); ++r) {
        PACKED *dst = s->q + r / TILE_ROWS * TILE_ROWS * s->width + r % TILE_ROWS * TILE_DEPTH;
        const i64 count = r < s->rows ? a->dim : 0, last = s->rows - 1;
        const T *const q = (const T *)a->q.data;
        const T *const src = q + LOCAL_NAME(row_offset)(a, &a->q, s->batch, s->key_head, s->row + LEAST(r, last));
        LOCAL_NAME(fetch_rows)(q + LOCAL_NAME(row_offset)(a, &a->q, s->batch, s->key_head, s->row + LEAST(r + AHEAD, last)), 0, 1, a->dim);
        for (i64 d = 0; d < s->width; d += TILE_DEPTH, dst += TILE_SIZE) {
            const i64 part = LOCAL_NAME(part)(count, d, TILE_DEPTH), n = part > 0 ? part : 0;
            if (n == TILE_DEPTH)
                copy_block(dst, src + d, TILE_DEPTH * sizeof(T));
            else
                SCALAR_LOOP for (i64 i = 0; i < TILE_DEPTH; ++i) dst[i] = i < n ? src[d + i] : (T){ 0 };
        }
    }
}

// depth x cols elements as right tiles, in panels of NR columns that are `high` deep: whole panels, with zeros around the elements.
static void LOCAL_NAME(copy_panels)(PACKED *dst, i64 high, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    for (i64 c = 0; c < LOCAL_NAME(whole)(cols); c += TILE_COLS)
        for (i64 k = 0; k < depth; k += TILE_DEPTH) {
            PACKED *const tile = dst + c / NR * NR * high + k * NR + c % NR / TILE_COLS * TILE_SIZE;
            const i64 deep = LOCAL_NAME(part)(depth, k, TILE_DEPTH), wide = LOCAL_NAME(part)(cols, c, TILE_COLS);
            LOCAL_NAME(pack_right)(tile, src + k * row + c * col, row, col, deep, wide);
        }
}

// ---- a block of keys

// row[i] *= factor
WORD void LOCAL_NAME(scale_row)(ACC *row, i64 count, ACC factor)
{
    const vec by = vec_splat(factor);
    for (i64 i = 0; i < count; i += VEC) vec_write(row + i, vec_mul(by, vec_read(row + i)));
}

// Scores to weights: rows of a left tile, tiles along the keys. Until a row's factor is known its place holds the new top.
static void LOCAL_NAME(soften_rows)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 row, i64 rows, i64 key, i64 keys, i64 padded)
{
    for (i64 r = 0; r < rows; ++r) {
        ACC *const score = s->score + r * STRIDE;
        LOCAL_NAME(scale_row)(score, padded, (ACC)a->scale);
        s->factor[r] = LOCAL_NAME(mask_row)(a, s, row + r, score, key, keys);
    }
    for (i64 r = 0; r < rows; ++r) {
        const ACC *const score = s->score + r * STRIDE;
        PACKED *to = s->weights + r / TILE_ROWS * TILE_ROWS * ATTENTION_DEPTH + r % TILE_ROWS * TILE_DEPTH;
        LOCAL_NAME(soften_row)(a, s, row + r, s->score + r * STRIDE, key, keys, padded, s->factor[r], s->factor + r);
        for (i64 j = 0; j < padded; j += TILE_DEPTH, to += TILE_SIZE) tile_round_line(to, vec_read(score + j), vec_read(score + j + VEC));
        if (key > s->key) LOCAL_NAME(scale_row)(s->o + (row + r) * s->width, s->width, s->factor[r]);
    }
}

// Up to MR rows from `row` of the step on.
static void LOCAL_NAME(run_rows)(const attention_args *a, const struct LOCAL_NAME(step) *s, i64 row, i64 key, i64 keys)
{
    const i64 rows = LEAST(MR, s->rows - row), needed = LOCAL_NAME(keys_seen_by)(a, s->row + row, rows, key + keys) - key;
    const i64 padded = LOCAL_NAME(whole)(needed);
    if (needed <= 0) return;
    const struct LOCAL_NAME(product) scores = { .left = s->q + row * s->width, .below = TILE_ROWS * s->width, .right = s->keys, .c = s->score,
        .c_row = STRIDE, .depth = s->width };
    LOCAL_NAME(multiply_panels)(scores, rows, padded, s->width);
    LOCAL_NAME(soften_rows)(a, s, row, rows, key, keys, padded);
    const struct LOCAL_NAME(product) add_values = { .left = s->weights, .below = TILE_ROWS * ATTENTION_DEPTH, .right = s->values,
        .c = s->o + row * s->width, .c_row = s->width, .depth = padded, .keep = key > s->key };
    LOCAL_NAME(multiply_panels)(add_values, rows, s->width, LOCAL_NAME(whole)(keys));
}

static void LOCAL_NAME(run_step)(const attention_args *a, const struct LOCAL_NAME(step) *s)
{
    LOCAL_NAME(take_queries)(a, s);
    for (i64 r = 0; r < s->rows; ++r) {
        s->top[r] = LOWEST;
        s->sum[r] = 0;
    }
    const i64 end = LOCAL_NAME(keys_seen_by)(a, s->row, s->rows, s->end);
    for (i64 key = s->key; key < end; key += a->block_keys) {
        const i64 keys = LEAST(a->block_keys, end - key);
        const T *const k = (const T *)a->k.data + LOCAL_NAME(key_offset)(&a->k, s->batch, s->key_head, key);
        const T *const v = (const T *)a->v.data + LOCAL_NAME(key_offset)(&a->v, s->batch, s->key_head, key);
        LOCAL_NAME(fetch_rows)(v, a->v.row, keys, a->dim);
        LOCAL_NAME(copy_panels)(s->keys, s->width, k, 1, a->k.row, a->dim, keys);
        LOCAL_NAME(copy_panels)(s->values, LOCAL_NAME(whole)(keys), v, a->v.row, 1, keys, a->dim);
        for (i64 row = 0; row < s->rows; row += MR) LOCAL_NAME(run_rows)(a, s, row, key, keys);
    }
    LOCAL_NAME(finish)(a, s);
}

// Scratch: O, scores, then top, sum and factor of each row; Q, keys, values and weights.
static void LOCAL_NAME(place_scratch)(const attention_args *a, struct LOCAL_NAME(step) *s, i64 worker, i64 chunk)
{
    const i64 high = LOCAL_NAME(whole)(chunk);
    s->width = LOCAL_NAME(width_of)(a);
    s->o = (ACC *)((char *)a->scratch + worker * a->scratch_stride);
    s->score = s->o + high * s->width;
    s->top = s->score + MR * STRIDE;
    s->sum = s->top + high;
    s->factor = s->sum + high;
    s->q = (PACKED *)(s->factor + MR);
    s->keys = s->q + high * s->width;
    s->values = s->keys + a->block_keys * s->width;
    s->weights = s->values + a->block_keys * s->width;
}

KERNEL(attention_args, a)
{
    if (a->combining) {
        LOCAL_NAME(join_row)(a, group_id());
        return;
    }
    tile_begin();
    LOCAL_NAME(run_steps)(a, group_id());
    tile_end();
}
#undef NR
#undef STRIDE
#undef PACKED
#undef LEAST
#undef LOAD
#undef AHEAD
#undef LOWEST
#undef MAX

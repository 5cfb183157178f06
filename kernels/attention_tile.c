// SPDX-License-Identifier: Apache-2.0
// What the attention kernels on vectors share: products of tiles in scratch and copies that bring operands there. No header, since it
// is included once for each specialisation.
//
// All products are C = keep * C + A B for a tile of C of up to MR x NR, NR = NV * VEC sums in registers. A's rows lie
// STRIDE apart, a constant, so that a tile's broadcasts need one pointer; or A lies transposed, its columns STRIDE
// apart, and a tile's broadcasts are neighbours. B's rows may be any distance apart.
// Defines: T, ACC, VEC, MR (6 to 14), NV. MR * NV + NV + 1 vectors have to fit the registers.
#define NR (NV * VEC)
#define STRIDE (ATTENTION_DEPTH + ATTENTION_PAD)

_Static_assert(VEC == LANES_OF(ACC), "a vector fills a register");

#include "attention_rows.c"

struct LOCAL_NAME(product) {
    const ACC *left, *right;
    ACC *c;
    const ACC *keep;      // a factor for each row of what C holds; null: C holds nothing
    i64 right_row, c_row; // distances of B's and C's rows
    i64 depth;
};

WORD void LOCAL_NAME(multiply)(const struct LOCAL_NAME(product) *p, const int rows, const int transposed)
{
    vec sum[MR][NV];
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < NV; ++v)
            sum[r][v] = p->keep ? vec_mul(vec_splat(p->keep[r]), vec_read(p->c + r * p->c_row + v * VEC)) : vec_zero();

    const ACC *left = p->left, *right = p->right;
    const i64 right_row = p->right_row;
    for (i64 k = p->depth; k > 0; --k, left += transposed ? STRIDE : 1, right += right_row) {
        vec panel[NV];
        UNROLL(4) for (int v = 0; v < NV; ++v) panel[v] = vec_read(right + v * VEC);
        UNROLL(16) for (int r = 0; r < rows; ++r) {
            const vec x = vec_splat(left[transposed ? r : r * STRIDE]);
            UNROLL(4) for (int v = 0; v < NV; ++v) sum[r][v] = vec_fma(x, panel[v], sum[r][v]);
        }
    }
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < NV; ++v) vec_write(p->c + r * p->c_row + v * VEC, sum[r][v]);
}

// The number of rows has to be a constant where sums live in registers.
#define MULTIPLY_ROWS(transposed)                                            \
    switch (rows) {                                                          \
    case 1: LOCAL_NAME(multiply)(p, 1, transposed); break;                   \
    case 2: LOCAL_NAME(multiply)(p, 2, transposed); break;                   \
    case 3: LOCAL_NAME(multiply)(p, 3, transposed); break;                   \
    case 4: LOCAL_NAME(multiply)(p, 4, transposed); break;                   \
    case 5: LOCAL_NAME(multiply)(p, 5, transposed); break;                   \
    case 6: LOCAL_NAME(multiply)(p, 6, transposed); break;                   \
    MULTIPLY_MORE(transposed)                                                \
    default: break;                                                          \
    }
#if MR > 6
#define MULTIPLY_MORE(transposed)                                            \
    case 7: LOCAL_NAME(multiply)(p, 7, transposed); break;                   \
    case 8: LOCAL_NAME(multiply)(p, 8, transposed); break;                   \
    case 9: LOCAL_NAME(multiply)(p, 9, transposed); break;                   \
    case 10: LOCAL_NAME(multiply)(p, 10, transposed); break;                 \
    case 11: LOCAL_NAME(multiply)(p, 11, transposed); break;                 \
    case 12: LOCAL_NAME(multiply)(p, 12, transposed); break;                 \
    case 13: LOCAL_NAME(multiply)(p, 13, transposed); break;                 \
    case 14: LOCAL_NAME(multiply)(p, 14, transposed); break;
#else
#define MULTIPLY_MORE(transposed)
#endif

static void LOCAL_NAME(multiply_tile)(const struct LOCAL_NAME(product) *p, i64 rows)
{
    MULTIPLY_ROWS(0)
}

// Rows in tiles, evenly as many each; work on them takes tiles [first, last) at a time.
struct LOCAL_NAME(tiles) {
    i64 first, last, count, even, longer; // the first `longer` tiles have one row more
};
WORD struct LOCAL_NAME(tiles) LOCAL_NAME(tiles_of)(i64 rows)
{
    const i64 count = (rows + MR - 1) / MR;
    return (struct LOCAL_NAME(tiles)){ .count = count, .even = rows / count, .longer = rows % count };
}
WORD i64 LOCAL_NAME(tile_row)(const struct LOCAL_NAME(tiles) *t, i64 tile)
{
    return tile * t->even + LEAST(tile, t->longer);
}
WORD i64 LOCAL_NAME(tile_rows)(const struct LOCAL_NAME(tiles) *t, i64 tile)
{
    return t->even + (tile < t->longer);
}

// ---- copies: rows of T become rows of ACC

// dst[r * dst_row + c] = factor * src[r * src_row + c], and zeros up to `padded` columns.
WORD void LOCAL_NAME(copy_rows)(ACC *dst, i64 dst_row, const T *src, i64 src_row, i64 rows, i64 cols, i64 padded, ACC factor)
{
    for (i64 r = 0; r < rows; ++r, dst += dst_row, src += src_row) {
        i64 c = 0;
        for (; c + VEC <= cols; c += VEC) vec_write(dst + c, vec_mul(vec_splat(factor), vec_load(src + c)));
        for (; c < cols; ++c) dst[c] = factor * LOAD(src[c]);
        for (; c < padded; ++c) dst[c] = 0;
    }
}

// Up to VEC rows become columns of a panel, the missing ones zeros: dst[c * NR + r] = src[r * src_row + c].
WORD void LOCAL_NAME(copy_columns)(ACC *dst, const T *src, i64 src_row, const i64 rows, i64 depth)
{
    i64 c = 0;
    for (; c + VEC <= depth; c += VEC) {
        vec square[VEC];
        UNROLL(16) FOR_VEC(k) square[k] = k < rows ? vec_load(src + k * src_row + c) : vec_zero();
        vec_transpose(square);
        UNROLL(16) FOR_VEC(k) vec_write(dst + (c + k) * NR, square[k]);
    }
    for (; c < depth; ++c)
        for (i64 k = 0; k < VEC; ++k) dst[c * NR + k] = k < rows ? LOAD(src[k * src_row + c]) : 0;
}

// Rows become columns of panels of NR, `depth` deep, one after the other; the last panel is filled up with zeros.
static void LOCAL_NAME(copy_panels)(ACC *dst, const T *src, i64 src_row, i64 rows, i64 depth)
{
    i64 r = 0;
    for (; r + VEC <= rows; r += VEC, src += VEC * src_row) {
        LOCAL_NAME(fetch_rows)(src + VEC * src_row, src_row, LEAST(VEC, rows - r - VEC), depth);
        LOCAL_NAME(copy_columns)(dst + r / NR * depth * NR + r % NR, src, src_row, VEC, depth);
    }
    for (; r < rows || r % NR; r += VEC)
        LOCAL_NAME(copy_columns)(dst + r / NR * depth * NR + r % NR, src, src_row, r < rows ? rows - r : 0, depth);
}

// ---- products of many tiles: those of [t->first, t->last); tile i needs the block's first needed[i - t->first] keys

// c = rows * panels^T; panels are `depth` deep.
static void LOCAL_NAME(multiply_panels)(const struct LOCAL_NAME(tiles) *t, const ACC *rows, const ACC *panels, i64 depth, ACC *c, i64 keys,
                                        const i64 *needed)
{
    struct LOCAL_NAME(product) p = { .keep = 0, .right_row = NR, .c_row = STRIDE, .depth = depth };
    const i64 first = LOCAL_NAME(tile_row)(t, t->first);
    for (i64 col = 0; col < keys; col += NR)
        for (i64 tile = t->first; tile < t->last; ++tile) {
            if (col >= needed[tile - t->first]) continue;
            const i64 row = LOCAL_NAME(tile_row)(t, tile) - first;
            p.left = rows + row * STRIDE;
            p.right = panels + col * depth;
            p.c = c + row * STRIDE + col;
            LOCAL_NAME(multiply_tile)(&p, LOCAL_NAME(tile_rows)(t, tile));
        }
}

// c = keep * c + weights * right: `all` is the product of the first row, `width` columns wide; row r keeps keep[r * keep_step].
static void LOCAL_NAME(add_products)(const struct LOCAL_NAME(tiles) *t, const struct LOCAL_NAME(product) *all, i64 width, i64 keep_step,
                                     const i64 *needed)
{
    struct LOCAL_NAME(product) p = *all;
    const i64 first = LOCAL_NAME(tile_row)(t, t->first);
    for (i64 col = 0; col < width; col += NR)
        for (i64 tile = t->first; tile < t->last; ++tile) {
            const i64 row = LOCAL_NAME(tile_row)(t, tile) - first;
            p.depth = needed[tile - t->first];
            if (p.depth <= 0) continue;
            p.left = all->left + row * STRIDE;
            p.right = all->right + col;
            p.c = all->c + row * all->c_row + col;
            p.keep = all->keep ? all->keep + row * keep_step : 0;
            LOCAL_NAME(multiply_tile)(&p, LOCAL_NAME(tile_rows)(t, tile));
        }
}

// ---- query rows

// Keys of a block that a tile needs, the tile's rows counted from `row`.
WORD i64 LOCAL_NAME(tile_keys)(const attention_args *a, const struct LOCAL_NAME(tiles) *t, i64 row, i64 tile, i64 key, i64 keys)
{
    return LOCAL_NAME(keys_seen_by)(a, row + LOCAL_NAME(tile_row)(t, tile), LOCAL_NAME(tile_rows)(t, tile), key + keys) - key;
}

// Query rows of a view to scratch, STRIDE apart, times a factor and with zeros up to `padded` columns.
static void LOCAL_NAME(take_rows)(const attention_args *a, const attention_view *view, i64 batch, i64 key_head, i64 row, i64 rows, ACC *dst,
                                  i64 padded, ACC factor)
{
    const T *const src = (const T *)view->data;
    for (i64 r = 0; r < rows; ++r, dst += STRIDE) {
        const i64 at = LOCAL_NAME(row_offset)(a, view, batch, key_head, row + r);
        const i64 ahead = LOCAL_NAME(row_offset)(a, view, batch, key_head, row + LEAST(r + AHEAD, rows - 1));
        LOCAL_NAME(fetch_rows)(src + ahead, 0, 1, a->dim);
        if (view->element == 1)
            LOCAL_NAME(copy_rows)(dst, 0, src + at, 0, 1, a->dim, padded, factor);
        else
            for (i64 d = 0; d < padded; ++d) dst[d] = d < a->dim ? factor * LOAD(src[at + d * view->element]) : 0;
    }
}

// SPDX-License-Identifier: Apache-2.0
// C = beta * input + alpha * A B, batched; A is (m,k), B (k,n), C and input (m,n), each with any strides.
//
// A group is a worker: it takes an even share of the steps, a step being a block_m x block_n block of one batch's C.
//     for each pass of block_k along k:
//         A's rows of the pass are copied to scratch as ACC, A_STRIDE apart              (stays in L2)
//         for each panel of NR = NV * VEC columns:
//             B's panel of the pass is copied to scratch as ACC, NR apart, zero-padded   (stays in L1)
//             for each tile of up to MR rows: MR x NR sums in registers over the pass
// Sums of a pass that is not the last wait in scratch, one tile after the other; the last pass scales, adds the input,
// rounds once and stores. Where several steps need the same columns, B is packed once, by a launch that comes before.
// Copying makes every layout and dtype the same inner loop: per k, NV loads, MR broadcasts and MR * NV multiply-adds.
// Rows of A need no panels, since their distance is a constant; so tiles share the rows of a block evenly and none is
// nearly empty. The order of the sums depends on k and block_k only, not on the workers.
// f32 on one Zen 3 core, 6 x 16 tiles: 97 % of the multiply-add peak in L2, 80 to 90 % from memory; MKL's speed.
//
// Defines: T, ACC, VEC, MR (at most 14), NV, KC. MR * NV + NV + 1 vectors have to fit the registers.
#include "matmul_args.h"

#define NR (NV * VEC)
#define A_STRIDE (KC + MATMUL_PAD)
#define PACKED ACC
#define FINISH_STORE vec_store

_Static_assert(VEC == LANES_OF(ACC), "a vector fills a register");

#include "matmul_tile.c"

// ---- packing: dst[r * stride + c] = src[r * row + c * col]

WORD void LOCAL_NAME(copy_each)(ACC *dst, i64 stride, const T *src, i64 row, i64 col, i64 r0, i64 r1, i64 c0, i64 c1)
{
    for (i64 r = r0; r < r1; ++r)
        for (i64 c = c0; c < c1; ++c) dst[r * stride + c] = (ACC)CAT(load_, T)(src[r * row + c * col]);
}

// What lies behind a row is the row's part of the next panel: it is on its way when that panel's turn comes.
WORD void LOCAL_NAME(copy_rows)(ACC *dst, i64 stride, const T *src, i64 row, i64 rows, i64 cols)
{
    for (i64 r = 0; r < rows; ++r) {
        i64 c = 0;
        prefetch_read(src + r * row + cols);
        for (; c + VEC <= cols; c += VEC) vec_write(dst + r * stride + c, vec_load(src + r * row + c));
        for (; c < cols; ++c) dst[r * stride + c] = (ACC)CAT(load_, T)(src[r * row + c]);
    }
}

WORD void LOCAL_NAME(copy_transposed)(ACC *dst, i64 stride, const T *src, i64 col, i64 rows, i64 cols)
{
    const i64 whole_rows = rows - rows % VEC, whole_cols = cols - cols % VEC;
    for (i64 c = 0; c < whole_cols; c += VEC)
        for (i64 r = 0; r < whole_rows; r += VEC) {
            vec square[VEC];
            UNROLL(16) FOR_VEC(k) square[k] = vec_load(src + r + (c + k) * col);
            vec_transpose(square);
            UNROLL(16) FOR_VEC(k) vec_write(dst + (r + k) * stride + c, square[k]);
        }
    LOCAL_NAME(copy_each)(dst, stride, src, 1, col, whole_rows, rows, 0, whole_cols);
    LOCAL_NAME(copy_each)(dst, stride, src, 1, col, 0, rows, whole_cols, cols);
}

WORD void LOCAL_NAME(copy)(ACC *dst, i64 stride, const T *src, i64 row, i64 col, i64 rows, i64 cols)
{
    if (col == 1)
        LOCAL_NAME(copy_rows)(dst, stride, src, row, rows, cols);
    else if (row == 1)
        LOCAL_NAME(copy_transposed)(dst, stride, src, col, rows, cols);
    else
        LOCAL_NAME(copy_each)(dst, stride, src, row, col, 0, rows, 0, cols);
}

static void LOCAL_NAME(pack_rows)(ACC *dst, const T *src, i64 row, i64 col, i64 rows, i64 depth)
{
    LOCAL_NAME(copy)(dst, A_STRIDE, src, row, col, rows, depth);
}

static void LOCAL_NAME(pack_panel)(ACC *dst, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    if (cols == NR) { // a constant for the compiler
        LOCAL_NAME(copy)(dst, NR, src, row, col, depth, NR);
        return;
    }
    LOCAL_NAME(copy)(dst, NR, src, row, col, depth, cols);
    for (i64 k = 0; k < depth; ++k)
        for (i64 c = cols; c < NR; ++c) dst[k * NR + c] = 0;
}

// ---- a tile

WORD void LOCAL_NAME(multiply)(const struct LOCAL_NAME(tile) *tile, const int rows)
{
    vec sum[MR][NV];
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < NV; ++v)
            sum[r][v] = tile->first ? vec_zero() : vec_read(tile->sums + r * NR + v * VEC);
    if (tile->direct) UNROLL(16) for (int r = 0; r < rows; ++r) prefetch_write(tile->direct + r * tile->direct_row);

    const ACC *left = tile->left, *right = tile->right;
    for (i64 k = tile->depth; k > 0; --k, ++left, right += NR) {
        vec panel[NV];
        UNROLL(4) for (int v = 0; v < NV; ++v) panel[v] = vec_read(right + v * VEC);
        UNROLL(16) for (int r = 0; r < rows; ++r) {
            const vec x = vec_splat(left[r * A_STRIDE]);
            UNROLL(4) for (int v = 0; v < NV; ++v) sum[r][v] = vec_fma(x, panel[v], sum[r][v]);
        }
    }
    if (tile->direct) {
        UNROLL(16) for (int r = 0; r < rows; ++r)
            UNROLL(4) for (int v = 0; v < NV; ++v) vec_store(tile->direct + r * tile->direct_row + v * VEC, sum[r][v]);
        return;
    }
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < NV; ++v) vec_write(tile->sums + r * NR + v * VEC, sum[r][v]);
}

// The number of rows has to be a constant where sums live in registers.
static void LOCAL_NAME(multiply_tile)(const struct LOCAL_NAME(tile) *tile)
{
    switch (tile->rows) {
    case 1: LOCAL_NAME(multiply)(tile, 1); break;
    case 2: LOCAL_NAME(multiply)(tile, 2); break;
    case 3: LOCAL_NAME(multiply)(tile, 3); break;
    case 4: LOCAL_NAME(multiply)(tile, 4); break;
#if MR > 4
    case 5: LOCAL_NAME(multiply)(tile, 5); break;
    case 6: LOCAL_NAME(multiply)(tile, 6); break;
#endif
#if MR > 6
    case 7: LOCAL_NAME(multiply)(tile, 7); break;
    case 8: LOCAL_NAME(multiply)(tile, 8); break;
    case 9: LOCAL_NAME(multiply)(tile, 9); break;
    case 10: LOCAL_NAME(multiply)(tile, 10); break;
    case 11: LOCAL_NAME(multiply)(tile, 11); break;
    case 12: LOCAL_NAME(multiply)(tile, 12); break;
    case 13: LOCAL_NAME(multiply)(tile, 13); break;
    case 14: LOCAL_NAME(multiply)(tile, 14); break;
#endif
    default: break;
    }
}

// All tiles of a panel. Those whose sums are C's elements as they are store them straight from registers.
static void LOCAL_NAME(run_panel)(const matmul_args *a, const struct LOCAL_NAME(step) *step, struct LOCAL_NAME(tile) *tile,
                                  const ACC *left)
{
    const matmul_view *out = &a->c;
    const i64 tiles = (step->rows + MR - 1) / MR;
    const i64 even = step->rows / tiles, longer = step->rows % tiles; // the first `longer` tiles have one row more
    const int direct = tile->last && !a->input.data && SCALE(alpha) == 1 && tile->cols == NR && out->col == 1;
    T *const c = (T *)out->data + step->batch * out->batch + step->row * out->row + tile->col * out->col;
    tile->direct_row = out->row;
    for (i64 t = 0, row = 0; t < tiles; ++t, row += tile->rows) {
        tile->left = left + row * A_STRIDE;
        tile->direct = direct ? c + row * out->row : 0;
        tile->row = step->row + row;
        tile->rows = even + (t < longer);
        LOCAL_NAME(multiply_tile)(tile);
        if (tile->last && !direct) LOCAL_NAME(finish_rows)(a, tile, step->batch, 0, tile->rows);
        tile->sums += tile->sums_step;
    }
}

WORD i64 LOCAL_NAME(passes)(const matmul_args *a)
{
    return (a->k + a->block_k - 1) / a->block_k;
}

// Where the panel of columns `col`.. of pass k waits, if B was packed by an earlier launch.
WORD PACKED *LOCAL_NAME(packed_panel)(const matmul_args *a, i64 batch, i64 k, i64 col)
{
    const i64 panels = (a->n + NR - 1) / NR;
    const i64 index = (batch * LOCAL_NAME(passes)(a) + k / a->block_k) * panels + col / NR;
    return (PACKED *)a->packed + index * a->block_k * NR;
}

static void LOCAL_NAME(run_step)(const matmul_args *a, const struct LOCAL_NAME(step) *step, PACKED *scratch)
{
    PACKED *const panel = scratch, *const left = panel + KC * NR;
    ACC *const sums = (ACC *)(left + a->block_m * A_STRIDE);
    const T *const a_data = (const T *)a->a.data + step->batch * a->a.batch + step->row * a->a.row;
    const T *const b_data = (const T *)a->b.data + step->batch * a->b.batch + step->col * a->b.col;

    for (i64 k = 0; k == 0 || k < a->k; k += a->block_k) {
        struct LOCAL_NAME(tile) tile;
        tile.depth = a->k - k < a->block_k ? a->k - k : a->block_k;
        tile.first = k == 0;
        tile.last = k + tile.depth >= a->k;
        tile.sums = sums;
        tile.sums_step = tile.first && tile.last ? 0 : MR * NR;
        LOCAL_NAME(pack_rows)(left, a_data + k * a->a.col, a->a.row, a->a.col, step->rows, tile.depth);
        for (i64 col = 0; col < step->cols; col += NR) {
            tile.cols = step->cols - col < NR ? step->cols - col : NR;
            tile.col = step->col + col;
            tile.right = a->packed ? LOCAL_NAME(packed_panel)(a, step->batch, k, tile.col) : panel;
            if (!a->packed)
                LOCAL_NAME(pack_panel)(panel, b_data + k * a->b.row + col * a->b.col, a->b.row, a->b.col, tile.depth, tile.cols);
            LOCAL_NAME(run_panel)(a, step, &tile, left);
        }
    }
}

// ---- shares of the workers

#include "matmul_steps.c"

WORD void LOCAL_NAME(pack_share)(const matmul_args *a, i64 worker)
{
    const i64 passes = LOCAL_NAME(passes)(a), panels = (a->n + NR - 1) / NR;
    const i64 count = a->batch * passes * panels, end = count * (worker + 1) / a->workers;
    for (i64 i = count * worker / a->workers; i < end; ++i) {
        const i64 batch = i / panels / passes, k = i / panels % passes * a->block_k, col = i % panels * NR;
        const i64 depth = a->k - k < a->block_k ? a->k - k : a->block_k, cols = a->n - col < NR ? a->n - col : NR;
        const T *src = (const T *)a->b.data + batch * a->b.batch + k * a->b.row + col * a->b.col;
        LOCAL_NAME(pack_panel)(LOCAL_NAME(packed_panel)(a, batch, k, col), src, a->b.row, a->b.col, depth, cols);
    }
}

KERNEL(matmul_args, a)
{
    if (a->packing)
        LOCAL_NAME(pack_share)(a, group_id());
    else
        LOCAL_NAME(run_steps)(a, group_id());
}
#undef NR
#undef A_STRIDE
#undef PACKED
#undef FINISH_STORE
#undef SCALE

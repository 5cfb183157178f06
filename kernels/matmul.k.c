// SPDX-License-Identifier: Apache-2.0
// C = beta * input + alpha * A B, batched; A is (m,k), B (k,n), C and input (m,n), each with any strides.
//
// A group is a worker: it takes an even share of the steps, a step being a block_m x block_n block of one batch's C.
//     for each pass of block_k along k:
//         A's rows of the pass are copied to scratch as ACC, unless they are read where they lie   (stays in L2)
//         for each panel of NR = NV * VEC columns:
//             B's panel of the pass is copied to scratch as ACC, NR apart, zero-padded, or read where it lies
//             for each tile of up to MR rows: MR x NR sums in registers over the pass
// Sums of a pass that is not the last wait in scratch, one tile after the other; the last pass scales, adds the input,
// rounds once and stores, from registers where it can. Where several blocks of rows need the same columns, B is packed once,
// by a launch that comes before.
// Every layout and dtype gets the same inner loop: per k, NV loads, MR broadcasts and MR * NV multiply-adds. Rows of A need no
// panels, so tiles share the rows of a block evenly and none is nearly empty. The order of the sums depends on k and block_k
// only, not on the workers.
// While a tile is multiplied it brings its share of what comes next, B's next panel or the next step's rows, to the caches: one
// prefetch for each k. Reading as it came, the first tile of a panel waited for L3, a seventh of all time; batches even longer.
// Share of the multiply-add peak on an AVX-512 Xeon (48 KB L1, 2 MB L2), f32, 9 x 48 tiles: operands in L1 or L2 0.95 to 1.0,
// 256 to 512 cubed 0.8 to 0.95, MiniLM's layers 0.75 to 0.9, 1024 cubed 0.75; MKL's speed but for sides all beyond 512 (0.93).
// Zen 3, f32, 6 x 16 tiles with A and B always copied: 97 % of the peak in L2, 80 to 90 % from memory; MKL's speed.
//
// Defines: T, ACC, VEC, MR (at most 9), NV (at most 3). MR * NV + NV + 1 vectors have to fit the registers.
#include "matmul_args.h"

#define NR (NV * VEC)
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
        for (i64 ahead = 0; ahead < cols; ahead += LINE_BYTES / (i64)sizeof(T)) prefetch_read(src + r * row + cols + ahead);
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

static void LOCAL_NAME(pack_panel)(ACC *dst, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    if (cols == NR) { // a constant for the compiler
        LOCAL_NAME(copy)(dst, NR, src, row, col, depth, NR);
        return;
    }
    LOCAL_NAME(copy)(dst, NR, src, row, col, depth, cols);
    for (i64 k = 0; k < depth; ++k)
        for (i64 c = cols; c % VEC; ++c) dst[k * NR + c] = 0;
}

// ---- a tile

// The results of a tile of whole vectors: alpha * sums + beta * input.
WORD void LOCAL_NAME(store)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, vec (*sum)[NV], const int rows, const int vectors)
{
    const vec alpha = vec_splat(SCALE(alpha)), beta = vec_splat(SCALE(beta));
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < vectors; ++v) {
            vec y = vec_mul(alpha, sum[r][v]);
            if (tile->input) y = vec_fma(beta, vec_load(tile->input + r * a->input.row + v * VEC), y);
            vec_store(tile->direct + r * a->c.row + v * VEC, y);
        }
}

WORD void LOCAL_NAME(multiply)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, const int rows, const int vectors)
{
    vec sum[MR][NV];
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < vectors; ++v) sum[r][v] = vec_zero();
    if (tile->direct)
        UNROLL(16) for (int r = 0; r < rows; ++r)
            UNROLL(4) for (int v = 0; v < vectors; ++v) prefetch_write(tile->direct + r * a->c.row + v * VEC);

    const ACC *left = tile->left, *right = tile->right;
    const i64 left_row = tile->left_row, right_row = tile->right_row;
    const char *ahead = tile->ahead;
    const i64 ahead_step = tile->ahead_step;
    for (i64 k = tile->depth; k > 0; --k, ++left, right += right_row, ahead += ahead_step) {
        prefetch_read(ahead);
        vec panel[NV];
        UNROLL(4) for (int v = 0; v < vectors; ++v) panel[v] = vec_read(right + v * VEC);
        UNROLL(16) for (int r = 0; r < rows; ++r) {
            const vec x = vec_splat(left[r * left_row]);
            UNROLL(4) for (int v = 0; v < vectors; ++v) sum[r][v] = vec_fma(x, panel[v], sum[r][v]);
        }
    }
    if (!tile->first) // by now: at the start the multiply-adds would wait for them
        UNROLL(16) for (int r = 0; r < rows; ++r)
            UNROLL(4) for (int v = 0; v < vectors; ++v) sum[r][v] = vec_add(sum[r][v], vec_read(tile->sums + r * NR + v * VEC));
    if (tile->direct) {
        LOCAL_NAME(store)(a, tile, sum, rows, vectors);
        return;
    }
    UNROLL(16) for (int r = 0; r < rows; ++r)
        UNROLL(4) for (int v = 0; v < vectors; ++v) vec_write(tile->sums + r * NR + v * VEC, sum[r][v]);
}

// The numbers of rows and vectors have to be constants where sums live in registers.
WORD void LOCAL_NAME(multiply_rows)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, const int vectors)
{
    switch (tile->rows) {
    case 1: LOCAL_NAME(multiply)(a, tile, 1, vectors); break;
    case 2: LOCAL_NAME(multiply)(a, tile, 2, vectors); break;
    case 3: LOCAL_NAME(multiply)(a, tile, 3, vectors); break;
    case 4: LOCAL_NAME(multiply)(a, tile, 4, vectors); break;
    case 5: LOCAL_NAME(multiply)(a, tile, 5, vectors); break;
    case 6: LOCAL_NAME(multiply)(a, tile, 6, vectors); break;
#if MR > 6
    case 7: LOCAL_NAME(multiply)(a, tile, 7, vectors); break;
    case 8: LOCAL_NAME(multiply)(a, tile, 8, vectors); break;
    case 9: LOCAL_NAME(multiply)(a, tile, 9, vectors); break;
#endif
    default: break;
    }
}

static void LOCAL_NAME(multiply_tile)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile)
{
    switch ((tile->cols + VEC - 1) / VEC) {
    case 1: LOCAL_NAME(multiply_rows)(a, tile, 1); break;
    case 2: LOCAL_NAME(multiply_rows)(a, tile, 2); break;
#if NV > 2
    case 3: LOCAL_NAME(multiply_rows)(a, tile, 3); break;
#endif
    default: break;
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

// What tile `t` of so many brings to the caches while it is multiplied, a byte for each k, ahead_step apart: its share of the
// next panel of B, or of the rows or columns which that will be packed from; during the last panel, dense rows of the next step.
WORD void LOCAL_NAME(look_ahead)(const matmul_args *a, const struct LOCAL_NAME(step) *step, i64 k, struct LOCAL_NAME(tile) *tile, i64 t,
                                 i64 tiles)
{
    const i64 col = tile->col + NR, cols = a->n - col < NR ? a->n - col : NR, size = sizeof(T);
    const T *const b = (const T *)a->b.data + step->batch * a->b.batch + k * a->b.row + col * a->b.col;
    tile->ahead = (const char *)tile->right;
    tile->ahead_step = 0;
    if (col >= step->col + step->cols) {
        if (a->left_row || a->a.row != tile->depth) return;
        tile->ahead = (const char *)(tile->left + (step->rows < a->m ? step->rows * a->a.row : a->a.batch));
        tile->ahead_step = tile->rows * size;
    } else if (a->packed) {
        tile->ahead_step = (NR * sizeof(PACKED) + tiles - 1) / tiles;
        tile->ahead = (const char *)LOCAL_NAME(packed_panel)(a, step->batch, k, col) + t * tile->depth * tile->ahead_step;
    } else if (a->b.row == 1 && t < cols) {
        tile->ahead = (const char *)(b + t * a->b.col);
        tile->ahead_step = size;
    } else if (a->b.row != 1 && t * LINE_BYTES < cols * size) {
        tile->ahead = (const char *)b + t * LINE_BYTES;
        tile->ahead_step = a->b.row * size;
    }
}

// All tiles of a panel. The results of whole vectors go to dense rows of C straight from registers.
static void LOCAL_NAME(run_panel)(const matmul_args *a, const struct LOCAL_NAME(step) *step, struct LOCAL_NAME(tile) *tile, i64 k)
{
    const matmul_view *in = &a->input, *out = &a->c;
    const i64 tiles = (step->rows + MR - 1) / MR;
    const i64 even = step->rows / tiles, longer = step->rows % tiles; // the first `longer` tiles have one row more
    const int direct = tile->last && tile->cols % VEC == 0 && out->col == 1 && (!in->data || in->col == 1);
    T *const c = (T *)out->data + step->batch * out->batch + step->row * out->row + tile->col * out->col;
    const T *const input = (const T *)in->data + step->batch * in->batch + step->row * in->row + tile->col * in->col;
    for (i64 t = 0, row = 0; t < tiles; ++t, row += tile->rows) {
        tile->direct = direct ? c + row * out->row : 0;
        tile->input = in->data ? input + row * in->row : 0;
        tile->row = step->row + row;
        tile->rows = even + (t < longer);
        LOCAL_NAME(look_ahead)(a, step, k, tile, t, tiles);
        LOCAL_NAME(multiply_tile)(a, tile);
        if (tile->last && !direct) LOCAL_NAME(finish_rows)(a, tile, step->batch, 0, tile->rows);
        tile->sums += tile->sums_step;
        tile->left += tile->rows * tile->left_row;
    }
}

// B's panel: where it lies, where an earlier launch packed it, or packed now.
WORD void LOCAL_NAME(place_panel)(const matmul_args *a, i64 batch, i64 k, struct LOCAL_NAME(tile) *tile, PACKED *scratch)
{
    const T *const b = (const T *)a->b.data + batch * a->b.batch + k * a->b.row + tile->col * a->b.col;
    const int in_place = a->right_in_place && tile->cols % VEC == 0;
    tile->right_row = in_place ? a->b.row : NR;
    tile->right = in_place ? (const PACKED *)b : a->packed ? LOCAL_NAME(packed_panel)(a, batch, k, tile->col) : scratch;
    if (tile->right == scratch) LOCAL_NAME(pack_panel)(scratch, b, a->b.row, a->b.col, tile->depth, tile->cols);
}

static void LOCAL_NAME(run_step)(const matmul_args *a, const struct LOCAL_NAME(step) *step, PACKED *scratch)
{
    PACKED *const panel = scratch, *const packed = panel + a->block_k * NR;
    ACC *const sums = (ACC *)(packed + a->block_m * a->left_row);
    const T *const a_data = (const T *)a->a.data + step->batch * a->a.batch + step->row * a->a.row;

    for (i64 k = 0; k == 0 || k < a->k; k += a->block_k) {
        const T *const rows = a_data + k * a->a.col;
        const PACKED *const left = a->left_row ? packed : (const PACKED *)rows;
        struct LOCAL_NAME(tile) tile;
        tile.depth = a->k - k < a->block_k ? a->k - k : a->block_k;
        tile.first = k == 0;
        tile.last = k + tile.depth >= a->k;
        tile.sums = sums;
        tile.sums_step = tile.first && tile.last ? 0 : MR * NR;
        tile.left_row = a->left_row ? a->left_row : a->a.row;
        if (a->left_row) LOCAL_NAME(copy)(packed, a->left_row, rows, a->a.row, a->a.col, step->rows, tile.depth);
        for (i64 col = 0; col < step->cols; col += NR) {
            tile.left = left;
            tile.cols = step->cols - col < NR ? step->cols - col : NR;
            tile.col = step->col + col;
            LOCAL_NAME(place_panel)(a, step->batch, k, &tile, panel);
            LOCAL_NAME(run_panel)(a, step, &tile, k);
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
#undef PACKED
#undef FINISH_STORE
#undef SCALE

// SPDX-License-Identifier: Apache-2.0
// C = beta * input + alpha * A B as in matmul.k.c, on a matrix unit (see the dialect's tile words): bf16, sums in f32.
//
// A worker's steps are those of matmul.k.c. In a step, for each pass of block_k along k:
//     A's rows of the pass are copied to scratch, in tiles along k, zero-padded         (stays in L2)
//     for each GROUP of columns, for each CHUNK of the pass:
//         B's part is copied to scratch, in panels of 32 columns: tiles along k, two side by side
//         for each panel (stays in L1), for each 32 rows:
//             a tile of C in four registers; each 32 of k is 4 loads of 1 KiB for 4 multiplications
// Sums of a chunk that is not the last wait in scratch; those of a finished tile too, until the next one is multiplied.
// Cost: 16 cycles a multiplication of 16 x 32 by 32 x 16, if loads keep up; then packing, 2 bytes read and written an element.
//
// Defines: T (bf16), ACC (f32), VEC (16), MR (32), NV (2).
#include "matmul_args.h"
#include "dialect/cpu_tile.h"

#define NR (NV * VEC)
#define CHUNK MATMUL_CHUNK
#define GROUP MATMUL_GROUP
#define PACKED T
#define FINISH_STORE tile_round

_Static_assert(VEC == TILE_COLS && VEC == LANES_OF(ACC) && NV == 2 && MR == 2 * TILE_ROWS && CHUNK % TILE_DEPTH == 0, "2 x 2 tiles");

#include "matmul_tile.c"

// ---- packing

WORD i64 LOCAL_NAME(part)(i64 whole, i64 from, i64 most)
{
    return whole - from < most ? whole - from : most;
}

// Elements p[i] and q[i] of VEC columns, side by side.
WORD vec_i32 LOCAL_NAME(pairs)(const T *p, const T *q)
{
    return (vec_i32)(widen_halves(p) | widen_halves(q) << 16);
}

WORD void LOCAL_NAME(write_lines)(PACKED *dst, const vec_i32 *lines)
{
    UNROLL(16) FOR_VEC(k) vec_write_i32((i32 *)dst + k * VEC, lines[k]);
}

// One tile of A: rows x depth elements, the rest zero.
WORD void LOCAL_NAME(pack_left)(PACKED *dst, const T *src, i64 row, i64 col, i64 rows, i64 depth)
{
    if (rows == TILE_ROWS && depth == TILE_DEPTH && row == 1) {
        vec_i32 square[VEC];
        UNROLL(16) FOR_VEC(k) square[k] = LOCAL_NAME(pairs)(src + 2 * k * col, src + (2 * k + 1) * col);
        vec_transpose_i32(square);
        LOCAL_NAME(write_lines)(dst, square);
        return;
    }
    if (rows < TILE_ROWS || depth < TILE_DEPTH) memset(dst, 0, TILE_SIZE * sizeof(PACKED));
    for (i64 r = 0; r < rows; ++r) {
        if (col == 1 && depth == TILE_DEPTH)
            copy_block(dst + r * TILE_DEPTH, src + r * row, TILE_DEPTH * sizeof(T));
        else
            SCALAR_LOOP for (i64 k = 0; k < depth; ++k) dst[r * TILE_DEPTH + k] = src[r * row + k * col];
    }
}

// One tile of B: depth x cols elements, the rest zero.
WORD void LOCAL_NAME(pack_right)(PACKED *dst, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    const int whole = depth == TILE_DEPTH && cols == TILE_COLS;
    vec_i32 lines[VEC];
    if (whole && col == 1) {
        UNROLL(16) FOR_VEC(k) lines[k] = LOCAL_NAME(pairs)(src + 2 * k * row, src + (2 * k + 1) * row);
        LOCAL_NAME(write_lines)(dst, lines);
    } else if (whole && row == 1) {
        UNROLL(16) FOR_VEC(k) lines[k] = vec_read_i32((const i32 *)(src + k * col));
        vec_transpose_i32(lines);
        LOCAL_NAME(write_lines)(dst, lines);
    } else {
        memset(dst, 0, TILE_SIZE * sizeof(PACKED));
        for (i64 k = 0; k < depth; ++k)
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c)
                dst[k / 2 * 2 * TILE_COLS + 2 * c + k % 2] = src[k * row + c * col];
    }
}

static void LOCAL_NAME(pack_rows)(PACKED *dst, const T *src, i64 row, i64 col, i64 rows, i64 depth)
{
    for (i64 r = 0; r < rows; r += TILE_ROWS)
        for (i64 k = 0; k < depth; k += TILE_DEPTH, dst += TILE_SIZE)
            LOCAL_NAME(pack_left)(dst, src + r * row + k * col, row, col, LOCAL_NAME(part)(rows, r, TILE_ROWS),
                                  LOCAL_NAME(part)(depth, k, TILE_DEPTH));
}

// Panels of B, CHUNK * NR from one to the next, by rows: memory is read as it lies.
static void LOCAL_NAME(pack_panels)(PACKED *dst, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    for (i64 k = 0; k < depth; k += TILE_DEPTH)
        for (i64 c = 0; c < cols; c += TILE_COLS) {
            PACKED *const panel = dst + c / NR * NR * CHUNK, *const tile = panel + k * NR + c % NR / TILE_COLS * TILE_SIZE;
            LOCAL_NAME(pack_right)(tile, src + k * row + c * col, row, col, LOCAL_NAME(part)(depth, k, TILE_DEPTH),
                                   LOCAL_NAME(part)(cols, c, TILE_COLS));
        }
}

// ---- a tile of C: registers 0 to 3 are its four quarters, 4 and 5 A's, 6 and 7 B's

// A tile whose sums are complete: its rows are finished while the matrix unit works on the next one.
struct LOCAL_NAME(waiting) {
    struct LOCAL_NAME(tile) tile;
    i64 batch, next; // the first row that isn't finished
};

WORD void LOCAL_NAME(finish_some)(const matmul_args *a, struct LOCAL_NAME(waiting) *waiting, i64 rows)
{
    const i64 end = waiting->next + rows < waiting->tile.rows ? waiting->next + rows : waiting->tile.rows;
    if (waiting->next < end) LOCAL_NAME(finish_rows)(a, &waiting->tile, waiting->batch, waiting->next, end);
    waiting->next = end;
}

WORD void LOCAL_NAME(multiply)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, i64 below, struct LOCAL_NAME(waiting) *waiting,
                               const int tall, const int wide)
{
    const i64 share = tile->depth > 0 ? (MR * TILE_DEPTH + tile->depth - 1) / tile->depth : MR;
    const i64 line = NR * sizeof(ACC);
    ACC *const upper = tile->sums, *const lower = upper + TILE_ROWS * NR;
    if (tile->first) {
        tile_zero(0);
        if (wide) tile_zero(1);
        if (tall) tile_zero(2);
        if (tall && wide) tile_zero(3);
    } else {
        tile_load(0, upper, line);
        if (wide) tile_load(1, upper + TILE_COLS, line);
        if (tall) tile_load(2, lower, line);
        if (tall && wide) tile_load(3, lower + TILE_COLS, line);
    }
    const PACKED *left = tile->left, *right = tile->right;
    for (i64 k = 0; k < tile->depth; k += TILE_DEPTH, left += TILE_SIZE, right += 2 * TILE_SIZE) {
        tile_load(6, right, TILE_DEPTH * sizeof(T));
        tile_load(4, left, TILE_DEPTH * sizeof(T));
        tile_multiply(0, 4, 6);
        if (wide) tile_load(7, right + TILE_SIZE, TILE_DEPTH * sizeof(T));
        if (wide) tile_multiply(1, 4, 7);
        if (tall) tile_load(5, left + below, TILE_DEPTH * sizeof(T));
        if (tall) tile_multiply(2, 5, 6);
        if (tall && wide) tile_multiply(3, 5, 7);
        LOCAL_NAME(finish_some)(a, waiting, share);
    }
    tile_store(0, upper, line);
    if (wide) tile_store(1, upper + TILE_COLS, line);
    if (tall) tile_store(2, lower, line);
    if (tall && wide) tile_store(3, lower + TILE_COLS, line);
}

static void LOCAL_NAME(multiply_tile)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, i64 below,
                                      struct LOCAL_NAME(waiting) *waiting)
{
    const int tall = tile->rows > TILE_ROWS, wide = tile->cols > TILE_COLS;
    if (tall && wide)
        LOCAL_NAME(multiply)(a, tile, below, waiting, 1, 1);
    else if (tall)
        LOCAL_NAME(multiply)(a, tile, below, waiting, 1, 0);
    else if (wide)
        LOCAL_NAME(multiply)(a, tile, below, waiting, 0, 1);
    else
        LOCAL_NAME(multiply)(a, tile, below, waiting, 0, 0);
}

// ---- a step

// All tiles of a panel's chunk. `left` is the chunk's first tile of A's first rows; `below` halves further are the next rows'.
static void LOCAL_NAME(run_panel)(const matmul_args *a, const struct LOCAL_NAME(step) *step, struct LOCAL_NAME(tile) *tile,
                                  const PACKED *left, i64 below, struct LOCAL_NAME(waiting) *waiting)
{
    for (i64 row = 0; row < step->rows; row += MR) {
        tile->left = left + row / TILE_ROWS * below;
        tile->row = step->row + row;
        tile->rows = LOCAL_NAME(part)(step->rows, row, MR);
        LOCAL_NAME(multiply_tile)(a, tile, below, waiting);
        LOCAL_NAME(finish_some)(a, waiting, MR);
        if (tile->last) *waiting = (struct LOCAL_NAME(waiting)){ *tile, step->batch, 0 };
        tile->sums += MR * NR;
    }
}

// `cols` columns from `col` of the step, in a pass that starts at k, CHUNK after CHUNK.
static void LOCAL_NAME(run_group)(const matmul_args *a, const struct LOCAL_NAME(step) *step, const PACKED *left, PACKED *panels,
                                  ACC *sums, i64 k, i64 col, i64 cols, struct LOCAL_NAME(waiting) *waiting)
{
    const i64 depth = LOCAL_NAME(part)(a->k, k, a->block_k), below = (depth + TILE_DEPTH - 1) / TILE_DEPTH * TILE_SIZE;
    const T *const b = (const T *)a->b.data + step->batch * a->b.batch + k * a->b.row + (step->col + col) * a->b.col;
    struct LOCAL_NAME(tile) tile = { 0 };
    for (i64 c = 0; c == 0 || c < depth; c += CHUNK) {
        tile.depth = LOCAL_NAME(part)(depth, c, CHUNK);
        tile.first = k + c == 0;
        tile.last = k + c + tile.depth >= a->k;
        tile.sums = sums;
        LOCAL_NAME(pack_panels)(panels, b + c * a->b.row, a->b.row, a->b.col, tile.depth, cols);
        for (i64 i = 0; i < cols; i += NR) {
            tile.right = panels + i * CHUNK;
            tile.col = step->col + col + i;
            tile.cols = LOCAL_NAME(part)(cols, i, NR);
            LOCAL_NAME(run_panel)(a, step, &tile, left + c * TILE_ROWS, below, waiting);
        }
    }
}

// Where k takes one pass only, the sums of a group are all that wait for its last chunk; else those of all columns do.
static void LOCAL_NAME(run_step)(const matmul_args *a, const struct LOCAL_NAME(step) *step, PACKED *scratch)
{
    const i64 high = (a->block_m + MR - 1) / MR * MR;
    PACKED *const panels = scratch, *const left = panels + CHUNK * GROUP;
    ACC *const sums = (ACC *)(left + high * a->block_k);
    const T *const rows = (const T *)a->a.data + step->batch * a->a.batch + step->row * a->a.row;
    struct LOCAL_NAME(waiting) waiting = { .next = 0 };
    for (i64 k = 0; k == 0 || k < a->k; k += a->block_k) {
        const i64 depth = LOCAL_NAME(part)(a->k, k, a->block_k);
        LOCAL_NAME(pack_rows)(left, rows + k * a->a.col, a->a.row, a->a.col, step->rows, depth);
        for (i64 col = 0; col < step->cols; col += GROUP)
            LOCAL_NAME(run_group)(a, step, left, panels, sums + (a->block_k >= a->k ? 0 : col * high), k, col,
                                  LOCAL_NAME(part)(step->cols, col, GROUP), &waiting);
    }
    LOCAL_NAME(finish_some)(a, &waiting, MR);
}

#include "matmul_steps.c"

KERNEL(matmul_args, a)
{
    tile_begin();
    LOCAL_NAME(run_steps)(a, group_id());
    tile_end();
}
#undef NR
#undef CHUNK
#undef GROUP
#undef PACKED
#undef FINISH_STORE
#undef SCALE

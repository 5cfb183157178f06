// SPDX-License-Identifier: Apache-2.0
// C = beta * input + alpha * A B as in matmul.k.c, on a matrix unit (see the dialect's tile words): bf16, sums in f32.
//
// A worker's steps are those of matmul.k.c. In a step, for each pass of block_k along k:
//     B's part is copied to scratch, in panels of 32 columns: tiles along k, two side by side          (L2)
//     for each 32 rows of A, which are read where they lie, if they lie so that tiles can be loaded,
//     else copied to scratch in tiles                                                      (L1 where k is small)
//         for each panel: a tile of C in four registers; each 32 of k is 4 loads of 1 KiB for 4 multiplications
// So memory is read and written evenly while the unit works: the next 32 rows of A are fetched and the sums of the tile before are
// rounded between the multiplications. Sums of a pass that is not the last wait in scratch.
// Few columns that are dense in memory change sides (see the launch), so that what is large needs no packing.
// Cost: 16 cycles a multiplication of 16 x 32 by 32 x 16 if one of both operands comes from L1, 22 if both come from L2; a quarter
// more for numbers that aren't mostly zeros, whose heat lowers the clock. A tile of B takes 190 cycles to pack, mostly memory's.
// One Sapphire Rapids core (3.1 TFLOP/s): 512 rows by 384 x 384 0.4 of that, 512 x 1536 x 384 0.36; oneDNN 0.37 and 0.28. What is
// missing: half of it packing, rounding and A's and B's sharing of L1, half the clock.
//
// Defines: T (bf16), ACC (f32), VEC (16), MR (32), NV (2).
#include "matmul_args.h"
#include "dialect/cpu_tile.h"

#define NR (NV * VEC)
#define PACKED T
#define FINISH_STORE tile_round

_Static_assert(VEC == TILE_COLS && VEC == LANES_OF(ACC) && NV == 2 && MR == 2 * TILE_ROWS, "2 x 2 tiles");

#include "matmul_tile.c"
#include "tile_pack.c"

// ---- packing

// Up to MR rows of A in tiles along k, the upper half first. Where columns are dense, memory's lines hold the next MR rows too.
static void LOCAL_NAME(pack_rows)(PACKED *dst, const T *src, i64 row, i64 col, i64 rows, i64 depth)
{
    const i64 below = (depth + TILE_DEPTH - 1) / TILE_DEPTH * TILE_SIZE;
    for (i64 k = 0; k < depth; k += TILE_DEPTH, dst += TILE_SIZE) {
        const i64 deep = LOCAL_NAME(part)(depth, k, TILE_DEPTH);
        for (i64 i = 0; row == 1 && i < deep; ++i) prefetch_read(src + (k + i) * col + MR);
        for (i64 r = 0; r < rows; r += TILE_ROWS)
            LOCAL_NAME(pack_left)(dst + r / TILE_ROWS * below, src + r * row + k * col, row, col, LOCAL_NAME(part)(rows, r, TILE_ROWS), deep);
    }
}

// Tile (k, c) of B to its place in its panel; panels are `high` deep.
WORD void LOCAL_NAME(pack_tile)(PACKED *dst, i64 high, const T *src, i64 row, i64 col, i64 k, i64 c, i64 depth, i64 cols)
{
    PACKED *const tile = dst + c / NR * NR * high + k * NR + c % NR / TILE_COLS * TILE_SIZE;
    LOCAL_NAME(pack_right)(tile, src + k * row + c * col, row, col, LOCAL_NAME(part)(depth, k, TILE_DEPTH),
                           LOCAL_NAME(part)(cols, c, TILE_COLS));
}

// Memory is read as it lies.
static void LOCAL_NAME(pack_panels)(PACKED *dst, i64 high, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    if (row == 1) {
        for (i64 c = 0; c < cols; c += TILE_COLS)
            for (i64 k = 0; k < depth; k += TILE_DEPTH) LOCAL_NAME(pack_tile)(dst, high, src, row, col, k, c, depth, cols);
        return;
    }
    for (i64 k = 0; k < depth; k += TILE_DEPTH)
        for (i64 c = 0; c < cols; c += TILE_COLS) LOCAL_NAME(pack_tile)(dst, high, src, row, col, k, c, depth, cols);
}

// ---- a tile of C: registers 0 to 3 are its four quarters, 4 and 5 A's, 6 and 7 B's

// Rows of A as tiles are loaded from them, and what is to be fetched meanwhile.
struct LOCAL_NAME(left) {
    i64 row, below, step; // halves to the next row, to the next TILE_ROWS, and to the next TILE_DEPTH of k
    const T *ahead;       // rows to come, or null
    i64 ahead_row, first, last; // of these rows, the ones that this tile fetches
};

// A tile whose sums are complete: its rows are finished while the matrix unit works on the next one.
struct LOCAL_NAME(waiting) {
    struct LOCAL_NAME(tile) tile;
    i64 batch, next; // the first row that isn't finished
    int whole;       // its rows are whole lines of C
};

// Rows of a tile that are NR neighbours in C, and in the input if there is one.
WORD void LOCAL_NAME(finish_lines)(const matmul_args *a, const struct LOCAL_NAME(waiting) *waiting, i64 from, i64 to)
{
    const struct LOCAL_NAME(tile) *const tile = &waiting->tile;
    const matmul_view *const in = &a->input;
    const vec alpha = vec_splat(SCALE(alpha)), beta = vec_splat(SCALE(beta));
    const T *input = (const T *)in->data + waiting->batch * in->batch + tile->row * in->row + tile->col;
    for (i64 r = from; r < to; ++r) {
        vec left = vec_mul(alpha, vec_read(tile->sums + r * NR)), right = vec_mul(alpha, vec_read(tile->sums + r * NR + VEC));
        if (in->data) {
            left = vec_fma(beta, vec_load(input + r * in->row), left);
            right = vec_fma(beta, vec_load(input + r * in->row + VEC), right);
        }
        tile_round_line(tile->direct + r * a->c.row, left, right);
    }
}

WORD void LOCAL_NAME(finish_some)(const matmul_args *a, struct LOCAL_NAME(waiting) *waiting, i64 rows)
{
    const i64 end = waiting->next + rows < waiting->tile.rows ? waiting->next + rows : waiting->tile.rows;
    if (waiting->whole)
        LOCAL_NAME(finish_lines)(a, waiting, waiting->next, end);
    else if (waiting->next < end)
        LOCAL_NAME(finish_rows)(a, &waiting->tile, waiting->batch, waiting->next, end);
    waiting->next = end;
}

WORD struct LOCAL_NAME(waiting) LOCAL_NAME(waiting_of)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, i64 batch)
{
    const int dense = a->c.col == 1 && (!a->input.data || a->input.col == 1);
    return (struct LOCAL_NAME(waiting)){ *tile, batch, 0, dense && tile->cols == NR };
}

WORD void LOCAL_NAME(multiply)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, const struct LOCAL_NAME(left) *l,
                               struct LOCAL_NAME(waiting) *waiting, const int tall, const int wide)
{
    const i64 share = tile->depth > 0 ? (MR * TILE_DEPTH + tile->depth - 1) / tile->depth : MR;
    const i64 line = NR * sizeof(ACC), row = l->row * sizeof(T);
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
    const T *left = tile->left, *right = tile->right;
    i64 done = 0;
    for (i64 k = 0; k < tile->depth; k += TILE_DEPTH, left += l->step, right += 2 * TILE_SIZE) {
        tile_load(6, right, TILE_DEPTH * sizeof(T));
        tile_load(4, left, row);
        tile_multiply(0, 4, 6);
        if (wide) tile_load(7, right + TILE_SIZE, TILE_DEPTH * sizeof(T));
        if (wide) tile_multiply(1, 4, 7);
        if (tall) tile_load(5, left + l->below, row);
        if (tall) tile_multiply(2, 5, 6);
        if (tall && wide) tile_multiply(3, 5, 7);
        for (i64 r = l->first; r < l->last; ++r) prefetch_read(l->ahead + r * l->ahead_row + k);
        for (i64 r = done; r < done + share; ++r) prefetch_write(tile->direct + r * a->c.row);
        done += share;
        LOCAL_NAME(finish_some)(a, waiting, share);
    }
    tile_store(0, upper, line);
    if (wide) tile_store(1, upper + TILE_COLS, line);
    if (tall) tile_store(2, lower, line);
    if (tall && wide) tile_store(3, lower + TILE_COLS, line);
}

static void LOCAL_NAME(multiply_tile)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, const struct LOCAL_NAME(left) *left,
                                      struct LOCAL_NAME(waiting) *waiting)
{
    const int tall = tile->rows > TILE_ROWS, wide = tile->cols > TILE_COLS;
    if (tall && wide)
        LOCAL_NAME(multiply)(a, tile, left, waiting, 1, 1);
    else if (tall)
        LOCAL_NAME(multiply)(a, tile, left, waiting, 1, 0);
    else if (wide)
        LOCAL_NAME(multiply)(a, tile, left, waiting, 0, 1);
    else
        LOCAL_NAME(multiply)(a, tile, left, waiting, 0, 0);
}

// ---- a step

// The tile's rows of A, where they lie or in scratch.
WORD void LOCAL_NAME(take_rows)(const matmul_args *a, struct LOCAL_NAME(tile) *tile, struct LOCAL_NAME(left) *left, const T *rows,
                                i64 to_come, PACKED *scratch)
{
    const matmul_view *const view = &a->a;
    const int whole = tile->rows % TILE_ROWS == 0 && tile->depth % TILE_DEPTH == 0;
    if (whole && view->col == 1) {
        tile->left = rows;
        *left = (struct LOCAL_NAME(left)){ .row = view->row, .below = TILE_ROWS * view->row, .step = TILE_DEPTH };
    } else {
        const i64 depth = (tile->depth + TILE_DEPTH - 1) / TILE_DEPTH;
        LOCAL_NAME(pack_rows)(scratch, rows, view->row, view->col, tile->rows, tile->depth);
        tile->left = scratch;
        *left = (struct LOCAL_NAME(left)){ .row = TILE_DEPTH, .below = depth * TILE_SIZE, .step = TILE_SIZE };
    }
    if (view->col == 1) left->ahead = rows + MR * view->row;
    left->ahead_row = view->row;
    left->last = to_come; // of all tiles so far
}

// All tiles of MR rows.
static void LOCAL_NAME(run_rows)(const matmul_args *a, const struct LOCAL_NAME(step) *step, struct LOCAL_NAME(tile) *tile,
                                 struct LOCAL_NAME(left) *left, const PACKED *panels, struct LOCAL_NAME(waiting) *waiting)
{
    const i64 count = (step->cols + NR - 1) / NR, to_come = left->ahead ? left->last : 0;
    for (i64 i = 0; i < count; ++i) {
        tile->right = panels + i * NR * a->block_k;
        tile->col = step->col + i * NR;
        tile->cols = LOCAL_NAME(part)(step->cols, i * NR, NR);
        tile->direct = (T *)a->c.data + step->batch * a->c.batch + tile->row * a->c.row + tile->col * a->c.col;
        left->first = to_come * i / count;
        left->last = to_come * (i + 1) / count;
        LOCAL_NAME(multiply_tile)(a, tile, left, waiting);
        LOCAL_NAME(finish_some)(a, waiting, MR);
        if (tile->last) *waiting = LOCAL_NAME(waiting_of)(a, tile, step->batch);
        tile->sums += tile->sums_step;
        tile->sums_step = a->block_k >= a->k ? -tile->sums_step : tile->sums_step; // two places in turn are enough for one pass
    }
}

static void LOCAL_NAME(run_step)(const matmul_args *a, const struct LOCAL_NAME(step) *step, PACKED *scratch)
{
    PACKED *const panels = scratch, *const left_rows = panels + a->block_n * a->block_k;
    ACC *const sums = (ACC *)(left_rows + MR * a->block_k);
    const T *const rows = (const T *)a->a.data + step->batch * a->a.batch + step->row * a->a.row;
    const T *const b = (const T *)a->b.data + step->batch * a->b.batch + step->col * a->b.col;
    struct LOCAL_NAME(waiting) waiting = { .next = 0 };
    for (i64 k = 0; k == 0 || k < a->k; k += a->block_k) {
        struct LOCAL_NAME(tile) tile = { .sums = sums, .sums_step = MR * NR };
        tile.depth = LOCAL_NAME(part)(a->k, k, a->block_k);
        tile.first = k == 0;
        tile.last = k + tile.depth >= a->k;
        LOCAL_NAME(pack_panels)(panels, a->block_k, b + k * a->b.row, a->b.row, a->b.col, tile.depth, step->cols);
        for (i64 row = 0; row < step->rows; row += MR) {
            struct LOCAL_NAME(left) left;
            const i64 beyond = step->rows - row - MR;
            tile.row = step->row + row;
            tile.rows = LOCAL_NAME(part)(step->rows, row, MR);
            const T *const from = rows + row * a->a.row + k * a->a.col;
            LOCAL_NAME(take_rows)(a, &tile, &left, from, beyond < 0 ? 0 : beyond < MR ? beyond : MR, left_rows);
            LOCAL_NAME(run_rows)(a, step, &tile, &left, panels, &waiting);
        }
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
#undef PACKED
#undef FINISH_STORE
#undef SCALE

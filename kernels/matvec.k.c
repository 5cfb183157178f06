// SPDX-License-Identifier: Apache-2.0
// C = beta * input + alpha * A B for an A of at most MATVEC_THIN rows: the product of a vector, or a few, and a matrix B
// that should be read only once. Batched; strides are any, but B's columns or B's rows must be dense.
//
// A group is a worker: it takes an even share of the steps, a step being block_n columns of one batch's C.
//   * Columns of B dense (x W^T, W stored row by row): dot products. A tile of `rows` x `cols` sums, each a vector of
//     partial sums over k, reads its rows of A and its columns of B side by side. Up to 12 sums hide the latency of the
//     multiply-adds. A's rows are copied to scratch if they aren't dense.
//   * Rows of B dense (x W): the step's part of C waits in L1 as ACC while DEEP rows of B at a time are added to it.
// Either way B streams through once, in a few long runs that hardware prefetchers follow, at the speed of memory.
// The order of the sums depends on k and m only, not on the workers.
//
// Defines: T, ACC, VEC.
#include "matmul_args.h"

#define DEEP 8
#define SCALE(name) LOCAL_NAME(number)(a->name.bits)
#define LOAD(x) ((ACC)CAT(load_, T)(x))

_Static_assert(VEC == LANES_OF(ACC), "a vector fills a register");

struct LOCAL_NAME(step) {
    i64 batch, col, cols; // of C
    const T *x;           // A's rows, dense where dot products are taken
    i64 x_row;
};

WORD ACC LOCAL_NAME(number)(const f64 *bits)
{
    ACC x;
    memcpy(&x, bits, sizeof x);
    return x;
}

WORD void LOCAL_NAME(finish)(const matmul_args *a, i64 batch, i64 row, i64 col, ACC sum)
{
    const matmul_view *in = &a->input, *out = &a->c;
    ACC y = SCALE(alpha) * sum;
    if (in->data) y = SCALE(beta) * LOAD(((const T *)in->data)[batch * in->batch + row * in->row + col * in->col]) + y;
    ((T *)out->data)[batch * out->batch + row * out->row + col * out->col] = CAT(store_, T)(y);
}

// ---- columns of B dense

WORD void LOCAL_NAME(dots)(const matmul_args *a, const struct LOCAL_NAME(step) *step, i64 row, i64 col, const int rows, const int cols)
{
    const i64 distance = a->b.col, depth = a->k - a->k % VEC;
    const T *const x = step->x + row * step->x_row;
    const T *const w = (const T *)a->b.data + step->batch * a->b.batch + col * distance;
    vec sum[12];
    UNROLL(12) for (int i = 0; i < rows * cols; ++i) sum[i] = vec_zero();
    for (i64 k = 0; k < depth; k += VEC) {
        vec part[4];
        UNROLL(4) for (int r = 0; r < rows; ++r) part[r] = vec_load(x + r * step->x_row + k);
        UNROLL(8) for (int c = 0; c < cols; ++c) {
            const vec column = vec_load(w + c * distance + k);
            UNROLL(4) for (int r = 0; r < rows; ++r) sum[r * cols + c] = vec_fma(part[r], column, sum[r * cols + c]);
        }
    }
    UNROLL(4) for (int r = 0; r < rows; ++r)
        UNROLL(8) for (int c = 0; c < cols; ++c) {
            ACC total = vec_total(sum[r * cols + c]);
            for (i64 k = depth; k < a->k; ++k) total += LOAD(x[r * step->x_row + k]) * LOAD(w[c * distance + k]);
            LOCAL_NAME(finish)(a, step->batch, row + r, col + c, total);
        }
}

// One sum alone is taken in eight parts, again for the latency.
WORD void LOCAL_NAME(dot)(const matmul_args *a, const struct LOCAL_NAME(step) *step, i64 row, i64 col)
{
    const T *const x = step->x + row * step->x_row;
    const T *const w = (const T *)a->b.data + step->batch * a->b.batch + col * a->b.col;
    vec sum[8];
    i64 k = 0;
    UNROLL(8) for (int i = 0; i < 8; ++i) sum[i] = vec_zero();
    for (; k + 8 * VEC <= a->k; k += 8 * VEC)
        UNROLL(8) for (int i = 0; i < 8; ++i) sum[i] = vec_fma(vec_load(x + k + i * VEC), vec_load(w + k + i * VEC), sum[i]);
    for (; k + VEC <= a->k; k += VEC) sum[0] = vec_fma(vec_load(x + k), vec_load(w + k), sum[0]);
    UNROLL(4) for (int i = 0; i < 4; ++i) sum[i] = vec_add(sum[i], sum[i + 4]);
    ACC total = vec_total(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3])));
    for (; k < a->k; ++k) total += LOAD(x[k]) * LOAD(w[k]);
    LOCAL_NAME(finish)(a, step->batch, row, col, total);
}

// rows x cols of a tile is one of these; other numbers of columns go one by one.
static void LOCAL_NAME(dot_tile)(const matmul_args *a, const struct LOCAL_NAME(step) *step, i64 row, i64 col, i64 rows, i64 cols)
{
    switch (rows * 16 + cols) {
    case 1 * 16 + 1: LOCAL_NAME(dot)(a, step, row, col); break;
    case 1 * 16 + 8: LOCAL_NAME(dots)(a, step, row, col, 1, 8); break;
    case 2 * 16 + 1: LOCAL_NAME(dots)(a, step, row, col, 2, 1); break;
    case 2 * 16 + 4: LOCAL_NAME(dots)(a, step, row, col, 2, 4); break;
    case 2 * 16 + 6: LOCAL_NAME(dots)(a, step, row, col, 2, 6); break;
    case 3 * 16 + 1: LOCAL_NAME(dots)(a, step, row, col, 3, 1); break;
    case 3 * 16 + 3: LOCAL_NAME(dots)(a, step, row, col, 3, 3); break;
    case 3 * 16 + 4: LOCAL_NAME(dots)(a, step, row, col, 3, 4); break;
    case 4 * 16 + 1: LOCAL_NAME(dots)(a, step, row, col, 4, 1); break;
    case 4 * 16 + 3: LOCAL_NAME(dots)(a, step, row, col, 4, 3); break;
    default:
        for (i64 c = 0; c < cols; ++c) LOCAL_NAME(dot_tile)(a, step, row, col + c, rows, 1);
    }
}

// Even groups of at most four rows inside columns: a column of B is fetched once and then found in L1.
WORD void LOCAL_NAME(dot_step)(const matmul_args *a, const struct LOCAL_NAME(step) *step)
{
    const i64 groups = (a->m + 3) / 4, group = (a->m + groups - 1) / groups;
    const i64 width = group == 1 ? 8 : 12 / group;
    for (i64 col = 0; col < step->cols; col += width) {
        const i64 cols = step->cols - col < width ? step->cols - col : width;
        for (i64 row = 0; row < a->m; row += group)
            LOCAL_NAME(dot_tile)(a, step, row, step->col + col, a->m - row < group ? a->m - row : group, cols);
    }
}

// ---- rows of B dense

// y[0 .. cols) += x[0 .. deep) times as many rows of B.
WORD void LOCAL_NAME(add_rows)(ACC *y, const ACC *x, const T *w, i64 w_row, i64 cols, const int deep)
{
    vec scale[DEEP];
    UNROLL(8) for (int d = 0; d < deep; ++d) scale[d] = vec_splat(x[d]);
    i64 c = 0;
    for (; c + VEC <= cols; c += VEC) {
        vec sum = vec_read(y + c);
        UNROLL(8) for (int d = 0; d < deep; ++d) sum = vec_fma(scale[d], vec_load(w + d * w_row + c), sum);
        vec_write(y + c, sum);
    }
    for (; c < cols; ++c)
        for (int d = 0; d < deep; ++d) y[c] += x[d] * LOAD(w[d * w_row + c]);
}

static void LOCAL_NAME(add_deep)(ACC *y, const ACC *x, const T *w, i64 w_row, i64 cols, i64 deep)
{
    if (deep == DEEP)
        LOCAL_NAME(add_rows)(y, x, w, w_row, cols, DEEP);
    else
        for (i64 d = 0; d < deep; ++d) LOCAL_NAME(add_rows)(y, x + d, w + d * w_row, w_row, cols, 1);
}

WORD void LOCAL_NAME(add_step)(const matmul_args *a, const struct LOCAL_NAME(step) *step)
{
    LOCAL(ACC, y, MATVEC_SPAN);
    const i64 a_row = a->a.row, a_col = a->a.col, w_row = a->b.row, span = a->block_n;
    const T *const w = (const T *)a->b.data + step->batch * a->b.batch + step->col;
    for (i64 i = 0; i < a->m * span; ++i) y[i] = 0;
    for (i64 k = 0; k < a->k; k += DEEP) {
        const i64 deep = a->k - k < DEEP ? a->k - k : DEEP;
        for (i64 row = 0; row < a->m; ++row) {
            ACC x[DEEP];
            for (i64 d = 0; d < deep; ++d) x[d] = LOAD(step->x[row * a_row + (k + d) * a_col]);
            LOCAL_NAME(add_deep)(y + row * span, x, w + k * w_row, w_row, step->cols, deep);
        }
    }
    for (i64 row = 0; row < a->m; ++row)
        for (i64 c = 0; c < step->cols; ++c) LOCAL_NAME(finish)(a, step->batch, row, step->col + c, y[row * span + c]);
}

// ---- shares of the workers

KERNEL(matmul_args, a)
{
    const i64 blocks = (a->n + a->block_n - 1) / a->block_n, steps = a->batch * blocks;
    const i64 end = steps * (group_id() + 1) / a->workers;
    T *const dense = (T *)((char *)a->scratch + group_id() * a->scratch_stride);
    i64 copied = -1; // the batch whose A is in scratch

    for (i64 i = steps * group_id() / a->workers; i < end; ++i) {
        struct LOCAL_NAME(step) step;
        step.batch = i / blocks;
        step.col = i % blocks * a->block_n;
        step.cols = a->n - step.col < a->block_n ? a->n - step.col : a->block_n;
        step.x = (const T *)a->a.data + step.batch * a->a.batch;
        step.x_row = a->a.row;
        if (a->b.row != 1) {
            LOCAL_NAME(add_step)(a, &step);
            continue;
        }
        if (a->a.col != 1) {
            if (copied != step.batch)
                for (i64 r = 0; r < a->m; ++r)
                    for (i64 k = 0; k < a->k; ++k) dense[r * a->k + k] = step.x[r * a->a.row + k * a->a.col];
            copied = step.batch;
            step.x = dense;
            step.x_row = a->k;
        }
        LOCAL_NAME(dot_step)(a, &step);
    }
}
#undef DEEP
#undef SCALE
#undef LOAD

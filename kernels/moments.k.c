// SPDX-License-Identifier: Apache-2.0
// Mean and variance: m = sum(x) / n, var = sum((x - m)^2) / (n - correction).
//
// Layout as in reduce.k.c. The data are read once from memory and twice from cache: every block (of a row, or of rows of
// a column tile) gets its own mean and then the squares of the deviations from it, which loses nothing by cancellation;
// blocks and parts are joined by Chan's formula in T_WIDE:
//   mean' = mean + d * (nb / n),  m2' = m2 + m2b + d^2 * (na * nb / n),  d = mean_b - mean.
// Cost: the traffic, and twice the arithmetic of a sum.
//
// Defines: T_IN, T_ACC, T_WIDE, T_OUT; ROOT (1: the standard deviation); WITH_MEAN (1: the mean to `second`); VEC.
#include "reduce_args.h"
#include "reduce_walk.h"

#define MOMENTS_ROWS 64 // of a column tile at a time, so that the second reading finds them in L2

WORD T_ACC LOCAL_NAME(join)(T_ACC a, T_ACC b) { return a + b; }
WORD T_ACC LOCAL_NAME(value)(T_IN element, T_ACC p)
{
    (void)p;
    return (T_ACC)CAT(load_, T_IN)(element);
}
WORD T_ACC LOCAL_NAME(square)(T_IN element, T_ACC mean)
{
    const T_ACC d = (T_ACC)CAT(load_, T_IN)(element) - mean;
    return d * d;
}

#define IDENTITY 0
#define BLOCK LOCAL_NAME(block_sum)
#define BLOCK_MAP LOCAL_NAME(value)
#include "reduce_block.c"
#define BLOCK LOCAL_NAME(block_squares)
#define BLOCK_MAP LOCAL_NAME(square)
#include "reduce_block.c"
#undef IDENTITY

// Joins `count` elements of mean `mean` and squares `m2` to those seen before in each of the columns.
WORD void LOCAL_NAME(merge)(T_WIDE *to_mean, T_WIDE *to_m2, const T_ACC *mean, const T_ACC *m2, i64 cols, i64 seen, i64 count)
{
    const T_WIDE share = (T_WIDE)count / (T_WIDE)(seen + count), weight = (T_WIDE)seen * share;
    FOR_LANES(c, cols) {
        const T_WIDE d = (T_WIDE)mean[c] - to_mean[c];
        to_mean[c] += d * share;
        to_m2[c] += (T_WIDE)m2[c] + d * d * weight;
    }
}

// ---- rows

WORD void LOCAL_NAME(row)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_IN *in, T_WIDE *mean, T_WIDE *m2)
{
    i64 seen = 0;
    *mean = *m2 = 0;
    for (i64 run = w->first_run; run < w->last_run; ++run) {
        const T_IN *const start = in + LOCAL_NAME(offset)(a->run_size, a->run_in, run);
        for (i64 i = w->first; i < w->last; i += REDUCE_BLOCK) {
            const i64 n = LOCAL_NAME(least)(REDUCE_BLOCK, w->last - i);
            const T_IN *const at = start + i * a->n_in;
            T_ACC center, squares;
            if (a->n_in == 1) {
                center = LOCAL_NAME(block_sum)(at, n, 1, 0) / (T_ACC)n;
                squares = LOCAL_NAME(block_squares)(at, n, 1, center);
            } else {
                center = LOCAL_NAME(block_sum)(at, n, a->n_in, 0) / (T_ACC)n;
                squares = LOCAL_NAME(block_squares)(at, n, a->n_in, center);
            }
            LOCAL_NAME(merge)(mean, m2, &center, &squares, 1, seen, n);
            seen += n;
        }
    }
}

// ---- columns

WORD T_ACC LOCAL_NAME(term)(T_IN element, T_ACC mean, int squares)
{
    return squares ? LOCAL_NAME(square)(element, mean) : LOCAL_NAME(value)(element, mean);
}

// acc = the sum of rows, or of squared deviations from `mean`; two rows at a time.
WORD void LOCAL_NAME(add_rows)(T_ACC *acc, const T_ACC *mean, const T_IN *in, i64 cols, i64 col_in, i64 rows, i64 row_in, int squares)
{
    FOR_LANES(c, cols) acc[c] = LOCAL_NAME(term)(in[c * col_in], mean[c], squares);
    i64 r = 1;
    for (; r + 2 <= rows; r += 2) {
        const T_IN *const r0 = in + r * row_in, *const r1 = r0 + row_in;
        FOR_LANES(c, cols)
            acc[c] += LOCAL_NAME(term)(r0[c * col_in], mean[c], squares) + LOCAL_NAME(term)(r1[c * col_in], mean[c], squares);
    }
    if (r < rows) FOR_LANES(c, cols) acc[c] += LOCAL_NAME(term)(in[r * row_in + c * col_in], mean[c], squares);
}

WORD void LOCAL_NAME(columns)(const reduce_args *a, const LOCAL_NAME(place) *w, T_WIDE *mean, T_WIDE *m2)
{
    LOCAL(T_ACC, center, REDUCE_TILE);
    LOCAL(T_ACC, acc, REDUCE_TILE);
    const T_IN *const in = (const T_IN *)a->in + w->in;
    i64 seen = 0;
    FOR_LANES(c, w->cols) mean[c] = m2[c] = 0;
    FOR_LANES(c, w->cols) center[c] = 0;
    for (i64 run = w->first_run; run < w->last_run; ++run) {
        const T_IN *const start = in + LOCAL_NAME(offset)(a->run_size, a->run_in, run);
        for (i64 i = w->first; i < w->last; i += MOMENTS_ROWS) {
            const i64 rows = LOCAL_NAME(least)(MOMENTS_ROWS, w->last - i);
            const T_IN *const at = start + i * a->n_in;
            const T_ACC scale = 1 / (T_ACC)rows;
            if (a->col_in == 1) LOCAL_NAME(add_rows)(acc, center, at, w->cols, 1, rows, a->n_in, 0);
            else LOCAL_NAME(add_rows)(acc, center, at, w->cols, a->col_in, rows, a->n_in, 0);
            FOR_LANES(c, w->cols) center[c] = acc[c] * scale;
            if (a->col_in == 1) LOCAL_NAME(add_rows)(acc, center, at, w->cols, 1, rows, a->n_in, 1);
            else LOCAL_NAME(add_rows)(acc, center, at, w->cols, a->col_in, rows, a->n_in, 1);
            LOCAL_NAME(merge)(mean, m2, center, acc, w->cols, seen, rows);
            seen += rows;
        }
    }
}

// ---- results

WORD i64 LOCAL_NAME(part_count)(const reduce_args *a, i64 part)
{
    if (a->part_runs < a->runs) return LOCAL_NAME(least)(a->part_runs, a->runs - part * a->part_runs) * a->n;
    return LOCAL_NAME(least)(a->part_n, a->n - part * a->part_n) * a->runs;
}

WORD void LOCAL_NAME(combine)(const reduce_args *a, const LOCAL_NAME(place) *w, T_WIDE *mean, T_WIDE *m2)
{
    const T_WIDE *means = (const T_WIDE *)a->partial + w->first_output, *squares = (const T_WIDE *)a->partial_second + w->first_output;
    i64 seen = 0;
    FOR_LANES(c, w->cols) mean[c] = m2[c] = 0;
    for (i64 part = 0; part < a->parts; ++part, means += a->outputs, squares += a->outputs) {
        const i64 count = LOCAL_NAME(part_count)(a, part);
        const T_WIDE share = (T_WIDE)count / (T_WIDE)(seen + count), weight = (T_WIDE)seen * share;
        FOR_LANES(c, w->cols) {
            const T_WIDE d = means[c] - mean[c];
            mean[c] += d * share;
            m2[c] += squares[c] + d * d * weight;
        }
        seen += count;
    }
}

WORD void LOCAL_NAME(emit)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_WIDE *mean, const T_WIDE *m2)
{
    SYNC();
    if (a->partial && !a->combining) {
        T_WIDE *const means = (T_WIDE *)a->partial + w->part * a->outputs + w->first_output;
        T_WIDE *const squares = (T_WIDE *)a->partial_second + w->part * a->outputs + w->first_output;
        FOR_LANES(c, w->cols) means[c] = mean[c];
        FOR_LANES(c, w->cols) squares[c] = m2[c];
        return;
    }
    const T_WIDE divisor = (T_WIDE)(a->count - a->correction);
    T_OUT *const out = (T_OUT *)a->out + w->out;
    FOR_LANES(c, w->cols) {
        const T_WIDE variance = m2[c] / divisor;
        out[c * a->col_out] = CAT(store_, T_OUT)(ROOT ? k_sqrt(variance) : variance);
    }
#if WITH_MEAN
    T_OUT *const second = (T_OUT *)a->second + w->out;
    FOR_LANES(c, w->cols) second[c * a->col_out] = CAT(store_, T_OUT)(mean[c]);
#endif
}

KERNEL(reduce_args, a)
{
    const LOCAL_NAME(place) w = LOCAL_NAME(locate)(a, group_id());
    LOCAL(T_WIDE, mean, REDUCE_TILE);
    LOCAL(T_WIDE, m2, REDUCE_TILE);
    if (a->combining)
        LOCAL_NAME(combine)(a, &w, mean, m2);
    else if (a->by_columns)
        LOCAL_NAME(columns)(a, &w, mean, m2);
    else
        for (i64 c = lane(); c < w.cols; c += LANES)
            LOCAL_NAME(row)(a, &w, (const T_IN *)a->in + w.in + c * a->col_in, &mean[c], &m2[c]);
    LOCAL_NAME(emit)(a, &w, mean, m2);
}
#undef MOMENTS_ROWS

// SPDX-License-Identifier: Apache-2.0
// out[o] = FINISH(COMBINE over i of MAP(in[o, i])), a monoid over any set of dimensions with any strides: sum, mean, prod,
// amax, any, norms.
//
// Layout: the host sorts and merges the dimensions into columns (kept) and n (reduced), plus outer ones of both kinds.
//   rows:    the reduced dimension is the contiguous one. Each column in turn is a row of n elements: the lanes walk
//            through it with VEC partial results each, joined by a tree every REDUCE_BLOCK elements.
//   columns: a kept dimension is the contiguous one. A tile of columns is reduced side by side, four rows at a time into
//            one partial result a column.
// A group owns a tile of columns and a part of the reduction. Parts are cut by shape alone, so results don't depend on
// the number of threads; a second launch (`combining`) joins the partial results.
// Precision: partial results are T_ACC (f32 for halves and f32) over at most REDUCE_BLOCK / VEC or REDUCE_ROWS / 4 terms;
// those are joined in T_WIDE (f64 for f32, i64 for integers), which costs nothing at that rate.
// Cost: the input once, at the bandwidth of the level of memory where it lies.
//
// Defines: T_IN, T_ACC, T_WIDE, T_OUT; FLOATING (T_IN is); MAP(x; p), COMBINE(a, b), IDENTITY, FINISH(a; count, p); VEC (a vector of T_ACC).
#include "reduce_args.h"
#include "reduce_walk.h"

#include "reduce_words.c"

WORD T_ACC LOCAL_NAME(map)(T_IN element, T_ACC p)
{
    const CAT(acc_, T_IN) x = CAT(load_, T_IN)(element);
    (void)x, (void)p;
    return (T_ACC)(MAP);
}
WORD T_ACC LOCAL_NAME(join)(T_ACC a, T_ACC b) { return (T_ACC)(COMBINE); }
WORD T_WIDE LOCAL_NAME(join_wide)(T_WIDE a, T_WIDE b) { return (T_WIDE)(COMBINE); }
WORD T_OUT LOCAL_NAME(finish)(const reduce_args *args, T_WIDE a)
{
    const f64 count = args->count, p = args->p;
    (void)count, (void)p;
    return CAT(store_, T_OUT)((FINISH));
}

// ---- rows

#define BLOCK LOCAL_NAME(block)
#define BLOCK_MAP LOCAL_NAME(map)
#include "reduce_block.c"

WORD T_WIDE LOCAL_NAME(row)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_IN *in, T_WIDE *lanes)
{
    const T_ACC p = (T_ACC)a->p;
    T_WIDE total = IDENTITY;
    for (i64 run = w->first_run; run < w->last_run; ++run) {
        const T_IN *const at = in + LOCAL_NAME(offset)(a->run_size, a->run_in, run);
        for (i64 i = w->first; i < w->last; i += REDUCE_BLOCK) {
            const i64 n = LOCAL_NAME(least)(REDUCE_BLOCK, w->last - i);
            total = LOCAL_NAME(join_wide)(total, (T_WIDE)(a->n_in == 1 ? LOCAL_NAME(block)(at + i, n, 1, p)
                                                                       : LOCAL_NAME(block)(at + i * a->n_in, n, a->n_in, p)));
        }
    }
    lanes[lane()] = total;
    SYNC();
    for (int half = LANES / 2; half > 0; half /= 2) {
        if (lane() < half) lanes[lane()] = LOCAL_NAME(join_wide)(lanes[lane()], lanes[lane() + half]);
        SYNC();
    }
    return lanes[0];
}

// ---- columns

WORD void LOCAL_NAME(add_rows)(T_ACC *acc, const T_IN *in, i64 cols, i64 col_in, i64 rows, i64 row_in, T_ACC p)
{
    i64 r = 0;
    for (; r + 4 <= rows; r += 4) {
        const T_IN *const r0 = in + r * row_in, *const r1 = r0 + row_in, *const r2 = r1 + row_in, *const r3 = r2 + row_in;
        FOR_LANES(c, cols) {
            const T_ACC low = LOCAL_NAME(join)(LOCAL_NAME(map)(r0[c * col_in], p), LOCAL_NAME(map)(r1[c * col_in], p));
            const T_ACC high = LOCAL_NAME(join)(LOCAL_NAME(map)(r2[c * col_in], p), LOCAL_NAME(map)(r3[c * col_in], p));
            acc[c] = LOCAL_NAME(join)(acc[c], LOCAL_NAME(join)(low, high));
        }
    }
    for (; r < rows; ++r) {
        const T_IN *const row = in + r * row_in;
        FOR_LANES(c, cols) acc[c] = LOCAL_NAME(join)(acc[c], LOCAL_NAME(map)(row[c * col_in], p));
    }
}

WORD void LOCAL_NAME(columns)(const reduce_args *a, const LOCAL_NAME(place) *w, T_WIDE *total)
{
    LOCAL(T_ACC, acc, REDUCE_TILE);
    const T_ACC p = (T_ACC)a->p;
    const T_IN *const in = (const T_IN *)a->in + w->in;
    FOR_LANES(c, w->cols) total[c] = IDENTITY;
    for (i64 run = w->first_run; run < w->last_run; ++run) {
        const T_IN *const at = in + LOCAL_NAME(offset)(a->run_size, a->run_in, run);
        for (i64 i = w->first; i < w->last; i += REDUCE_ROWS) {
            const i64 rows = LOCAL_NAME(least)(REDUCE_ROWS, w->last - i);
            FOR_LANES(c, w->cols) acc[c] = IDENTITY;
            if (a->col_in == 1) LOCAL_NAME(add_rows)(acc, at + i * a->n_in, w->cols, 1, rows, a->n_in, p);
            else LOCAL_NAME(add_rows)(acc, at + i * a->n_in, w->cols, a->col_in, rows, a->n_in, p);
            FOR_LANES(c, w->cols) total[c] = LOCAL_NAME(join_wide)(total[c], (T_WIDE)acc[c]);
        }
    }
}

// Narrow contiguous columns come several rows side by side: takes in the last, ragged row and joins the copies of each column.
WORD void LOCAL_NAME(unfold)(const reduce_args *a, LOCAL_NAME(place) *w, T_WIDE *total)
{
    const T_IN *const rest = (const T_IN *)a->in + a->n * a->n_in;
    const i64 ragged = w->last == a->n ? a->ragged : 0;
    FOR_LANES(c, ragged) total[c] = LOCAL_NAME(join_wide)(total[c], (T_WIDE)LOCAL_NAME(map)(rest[c], (T_ACC)a->p));
    while (w->cols > a->outputs) {
        w->cols /= 2;
        SYNC();
        FOR_LANES(c, w->cols) total[c] = LOCAL_NAME(join_wide)(total[c], total[c + w->cols]);
    }
}

// ---- results

WORD void LOCAL_NAME(combine)(const reduce_args *a, const LOCAL_NAME(place) *w, T_WIDE *total)
{
    const T_WIDE *from = (const T_WIDE *)a->partial + w->first_output;
    FOR_LANES(c, w->cols) total[c] = from[c];
    for (i64 part = 1; part < a->parts; ++part) {
        from += a->outputs;
        FOR_LANES(c, w->cols) total[c] = LOCAL_NAME(join_wide)(total[c], from[c]);
    }
}

WORD void LOCAL_NAME(emit)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_WIDE *total)
{
    SYNC();
    if (a->partial && !a->combining) {
        T_WIDE *const to = (T_WIDE *)a->partial + w->part * a->outputs + w->first_output;
        FOR_LANES(c, w->cols) to[c] = total[c];
    } else {
        T_OUT *const to = (T_OUT *)a->out + w->out;
        FOR_LANES(c, w->cols) to[c * a->col_out] = LOCAL_NAME(finish)(a, total[c]);
    }
}

KERNEL(reduce_args, a)
{
    LOCAL_NAME(place) w = LOCAL_NAME(locate)(a, group_id());
    LOCAL(T_WIDE, total, REDUCE_TILE);
    if (a->combining) {
        LOCAL_NAME(combine)(a, &w, total);
    } else if (a->by_columns) {
        LOCAL_NAME(columns)(a, &w, total);
        if (a->folded) LOCAL_NAME(unfold)(a, &w, total);
    } else {
        LOCAL(T_WIDE, lanes, LANES);
        for (i64 c = 0; c < w.cols; ++c)
            total[c] = LOCAL_NAME(row)(a, &w, (const T_IN *)a->in + w.in + c * a->col_in, lanes);
    }
    LOCAL_NAME(emit)(a, &w, total);
}
#undef SMALLER
#undef LARGER
#undef UNORDERED

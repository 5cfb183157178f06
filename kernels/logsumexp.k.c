// SPDX-License-Identifier: Apache-2.0
// out = top + log(sum(exp(x - top))), top = max(x), over any set of dimensions.
//
// Layout as in reduce.k.c. The data are read once from memory and twice from cache: every block (of a row, or of rows of a
// column tile) gives its own top, and the sum of exponentials below that; blocks and parts are joined by
//   total' = total_a * exp(top_a - top') + total_b * exp(top_b - top'),  top' = max(top_a, top_b).
// An infinite top stands for 0 in the exponentials, as in ATen: -inf for nothing but -inf, inf for any inf. A NaN is lost in
// the maximum and found again by the sum.
// Cost: the traffic, and an exponential an element.
//
// Defines: T_IN, T_ACC; VEC.
#include "reduce_args.h"
#include "reduce_walk.h"

#define LOGSUMEXP_ROWS 64 // of a column tile at a time, so that the second reading finds them in L2
#define LOWEST ((T_ACC)-K_INFINITY)
#define LOAD(v) ((T_ACC)CAT(load_, T_IN)(v))
#define LARGER(a, b) ((a) > (b) ? (a) : (b))

// What is subtracted under a top.
WORD T_ACC LOCAL_NAME(anchor)(T_ACC top) { return k_abs(top) == (T_ACC)K_INFINITY ? 0 : top; }
// What a sum below its own top is worth below a larger one.
WORD T_ACC LOCAL_NAME(weight)(T_ACC own, T_ACC top) { return own == top ? 1 : k_exp(own - top); }

WORD T_ACC LOCAL_NAME(join)(T_ACC a, T_ACC b) { return a + b; }
WORD T_ACC LOCAL_NAME(exponential)(T_IN element, T_ACC anchor) { return k_exp(LOAD(element) - anchor); }
#define IDENTITY 0
#define BLOCK LOCAL_NAME(block_sum)
#define BLOCK_MAP LOCAL_NAME(exponential)
#include "reduce_block.c"
#undef IDENTITY

WORD T_ACC LOCAL_NAME(block_top)(const T_IN *in, i64 n, i64 stride)
{
    T_ACC t0[VEC], t1[VEC];
    FOR_SIMD(k) t0[k] = t1[k] = LOWEST;
    i64 i = 0;
    for (; i + 2 * VEC <= n; i += 2 * VEC) {
        FOR_SIMD(k) t0[k] = LARGER(LOAD(in[(i + k) * stride]), t0[k]);
        FOR_SIMD(k) t1[k] = LARGER(LOAD(in[(i + VEC + k) * stride]), t1[k]);
    }
    T_ACC top = LOWEST;
    SCALAR_LOOP for (; i < n; ++i) top = LARGER(LOAD(in[i * stride]), top);
    FOR_SIMD(k) t0[k] = LARGER(t1[k], t0[k]);
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) t0[k] = LARGER(t0[k + half], t0[k]);
    return group_max(LARGER(t0[0], top));
}

// ---- rows

WORD void LOCAL_NAME(row)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_IN *in, T_ACC *top, f64 *total)
{
    *top = LOWEST;
    *total = 0;
    for (i64 run = w->first_run; run < w->last_run; ++run) {
        const T_IN *const start = in + LOCAL_NAME(offset)(a->run_size, a->run_in, run);
        for (i64 i = w->first; i < w->last; i += REDUCE_BLOCK) {
            const i64 n = LOCAL_NAME(least)(REDUCE_BLOCK, w->last - i);
            const T_IN *const at = start + i * a->n_in;
            T_ACC own, sum;
            if (a->n_in == 1) {
                own = LOCAL_NAME(block_top)(at, n, 1);
                sum = LOCAL_NAME(block_sum)(at, n, 1, LOCAL_NAME(anchor)(own));
            } else {
                own = LOCAL_NAME(block_top)(at, n, a->n_in);
                sum = LOCAL_NAME(block_sum)(at, n, a->n_in, LOCAL_NAME(anchor)(own));
            }
            const T_ACC larger = LARGER(own, *top);
            *total = *total * LOCAL_NAME(weight)(*top, larger) + (f64)sum * LOCAL_NAME(weight)(own, larger);
            *top = larger;
        }
    }
}

// ---- columns

WORD void LOCAL_NAME(tops)(T_ACC *own, const T_IN *in, i64 cols, i64 col_in, i64 rows, i64 row_in)
{
    FOR_LANES(c, cols) own[c] = LOAD(in[c * col_in]);
    for (i64 r = 1; r < rows; ++r) FOR_LANES(c, cols) own[c] = LARGER(LOAD(in[r * row_in + c * col_in]), own[c]);
}

WORD void LOCAL_NAME(sums)(T_ACC *sum, const T_ACC *anchor, const T_IN *in, i64 cols, i64 col_in, i64 rows, i64 row_in)
{
    FOR_LANES(c, cols) sum[c] = 0;
    i64 r = 0;
    for (; r + 2 <= rows; r += 2) {
        const T_IN *const r0 = in + r * row_in, *const r1 = r0 + row_in;
        FOR_LANES(c, cols) sum[c] += k_exp(LOAD(r0[c * col_in]) - anchor[c]) + k_exp(LOAD(r1[c * col_in]) - anchor[c]);
    }
    if (r < rows) FOR_LANES(c, cols) sum[c] += k_exp(LOAD(in[r * row_in + c * col_in]) - anchor[c]);
}

WORD void LOCAL_NAME(columns)(const reduce_args *a, const LOCAL_NAME(place) *w, T_ACC *top, f64 *total)
{
    LOCAL(T_ACC, own, REDUCE_TILE);
    LOCAL(T_ACC, anchor, REDUCE_TILE);
    LOCAL(T_ACC, sum, REDUCE_TILE);
    const T_IN *const in = (const T_IN *)a->in + w->in;
    FOR_LANES(c, w->cols) top[c] = LOWEST;
    FOR_LANES(c, w->cols) total[c] = 0;
    for (i64 run = w->first_run; run < w->last_run; ++run) {
        const T_IN *const start = in + LOCAL_NAME(offset)(a->run_size, a->run_in, run);
        for (i64 i = w->first; i < w->last; i += LOGSUMEXP_ROWS) {
            const i64 rows = LOCAL_NAME(least)(LOGSUMEXP_ROWS, w->last - i);
            const T_IN *const at = start + i * a->n_in;
            if (a->col_in == 1) LOCAL_NAME(tops)(own, at, w->cols, 1, rows, a->n_in);
            else LOCAL_NAME(tops)(own, at, w->cols, a->col_in, rows, a->n_in);
            FOR_LANES(c, w->cols) anchor[c] = LOCAL_NAME(anchor)(own[c]);
            if (a->col_in == 1) LOCAL_NAME(sums)(sum, anchor, at, w->cols, 1, rows, a->n_in);
            else LOCAL_NAME(sums)(sum, anchor, at, w->cols, a->col_in, rows, a->n_in);
            FOR_LANES(c, w->cols) {
                const T_ACC larger = LARGER(own[c], top[c]);
                total[c] = total[c] * LOCAL_NAME(weight)(top[c], larger) + (f64)sum[c] * LOCAL_NAME(weight)(own[c], larger);
                top[c] = larger;
            }
        }
    }
}

// ---- results

WORD void LOCAL_NAME(combine)(const reduce_args *a, const LOCAL_NAME(place) *w, T_ACC *top, f64 *total)
{
    const T_ACC *tops = (const T_ACC *)a->partial + w->first_output;
    const f64 *totals = (const f64 *)a->partial_second + w->first_output;
    FOR_LANES(c, w->cols) top[c] = tops[c];
    FOR_LANES(c, w->cols) total[c] = totals[c];
    for (i64 part = 1; part < a->parts; ++part) {
        tops += a->outputs;
        totals += a->outputs;
        FOR_LANES(c, w->cols) {
            const T_ACC larger = LARGER(tops[c], top[c]);
            total[c] = total[c] * LOCAL_NAME(weight)(top[c], larger) + totals[c] * LOCAL_NAME(weight)(tops[c], larger);
            top[c] = larger;
        }
    }
}

WORD void LOCAL_NAME(emit)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_ACC *top, const f64 *total)
{
    SYNC();
    if (a->partial && !a->combining) {
        T_ACC *const tops = (T_ACC *)a->partial + w->part * a->outputs + w->first_output;
        f64 *const totals = (f64 *)a->partial_second + w->part * a->outputs + w->first_output;
        FOR_LANES(c, w->cols) tops[c] = top[c];
        FOR_LANES(c, w->cols) totals[c] = total[c];
        return;
    }
    T_IN *const out = (T_IN *)a->out + w->out;
    FOR_LANES(c, w->cols) out[c * a->col_out] = CAT(store_, T_IN)(k_log_f64(total[c]) + LOCAL_NAME(anchor)(top[c]));
}

KERNEL(reduce_args, a)
{
    const LOCAL_NAME(place) w = LOCAL_NAME(locate)(a, group_id());
    LOCAL(T_ACC, top, REDUCE_TILE);
    LOCAL(f64, total, REDUCE_TILE);
    if (a->combining)
        LOCAL_NAME(combine)(a, &w, top, total);
    else if (a->by_columns)
        LOCAL_NAME(columns)(a, &w, top, total);
    else
        for (i64 c = lane(); c < w.cols; c += LANES)
            LOCAL_NAME(row)(a, &w, (const T_IN *)a->in + w.in + c * a->col_in, &top[c], &total[c]);
    LOCAL_NAME(emit)(a, &w, top, total);
}
#undef LOGSUMEXP_ROWS
#undef LOWEST
#undef LOAD
#undef LARGER

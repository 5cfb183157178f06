// SPDX-License-Identifier: Apache-2.0
// Softmax, its logarithm and their gradients along contiguous rows, for groups of many lanes: the formulas of softmax.k.c. Other
// dimensions are in softmax_columns.c; what no group holds takes a reduction and a pointwise launch (src/ops/softmax_apart.c).
//
// A group owns a row. Each lane holds KEEP vectors of VEC elements of it, and the host chooses LANES and KEEP so that together
// they hold it all: so the row is read once and written once. It is held as it lies in memory, in as few registers as that
// takes, so that a multiprocessor has several rows under way: while some wait for their sums, others read and write. Halves'
// exponentials are made twice for that, which costs less than the registers that would keep them.
//
// A long row is shared out over parts of a group, each with its own maximum; they meet once, to exchange maxima and sums:
//   total = sum over parts of sum_p * exp(top_p - top)
// Reads come first and together; lanes beyond the end of the row read its last vector and take no part in sums. A group also asks
// for a row 8 MB on, so that memory is never idle.
//
// Floor: one read of each input and one write. Reached of the copy ceiling on an H200 (4.26 TB/s), 64M elements: f32 0.97 up to
// 16384 columns, then 0.88 to 0.78 at 262144; halves 0.91-0.94, then 0.88 to 0.73; backward 0.95-0.99, then 0.94 to 0.83. What
// longer rows lack is a multiprocessor's next row: a cluster starts only where all of its blocks have room.
// Defines: T, O (the result's type), LOG (0 or 1), PART (forward, backward, columns or columns_backward), LANES, PART_LANES, KEEP,
// VEC; ACROSS (of columns).
#include "softmax_lanes_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, O)(x)
#define LOWEST ((ACC)-MATH_INF_F32)
#define PLACE(t) (((t) * LANES + lane()) * VEC)
#define EXACT (sizeof(O) == sizeof(ACC)) // else the result is rounded to halves
#define EXP(x) (EXACT ? k_exp(x) : k_exp_half((f32)(x)))

WORD void LOCAL_NAME(read)(HELD(T) *held, const T *row, i32 n)
{
    FOR_KEEP(t) fetch_held(&held[t], row + (PLACE(t) < n ? PLACE(t) : n - VEC));
}

WORD void LOCAL_NAME(load)(ACC *v, const HELD(T) *held)
{
    T e[VEC];
    unpack_held(e, held);
    FOR_VEC(k) v[k] = LOAD(e[k]);
}

WORD void LOCAL_NAME(write)(O *row, const O *v, i32 place, i32 n)
{
    if (place < n) put_vec(row + place, v);
}

WORD ACC LOCAL_NAME(top_of)(const HELD(T) *held)
{
    ACC v[VEC], top = LOWEST;
    FOR_KEEP(t) {
        LOCAL_NAME(load)(v, &held[t]);
        FOR_VEC(k) top = larger(v[k], top); // a NaN is lost here; the sum of exponentials finds it
    }
    return part_max(top);
}

// The row's maximum and the sum of its exponentials below that, of what each part has.
WORD void LOCAL_NAME(join)(ACC *top, ACC *total, ACC part_top, ACC part_total)
{
    ACC tops[PARTS], totals[PARTS];
    gather_parts(tops, totals, part_top, part_total);
    *top = tops[0];
    for (int p = 1; p < PARTS; ++p) *top = larger(tops[p], *top);
    *total = 0;
    for (int p = 0; p < PARTS; ++p) *total += totals[p] * k_exp(tops[p] - *top);
}

WORD void LOCAL_NAME(forward)(const softmax_lanes_args *a, i64 group)
{
    const i32 n = (i32)a->cols;
    HELD(T) held[KEEP];
    ACC v[KEEP][VEC], sum = 0, top, total; // v stays what it is only where the exponentials are kept
    begin_parts();
    LOCAL_NAME(read)(held, (const T *)a->x + group * a->x_row, n);
    if (group + a->ahead < a->rows) prefetch_row((const T *)a->x + (group + a->ahead) * a->x_row, n * (i64)sizeof(T));
    const ACC part_top = LOCAL_NAME(top_of)(held), below = part_top == LOWEST ? 0 : part_top;
    FOR_KEEP(t) {
        ACC part = 0;
        if (sizeof(T) < sizeof(ACC)) forget_held(&held[t]);
        LOCAL_NAME(load)(v[t], &held[t]);
        FOR_VEC(k) {
            const ACC e = EXP(v[t][k] - below);
            if (!LOG) v[t][k] = e;
            part += e;
        }
        sum += PLACE(t) < n ? part : 0;
    }
    LOCAL_NAME(join)(&top, &total, part_top, part_sum(sum));
    const ACC rest = k_log(total), scale = k_exp(part_top - top) / total;
    FOR_KEEP(t) {
        O made[VEC];
        if (!EXACT) forget_held(&held[t]);
        if (!EXACT || LOG) LOCAL_NAME(load)(v[t], &held[t]);
        FOR_VEC(k) made[k] = STORE(LOG ? v[t][k] - top - rest : EXACT ? v[t][k] * scale : EXP(v[t][k] - top - rest));
        LOCAL_NAME(write)((O *)a->out + group * n, made, PLACE(t), n);
    }
}

WORD void LOCAL_NAME(backward)(const softmax_lanes_args *a, i64 group)
{
    const i32 n = (i32)a->cols;
    HELD(T) y[KEEP], g[KEEP];
    ACC u[VEC], v[VEC], sum = 0, sums[PARTS], none[PARTS];
    begin_parts();
    LOCAL_NAME(read)(y, (const T *)a->x + group * n, n);
    LOCAL_NAME(read)(g, (const T *)a->grad + group * n, n);
    if (group + a->ahead < a->rows) {
        prefetch_row((const T *)a->x + (group + a->ahead) * n, n * (i64)sizeof(T));
        prefetch_row((const T *)a->grad + (group + a->ahead) * n, n * (i64)sizeof(T));
    }
    FOR_KEEP(t) {
        ACC part = 0;
        LOCAL_NAME(load)(u, &y[t]);
        LOCAL_NAME(load)(v, &g[t]);
        FOR_VEC(k) part += LOG ? v[k] : v[k] * u[k];
        sum += PLACE(t) < n ? part : 0;
    }
    gather_parts(sums, none, part_sum(sum), (ACC)0);
    sum = sums[0];
    for (int p = 1; p < PARTS; ++p) sum += sums[p];
    FOR_KEEP(t) {
        O made[VEC];
        if (!EXACT) forget_held(&y[t]), forget_held(&g[t]);
        LOCAL_NAME(load)(u, &y[t]);
        LOCAL_NAME(load)(v, &g[t]);
        FOR_VEC(k) made[k] = STORE(LOG ? v[k] - EXP(u[k]) * sum : (v[k] - sum) * u[k]);
        LOCAL_NAME(write)((O *)a->out + group * n, made, PLACE(t), n);
    }
}

#include "softmax_columns.c"

KERNEL(softmax_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

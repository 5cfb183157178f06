// SPDX-License-Identifier: Apache-2.0
// Softmax, its logarithm and their gradients along contiguous rows, for groups of many lanes: the formulas of softmax.k.c.
//
// A group owns a row. Each lane holds KEEP vectors of VEC elements of it, and the host chooses LANES and KEEP so that together
// they hold it all: so the row is read once and written once, and each exponential is computed once. Long rows take groups
// larger than a block. Reads come first and together; lanes beyond the end of the row read its last vector and take no
// part in maxima and sums.
//
// Floor: one read of each input and one write.
// Defines: T, O (the result's type), LOG (0 or 1), PART (forward or backward), LANES, KEEP, VEC.
#include "softmax_lanes_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, O)(x)
#define MAX(a, b) ((a) > (b) ? (a) : (b)) // a NaN is lost here; the sum of exponentials finds it
#define LOWEST ((ACC)-MATH_INF_F32)
#define PLACE(t) (((i64)(t) * LANES + lane()) * VEC)

WORD void LOCAL_NAME(read)(T held[KEEP][VEC], const T *row, i64 n)
{
    FOR_KEEP(t) fetch_vec(held[t], row + (PLACE(t) < n ? PLACE(t) : n - VEC));
}

WORD void LOCAL_NAME(write)(O *row, const O *v, i64 place, i64 n)
{
    if (place < n) put_vec(row + place, v);
}

WORD void LOCAL_NAME(forward)(const softmax_lanes_args *a, i64 group)
{
    const i64 n = a->cols;
    T held[KEEP][VEC];
    ACC v[KEEP][VEC], top = LOWEST, sum = 0;
    LOCAL_NAME(read)(held, (const T *)a->x + group * a->x_row, n);
    FOR_KEEP(t) FOR_VEC(k) {
        v[t][k] = PLACE(t) < n ? LOAD(held[t][k]) : LOWEST;
        top = MAX(v[t][k], top);
    }
    top = group_max(top);
    FOR_KEEP(t) FOR_VEC(k) {
        const ACC e = k_exp(v[t][k] - top);
        if (!LOG) v[t][k] = e;
        sum += e;
    }
    sum = group_sum(sum);
    const ACC rest = LOG ? k_log(sum) : 1 / sum;
    FOR_KEEP(t) {
        O made[VEC];
        FOR_VEC(k) made[k] = STORE(LOG ? v[t][k] - top - rest : v[t][k] * rest);
        LOCAL_NAME(write)((O *)a->out + group * n, made, PLACE(t), n);
    }
}

WORD void LOCAL_NAME(backward)(const softmax_lanes_args *a, i64 group)
{
    const i64 n = a->cols;
    T y[KEEP][VEC], g[KEEP][VEC];
    ACC sum = 0;
    LOCAL_NAME(read)(y, (const T *)a->x + group * n, n);
    LOCAL_NAME(read)(g, (const T *)a->grad + group * n, n);
    FOR_KEEP(t) FOR_VEC(k) {
        const ACC term = LOG ? LOAD(g[t][k]) : LOAD(g[t][k]) * LOAD(y[t][k]);
        sum += PLACE(t) < n ? term : 0;
    }
    sum = group_sum(sum);
    FOR_KEEP(t) {
        O made[VEC];
        FOR_VEC(k) made[k] = STORE(LOG ? LOAD(g[t][k]) - k_exp(LOAD(y[t][k])) * sum : (LOAD(g[t][k]) - sum) * LOAD(y[t][k]));
        LOCAL_NAME(write)((O *)a->out + group * n, made, PLACE(t), n);
    }
}

KERNEL(softmax_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

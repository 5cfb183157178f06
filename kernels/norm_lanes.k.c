// SPDX-License-Identifier: Apache-2.0
// Layer norm of rows, for groups of many lanes: y = (x - mean) / sqrt(var + eps) * weight + bias, and the row's mean and
// 1 / sqrt(var + eps), which the gradient takes.
//
// A group owns a row, of which each lane holds KEEP vectors of VEC elements, all of it together (see softmax_lanes.k.c): it is
// read once, and the variance is the mean of squared distances from the mean, which loses no digits as a difference of
// squares would. Weights come from the L2 cache, where all rows find them.
//
// Floor: one read of x and one write.
// Defines: T, LANES, KEEP, VEC, WEIGHT and BIAS (whether there are any).
#include "norm_lanes_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define PLACE(t) (((i64)(t) * LANES + lane()) * VEC)
#define WITHIN(t) (PLACE(t) < n ? PLACE(t) : n - VEC) // lanes beyond the end read the last vector

KERNEL(norm_lanes_args, a)
{
    const i64 n = a->cols;
    const T *const row = (const T *)a->x + group_id() * a->x_row;
    T held[KEEP][VEC], weight[KEEP][VEC], bias[KEEP][VEC];
    ACC v[KEEP][VEC], sum = 0, squares = 0;
    FOR_KEEP(t) fetch_vec(held[t], row + WITHIN(t));
    if (WEIGHT) FOR_KEEP(t) fetch_vec(weight[t], (const T *)a->weight + WITHIN(t));
    if (BIAS) FOR_KEEP(t) fetch_vec(bias[t], (const T *)a->bias + WITHIN(t));
    FOR_KEEP(t) FOR_VEC(k) {
        v[t][k] = LOAD(held[t][k]);
        sum += PLACE(t) < n ? v[t][k] : 0;
    }
    const ACC mean = group_sum(sum) / (ACC)n;
    FOR_KEEP(t) FOR_VEC(k) {
        v[t][k] -= mean;
        squares += PLACE(t) < n ? v[t][k] * v[t][k] : 0;
    }
    const ACC rstd = k_rsqrt(group_sum(squares) / (ACC)n + (ACC)a->eps);
    FOR_KEEP(t) {
        T made[VEC];
        FOR_VEC(k) {
            ACC y = v[t][k] * rstd;
            if (WEIGHT) y *= LOAD(weight[t][k]);
            if (BIAS) y += LOAD(bias[t][k]);
            made[k] = STORE(y);
        }
        if (PLACE(t) < n) put_vec((T *)a->out + group_id() * n + PLACE(t), made);
    }
    if (lane() == 0) {
        ((ACC *)a->mean)[group_id()] = mean;
        ((ACC *)a->rstd)[group_id()] = rstd;
    }
}

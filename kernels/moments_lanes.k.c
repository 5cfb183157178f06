// SPDX-License-Identifier: Apache-2.0
// Mean and variance for groups of many lanes: m = sum(x) / n, var = sum((x - m)^2) / (n - correction), in one pass;
// reduce_lanes_walk.c says who reads what.
//
// A lane sums d = x - shift and d^2, where shift is the mean of the first elements that it sees: the squares about it are little
// more than those about the true mean, so the difference that gives the latter loses next to nothing. Of equal elements shift is
// exactly that, and the variance 0. Lanes and parts are joined by Chan's formula (see moments.k.c).
// Cost: the input once.
//
// Defines: those of the walk; T_ACC; T_OUT; ROOT (1: the standard deviation); WITH_MEAN (1: the mean to `second`).
#include "reduce_lanes_args.h"

#define CHAINS 1
#define LOAD(e) ((T_ACC)CAT(load_, T_IN)(e))

typedef struct LOCAL_NAME(running) {
    T_ACC shift, sum, squares;
} LOCAL_NAME(running);

typedef struct LOCAL_NAME(joined) {
    T_ACC count, mean, m2;
} LOCAL_NAME(joined);

WORD LOCAL_NAME(running) LOCAL_NAME(start)()
{
    LOCAL_NAME(running) v;
    v.shift = v.sum = v.squares = 0;
    return v;
}

// In rows the vectors of all n belong to one output, in columns one element of each.
WORD void LOCAL_NAME(begin)(LOCAL_NAME(running) *to, const T_IN (*held)[VEC], u32 n)
{
    const T_ACC share = 1 / (T_ACC)(IN_ROWS ? n * VEC : n);
    FOR_VEC(k) {
        LOCAL_NAME(running) *const v = &to[IN_ROWS ? 0 : k];
        const T_ACC first = LOAD(held[0][IN_ROWS ? 0 : k]);
        FOR_KEEP(t) if ((u32)t < n) v->shift += (LOAD(held[t][k]) - first) * share;
        if (!IN_ROWS || k == VEC - 1) v->shift += first;
    }
}

WORD void LOCAL_NAME(take)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, T_IN element, u32 index)
{
    const T_ACC d = LOAD(element) - to->shift;
    (void)a, (void)index;
    to->sum += d;
    to->squares += d * d;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(widen)(LOCAL_NAME(running) v, u32 elements)
{
    LOCAL_NAME(joined) made;
    const T_ACC mean = elements ? v.sum / (T_ACC)elements : 0, m2 = v.squares - v.sum * mean;
    made.count = (T_ACC)elements;
    made.mean = v.shift + mean;
    made.m2 = m2 < 0 ? 0 : m2; // by rounding
    return made;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(join)(LOCAL_NAME(joined) a, LOCAL_NAME(joined) b)
{
    LOCAL_NAME(joined) made;
    const T_ACC d = b.mean - a.mean;
    T_ACC share = (T_ACC)0.5; // as a rule, and a division is dear
    if (a.count != b.count) share = b.count / (a.count + b.count);
    made.count = a.count + b.count;
    made.mean = b.count > 0 ? a.mean + d * share : a.mean;
    made.m2 = b.count > 0 ? a.m2 + b.m2 + d * (a.count * share) * d : a.m2;
    return made;
}

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v)
{
    const T_ACC variance = v.m2 / (T_ACC)(a->count - a->correction);
    ((T_OUT *)a->out)[place] = CAT(store_, T_OUT)(ROOT ? k_sqrt(variance) : variance);
    if (WITH_MEAN) ((T_OUT *)a->second)[place] = CAT(store_, T_OUT)(v.mean);
}

#include "reduce_lanes_walk.c"

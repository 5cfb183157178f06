// SPDX-License-Identifier: Apache-2.0
// Mean and variance for groups of many lanes: m = sum(x) / n, var = sum((x - m)^2) / (n - correction), in one pass;
// reduce_lanes_walk.c says who reads what.
//
// A lane sums d = x - shift and d^2, where shift is its first element. As that is one of the data, the squares about it are
// at most n + 1 times those about the mean, and as a rule twice: the difference that gives the latter loses a bit or two. Lanes and
// parts are joined by Chan's formula (see moments.k.c).
// Cost: the input once.
//
// Defines: those of the walk; T_ACC; ROOT (1: the standard deviation); WITH_MEAN (1: the mean to `second`).
#include "reduce_lanes_args.h"

typedef struct LOCAL_NAME(running) {
    T_ACC shift, sum, squares;
    u32 count;
} LOCAL_NAME(running);

typedef struct LOCAL_NAME(joined) {
    T_ACC count, mean, m2;
} LOCAL_NAME(joined);

WORD LOCAL_NAME(running) LOCAL_NAME(start)()
{
    LOCAL_NAME(running) v;
    v.shift = v.sum = v.squares = 0;
    v.count = 0;
    return v;
}

WORD void LOCAL_NAME(take)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, T_IN element, u32 index)
{
    const T_ACC x = (T_ACC)CAT(load_, T_IN)(element);
    (void)a, (void)index;
    to->shift = to->count ? to->shift : x;
    const T_ACC d = x - to->shift;
    to->sum += d;
    to->squares += d * d;
    ++to->count;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(widen)(LOCAL_NAME(running) v)
{
    LOCAL_NAME(joined) made;
    const T_ACC mean = v.count ? v.sum / (T_ACC)v.count : 0, m2 = v.squares - v.sum * mean;
    made.count = (T_ACC)v.count;
    made.mean = v.shift + mean;
    made.m2 = m2 < 0 ? 0 : m2; // by rounding
    return made;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(join)(LOCAL_NAME(joined) a, LOCAL_NAME(joined) b)
{
    LOCAL_NAME(joined) made;
    const T_ACC d = b.mean - a.mean, share = b.count > 0 ? b.count / (a.count + b.count) : 0;
    made.count = a.count + b.count;
    made.mean = b.count > 0 ? a.mean + d * share : a.mean;
    made.m2 = b.count > 0 ? a.m2 + b.m2 + d * d * (a.count * share) : a.m2;
    return made;
}

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v)
{
    const T_ACC variance = v.m2 / (T_ACC)(a->count - a->correction);
    ((T_IN *)a->out)[place] = CAT(store_, T_IN)(ROOT ? k_sqrt(variance) : variance);
    if (WITH_MEAN) ((T_IN *)a->second)[place] = CAT(store_, T_IN)(v.mean);
}

#include "reduce_lanes_walk.c"

// SPDX-License-Identifier: Apache-2.0
// out = top + log(sum(exp(x - top))), top = max(x), for groups of many lanes; reduce_lanes_walk.c says who reads what.
//
// Every lane keeps the largest element so far and the sum of exponentials below it, which is scaled down when a larger one comes:
// in either case that takes one exponential. Elements that are infinite weigh 1 beside their like and make the result infinite;
// a NaN ends in the sum.
// Cost: the input once, and an exponential an element: for halves the arithmetic, not the memory, is the limit.
//
// RESULT scale or log_scale leaves what a softmax needs of its dimension, in the arithmetic type: top, and to `second` 1 / sum or
// log(sum). Where the largest element is infinite there is no softmax: NaN.
//
// Defines: those of the walk; T_ACC; RESULT (whole, scale or log_scale).
#include "reduce_lanes_args.h"

#define CHAINS 1
#define EXP(x) (sizeof(T_IN) < sizeof(T_ACC) ? k_exp_half((f32)(x)) : k_exp(x)) // the result has few digits

typedef struct LOCAL_NAME(running) {
    T_ACC top, sum;
} LOCAL_NAME(running);
typedef LOCAL_NAME(running) LOCAL_NAME(joined);

WORD LOCAL_NAME(running) LOCAL_NAME(start)()
{
    LOCAL_NAME(running) v;
    v.top = (T_ACC)-K_INFINITY;
    v.sum = 0;
    return v;
}

WORD void LOCAL_NAME(begin)(LOCAL_NAME(running) *to, const T_IN (*held)[VEC], u32 n) { (void)to, (void)held, (void)n; }

WORD void LOCAL_NAME(take)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, T_IN element, u32 index)
{
    const T_ACC x = (T_ACC)CAT(load_, T_IN)(element), weight = x == to->top ? 1 : EXP(-k_abs(x - to->top));
    (void)a, (void)index;
    to->sum = x > to->top ? to->sum * weight + 1 : to->sum + weight;
    to->top = x > to->top ? x : to->top;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(widen)(LOCAL_NAME(running) v, u32 elements) { return (void)elements, v; }

WORD LOCAL_NAME(joined) LOCAL_NAME(join)(LOCAL_NAME(joined) a, LOCAL_NAME(joined) b)
{
    LOCAL_NAME(joined) made;
    const T_ACC weight = a.top == b.top ? 1 : EXP(-k_abs(a.top - b.top));
    made.top = a.top > b.top ? a.top : b.top;
    made.sum = a.top > b.top ? a.sum + b.sum * weight : a.sum * weight + b.sum;
    return made;
}

WORD void LOCAL_NAME(whole)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v)
{
    ((T_IN *)a->out)[place] = CAT(store_, T_IN)(v.top + k_log(v.sum));
}

WORD void LOCAL_NAME(split)(const reduce_lanes_args *a, i64 place, T_ACC top, T_ACC rest)
{
    ((T_ACC *)a->out)[place] = top;
    ((T_ACC *)a->second)[place] = top == (T_ACC)K_INFINITY ? top - top : rest;
}

WORD void LOCAL_NAME(scale)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v) { LOCAL_NAME(split)(a, place, v.top, 1 / v.sum); }
WORD void LOCAL_NAME(log_scale)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v) { LOCAL_NAME(split)(a, place, v.top, k_log(v.sum)); }

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v) { LOCAL_NAME(RESULT)(a, place, v); }

#include "reduce_lanes_walk.c"

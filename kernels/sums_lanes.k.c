// SPDX-License-Identifier: Apache-2.0
// Sums of g, of g * y, or of both g and g * (x - center), for groups of many lanes; reduce_lanes_walk.c says who reads what.
//
// A lane takes x from the first of the elements that it sees (`shift`), so that nothing is lost where x is far from 0:
//   sum g * (x - center) = sum g * (x - shift) + (shift - center) * sum g
// and lanes are joined likewise. Sums are in the arithmetic type, at most 2^15 elements a lane, then by a tree.
// Cost: the inputs once.
//
// Defines: those of the walk; T_ACC; SUM (values, products or slopes), PAIRED and SHIFTED: what SUM needs;
// T_CENTER.
#include "reduce_lanes_args.h"

#define CHAINS 1
#define LOAD(e) ((T_ACC)CAT(load_, T_IN)(e))

typedef struct LOCAL_NAME(pair) {
    T_IN g, x;
} LOCAL_NAME(pair);
#define TAKEN LOCAL_NAME(pair)

WORD const T_IN *LOCAL_NAME(companion)(const reduce_lanes_args *a, const T_IN *from)
{
    return PAIRED ? (const T_IN *)a->other + (from - (const T_IN *)a->in) : from;
}

WORD void LOCAL_NAME(fetch)(const reduce_lanes_args *a, LOCAL_NAME(pair) *to, const T_IN *from)
{
    T_IN g[VEC], x[VEC];
    fetch_vec(g, from);
    if (PAIRED) fetch_vec(x, LOCAL_NAME(companion)(a, from));
    FOR_VEC(k) to[k].g = g[k], to[k].x = PAIRED ? x[k] : g[k];
}

WORD LOCAL_NAME(pair) LOCAL_NAME(fetch_one)(const reduce_lanes_args *a, const T_IN *from)
{
    LOCAL_NAME(pair) one;
    one.g = *from;
    one.x = *LOCAL_NAME(companion)(a, from);
    return one;
}

typedef struct LOCAL_NAME(running) {
    T_ACC shift, sum, product;
} LOCAL_NAME(running);

typedef struct LOCAL_NAME(joined) {
    T_ACC shift, sum, product;
    i32 any; // whether anything was taken: else shift says nothing
} LOCAL_NAME(joined);

WORD LOCAL_NAME(running) LOCAL_NAME(start)()
{
    LOCAL_NAME(running) v;
    v.shift = v.sum = v.product = 0;
    return v;
}

WORD void LOCAL_NAME(begin)(LOCAL_NAME(running) *to, const LOCAL_NAME(pair) (*held)[VEC], u32 n)
{
    (void)n;
    if (SHIFTED) FOR_VEC(k) if (!IN_ROWS || k == 0) to[k].shift = LOAD(held[0][k].x);
}

WORD void LOCAL_NAME(take)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, LOCAL_NAME(pair) element, u32 index)
{
    const T_ACC g = LOAD(element.g), x = LOAD(element.x);
    (void)a, (void)index;
    to->sum += g;
    if (PAIRED) to->product += g * (SHIFTED ? x - to->shift : x);
}

WORD LOCAL_NAME(joined) LOCAL_NAME(widen)(LOCAL_NAME(running) v, u32 elements)
{
    LOCAL_NAME(joined) made;
    made.shift = v.shift, made.sum = v.sum, made.product = v.product;
    made.any = elements != 0;
    return made;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(join)(LOCAL_NAME(joined) a, LOCAL_NAME(joined) b)
{
    if (!a.any) return b;
    if (!b.any) return a;
    a.product += SHIFTED ? b.product + (b.shift - a.shift) * b.sum : b.product;
    a.sum += b.sum;
    return a;
}

WORD void LOCAL_NAME(values)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v) { ((T_ACC *)a->out)[place] = v.sum; }
WORD void LOCAL_NAME(products)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v) { ((T_ACC *)a->out)[place] = v.product; }
WORD void LOCAL_NAME(slopes)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v)
{
    const T_ACC center = SHIFTED ? (T_ACC)CAT(load_, T_CENTER)(((const T_CENTER *)a->center)[place / a->center_outputs]) : 0;
    ((T_ACC *)a->out)[place] = v.sum;
    ((T_ACC *)a->second)[place] = v.product + (v.shift - center) * v.sum;
}

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v) { LOCAL_NAME(SUM)(a, place, v); }

#include "reduce_lanes_walk.c"

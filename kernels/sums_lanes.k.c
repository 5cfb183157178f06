// SPDX-License-Identifier: Apache-2.0
// Sums of g, of g * y, or of both g and g * (x - center), for groups of many lanes; reduce_lanes_walk.c says who reads what.
//
// x is taken from the center before it is multiplied, as nothing would be left of small differences afterwards. Sums are in the
// arithmetic type, at most 2^15 elements a lane, then by a tree.
// Cost: the inputs once.
//
// Defines: those of the walk; T_ACC; PAIRED (beside g there is y or x), CENTERED (x, of which both sums are wanted), ALIKE (its
// vectors are aligned where those of g are); T_CENTER.
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
    if (PAIRED && ALIKE) fetch_vec(x, LOCAL_NAME(companion)(a, from));
    else if (PAIRED) FOR_VEC(k) x[k] = LOCAL_NAME(companion)(a, from)[k];
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
    T_ACC center, sum, product;
} LOCAL_NAME(running);

typedef struct LOCAL_NAME(joined) {
    T_ACC sum, product;
} LOCAL_NAME(joined);

WORD LOCAL_NAME(running) LOCAL_NAME(start)()
{
    LOCAL_NAME(running) v;
    v.center = v.sum = v.product = 0;
    return v;
}

WORD void LOCAL_NAME(aim)(const reduce_lanes_args *a, LOCAL_NAME(running) *v, i64 place)
{
    if (CENTERED) v->center = (T_ACC)CAT(load_, T_CENTER)(((const T_CENTER *)a->center)[place / a->center_outputs]);
}

WORD void LOCAL_NAME(begin)(LOCAL_NAME(running) *to, const LOCAL_NAME(pair) (*held)[VEC], u32 n) { (void)to, (void)held, (void)n; }

WORD void LOCAL_NAME(take)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, LOCAL_NAME(pair) element, u32 index)
{
    const T_ACC g = LOAD(element.g), x = LOAD(element.x);
    (void)a, (void)index;
    to->sum += g;
    if (PAIRED) to->product += g * (x - to->center);
}

WORD LOCAL_NAME(joined) LOCAL_NAME(widen)(LOCAL_NAME(running) v, u32 elements)
{
    LOCAL_NAME(joined) made;
    (void)elements;
    made.sum = v.sum, made.product = v.product;
    return made;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(join)(LOCAL_NAME(joined) a, LOCAL_NAME(joined) b)
{
    a.sum += b.sum;
    a.product += b.product;
    return a;
}

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v)
{
    ((T_ACC *)a->out)[place] = PAIRED && !CENTERED ? v.product : v.sum;
    if (CENTERED) ((T_ACC *)a->second)[place] = v.product;
}

#include "reduce_lanes_walk.c"

// SPDX-License-Identifier: Apache-2.0
// Where the extreme element of a row or column is, and its value, for groups of many lanes: what argreduce.k.c is for one.
// Among equals the first one counts, and NaN beats everything; reduce_lanes_walk.c says who reads what.
//
// Every lane keeps value and index of the best of its elements, of which it sees the first first. Elements that are no better
// than IDENTITY are never taken: if no lane took any, all are equal and the first counts.
// Cost: the input once, and half a dozen instructions an element.
//
// Defines: those of the walk; T_ACC; FLOATING; COMPARE (> or <); IDENTITY (loses to all); VALUES (1: values to `out`, indices to
// `second`; 0: indices to `out`).
#include "reduce_lanes_args.h"

#if FLOATING
#define UNORDERED(v) ((v) != (v)) // NaN
#else
#define UNORDERED(v) 0
#endif
#define CHAINS 1
#define NOWHERE 0xffffffffu

typedef struct LOCAL_NAME(running) {
    T_ACC value;
    u32 index;
} LOCAL_NAME(running);
typedef LOCAL_NAME(running) LOCAL_NAME(joined);

WORD LOCAL_NAME(running) LOCAL_NAME(start)()
{
    LOCAL_NAME(running) v;
    v.value = IDENTITY;
    v.index = NOWHERE;
    return v;
}

WORD void LOCAL_NAME(begin)(LOCAL_NAME(running) *to, const T_IN (*held)[VEC], u32 n) { (void)to, (void)held, (void)n; }

WORD void LOCAL_NAME(take)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, T_IN element, u32 index)
{
    const T_ACC x = (T_ACC)CAT(load_, T_IN)(element);
    const int better = (x COMPARE to->value) | (UNORDERED(x) & !UNORDERED(to->value));
    (void)a;
    to->value = better ? x : to->value;
    to->index = better ? index : to->index;
}

WORD LOCAL_NAME(joined) LOCAL_NAME(widen)(LOCAL_NAME(running) v, u32 elements) { return (void)elements, v; }

WORD LOCAL_NAME(joined) LOCAL_NAME(join)(LOCAL_NAME(joined) a, LOCAL_NAME(joined) b)
{
    const int better = (b.value COMPARE a.value) | (UNORDERED(b.value) & !UNORDERED(a.value));
    const int equal = (b.value == a.value) | (UNORDERED(b.value) & UNORDERED(a.value));
    return (better | (equal & (b.index < a.index))) ? b : a;
}

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *a, i64 place, LOCAL_NAME(joined) v)
{
    ((i64 *)(VALUES ? a->second : a->out))[place] = v.index == NOWHERE ? 0 : (i64)v.index;
    if (VALUES) ((T_IN *)a->out)[place] = CAT(store_, T_IN)(v.value);
}

#include "reduce_lanes_walk.c"

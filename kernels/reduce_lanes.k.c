// SPDX-License-Identifier: Apache-2.0
// out[o] = FINISH(COMBINE over i of MAP(in[o, i])) for groups of many lanes: what reduce.k.c is for one. The rows and their
// bodies are the same; reduce_lanes_walk.c says who reads what.
//
// Precision: lanes add up in T_ACC (f32 for halves and f32, 32 bits for short integers), at most 2^15 elements each; from there
// on values are joined as T_WIDE by a tree.
// Cost: the input once; 0.82-0.98 of the copy ceiling of an H200 at 256 MB of f32. Elements of another dtype than the one that is
// computed with are converted as they are read.
//
// Defines: those of the walk; T_AS (what an element is converted to) and LOAD(element), which does it; T_ACC, T_WIDE, T_OUT;
// FLOATING (T_ACC is); MAP(x; p), COMBINE(a, b), IDENTITY, FINISH(a; count, p).
#include "reduce_lanes_args.h"

#include "reduce_words.c"

#define CHAINS VEC
typedef T_ACC LOCAL_NAME(running);
typedef T_WIDE LOCAL_NAME(joined);

WORD T_ACC LOCAL_NAME(start)() { return CAT(store_, T_ACC)(IDENTITY); }

WORD void LOCAL_NAME(begin)(T_ACC *to, const T_IN (*held)[VEC], u32 n) { (void)to, (void)held, (void)n; }

WORD void LOCAL_NAME(take)(const reduce_lanes_args *args, T_ACC *to, T_IN element, u32 index)
{
    const T_ACC p = CAT(store_, T_ACC)(args->p);
    const CAT(acc_, T_AS) x = LOAD(element);
    const T_ACC a = *to, b = CAT(store_, T_ACC)(MAP);
    (void)p, (void)x, (void)index;
    *to = CAT(store_, T_ACC)((COMBINE));
}

WORD T_WIDE LOCAL_NAME(widen)(T_ACC v, u32 elements) { return (void)elements, CAT(store_, T_WIDE)(v); }

WORD T_WIDE LOCAL_NAME(join)(T_WIDE a, T_WIDE b) { return CAT(store_, T_WIDE)((COMBINE)); }

WORD void LOCAL_NAME(finish)(const reduce_lanes_args *args, i64 place, T_WIDE a)
{
    const f64 count = args->count, p = args->p;
    (void)count, (void)p;
    ((T_OUT *)args->out)[place] = CAT(store_, T_OUT)((FINISH));
}

#include "reduce_lanes_walk.c"

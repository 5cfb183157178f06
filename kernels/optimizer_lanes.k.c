// SPDX-License-Identifier: Apache-2.0
// One step of an optimizer (optimizer_rules.c) over many parameters, for groups of many lanes: what optimizer.k.c is for one. Which
// group works where is in list_lanes_walk.c. A lane reads a vector of each of the parameter's tensors before it looks at the numbers
// that the device has (step, learning rate, scale, whether to stop), of which the host knows nothing and waits for nothing.
//
// Cost: every tensor read once and written once: 28 bytes an element of f32 AdamW. The powers of Adam's betas are made in each lane,
// some 60 operations of f64 for `reach` / LANES elements.
//
// Defines: T, RULE, DECOUPLED, LISTS, SCALED as in optimizer.k.c; STEPPED, whether entries have a step; LANES, KEEP, VEC, WORDS.
#include "optimizer_lanes_args.h"

#define SPREADS 0
#include "optimizer_rules.c"

#include "list_lanes_walk.c"

WORD void LOCAL_NAME(fetch)(T (*held)[KEEP][VEC], LOCAL_NAME(span) s, i64 at, const int whole)
{
    UNROLLED for (int j = 0; j < LISTS; ++j) FETCH_PART(held[j], (const T *)s.entry[LIST_FIRST + j], at, s.last, whole)
    READ_NOW();
}

WORD int LOCAL_NAME(compute)(const LOCAL_NAME(rule) *r, T (*held)[KEEP][VEC])
{
    int finite = 1;
    FOR_KEEP(t) FOR_VEC(k) {
        ACC x[OPTIMIZER_LISTS];
        UNROLLED for (int j = 0; j < OPTIMIZER_LISTS; ++j) x[j] = j < LISTS ? LOAD(held[j][t][k]) : 0;
        finite &= LOCAL_NAME(update)(r, &x[0], &x[1], &x[2], &x[3], &x[4]);
        UNROLLED for (int j = 0; j < LISTS; ++j) held[j][t][k] = STORE(x[j]);
    }
    return finite;
}

WORD void LOCAL_NAME(work)(const optimizer_lanes_args *a, LOCAL_NAME(span) s, const int whole)
{
    T held[LISTS][KEEP][VEC];
    i64 at = s.first;
    int finite = 1;
    LOCAL_NAME(fetch)(held, s, at, whole);
    if (LOCAL_NAME(stops)(&a->numbers)) return;
    const LOCAL_NAME(rule) r = LOCAL_NAME(prepare)(&a->numbers, STEPPED ? (const void *)s.entry[LIST_FIRST + LISTS] : (const void *)0);
    SCALAR_LOOP while (1) {
        finite &= LOCAL_NAME(compute)(&r, held);
        UNROLLED for (int j = 0; j < LISTS; ++j)
            if (j != 1 || SCALED) PUT_PART((T *)s.entry[LIST_FIRST + j], held[j], at, s.last, whole)
        at += KEEP * VEC * LANES;
        if (at >= s.last) break;
        LOCAL_NAME(fetch)(held, s, at, whole);
    }
    if (UNSCALES && !finite) *a->numbers.found_inf = 1;
}

KERNEL(optimizer_lanes_args, a)
{
    const LOCAL_NAME(span) s = LOCAL_NAME(span_of)(&a->table, (u32)group_id());
    if (s.whole) LOCAL_NAME(work)(a, s, 1);
    else LOCAL_NAME(work)(a, s, 0);
}

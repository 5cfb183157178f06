// SPDX-License-Identifier: Apache-2.0
// One step of an optimizer (optimizer_rules.c) over many parameters.
//
// The parameters lie one after another in a space of groups of group_elements elements; a group finds its parameter by
// bisection. Everything is read once and written once: 7 element accesses an element of Adam's, which is the floor.
//
// Defines: T element type, RULE, DECOUPLED 0 or 1, LISTS, SCALED 0 or 1.
#include "optimizer_args.h"

#define SPREADS 1
#include "optimizer_rules.c"

WORD const optimizer_parameter *LOCAL_NAME(find)(const optimizer_args *a, i64 group)
{
    i64 low = 0, high = a->count;
    while (high - low > 1) {
        const i64 middle = (low + high) / 2;
        if (a->parameters[middle].first_group <= group) low = middle;
        else high = middle;
    }
    return &a->parameters[low];
}

KERNEL(optimizer_args, a)
{
    const optimizer_parameter *const at = LOCAL_NAME(find)(a, group_id());
    const i64 first = (group_id() - at->first_group) * a->group_elements;
    const i64 left = at->numel - first, n = left < a->group_elements ? left : a->group_elements;
    T *const p = (T *)at->list[0] + first, *const g = LISTS > 1 ? (T *)at->list[1] + first : p;
    T *const m = LISTS > 2 ? (T *)at->list[2] + first : p, *const v = LISTS > 3 ? (T *)at->list[3] + first : p;
    T *const most = LISTS > 4 ? (T *)at->list[4] + first : p;
    if (LOCAL_NAME(stops)(&a->numbers)) return;
    const LOCAL_NAME(rule) r = LOCAL_NAME(prepare)(&a->numbers, at->step);
    i32 finite = 1;

    FOR_LANES(i, n) {
        ACC p1 = LOAD(p[i]), g1 = LOAD(g[i]), m1 = LOAD(m[i]), v1 = LOAD(v[i]), most1 = LOAD(most[i]);
        finite &= LOCAL_NAME(update)(&r, &p1, &g1, &m1, &v1, &most1);
        p[i] = STORE(p1);
        if (SCALED) g[i] = STORE(g1);
        if (LISTS > 2) m[i] = STORE(m1);
        if (LISTS > 3) v[i] = STORE(v1);
        if (LISTS > 4) most[i] = STORE(most1);
    }
    if (UNSCALES && !finite) *a->numbers.found_inf = 1;
}
#undef ACC
#undef LOAD
#undef STORE
#undef UNSCALES

// SPDX-License-Identifier: Apache-2.0
// The walk of the reducing kernels for groups of many lanes: from elements to one value an output. It is included by a kernel
// file that says what is done with the elements, under these names:
//   LOCAL_NAME(running), CHAINS        a lane's value of one output, and how many of them it keeps of a row (they don't wait for
//                                      each other; 1 or VEC)
//   start(), begin(running *, held, n), take(args, running *, element, index)    how it begins, sees the first n vectors before
//                                      it takes any element, and takes an element in;
//   LOCAL_NAME(joined), widen(running, elements), join(a, b)    what lanes and parts exchange, in an order that shapes decide;
//   finish(args, place, joined)        writes a result.
// A kernel that takes elements of two inputs laid out alike also says what a lane holds of both, TAKEN, and how they are read,
// fetch(args, TAKEN *, from) and fetch_one(args, from), where `from` is their place in the first; and what a value must know of its
// output's place, aim(args, running *, place).
//
// The host sorts and merges dimensions into a kept and a reduced space, in each of which a unit has one number:
//   rows:    vectors lie along the reduced space. 2^lanes_log2 neighbouring lanes share a row; several rows to a group.
//   columns: vectors lie along the kept space. Each lane owns VEC columns; 2^lanes_log2 lanes stand side by side on different
//            ones, the group's other lanes take other rows of the same columns.
//   combine: joins the values of the parts into which the reduced space was cut, [part][output].
// A lane reads KEEP vectors before it uses the first. Where outputs are too few to keep the device busy the reduced space is cut
// into parts, each of them a group; no atomics, so results are the same every time.
//
// Defines: T_IN, PART (one of the three), IN_ROWS, LANES, KEEP, VEC, RANK (of the reduced space).

#include "lanes_place.h"

#ifndef TAKEN
#define TAKEN T_IN
WORD void LOCAL_NAME(fetch)(const reduce_lanes_args *a, T_IN *to, const T_IN *from) { (void)a, fetch_vec(to, from); }
WORD T_IN LOCAL_NAME(fetch_one)(const reduce_lanes_args *a, const T_IN *from) { return (void)a, *from; }
WORD void LOCAL_NAME(aim)(const reduce_lanes_args *a, LOCAL_NAME(running) *v, i64 place) { (void)a, (void)v, (void)place; }
#endif

// Where unit n of the reduced space lies in the input; RANK is a constant, for each element comes this way.
WORD i64 LOCAL_NAME(reduced_place)(const reduce_lanes_args *a, u32 n)
{
    i64 at = 0;
    UNROLLED for (int d = 0; d < RANK - 1; ++d) {
        const u32 rest = quotient(n, a->reduced.magic[d], a->reduced.shift[d]);
        at += (i64)(n - rest * a->reduced.size[d]) * a->reduced.in[d];
        n = rest;
    }
    return at + (i64)n * a->reduced.in[RANK - 1];
}

#define CHAIN(k) (IN_ROWS ? (k) % CHAINS : (k))

// Takes n <= KEEP units, `stride` apart from r on; in place of those beyond, lanes read the last one.
WORD void LOCAL_NAME(step)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, const T_IN *in, u32 r, u32 stride, u32 n, int first)
{
    TAKEN held[KEEP][VEC];
    FOR_KEEP(t) LOCAL_NAME(fetch)(a, held[t], in + LOCAL_NAME(reduced_place)(a, r + (n == KEEP ? (u32)t : LOCAL_NAME(least)((u32)t, n - 1)) * stride));
    READ_NOW();
    if (first) LOCAL_NAME(begin)(to, held, n);
    FOR_KEEP(t) if ((u32)t < n)
        FOR_VEC(k) LOCAL_NAME(take)(a, &to[CHAIN(k)], held[t][k], IN_ROWS ? (r + t * stride) * VEC + k : r + t * stride);
}

// Every `stride`-th unit from r on, below last. Returns how many were taken.
WORD u32 LOCAL_NAME(walk)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, const T_IN *in, u32 r, u32 last, u32 stride)
{
    u32 taken = 0;
    for (; r + (KEEP - 1) * stride < last; r += KEEP * stride, taken += KEEP) LOCAL_NAME(step)(a, to, in, r, stride, KEEP, taken == 0);
    if (r >= last) return taken;
    u32 n = 0;
    FOR_KEEP(t) n += r + t * stride < last;
    LOCAL_NAME(step)(a, to, in, r, stride, n, taken == 0);
    return taken + n;
}

// Joins what neighbouring lanes of a warp hold that are `step` or more apart, within `span` of them.
WORD LOCAL_NAME(joined) LOCAL_NAME(join_near)(LOCAL_NAME(joined) v, u32 step, u32 span)
{
    SCALAR_LOOP for (u32 o = LOCAL_NAME(least)(span, NEAR_LANES) / 2; o >= step; o /= 2) v = LOCAL_NAME(join)(v, from_lane(v, o));
    return v;
}

// Joins what the lanes of an output hold: `span` lanes from a multiple of span on, `step` apart. All lanes of the group come
// here; the first `step` lanes of each span leave with the result.
WORD LOCAL_NAME(joined) LOCAL_NAME(join_lanes)(LOCAL_NAME(joined) v, u32 step, u32 span)
{
    LOCAL(LOCAL_NAME(joined), all, LANES);
    v = LOCAL_NAME(join_near)(v, step, span);
    if (span <= NEAR_LANES) return v;
    all[lane()] = v;
    SYNC();
    SCALAR_LOOP for (u32 o = span / 2; o >= LOCAL_NAME(most)(step, NEAR_LANES); o /= 2) {
        if (((u32)lane() & (span - 1)) < o) all[lane()] = LOCAL_NAME(join)(all[lane()], all[lane() + o]);
        SYNC();
    }
    return all[lane()];
}

// output: the number of an element of the kept space; the k-th of a unit of it.
WORD void LOCAL_NAME(emit)(const reduce_lanes_args *a, u32 unit, u32 k, u32 part, LOCAL_NAME(joined) v)
{
    const u64 output = IN_ROWS ? unit : (u64)unit * VEC + k;
    if (a->partial) ((LOCAL_NAME(joined) *)a->partial)[part * a->outputs + output] = v;
    else LOCAL_NAME(finish)(a, LOCAL_NAME(place)(&a->kept, a->kept.out, unit) + k * a->out_step, v);
}

WORD void LOCAL_NAME(rows)(const reduce_lanes_args *a, u32 group)
{
    const u32 span = 1u << a->lanes_log2, at = (u32)lane() & (span - 1);
    const u32 tile = a->parts > 1 ? group / a->parts : group, part = group - tile * a->parts;
    const u32 mine = tile * (LANES >> a->lanes_log2) + ((u32)lane() >> a->lanes_log2), unit = LOCAL_NAME(least)(mine, a->kept.count - 1);
    const u32 first = part * a->share, last = LOCAL_NAME(least)(first + a->share, a->reduced.count);
    const T_IN *const in = (const T_IN *)a->in + LOCAL_NAME(place)(&a->kept, a->kept.in, unit);
    LOCAL_NAME(running) v[CHAINS];
    UNROLLED for (int c = 0; c < CHAINS; ++c) {
        v[c] = LOCAL_NAME(start)();
        LOCAL_NAME(aim)(a, &v[c], LOCAL_NAME(place)(&a->kept, a->kept.out, unit));
    }
    if (a->partial) MAY_FOLLOW();
    u32 elements = LOCAL_NAME(walk)(a, v, in, first + at, last, span) * (VEC / CHAINS);
    if (last == a->reduced.count && at < a->rest) {
        const i64 i = (i64)last * VEC + at;
        LOCAL_NAME(take)(a, &v[0], LOCAL_NAME(fetch_one)(a, in + i), (u32)i);
        ++elements;
    }
    LOCAL_NAME(joined) joined = LOCAL_NAME(widen)(v[0], elements);
    UNROLLED for (int c = 1; c < CHAINS; ++c) joined = LOCAL_NAME(join)(joined, LOCAL_NAME(widen)(v[c], elements));
    joined = LOCAL_NAME(join_lanes)(joined, 1, span);
    if (at == 0 && mine < a->kept.count) LOCAL_NAME(emit)(a, unit, 0, part, joined);
}

// In the end each lane joins a column of its own, in the order in which they are written. What lanes exchange lies in memory by
// warps or rows of lanes, then k, then the lane; the pitch keeps those of one column in different banks.
WORD void LOCAL_NAME(columns)(const reduce_lanes_args *a, u32 group)
{
    LOCAL(LOCAL_NAME(joined), all, LANES * (VEC + 1));
    const u32 across = 1u << a->lanes_log2, pitch = across + NEAR_LANES / VEC, level = VEC * pitch;
    const u32 levels = LANES / LOCAL_NAME(most)(across, NEAR_LANES), column = (u32)lane() & (across - 1);
    const u32 tile = a->parts > 1 ? group / a->parts : group, part = group - tile * a->parts;
    const u32 unit = LOCAL_NAME(least)(tile * across + column, a->kept.count - 1);
    const u32 first = part * a->share, last = LOCAL_NAME(least)(first + a->share, a->reduced.count);
    LOCAL_NAME(running) v[VEC];
    FOR_VEC(k) {
        v[k] = LOCAL_NAME(start)();
        LOCAL_NAME(aim)(a, &v[k], LOCAL_NAME(place)(&a->kept, a->kept.out, unit) + k * a->out_step);
    }
    if (a->partial) MAY_FOLLOW();
    const u32 taken = LOCAL_NAME(walk)(a, v, (const T_IN *)a->in + LOCAL_NAME(place)(&a->kept, a->kept.in, unit),
                                       first + ((u32)lane() >> a->lanes_log2), last, LANES >> a->lanes_log2);
    FOR_VEC(k) {
        const LOCAL_NAME(joined) joined = LOCAL_NAME(join_near)(LOCAL_NAME(widen)(v[k], taken), across, NEAR_LANES);
        if ((u32)lane() % NEAR_LANES == (column & (NEAR_LANES - 1)))
            all[(u32)lane() / LOCAL_NAME(most)(across, NEAR_LANES) * level + k * pitch + column] = joined;
    }
    SYNC();
    for (u32 c = (u32)lane(); c < across * VEC; c += LANES) {
        const LOCAL_NAME(joined) *const from = all + c % VEC * pitch + c / VEC;
        LOCAL_NAME(joined) joined = from[0];
        SCALAR_LOOP for (u32 l = 1; l < levels; ++l) joined = LOCAL_NAME(join)(joined, from[l * level]);
        if (tile * across + c / VEC < a->kept.count) LOCAL_NAME(emit)(a, tile * across + c / VEC, c % VEC, part, joined);
    }
}

WORD void LOCAL_NAME(combine)(const reduce_lanes_args *a, u32 group)
{
    const u32 across = 1u << a->lanes_log2, mine = group * across + ((u32)lane() & (across - 1));
    const LOCAL_NAME(joined) *const in = (const LOCAL_NAME(joined) *)a->in + LOCAL_NAME(least)(mine, a->kept.count - 1);
    LOCAL_NAME(joined) v = LOCAL_NAME(widen)(LOCAL_NAME(start)(), 0);
    AWAIT_EARLIER();
    UNROLLED for (u32 part = (u32)lane() >> a->lanes_log2; part < a->parts; part += LANES >> a->lanes_log2)
        v = LOCAL_NAME(join)(v, in[part * a->outputs]);
    v = LOCAL_NAME(join_lanes)(v, across, LANES);
    if ((u32)lane() < across && mine < a->kept.count) LOCAL_NAME(emit)(a, mine, 0, 0, v);
}

KERNEL(reduce_lanes_args, a)
{
    LOCAL_NAME(PART)(a, (u32)group_id());
}

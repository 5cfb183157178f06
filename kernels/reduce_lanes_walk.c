// SPDX-License-Identifier: Apache-2.0
// The walk of the reducing kernels for groups of many lanes: from elements to one value an output. It is included by a kernel
// file that says what is done with the elements, under these names:
//   LOCAL_NAME(running)                a lane's value of one output, and
//   start(), take(args, running *, element, index)    how it begins and takes an element in;
//   LOCAL_NAME(joined), widen(running), join(a, b)    what lanes and parts exchange, in an order that shapes alone decide;
//   finish(args, place, joined)        writes a result.
//
// The host sorts and merges dimensions into a kept and a reduced space, in each of which a unit has one number:
//   rows:       vectors lie along the reduced space. 2^lanes_log2 neighbouring lanes share a row; several rows to a group.
//   short_rows: a lane has no more than one vector of a row, so it takes KEEP rows.
//   columns:    vectors lie along the kept space. Each lane owns VEC columns; 2^lanes_log2 lanes stand side by side on different
//               ones, the group's other lanes take other rows of the same columns.
//   combine:    joins the values of the parts into which the reduced space was cut.
// A lane reads KEEP vectors before it uses the first. Where outputs are too few to keep the device busy the reduced space is cut
// into parts, each of them a group; no atomics, so results are the same every time.
//
// Defines: T_IN, PART (one of the four), IN_ROWS, LANES, KEEP, VEC, RANK (of the reduced space).

WORD u32 LOCAL_NAME(least)(u32 x, u32 y) { return x < y ? x : y; }

WORD u32 LOCAL_NAME(quotient)(const reduce_lanes_space *s, u32 n, int d)
{
    return ((u32)((u64)n * s->magic[d] >> 32) + n) >> s->shift[d];
}

// Where unit n of the reduced space lies in the input; RANK is a constant, for each element comes this way.
WORD i64 LOCAL_NAME(reduced_place)(const reduce_lanes_args *a, u32 n)
{
    i64 at = 0;
    UNROLLED for (int d = 0; d < RANK - 1; ++d) {
        const u32 rest = LOCAL_NAME(quotient)(&a->reduced, n, d);
        at += (i64)(n - rest * a->reduced.size[d]) * a->reduced.in[d];
        n = rest;
    }
    return at + (i64)n * a->reduced.in[RANK - 1];
}

WORD i64 LOCAL_NAME(kept_place)(const reduce_lanes_args *a, const i64 *step, u32 n)
{
    i64 at = 0;
    u32 d = 0;
    SCALAR_LOOP for (; d + 1 < a->kept.rank; ++d) {
        const u32 rest = LOCAL_NAME(quotient)(&a->kept, n, (int)d);
        at += (i64)(n - rest * a->kept.size[d]) * step[d];
        n = rest;
    }
    return at + (i64)n * step[d];
}

// Every `stride`-th unit from r on, below last.
WORD void LOCAL_NAME(walk)(const reduce_lanes_args *a, LOCAL_NAME(running) *to, const T_IN *in, u32 r, u32 last, u32 stride)
{
    T_IN held[KEEP][VEC];
    for (; r + (KEEP - 1) * stride < last; r += KEEP * stride) {
        FOR_KEEP(t) fetch_vec(held[t], in + LOCAL_NAME(reduced_place)(a, r + t * stride));
        FOR_KEEP(t) FOR_VEC(k) LOCAL_NAME(take)(a, &to[k], held[t][k], IN_ROWS ? (r + t * stride) * VEC + k : r + t * stride);
    }
    if (r >= last) return;
    FOR_KEEP(t) fetch_vec(held[t], in + LOCAL_NAME(reduced_place)(a, LOCAL_NAME(least)(r + t * stride, last - 1)));
    FOR_KEEP(t) if (r + t * stride < last)
        FOR_VEC(k) LOCAL_NAME(take)(a, &to[k], held[t][k], IN_ROWS ? (r + t * stride) * VEC + k : r + t * stride);
}

// Joins what the lanes of an output hold: `span` lanes from a multiple of span on, `step` apart. All lanes of the group come
// here; the first `step` lanes of each span leave with the result.
WORD LOCAL_NAME(joined) LOCAL_NAME(join_lanes)(LOCAL_NAME(joined) v, u32 step, u32 span)
{
    LOCAL(LOCAL_NAME(joined), all, LANES);
    SCALAR_LOOP for (u32 o = LOCAL_NAME(least)(span, NEAR_LANES) / 2; o >= step; o /= 2) v = LOCAL_NAME(join)(v, from_lane(v, o));
    if (span <= NEAR_LANES) return v;
    SYNC();
    all[lane()] = v;
    SYNC();
    const u32 beyond = step > NEAR_LANES ? step : NEAR_LANES;
    SCALAR_LOOP for (u32 o = span / 2; o >= beyond; o /= 2) {
        if (((u32)lane() & (span - 1)) < o) all[lane()] = LOCAL_NAME(join)(all[lane()], all[lane() + o]);
        SYNC();
    }
    return all[lane()];
}

WORD LOCAL_NAME(joined) LOCAL_NAME(join_vector)(const LOCAL_NAME(running) *v)
{
    LOCAL_NAME(joined) joined = LOCAL_NAME(widen)(v[0]);
    UNROLLED for (int k = 1; k < VEC; ++k) joined = LOCAL_NAME(join)(joined, LOCAL_NAME(widen)(v[k]));
    return joined;
}

WORD void LOCAL_NAME(emit)(const reduce_lanes_args *a, u32 unit, int k, u32 part, LOCAL_NAME(joined) v)
{
    const u64 output = IN_ROWS ? unit : (u64)unit * VEC + k;
    if (a->partial) ((LOCAL_NAME(joined) *)a->partial)[output * a->parts + part] = v;
    else LOCAL_NAME(finish)(a, LOCAL_NAME(kept_place)(a, a->kept.out, unit) + k * a->out_step, v);
}

WORD void LOCAL_NAME(rows)(const reduce_lanes_args *a, u32 group)
{
    const u32 span = 1u << a->lanes_log2, at = (u32)lane() & (span - 1);
    const u32 tile = a->parts > 1 ? group / a->parts : group, part = group - tile * a->parts;
    const u32 mine = tile * (LANES >> a->lanes_log2) + ((u32)lane() >> a->lanes_log2), unit = LOCAL_NAME(least)(mine, a->kept.count - 1);
    const u32 first = part * a->share, last = LOCAL_NAME(least)(first + a->share, a->reduced.count);
    const T_IN *const in = (const T_IN *)a->in + LOCAL_NAME(kept_place)(a, a->kept.in, unit);
    LOCAL_NAME(running) v[VEC];
    FOR_VEC(k) v[k] = LOCAL_NAME(start)();
    LOCAL_NAME(walk)(a, v, in, first + at, last, span);
    if (last == a->reduced.count && at < a->rest) {
        const i64 i = (i64)last * VEC + at;
        LOCAL_NAME(take)(a, &v[0], in[i], (u32)i);
    }
    const LOCAL_NAME(joined) joined = LOCAL_NAME(join_lanes)(LOCAL_NAME(join_vector)(v), 1, span);
    if (at == 0 && mine < a->kept.count) LOCAL_NAME(emit)(a, unit, 0, part, joined);
}

WORD void LOCAL_NAME(short_rows)(const reduce_lanes_args *a, u32 group)
{
    const u32 span = 1u << a->lanes_log2, at = (u32)lane() & (span - 1), across = LANES >> a->lanes_log2;
    const u32 first = group * across * KEEP + ((u32)lane() >> a->lanes_log2), count = a->kept.count;
    const i64 place = LOCAL_NAME(reduced_place)(a, LOCAL_NAME(least)(at, a->reduced.count - 1));
    T_IN held[KEEP][VEC];
    FOR_KEEP(t) {
        const u32 unit = LOCAL_NAME(least)(first + t * across, count - 1);
        fetch_vec(held[t], (const T_IN *)a->in + LOCAL_NAME(kept_place)(a, a->kept.in, unit) + place);
    }
    FOR_KEEP(t) {
        LOCAL_NAME(running) v[VEC];
        FOR_VEC(k) v[k] = LOCAL_NAME(start)();
        if (at < a->reduced.count) FOR_VEC(k) LOCAL_NAME(take)(a, &v[k], held[t][k], at * VEC + k);
        const LOCAL_NAME(joined) joined = LOCAL_NAME(join_lanes)(LOCAL_NAME(join_vector)(v), 1, span);
        if (at == 0 && first + t * across < count) LOCAL_NAME(emit)(a, first + t * across, 0, 0, joined);
    }
}

WORD void LOCAL_NAME(columns)(const reduce_lanes_args *a, u32 group)
{
    const u32 across = 1u << a->lanes_log2;
    const u32 tile = a->parts > 1 ? group / a->parts : group, part = group - tile * a->parts;
    const u32 mine = tile * across + ((u32)lane() & (across - 1)), unit = LOCAL_NAME(least)(mine, a->kept.count - 1);
    const u32 first = part * a->share, last = LOCAL_NAME(least)(first + a->share, a->reduced.count);
    LOCAL_NAME(running) v[VEC];
    FOR_VEC(k) v[k] = LOCAL_NAME(start)();
    LOCAL_NAME(walk)(a, v, (const T_IN *)a->in + LOCAL_NAME(kept_place)(a, a->kept.in, unit), first + ((u32)lane() >> a->lanes_log2), last,
                     LANES >> a->lanes_log2);
    FOR_VEC(k) {
        LOCAL_NAME(joined) joined = LOCAL_NAME(widen)(v[k]);
        if (across < LANES) joined = LOCAL_NAME(join_lanes)(joined, across, LANES);
        if ((u32)lane() < across && mine < a->kept.count) LOCAL_NAME(emit)(a, unit, k, part, joined);
    }
}

WORD void LOCAL_NAME(combine)(const reduce_lanes_args *a, u32 group)
{
    const u32 span = 1u << a->lanes_log2, at = (u32)lane() & (span - 1);
    const u32 mine = group * (LANES >> a->lanes_log2) + ((u32)lane() >> a->lanes_log2), unit = LOCAL_NAME(least)(mine, a->kept.count - 1);
    const LOCAL_NAME(joined) *const in = (const LOCAL_NAME(joined) *)a->in + (u64)unit * a->parts;
    LOCAL_NAME(joined) v = LOCAL_NAME(widen)(LOCAL_NAME(start)());
    UNROLLED for (u32 part = at; part < a->parts; part += span) v = LOCAL_NAME(join)(v, in[part]);
    v = LOCAL_NAME(join_lanes)(v, 1, span);
    if (at == 0 && mine < a->kept.count) LOCAL_NAME(emit)(a, unit, 0, 0, v);
}

KERNEL(reduce_lanes_args, a)
{
    LOCAL_NAME(PART)(a, (u32)group_id());
}

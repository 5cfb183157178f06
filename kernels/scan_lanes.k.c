// SPDX-License-Identifier: Apache-2.0
// out[i] = in[0] COMBINE in[1] ... COMBINE in[i] along one dimension, and with INDEXED the extreme so far and where it is, for
// groups of many lanes: what scan.k.c is for one.
//
//   rows:    the scanned dimension is consecutive. 2^lanes_log2 neighbouring lanes share a row and take a vector of VEC of its
//            elements each, KEEP times before they use the first.
//   columns: another dimension is. A lane takes KEEP rows of VEC columns; 2^lanes_log2 lanes stand side by side, the others
//            below them take the rows that follow.
// A lane scans what it holds; what came before that is joined from the lanes before it and from the stretch before.
// Cost: the input once and the output once.
//
// Defines: T_IN, T_ACC, T_OUT; FLOATING; COMBINE(a, b) with a so far and b the next, and IDENTITY, what is there before the
// first; INDEXED, and then COMPARE (>= or <=); PART (rows or columns), LANES, KEEP, VEC.
#include "scan_lanes_args.h"

#include "lanes_place.h"
#include "scan_words.c"

typedef struct LOCAL_NAME(chain) {
    T_ACC value;
#if INDEXED
    u32 index;
#endif
} LOCAL_NAME(chain);

WORD LOCAL_NAME(chain) LOCAL_NAME(get)(T_IN element, u32 index)
{
    LOCAL_NAME(chain) v;
    v.value = CAT(store_, T_ACC)(CAT(load_, T_IN)(element));
#if INDEXED
    v.index = index;
#endif
    (void)index;
    return v;
}

WORD LOCAL_NAME(chain) LOCAL_NAME(start)()
{
    LOCAL_NAME(chain) v;
    v.value = CAT(store_, T_ACC)(IDENTITY);
#if INDEXED
    v.index = 0;
#endif
    return v;
}

#if INDEXED
// Among equals the last one counts; NaN stays, and the last NaN counts.
WORD LOCAL_NAME(chain) LOCAL_NAME(join)(LOCAL_NAME(chain) a, LOCAL_NAME(chain) b)
{
    return (b.value COMPARE a.value) | UNORDERED(b.value) ? b : a;
}
#else
WORD T_ACC LOCAL_NAME(combine)(T_ACC a, T_ACC b) { return CAT(store_, T_ACC)((COMBINE)); }
WORD LOCAL_NAME(chain) LOCAL_NAME(join)(LOCAL_NAME(chain) a, LOCAL_NAME(chain) b)
{
    a.value = LOCAL_NAME(combine)(a.value, b.value);
    return a;
}
#endif

// VEC results from `place` on.
WORD void LOCAL_NAME(put)(const scan_lanes_args *a, i64 place, const LOCAL_NAME(chain) *v)
{
    T_OUT made[VEC];
    FOR_VEC(k) made[k] = CAT(store_, T_OUT)(v[k].value);
    put_vec((T_OUT *)a->out + place, made);
#if INDEXED
    FOR_VEC(k) ((i64 *)a->second)[place + k] = v[k].index;
#endif
}

// What the lanes of a row before this one hold together, and in *all what all of them do. `at`: this lane's number among `span`.
WORD LOCAL_NAME(chain) LOCAL_NAME(before)(LOCAL_NAME(chain) v, u32 at, u32 span, LOCAL_NAME(chain) *all)
{
    LOCAL(LOCAL_NAME(chain), of_warp, LANES / NEAR_LANES);
    const u32 near = LOCAL_NAME(least)(span, NEAR_LANES), place = at & (near - 1);
    SCALAR_LOOP for (u32 o = 1; o < near; o *= 2) {
        const LOCAL_NAME(chain) below = from_lower_lane(v, o);
        if (place >= o) v = LOCAL_NAME(join)(below, v);
    }
    const LOCAL_NAME(chain) below = from_lower_lane(v, 1);
    LOCAL_NAME(chain) made = place ? below : LOCAL_NAME(start)();
    *all = from_last_lane(v, near);
    if (span <= NEAR_LANES) return made;
    const u32 warp = (u32)lane() / NEAR_LANES, first = warp & ~(span / NEAR_LANES - 1);
    SYNC(); // all have read what was here before
    if (place == 0) of_warp[warp] = *all;
    SYNC();
    *all = LOCAL_NAME(start)();
    SCALAR_LOOP for (u32 w = first; w < first + span / NEAR_LANES; ++w) {
        if (w == warp) made = LOCAL_NAME(join)(*all, made);
        *all = LOCAL_NAME(join)(*all, of_warp[w]);
    }
    return made;
}

WORD void LOCAL_NAME(rows)(const scan_lanes_args *a, u32 group)
{
    const u32 span = 1u << a->lanes_log2, at = (u32)lane() & (span - 1), units = a->n / VEC;
    const u32 mine = group * (LANES >> a->lanes_log2) + ((u32)lane() >> a->lanes_log2), unit = LOCAL_NAME(least)(mine, a->kept.count - 1);
    const T_IN *const in = (const T_IN *)a->in + LOCAL_NAME(place)(&a->kept, a->kept.in, unit);
    const i64 out = LOCAL_NAME(place)(&a->kept, a->kept.out, unit);
    LOCAL_NAME(chain) past = LOCAL_NAME(start)();
    for (u32 first = 0; first < units; first += KEEP * span) {
        T_IN held[KEEP][VEC];
        FOR_KEEP(t) fetch_vec(held[t], in + (i64)LOCAL_NAME(least)(first + t * span + at, units - 1) * VEC * a->in_step);
        READ_NOW();
        FOR_KEEP(t) {
            const u32 r = first + t * span + at;
            LOCAL_NAME(chain) v[VEC], all;
            FOR_VEC(k) v[k] = LOCAL_NAME(get)(held[t][k], r * VEC + k);
            UNROLLED for (int k = 1; k < VEC; ++k) v[k] = LOCAL_NAME(join)(v[k - 1], v[k]);
            const LOCAL_NAME(chain) base = LOCAL_NAME(join)(past, LOCAL_NAME(before)(v[VEC - 1], at, span, &all));
            FOR_VEC(k) v[k] = LOCAL_NAME(join)(base, v[k]);
            if (r < units && mine < a->kept.count) LOCAL_NAME(put)(a, out + (i64)r * VEC * a->out_step, v);
            past = LOCAL_NAME(join)(past, all);
        }
    }
}

WORD void LOCAL_NAME(columns)(const scan_lanes_args *a, u32 group)
{
    LOCAL(LOCAL_NAME(chain), of_level, LANES * VEC);
    const u32 across = 1u << a->lanes_log2, levels = LANES >> a->lanes_log2, level = (u32)lane() >> a->lanes_log2;
    const u32 mine = group * across + ((u32)lane() & (across - 1)), unit = LOCAL_NAME(least)(mine, a->kept.count - 1);
    const T_IN *const in = (const T_IN *)a->in + LOCAL_NAME(place)(&a->kept, a->kept.in, unit);
    const i64 out = LOCAL_NAME(place)(&a->kept, a->kept.out, unit);
    LOCAL_NAME(chain) past[VEC];
    FOR_VEC(k) past[k] = LOCAL_NAME(start)();
    for (u32 first = 0; first < a->n; first += KEEP * levels) {
        const u32 r = first + level * KEEP;
        T_IN held[KEEP][VEC];
        LOCAL_NAME(chain) v[KEEP][VEC];
        FOR_KEEP(t) fetch_vec(held[t], in + (i64)LOCAL_NAME(least)(r + t, a->n - 1) * a->in_step);
        READ_NOW();
        FOR_KEEP(t) FOR_VEC(k) {
            v[t][k] = LOCAL_NAME(get)(held[t][k], r + t);
            if (t) v[t][k] = LOCAL_NAME(join)(v[t ? t - 1 : 0][k], v[t][k]);
        }
        SYNC(); // all have read what was here before
        FOR_VEC(k) of_level[k * LANES + lane()] = v[KEEP - 1][k];
        SYNC();
        FOR_VEC(k) {
            LOCAL_NAME(chain) base = past[k];
            SCALAR_LOOP for (u32 l = 0; l < levels; ++l) {
                if (l == level) base = past[k];
                past[k] = LOCAL_NAME(join)(past[k], of_level[k * LANES + l * across + ((u32)lane() & (across - 1))]);
            }
            FOR_KEEP(t) v[t][k] = LOCAL_NAME(join)(base, v[t][k]);
        }
        FOR_KEEP(t) if (r + t < a->n && mine < a->kept.count) LOCAL_NAME(put)(a, out + (i64)(r + t) * a->out_step, v[t]);
    }
}

KERNEL(scan_lanes_args, a)
{
    LOCAL_NAME(PART)(a, (u32)group_id());
}

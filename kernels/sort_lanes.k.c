// SPDX-License-Identifier: Apache-2.0
// The first `kept` of a short row in order (topk), for groups of many lanes: up to KEEP * LANES elements a row, up to LANES of them kept.
//
// An element becomes a key that orders like it, NaN the greatest, and is held in a register. Round by round every lane offers the
// greatest key that it still has, with the element's place, so that the first of equal ones wins; a butterfly finds the greatest of
// all, the lane that had it looks for its next one, and lane r remembers what round r found. Values are read again at the end.
// Cost: the input once; kept * (2 * KEEP + 6 * log2(LANES)) instructions a group, so that rows should be short and lanes few.
//
// Defines: T element type (of up to 32 bits); LANES (of a warp at most), KEEP.
#include "sort_lanes_args.h"

// Greater for what comes first; 0 is left for what isn't there.
WORD u32 LOCAL_NAME(key_of)(T element, u32 largest)
{
    const f32 x = CAT(load_, T)(element);
    const u32 bits = f32_to_bits(x), ascending = x != x ? ~0u : bits >> 31 ? ~bits : bits | 1u << 31;
    return largest ? ascending : x != x ? 1 : ~ascending;
}

// What a lane offers: the greatest of its keys, above the place in the row, turned so that the first is greater.
WORD u64 LOCAL_NAME(offer)(const u32 *key, u32 lane)
{
    u32 best = key[0], at = 0;
    UNROLLED for (int t = 1; t < KEEP; ++t) {
        at = key[t] > best ? t : at;
        best = key[t] > best ? key[t] : best;
    }
    return (u64)best << 32 | (u32)~(at * LANES + lane);
}

KERNEL(sort_lanes_args, a)
{
    const u32 mine = (u32)lane();
    const T *const row = (const T *)a->in + group_id() * a->row_stride;
    u32 key[KEEP], found = 0;
    FOR_KEEP(t) {
        const u32 at = t * LANES + mine;
        const u32 of = LOCAL_NAME(key_of)(row[at < a->length ? at : a->length - 1], a->largest);
        key[t] = at < a->length ? of : 0;
    }
    u64 offered = LOCAL_NAME(offer)(key, mine);
    SCALAR_LOOP for (u32 r = 0; r < a->kept; ++r) {
        u64 best = offered;
        UNROLLED for (u32 o = LANES / 2; o; o /= 2) {
            const u64 other = from_lane(best, o);
            best = other > best ? other : best;
        }
        const u32 at = ~(u32)best;
        if (r == mine) found = at;
        if (at % LANES != mine) continue;
        FOR_KEEP(t) key[t] = t == at / LANES ? 0 : key[t];
        offered = LOCAL_NAME(offer)(key, mine);
    }
    if (mine >= a->kept) return;
    const i64 place = group_id() * a->kept + mine;
    ((T *)a->values)[place] = row[found];
    a->indices[place] = (i64)found;
}

// SPDX-License-Identifier: Apache-2.0
// out[row, :] = part 0's row | part 1's row | ... (see move.k.c), for groups of many lanes.
//
// A group owns KEEP * LANES words of one part, in the order in which they lie there: neighbouring lanes move neighbouring words, and
// a lane reads its KEEP words before it writes one. Words have up to 16 bytes, as all addresses allow. Where parts are of one size
// their groups take turns, so that the pieces of a row are written at about the same time and meet in the L2 cache.
// Floor: every part read once, the result written once. Reached on an H200: 0.88-0.94; parts of single elements 0.6.
//
// Defines: T the word; LANES, KEEP; RANK outer dimensions at most.
#include "move_lanes_args.h"

#define MOST_STEP 32 // of a binary search through MOVE_PARTS

WORD i64 LOCAL_NAME(row_offset)(const move_lanes_args *a, const move_lanes_part *part, u32 row)
{
    i64 offset = 0;
    UNROLLED for (int d = 0; d < RANK - 1; ++d) {
        const u32 rest = quotient(row, a->magic[d], a->shift[d]);
        offset += (i64)(row - rest * a->size[d]) * part->stride[d];
        row = rest;
    }
    return offset + (i64)row * part->stride[RANK - 1];
}

KERNEL(move_lanes_args, a)
{
    u32 p = 0, group = (u32)group_id();
    if (a->alternate) {
        p = group % a->parts;
        group /= a->parts;
    } else {
        UNROLLED for (u32 step = MOST_STEP; step; step /= 2)
            if (p + step < a->parts && group >= a->part[p + step].first_group) p += step;
        group -= a->part[p].first_group;
    }
    const move_lanes_part *const part = &a->part[p];
    const u32 first = group * (KEEP * LANES) + (u32)lane(), last = part->count - 1;
    i64 place[KEEP];
    T word[KEEP], fill[VEC]; // VEC is 1
    splat_number(fill, a->fill);
    FOR_KEEP(t) {
        // Lanes beyond the end move the last word once more, so that no read waits for a branch.
        const u32 mine = first + t * LANES, n = mine < last ? mine : last;
        const u32 row = quotient(n, part->magic, part->shift), col = n - row * part->width;
        place[t] = (i64)row * a->row_width + part->at + col;
        word[t] = part->data ? ((const T *)part->data)[LOCAL_NAME(row_offset)(a, part, row) + col] : fill[0];
    }
    FOR_KEEP(t) ((T *)a->out)[place[t]] = word[t];
}

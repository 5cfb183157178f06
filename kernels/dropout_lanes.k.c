// SPDX-License-Identifier: Apache-2.0
// mask[i] = random[i] < p; out[i] = x[i] * mask[i] * scale, with the bits that ATen's kernel draws: it deals VEC consecutive elements
// at a time to its threads in turn, each of which draws from a sequence of its own, four numbers a counter. Here each lane finds the
// sequence and the counter of the vector that it holds, whatever the launch's shape. A number is below p where its word is below
// `threshold`, so that no word becomes a float.
//
// Cost: 2 elements and a byte an element; four elements take some 60 operations, which is why halves don't reach the copy ceiling.
//
// Defines: T, LANES, KEEP, VEC (a multiple of 4).
#include "dropout_lanes_args.h"

#include "philox.c"

#define ACC CAT(acc_, T)

// Which words of the v-th vector's elements are below the threshold.
WORD void LOCAL_NAME(draw)(const dropout_lanes_args *a, b8 *kept, u32 v)
{
    const u32 turn = quotient(v, a->magic, a->shift);
    UNROLLED for (int g = 0; g < VEC / 4; ++g) {
        u32 word[4];
        LOCAL_NAME(philox)(word, a->seed, v - turn * a->streams, a->offset / 4 + (u64)turn * (VEC / 4) + g);
        UNROLLED for (int k = 0; k < 4; ++k) kept[4 * g + k] = word[k] < a->threshold;
    }
}

KERNEL(dropout_lanes_args, a)
{
    const u32 first = (u32)group_id() * (KEEP * LANES) + (u32)lane(), count = (u32)a->count;
    T held[KEEP][VEC];
    FOR_KEEP(t) {
        const u32 mine = first + t * LANES;
        fetch_vec(held[t], (const T *)a->x + (u64)(mine < count ? mine : count - 1) * VEC);
    }
    READ_NOW();
    FOR_KEEP(t) {
        const u32 v = first + t * LANES;
        b8 kept[VEC];
        LOCAL_NAME(draw)(a, kept, v);
        FOR_VEC(k) held[t][k] = CAT(store_, T)(CAT(load_, T)(held[t][k]) * (ACC)kept[k] * a->scale);
        if (v >= count) return;
        put_vec((T *)a->out + (u64)v * VEC, held[t]);
        put_vec((b8 *)a->mask + (u64)v * VEC, kept);
    }
}

// SPDX-License-Identifier: Apache-2.0
// Reads and writes through index tensors (see index.k.c), for groups of many lanes.
//
// A group owns KEEP * LANES vectors of VEC elements of the iteration space, in its order. Where no index changes along dimension 0
// and all that moves is consecutive there (rows of an embedding), elements move as words of up to 16 bytes; else one by one. A lane
// reads the indices of all its vectors, finds all places, reads all that moves there, then writes: two waits for memory, KEEP reads under
// way in each. An index out of range stops the kernel, as it does in PyTorch: the host can't look.
//
// Writes to one place come in any order. What is combined with what is there is changed in memory itself, in vectors of 16 bytes where
// the device adds those up (add_shared_vec).
// Floor: indices and what moves read once, the result written once (or read and written, of sums). Reached on an H200: rows of f32
// 0.88-1.0, of halves 0.83-0.96, sums of rows 0.8-1.0; single elements 0.1-0.8, a sector of 32 bytes each wherever they lie apart.
//
// Defines: LANES, KEEP, VEC; RANK, INDICES; T element type; I index type; WRITES 1 if `to` is indexed, else 0; FROM_NUMBER 1 if `from`
// is a number; ARITHMETIC 1 and COMBINE(t, f), or 0 to move elements as they are; ADDS 1 if COMBINE is a sum.
#include "index_lanes_args.h"

#if ARITHMETIC
#define ACC CAT(acc_, T)
#endif

typedef struct LOCAL_NAME(place) {
    u32 at[RANK];
} LOCAL_NAME(place);

WORD LOCAL_NAME(place) LOCAL_NAME(place_of)(const index_lanes_args *a, u32 n)
{
    LOCAL_NAME(place) p;
    UNROLLED for (int d = 0; d < RANK - 1; ++d) {
        const u32 rest = quotient(n, a->magic[d], a->shift[d]);
        p.at[d] = n - rest * a->size[d];
        n = rest;
    }
    p.at[RANK - 1] = n;
    return p;
}

WORD i64 LOCAL_NAME(offset)(const i64 *stride, LOCAL_NAME(place) p)
{
    i64 offset = (i64)p.at[0] * VEC * stride[0];
    UNROLLED for (int d = 1; d < RANK; ++d) offset += (i64)p.at[d] * stride[d];
    return offset;
}

WORD void LOCAL_NAME(write)(const index_lanes_args *a, T *to, const T *v)
{
#if ARITHMETIC
    const ACC alpha = *(const ACC *)a->alpha;
    (void)alpha;
#if ADDS
    T scaled[VEC];
    FOR_VEC(k) scaled[k] = CAT(store_, T)(alpha * CAT(load_, T)(v[k]));
    add_shared_vec(to, scaled);
#else
    FOR_VEC(k) {
        const ACC f = CAT(load_, T)(v[k]);
        change_shared(to + k, [=](T there) {
            const ACC t = CAT(load_, T)(there);
            return CAT(store_, T)(COMBINE(t, f));
        });
    }
#endif
#else
    put_vec(to, v);
#endif
}

KERNEL(index_lanes_args, a)
{
    const u32 first = (u32)group_id() * (KEEP * LANES) + (u32)lane();
    i64 to[KEEP], from[KEEP];
    I value[KEEP][INDICES];
    FOR_KEEP(t) {
        const u32 mine = first + t * LANES; // lanes beyond the end read what the last vector does
        const LOCAL_NAME(place) p = LOCAL_NAME(place_of)(a, mine < a->count ? mine : a->count - 1);
        UNROLLED for (int k = 0; k < INDICES; ++k) value[t][k] = ((const I *)a->index[k].data)[LOCAL_NAME(offset)(a->index[k].stride, p)];
        to[t] = LOCAL_NAME(offset)(a->to_stride, p);
        from[t] = LOCAL_NAME(offset)(a->from_stride, p);
    }
    u32 bad = 0;
    FOR_KEEP(t) {
        i64 moved = 0;
        UNROLLED for (int k = 0; k < INDICES; ++k) {
            const index_tensor *const index = &a->index[k];
            const i64 wrapped = (i64)value[t][k] + (value[t][k] < 0 ? index->wrap : 0);
            bad |= (u64)wrapped >= (u64)index->size;
            moved += wrapped * index->step;
        }
        if (WRITES) to[t] += moved;
        else from[t] += moved;
    }
    REQUIRE(!bad);
    T v[KEEP][VEC];
    FOR_KEEP(t) {
        if (FROM_NUMBER) splat_number(v[t], a->number);
        else fetch_vec(v[t], (const T *)a->from + from[t]);
    }
    FOR_KEEP(t) if (first + t * LANES < a->count) LOCAL_NAME(write)(a, (T *)a->to + to[t], v[t]);
}
#undef ACC

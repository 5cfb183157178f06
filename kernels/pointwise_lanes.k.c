// SPDX-License-Identifier: Apache-2.0
// out[i] = BODY(x[i], y[i], z[i], w[i]; scalars) over an index space of any rank, for groups of many lanes: what
// pointwise.k.c is for one. The rows and their bodies are the same.
//
// * spans: a group owns KEEP * LANES vectors of VEC consecutive elements, in the order of the output. Each lane first reads
//   its KEEP vectors of every input, neighbouring lanes reading neighbouring vectors, then computes and writes them: so
//   many independent reads are under way at a time, and in-place calls are safe. A vector is 16 bytes of the widest operand
//   where the layout allows it, else (VEC 1) any strides will do: a vector's place is found by divisions, which on
//   contiguous operands (RANK 1) are none. A repeated element or a number is read once a vector.
// * tiles: some input is consecutive along dimension 1, not 0. A group owns SIDE x SIDE elements, reads those inputs along
//   dimension 1 into an array that its lanes share, and the others where it writes, along dimension 0.
//
// Cost: the traffic of the operands, read once and written once.
//
// Defines: BODY, NIN, PART (spans or tiles), LANES, KEEP, VEC, RANK, SIDE, INDEX (u32, or u64 beyond 2^31 vectors); element types O0 and
// X<j>; arithmetic types C<j> of the inputs and CS of the scalars; LOAD<j>(element), which converts to the common dtype on
// the way; scalar names S0...
#include "pointwise_lanes_args.h"

#if NIN == 0
#define INPUTS(DO)
#elif NIN == 1
#define INPUTS(DO) DO(0, x, X0, C0)
#elif NIN == 2
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1)
#elif NIN == 3
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1) DO(2, z, X2, C2)
#else
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1) DO(2, z, X2, C2) DO(3, w, X3, C3)
#endif
#define REAL(v) ((CAT(acc_, CS))(v)) // a constant in the arithmetic type

#define SCALAR(j, name) CAT(acc_, CS) name; memcpy(&name, a->scalar[j].bits, sizeof name); (void)name;
#ifdef S0
#define SCALARS_0 SCALAR(0, S0)
#else
#define SCALARS_0
#endif
#ifdef S1
#define SCALARS_1 SCALAR(1, S1)
#else
#define SCALARS_1
#endif
#ifdef S2
#define SCALARS_2 SCALAR(2, S2)
#else
#define SCALARS_2
#endif
#ifdef S3
#define SCALARS_3 SCALAR(3, S3)
#else
#define SCALARS_3
#endif
#define SCALARS SCALARS_0 SCALARS_1 SCALARS_2 SCALARS_3

#define ELEMENT(j, name, X, C) const CAT(acc_, C) name = (CAT(acc_, C))CAT(LOAD, j)(e##j); (void)name;

// ---- spans

typedef struct LOCAL_NAME(place) {
    INDEX at[RANK];
} LOCAL_NAME(place);

WORD INDEX LOCAL_NAME(quotient)(const pointwise_lanes_args *a, INDEX n, int d)
{
    if (sizeof(INDEX) == 8) return (INDEX)(n / a->size[d]);
    return (INDEX)(((u32)((u64)(u32)n * a->magic[d] >> 32) + (u32)n) >> a->shift[d]);
}

WORD LOCAL_NAME(place) LOCAL_NAME(place_of)(const pointwise_lanes_args *a, INDEX vector)
{
    LOCAL_NAME(place) p;
    UNROLLED for (int d = 0; d < RANK - 1; ++d) {
        const INDEX rest = LOCAL_NAME(quotient)(a, vector, d);
        p.at[d] = vector - rest * (INDEX)a->size[d];
        vector = rest;
    }
    p.at[RANK - 1] = vector;
    return p;
}

WORD i64 LOCAL_NAME(offset)(const lanes_operand *o, LOCAL_NAME(place) p)
{
    i64 offset = 0;
    UNROLLED for (int d = 0; d < RANK; ++d) offset += (i64)p.at[d] * o->step[d];
    return offset;
}

WORD void LOCAL_NAME(spans)(const pointwise_lanes_args *a, i64 group)
{
    SCALARS
    const INDEX first = (INDEX)group * (KEEP * LANES) + (INDEX)lane();
#define HOLD(j, name, X, C) X held##j[KEEP][VEC];
    INPUTS(HOLD)
#undef HOLD
    FOR_KEEP(t) {
        // Lanes beyond the end read the last vector, so that no read waits for a branch.
        const INDEX mine = first + t * LANES, v = mine < (INDEX)a->count ? mine : (INDEX)a->count - 1;
        const LOCAL_NAME(place) p = LOCAL_NAME(place_of)(a, v);
        const u64 left = a->numel - (u64)v * VEC;
        (void)p, (void)left;
#define READ(j, name, X, C)                                                                                            \
        {                                                                                                              \
            const lanes_operand *const o = &a->operand[1 + j];                                                         \
            const X *const from = (const X *)o->data + LOCAL_NAME(offset)(o, p);                                       \
            if (!o->data) FOR_VEC(k) held##j[t][k] = *(const X *)a->number[j].bits;                                    \
            else if (o->step[0] == 0) FOR_VEC(k) held##j[t][k] = *from;                                                \
            else if (left >= VEC) fetch_vec(held##j[t], from);                                                         \
            else FOR_VEC(k) held##j[t][k] = from[k < left ? k : 0];                                                    \
        }
        INPUTS(READ)
#undef READ
    }
    FOR_KEEP(t) {
        const INDEX v = first + t * LANES;
        if (v >= (INDEX)a->count) continue;
        O0 made[VEC];
        FOR_VEC(k) {
#define TAKE(j, name, X, C) const X e##j = held##j[t][k];
            INPUTS(TAKE)
#undef TAKE
            INPUTS(ELEMENT)
            made[k] = CAT(store_, O0)((BODY));
        }
        const u64 left = a->numel - (u64)v * VEC;
        O0 *const to = (O0 *)a->operand[0].data + LOCAL_NAME(offset)(&a->operand[0], LOCAL_NAME(place_of)(a, v));
        if (left >= VEC) put_vec(to, made);
        else FOR_VEC(k) if (k < left) to[k] = made[k];
    }
}

// ---- tiles

// Element offset of the group's place in the dimensions beyond the tile's.
WORD i64 LOCAL_NAME(outer_offset)(const pointwise_lanes_args *a, const lanes_operand *o, INDEX outer)
{
    i64 offset = 0;
    SCALAR_LOOP for (int d = 2; d < LANES_RANK && outer; ++d) {
        offset += (i64)(outer % (INDEX)a->size[d]) * o->step[d];
        outer /= (INDEX)a->size[d];
    }
    return offset;
}

WORD i64 LOCAL_NAME(least)(i64 x, i64 y) { return x < y ? x : y; }

#define PITCH (SIDE + 1) // so that a column's elements lie in different banks
#define SHARE (SIDE * SIDE / LANES)

WORD void LOCAL_NAME(tiles)(const pointwise_lanes_args *a, i64 group)
{
    SCALARS
    const INDEX across = (INDEX)a->tiles[0], down = (INDEX)a->tiles[1], rest = (INDEX)group / across, outer = rest / down;
    const i64 col = (i64)((INDEX)group % across) * SIDE, row = (i64)(rest % down) * SIDE;
    const i64 cols = (i64)a->size[0] - col < SIDE ? (i64)a->size[0] - col : SIDE;
    const i64 rows = (i64)a->size[1] - row < SIDE ? (i64)a->size[1] - row : SIDE;
#define STAGE(j, name, X, C)                                                                                           \
    LOCAL(X, tile##j, SIDE * PITCH);                                                                                   \
    const lanes_operand *const o##j = &a->operand[1 + j];                                                              \
    const X *const base##j = (const X *)o##j->data + LOCAL_NAME(outer_offset)(a, o##j, outer) + row * o##j->step[1]    \
                             + col * o##j->step[0];                                                                    \
    if (o##j->transposed) {                                                                                            \
        X part[SHARE];                                                                                                 \
        const X *const from = base##j + LOCAL_NAME(least)(lane() % SIDE, rows - 1);                                    \
        UNROLLED for (int t = 0; t < SHARE; ++t)                                                                       \
            part[t] = from[LOCAL_NAME(least)(t * (LANES / SIDE) + lane() / SIDE, cols - 1) * o##j->step[0]];           \
        UNROLLED for (int t = 0; t < SHARE; ++t)                                                                       \
            tile##j[(t * (LANES / SIDE) + lane() / SIDE) * PITCH + lane() % SIDE] = part[t];                           \
    }
    INPUTS(STAGE)
#undef STAGE
    SYNC();
    const int c = lane() % SIDE;
    O0 *const to = (O0 *)a->operand[0].data + LOCAL_NAME(outer_offset)(a, &a->operand[0], outer) + row * a->operand[0].step[1]
                   + col * a->operand[0].step[0];
#define TAKE_ALL(j, name, X, C)                                                                                        \
    X got##j[SHARE];                                                                                                   \
    if (o##j->transposed) {                                                                                            \
        UNROLLED for (int t = 0; t < SHARE; ++t)                                                                       \
            got##j[t] = tile##j[lane() % SIDE * PITCH + t * (LANES / SIDE) + lane() / SIDE];                           \
    } else if (!o##j->data) {                                                                                          \
        UNROLLED for (int t = 0; t < SHARE; ++t) got##j[t] = *(const X *)a->number[j].bits;                            \
    } else {                                                                                                           \
        const X *const from = base##j + LOCAL_NAME(least)(c, cols - 1) * o##j->step[0];                                \
        UNROLLED for (int t = 0; t < SHARE; ++t)                                                                       \
            got##j[t] = from[LOCAL_NAME(least)(t * (LANES / SIDE) + lane() / SIDE, rows - 1) * o##j->step[1]];         \
    }
    INPUTS(TAKE_ALL)
#undef TAKE_ALL
    if (c >= cols) return;
    UNROLLED for (int t = 0; t < SHARE; ++t) {
        const int r = t * (LANES / SIDE) + lane() / SIDE;
        if (r >= rows) continue;
#define TAKE(j, name, X, C) const X e##j = got##j[t];
        INPUTS(TAKE)
#undef TAKE
        INPUTS(ELEMENT)
        to[c * a->operand[0].step[0] + r * a->operand[0].step[1]] = CAT(store_, O0)((BODY));
    }
}

KERNEL(pointwise_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

// SPDX-License-Identifier: Apache-2.0
// out[i] = BODY(x[i], y[i], z[i], w[i], ...; scalars) for each output, over an index space of any rank, for groups of many lanes: what
// pointwise.k.c is for one. The rows and their bodies are the same.
//
// * spans: a group owns KEEP * LANES vectors of VEC consecutive elements, in the order of the output. Each lane first reads
//   its KEEP vectors of every input, neighbouring lanes reading neighbouring vectors, then computes and writes them: so
//   many independent reads are under way at a time, and in-place calls are safe. A vector is 16 bytes of the widest operand
//   where the layout allows it, else (VEC 1) any strides will do: a vector's place is found by divisions, which on
//   contiguous operands (RANK 1) are none. Between the first read and the last there is no branch.
// * tiles: some input is consecutive along dimension 1, not 0. A group owns SIDE x SIDE elements, reads those inputs along
//   dimension 1 into an array that its lanes share, and the others where it writes, along dimension 0; VEC elements at a time.
//
// Cost: the traffic of the operands, read once and written once.
//
// Defines: NOUT, NIN, NSCALARS, LANES_OPERANDS (NOUT + NIN), STEPS, BODY<k>, PART (spans or tiles), LANES, KEEP, VEC, RANK, SIDE, INDEX (u32, or u64 beyond 2^31 vectors); element
// types O<k> and X<j>; arithmetic types C<j> of the inputs, T<j> of the scalars and CS of constants; LOAD<j>(element), which converts to the common
// dtype on the way; FROM<j>: memory, repeated (one element for all of dimension 0), number (in the arguments), or transposed;
// scalar names S<j>
#include "pointwise_lanes_args.h"

#include "pointwise_operands.c"

#define ELEMENT(j, name, X, C) const CAT(acc_, C) name = (CAT(acc_, C))CAT(LOAD, j)(e##j); (void)name;
// A vector of results, and an element of it.
#define MADE(k, O) O made##k[VEC];
#define MAKE(o, O) made##o[k] = CAT(store_, O)((BODY##o));

// An input's vector by where it comes FROM: at `from`, or the number j of the arguments.
#define FETCH_memory(v, from, number) fetch_vec(v, from)
#define FETCH_repeated(v, from, number) splat_vec(v, from)
#define FETCH_number(v, from, number) splat_number(v, number)
#define FETCH_transposed(v, from, number) ((void)(from)) // is in the tile
#define IS_TRANSPOSED_memory 0
#define IS_TRANSPOSED_repeated 0
#define IS_TRANSPOSED_number 0
#define IS_TRANSPOSED_transposed 1
// How far along dimension 0 an element lies from the first, for each that there is to it.
#define STRIDE_memory 1
#define STRIDE_repeated 0
#define STRIDE_number 0
#define STRIDE_transposed 0

// ---- spans

typedef struct LOCAL_NAME(place) {
    INDEX at[RANK];
} LOCAL_NAME(place);

WORD INDEX LOCAL_NAME(quotient)(const pointwise_lanes_args *a, INDEX n, int d)
{
    if (sizeof(INDEX) == 8) return (INDEX)(n / a->size[d]);
    return (INDEX)quotient((u32)n, a->magic[d], a->shift[d]);
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

// What is left beyond the last whole vector of contiguous operands: fewer elements than a group has lanes.
WORD void LOCAL_NAME(rest)(const pointwise_lanes_args *a)
{
    SCALARS
    const u64 i = a->count * VEC + (u64)lane();
    if (i >= a->numel) return;
#define TAKE(j, name, X, C)                                                                                            \
    X one##j[VEC];                                                                                                     \
    if (CAT(STRIDE_, FROM##j)) one##j[0] = ((const X *)a->operand[NOUT + j].data)[i];                                  \
    else CAT(FETCH_, FROM##j)(one##j, (const X *)a->operand[NOUT + j].data, a->number[j].bits);                        \
    const X e##j = one##j[0];
    INPUTS(TAKE)
#undef TAKE
    INPUTS(ELEMENT)
    STEPS
#define WRITE(k, O) ((O *)a->operand[k].data)[i] = CAT(store_, O)((BODY##k));
    OUTPUTS(WRITE)
#undef WRITE
}

WORD void LOCAL_NAME(spans)(const pointwise_lanes_args *a, i64 group)
{
    SCALARS
    const INDEX first = (INDEX)group * (KEEP * LANES) + (INDEX)lane(), count = (INDEX)a->count;
#define HOLD(j, name, X, C) X held##j[KEEP][VEC];
    INPUTS(HOLD)
#undef HOLD
    FOR_KEEP(t) {
        // Lanes beyond the end read the last vector, so that no read waits for a branch.
        const INDEX mine = first + t * LANES, v = mine < count ? mine : count - 1;
        const LOCAL_NAME(place) p = LOCAL_NAME(place_of)(a, v);
        (void)p;
#define READ(j, name, X, C)                                                                                            \
        CAT(FETCH_, FROM##j)(held##j[t], (const X *)a->operand[NOUT + j].data + LOCAL_NAME(offset)(&a->operand[NOUT + j], p), \
                             a->number[j].bits);
        INPUTS(READ)
#undef READ
    }
    FOR_KEEP(t) {
        const INDEX v = first + t * LANES;
        OUTPUTS(MADE)
        FOR_VEC(k) {
#define TAKE(j, name, X, C) const X e##j = held##j[t][k];
            INPUTS(TAKE)
#undef TAKE
            INPUTS(ELEMENT)
            STEPS
            OUTPUTS(MAKE)
        }
        if (v >= count) continue;
        const LOCAL_NAME(place) p = LOCAL_NAME(place_of)(a, v);
        (void)p;
#define WRITE(k, O) put_vec((O *)a->operand[k].data + LOCAL_NAME(offset)(&a->operand[k], p), made##k);
        OUTPUTS(WRITE)
#undef WRITE
    }
    if (RANK == 1 && VEC > 1 && group == 0) LOCAL_NAME(rest)(a);
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

#define PITCH (SIDE + 1)                // so that a column's elements lie in different banks
#define ACROSS (SIDE / VEC)             // lanes along a row of the tile
#define DOWN (LANES / ACROSS)           // rows that the group takes at a time
#define SHARE (SIDE / DOWN)             // vectors of a lane

// All reads come before the one wait, those of transposed inputs first. Lanes beyond the edge read what lies at it.
WORD void LOCAL_NAME(tiles)(const pointwise_lanes_args *a, i64 group)
{
    SCALARS
    const INDEX across = (INDEX)a->tiles[0], down = (INDEX)a->tiles[1], beyond = (INDEX)group / across, outer = beyond / down;
    const i64 col = (i64)((INDEX)group % across) * SIDE, row = (i64)(beyond % down) * SIDE;
    const i64 cols = LOCAL_NAME(least)((i64)a->size[0] - col, SIDE), rows = LOCAL_NAME(least)((i64)a->size[1] - row, SIDE);
    const int along = lane() % ACROSS * VEC, other = lane() / ACROSS; // this lane's first place, in elements and in rows
#define READ(j, name, X, C)                                                                                            \
    LOCAL(X, tile##j, IS_TRANSPOSED(j) ? SIDE * PITCH : 1);                                                            \
    X got##j[SHARE][VEC];                                                                                              \
    {                                                                                                                  \
        const lanes_operand *const o = &a->operand[NOUT + j];                                                           \
        const X *const base = (const X *)o->data + LOCAL_NAME(outer_offset)(a, o, outer) + row * o->step[1] + col * o->step[0]; \
        const i64 here = LOCAL_NAME(least)(along, (IS_TRANSPOSED(j) ? rows : cols) - VEC);                             \
        UNROLLED for (int t = 0; t < SHARE; ++t) {                                                                     \
            const i64 there = LOCAL_NAME(least)(t * DOWN + other, (IS_TRANSPOSED(j) ? cols : rows) - 1);               \
            if (IS_TRANSPOSED(j)) fetch_vec(got##j[t], base + here + there * o->step[0]);                              \
            else CAT(FETCH_, FROM##j)(got##j[t], base + here * o->step[0] + there * o->step[1], a->number[j].bits); \
        }                                                                                                              \
    }
#define IS_TRANSPOSED(j) CAT(IS_TRANSPOSED_, FROM##j)
    INPUTS(READ)
#undef READ
#define STAGE(j, name, X, C)                                                                                           \
    if (IS_TRANSPOSED(j)) UNROLLED for (int t = 0; t < SHARE; ++t) FOR_VEC(k) tile##j[(t * DOWN + other) * PITCH + along + k] = got##j[t][k];
    INPUTS(STAGE)
#undef STAGE
    SYNC();
#define PLACE(k, O) O *const to##k = (O *)a->operand[k].data + LOCAL_NAME(outer_offset)(a, &a->operand[k], outer) + row * a->operand[k].step[1] + (col + along) * a->operand[k].step[0];
    OUTPUTS(PLACE)
#undef PLACE
    UNROLLED for (int t = 0; t < SHARE; ++t) {
        const int r = t * DOWN + other;
        OUTPUTS(MADE)
        FOR_VEC(k) {
#define TAKE(j, name, X, C) const X e##j = IS_TRANSPOSED(j) ? tile##j[IS_TRANSPOSED(j) ? (along + k) * PITCH + r : 0] : got##j[t][k];
            INPUTS(TAKE)
#undef TAKE
            INPUTS(ELEMENT)
            STEPS
            OUTPUTS(MAKE)
        }
        if (r >= rows || along >= cols) continue;
#define WRITE(k, O) put_vec(to##k + r * a->operand[k].step[1], made##k);
        OUTPUTS(WRITE)
#undef WRITE
    }
}

KERNEL(pointwise_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

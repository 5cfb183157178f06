// SPDX-License-Identifier: Apache-2.0
// out_t[i] = BODY(x_t[i], y_t[i], z_t[i]; scalars_t) for every tensor t of some lists, in one launch for as many tensors as its
// arguments name, for groups of many lanes. The rows and their bodies are those of pointwise.k.c; which group works where is in
// list_lanes_walk.c. Each lane reads KEEP vectors of every list before it computes, so that calls in place are safe.
//
// Cost: the traffic of the operands, read once and written once.
//
// Defines: BODY0, NIN, NSCALARS, LANES, KEEP, VEC, WORDS; element types O0 and X<j>; arithmetic types C<j>, T<j> and CS; FROM<j>: memory, repeated (one
// element for all of the tensor) or number (in the entry); AT_OUT, AT<j> and AT_SCALARS, the entry's words that say where operands lie or hold
// numbers; scalar names S0...
#include "foreach_lanes_args.h"

#include "pointwise_operands.c"
#undef SCALAR
#define SCALAR(j, name, T) const CAT(acc_, T) name = *(const CAT(acc_, T) *)(entry + AT_SCALARS + (j)); (void)name;

#include "list_lanes_walk.c"

#define READ_memory(j, X) FETCH_PART(held##j, (const X *)entry[AT##j], at, s.last, whole)
#define READ_repeated(j, X) FOR_KEEP(t) splat_vec(held##j[t], (const X *)entry[AT##j]);
#define READ_number(j, X) FOR_KEEP(t) splat_vec(held##j[t], (const X *)(entry + AT##j));
#define ELEMENT(j, name, X, C) const CAT(acc_, C) name = CAT(load_, X)(held##j[t][k]); (void)name;

WORD void LOCAL_NAME(step)(LOCAL_NAME(span) s, i64 at, const int whole)
{
    const u64 *const entry = s.entry;
    O0 made[KEEP][VEC];
    SCALARS
#define READ(j, name, X, C) X held##j[KEEP][VEC]; CAT(READ_, FROM##j)(j, X)
    INPUTS(READ)
#undef READ
    READ_NOW();
    FOR_KEEP(t) FOR_VEC(k) {
        INPUTS(ELEMENT)
        made[t][k] = CAT(store_, O0)((BODY0));
    }
    PUT_PART((O0 *)entry[AT_OUT], made, at, s.last, whole)
}

KERNEL(foreach_lanes_args, a)
{
    const LOCAL_NAME(span) s = LOCAL_NAME(span_of)(&a->table, (u32)group_id());
    if (s.whole) LOCAL_NAME(step)(s, s.first, 1);
    else LOCAL_NAME(step)(s, s.first, 0);
}

// SPDX-License-Identifier: Apache-2.0
// sum over i of BODY(x[i], y[i], z[i]) / divisor for groups of many lanes: what pair_loss.k.c is for one. The rows and their bodies
// are the same.
//
// A group owns `share` elements; a lane reads KEEP vectors of each operand at a time and adds its losses up in the arithmetic type,
// each rounded to T before, as ATen has them; lanes and groups are added in f64. A single group writes the result, several leave
// their sums to `finish`. An element outside of the loss's domain stops the kernel, as it does in PyTorch.
// Cost: the operands once. ATen writes the losses to memory and reads them back.
//
// Defines: PART (sum or finish); T, BODY, WEIGHTED, PARAMETER (its name), DOMAIN; LANES, KEEP, VEC.
#include "pair_loss_args.h"

#define ACC CAT(acc_, T)
#define LOAD(v) CAT(load_, T)(v)
#define STORE(v) CAT(store_, T)(v)
#define REAL(v) ((ACC)(v))

WORD void LOCAL_NAME(put)(const pair_loss_args *a, f64 *place, f64 total)
{
    total = of_part_group_sum(total);
    if (lane() != 0) return;
    if (place) *place = total;
    else *(T *)a->out = STORE(total / a->divisor);
}

WORD void LOCAL_NAME(check)(ACC x)
{
    (void)x;
    REQUIRE(DOMAIN);
}

// KEEP vectors from `at` on; of `whole` ones all elements count, else those before `last`, which lie LANES apart.
WORD ACC LOCAL_NAME(step)(const pair_loss_args *a, i64 at, i64 last, const int whole)
{
    const T *const from[3] = { (const T *)a->x, (const T *)a->y, (const T *)a->z };
    const ACC PARAMETER = (ACC)a->parameter;
    T held[3][KEEP][VEC];
    ACC sum = 0;
    (void)PARAMETER;
    UNROLLED for (int j = 0; j < 2 + WEIGHTED; ++j) FOR_KEEP(t) {
        const i64 place = at + (whole ? (t * LANES + lane()) * VEC : t * LANES * VEC + lane());
        if (whole) fetch_vec(held[j][t], from[j] + place);
        else fetch_apart(held[j][t], from[j] + place, last - place);
    }
    READ_NOW();
    FOR_KEEP(t) FOR_VEC(k) {
        const ACC x = LOAD(held[0][t][k]), y = LOAD(held[1][t][k]);
#if WEIGHTED
        const ACC z = LOAD(held[2][t][k]);
#endif
        LOCAL_NAME(check)(x);
        LOCAL_NAME(check)(y);
        if (whole || at + (t * VEC + k) * LANES + lane() < last) sum += LOAD(STORE((BODY)));
    }
    return sum;
}

WORD void LOCAL_NAME(sum)(const pair_loss_args *a, i64 group)
{
    const i64 first = group * a->share, end = first + a->share, last = end < a->count ? end : a->count;
    i64 at = first;
    f64 total = 0;
    if (a->groups > 1) MAY_FOLLOW();
    SCALAR_LOOP for (; at + KEEP * VEC * LANES <= last; at += KEEP * VEC * LANES) total += LOCAL_NAME(step)(a, at, last, 1);
    SCALAR_LOOP for (; at < last; at += KEEP * VEC * LANES) total += LOCAL_NAME(step)(a, at, last, 0);
    LOCAL_NAME(put)(a, a->groups > 1 ? a->sums + group : (f64 *)0, total);
}

WORD void LOCAL_NAME(finish)(const pair_loss_args *a, i64 group)
{
    f64 total = 0;
    (void)group;
    AWAIT_EARLIER();
    FOR_LANES(g, a->groups) total += a->sums[g];
    LOCAL_NAME(put)(a, (f64 *)0, total);
}

KERNEL(pair_loss_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

// SPDX-License-Identifier: Apache-2.0
// sum over i of BODY(x[i], y[i], z[i]) / divisor: losses of an input and a target, reduced as they are computed. (Losses that
// stay as they are, and gradients, are rows of the pointwise family.)
//
// A group owns PAIR_LOSS_GROUP elements and goes through them in blocks: one vector loop leaves a block's losses in LOCAL
// memory, rounded to T as ATen has them before it adds up, another adds up 4 * VEC partial sums; blocks and groups are added in
// f64. A single group writes the result, several leave their sums to FINISH. Groups are cut by size alone, so that results
// don't depend on the number of threads.
// DOMAIN_CHECK looks for elements that the loss doesn't take, before anything is written.
// Cost: the operands once. ATen writes the losses to memory and reads them back.
//
// Defines: PART (SUM, FINISH or DOMAIN_CHECK); T, BODY, WEIGHTED, PARAMETER (its name), DOMAIN, VEC (elements in a vector of acc_T).
#include "pair_loss_args.h"

#define ACC CAT(acc_, T)
#define LOAD(v) CAT(load_, T)(v)
#define STORE(v) CAT(store_, T)(v)
#define REAL(v) ((ACC)(v))
#define SUM 0
#define FINISH 1
#define DOMAIN_CHECK 2

WORD i64 LOCAL_NAME(least)(i64 a, i64 b) { return a < b ? a : b; }

#if PART == SUM
WORD void LOCAL_NAME(losses)(const pair_loss_args *a, ACC *loss, i64 first, i64 n)
{
    const T *const px = (const T *)a->x + first, *const py = (const T *)a->y + first;
#if WEIGHTED
    const T *const pz = (const T *)a->z + first;
#endif
    const ACC PARAMETER = (ACC)a->parameter;
    (void)PARAMETER;
    FOR_LANES(i, n) {
        const ACC x = LOAD(px[i]), y = LOAD(py[i]);
#if WEIGHTED
        const ACC z = LOAD(pz[i]);
#endif
        loss[i] = LOAD(STORE((BODY)));
    }
}

WORD ACC LOCAL_NAME(add_up)(const ACC *loss, i64 n)
{
    ACC acc[4 * VEC], one[VEC], last = 0;
    for (int k = 0; k < 4 * VEC; ++k) acc[k] = 0;
    i64 i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC)
        INDEPENDENT for (int k = 0; k < 4 * VEC; ++k) acc[k] += loss[i + k];
    FOR_VEC(k) one[k] = (acc[k] + acc[k + VEC]) + (acc[k + 2 * VEC] + acc[k + 3 * VEC]);
    SCALAR_LOOP for (; i < n; ++i) last += loss[i];
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) one[k] += one[k + half];
    return one[0] + last;
}

KERNEL(pair_loss_args, a)
{
    LOCAL(ACC, loss, PAIR_LOSS_BLOCK);
    const i64 first = group_id() * PAIR_LOSS_GROUP, last = LOCAL_NAME(least)(first + PAIR_LOSS_GROUP, a->count);
    f64 total = 0;
    for (i64 i = first; i < last; i += PAIR_LOSS_BLOCK) {
        const i64 n = LOCAL_NAME(least)(PAIR_LOSS_BLOCK, last - i);
        LOCAL_NAME(losses)(a, loss, i, n);
        SYNC();
        total += LOCAL_NAME(add_up)(loss, n);
        SYNC();
    }
    if (a->groups > 1) a->sums[group_id()] = total;
    else *(T *)a->out = STORE(total / a->divisor);
}

#elif PART == FINISH
KERNEL(pair_loss_args, a)
{
    f64 total = 0;
    (void)group_id();
    for (i64 g = 0; g < a->groups; ++g) total += a->sums[g];
    *(T *)a->out = STORE(total / a->divisor);
}

#else
KERNEL(pair_loss_args, a)
{
    const i64 first = group_id() * PAIR_LOSS_GROUP, n = LOCAL_NAME(least)(PAIR_LOSS_GROUP, a->count - first);
    const T *const operands[2] = { (const T *)a->x + first, (const T *)a->y + first };
    i32 inside = 1;
    for (int j = 0; j < 2; ++j) {
        const T *const p = operands[j];
        FOR_LANES(i, n) {
            const ACC x = LOAD(p[i]);
            inside &= (DOMAIN);
        }
    }
    if (!inside) *a->outside = 1;
}
#endif

#undef ACC
#undef LOAD
#undef STORE
#undef REAL
#undef SUM
#undef FINISH
#undef DOMAIN_CHECK

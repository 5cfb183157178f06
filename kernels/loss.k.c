// SPDX-License-Identifier: Apache-2.0
// Negative log likelihood: loss = -weight[t] * x[n, t, p] for the target t of each place (n, p), those equal to `ignore`
// left out; as it is, summed, or divided by the sum of the weights. x is (batch, classes, plane); plane is 1 for a matrix.
//
// Forward, a group owns a run of targets and picks one score for each: a walk through memory whose cost is a cache miss
// a target. A reduced loss goes in runs of RUN targets and then by groups, and `nll_finish` adds up the groups' sums,
// so that rounding depends on the number of targets alone.
// Backward, a group clears its part of the gradient and sets one element a target, while the lines are in cache.
// Floor: one write of the gradient. The host has checked that targets are in range.
//
// Defines: T, PART.
#include "loss_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define RUN 64

WORD ACC LOCAL_NAME(weight_of)(const loss_args *a, i64 label)
{
    return a->weight ? LOAD(((const T *)a->weight)[label]) : 1;
}

WORD ACC LOCAL_NAME(score)(const loss_args *a, i64 place, i64 label)
{
    const i64 n = a->plane == 1 ? place : place / a->plane, p = a->plane == 1 ? 0 : place % a->plane;
    return LOAD(((const T *)a->x)[n * a->x_batch + label * a->x_class + p * a->x_plane]);
}

WORD void LOCAL_NAME(write_reduced)(const loss_args *a, ACC loss, ACC total)
{
    *(T *)a->out = STORE(a->reduction == LOSS_MEAN ? loss / total : loss);
    *(T *)a->total = STORE(total);
}

WORD void LOCAL_NAME(nll_reduce)(const loss_args *a, i64 group, i64 first, i64 last)
{
    ACC loss = 0, total = 0;
    for (i64 start = first; start < last; start += RUN) {
        const i64 end = start + RUN < last ? start + RUN : last;
        ACC run = 0, weights = 0;
        SCALAR_LOOP for (i64 i = start; i < end; ++i) {
            const i64 label = a->target[i];
            if (label == a->ignore) continue;
            const ACC w = LOCAL_NAME(weight_of)(a, label);
            run -= w * LOCAL_NAME(score)(a, i, label);
            weights += w;
        }
        loss += run;
        total += weights;
    }
    if (a->groups == 1) {
        LOCAL_NAME(write_reduced)(a, loss, total);
        return;
    }
    ((ACC *)a->sums)[2 * group] = loss;
    ((ACC *)a->sums)[2 * group + 1] = total;
}

WORD void LOCAL_NAME(nll)(const loss_args *a, i64 group)
{
    const i64 count = a->batch * a->plane, first = group * a->group_size;
    const i64 last = first + a->group_size < count ? first + a->group_size : count;
    if (a->reduction != LOSS_NONE) {
        LOCAL_NAME(nll_reduce)(a, group, first, last);
        return;
    }
    if (group == 0) *(T *)a->total = STORE((ACC)0);
    SCALAR_LOOP for (i64 i = first; i < last; ++i) {
        const i64 label = a->target[i];
        ACC loss = 0;
        if (label != a->ignore) loss = -LOCAL_NAME(score)(a, i, label) * LOCAL_NAME(weight_of)(a, label);
        ((T *)a->out)[i] = STORE(loss);
    }
}

WORD void LOCAL_NAME(nll_finish)(const loss_args *a, i64 group)
{
    ACC loss = 0, total = 0;
    (void)group;
    SCALAR_LOOP for (i64 g = 0; g < a->groups; ++g) {
        loss += ((const ACC *)a->sums)[2 * g];
        total += ((const ACC *)a->sums)[2 * g + 1];
    }
    LOCAL_NAME(write_reduced)(a, loss, total);
}

// The gradient of place i's own score.
WORD ACC LOCAL_NAME(slope)(const loss_args *a, i64 i, i64 label)
{
    const ACC g = LOAD(((const T *)a->grad)[a->reduction == LOSS_NONE ? i : 0]);
    const ACC scaled = a->reduction == LOSS_MEAN ? g / LOAD(*(const T *)a->total) : g;
    return -LOCAL_NAME(weight_of)(a, label) * scaled;
}

WORD void LOCAL_NAME(nll_backward)(const loss_args *a, i64 group)
{
    const i64 image = a->plane == 1 ? 0 : group / a->groups, part = a->plane == 1 ? group : group % a->groups;
    const i64 count = a->plane == 1 ? a->batch : a->plane, first = part * a->group_size;
    const i64 last = first + a->group_size < count ? first + a->group_size : count;
    T *const out = (T *)a->out + image * a->classes * a->plane;
    if (a->plane == 1) FOR_LANES(i, (last - first) * a->classes) out[first * a->classes + i] = STORE((ACC)0);
    else
        for (i64 c = 0; c < a->classes; ++c) FOR_LANES(i, last - first) out[c * a->plane + first + i] = STORE((ACC)0);
    SCALAR_LOOP for (i64 i = first; i < last; ++i) {
        const i64 label = a->target[image * a->plane + i];
        if (label == a->ignore) continue;
        out[a->plane == 1 ? i * a->classes + label : label * a->plane + i] = STORE(LOCAL_NAME(slope)(a, image * a->plane + i, label));
    }
}

KERNEL(loss_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

#undef ACC
#undef LOAD
#undef STORE
#undef RUN

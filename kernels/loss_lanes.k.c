// SPDX-License-Identifier: Apache-2.0
// Negative log likelihood of a matrix of scores (see loss.k.c), for groups of many lanes.
//
// Forward, a lane picks one score a target, AHEAD of them at a time, since each is a walk through memory of its own; a reduced
// loss is summed by lanes, by groups, and by `nll_finish`, in an order that depends on the number of targets alone.
// Backward, each lane writes vectors of the gradient, which is zero but at the targets: a group owns a run of LANES * KEEP vectors
// of the whole (batch, classes), wherever rows begin. Floor: one write of the gradient.
//
// A target out of range stops the kernel, as it does in PyTorch: the host can't look.
// Defines: T, PART, LANES, KEEP, VEC.
#include "loss_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define AHEAD 4

WORD ACC LOCAL_NAME(weight_of)(const loss_args *a, i64 label)
{
    return a->weight ? LOAD(((const T *)a->weight)[label]) : 1;
}

WORD ACC LOCAL_NAME(score)(const loss_args *a, i64 place, i64 label)
{
    return LOAD(((const T *)a->x)[place * a->x_batch + label * a->x_class]);
}

// Whether a target counts; one that can't be stops the kernel.
WORD int LOCAL_NAME(counts)(const loss_args *a, i64 label)
{
    REQUIRE(label == a->ignore || (label >= 0 && label < a->classes));
    return label != a->ignore;
}

WORD void LOCAL_NAME(nll)(const loss_args *a, i64 group)
{
    const i64 i = group * LANES + lane();
    if (i == 0) *(T *)a->total = STORE((ACC)0);
    if (i >= a->batch) return;
    const i64 label = a->target[i];
    ACC loss = 0;
    if (LOCAL_NAME(counts)(a, label)) loss = -LOCAL_NAME(score)(a, i, label) * LOCAL_NAME(weight_of)(a, label);
    ((T *)a->out)[i] = STORE(loss);
}

// ---- reduced: by lanes, then by groups

WORD void LOCAL_NAME(finish_group)(const loss_args *a, i64 group, ACC loss, ACC total)
{
    part_sum_pair(&loss, &total);
    if (lane() != 0) return;
    if (group < 0) {
        *(T *)a->out = STORE(a->reduction == LOSS_MEAN ? loss / total : loss);
        *(T *)a->total = STORE(total);
    } else {
        ((ACC *)a->sums)[2 * group] = loss;
        ((ACC *)a->sums)[2 * group + 1] = total;
    }
}

WORD void LOCAL_NAME(nll_reduce)(const loss_args *a, i64 group)
{
    const i64 first = group * a->group_size, last = first + a->group_size < a->batch ? first + a->group_size : a->batch;
    ACC loss = 0, total = 0;
    for (i64 i = first + lane(); i < last; i += AHEAD * LANES) {
        i64 label[AHEAD];
        ACC x[AHEAD], w[AHEAD];
        UNROLLED for (int k = 0; k < AHEAD; ++k) label[k] = i + k * LANES < last ? a->target[i + k * LANES] : a->ignore;
        UNROLLED for (int k = 0; k < AHEAD; ++k) {
            const int counts = LOCAL_NAME(counts)(a, label[k]);
            x[k] = counts ? LOCAL_NAME(score)(a, i + k * LANES, label[k]) : 0;
            w[k] = counts ? LOCAL_NAME(weight_of)(a, label[k]) : 0;
        }
        UNROLLED for (int k = 0; k < AHEAD; ++k) {
            loss -= label[k] == a->ignore ? 0 : w[k] * x[k];
            total += w[k];
        }
    }
    LOCAL_NAME(finish_group)(a, a->groups == 1 ? -1 : group, loss, total);
}

WORD void LOCAL_NAME(nll_finish)(const loss_args *a, i64 group)
{
    ACC loss = 0, total = 0;
    (void)group;
    FOR_LANES(g, a->groups) {
        loss += ((const ACC *)a->sums)[2 * g];
        total += ((const ACC *)a->sums)[2 * g + 1];
    }
    LOCAL_NAME(finish_group)(a, -1, loss, total);
}

// ---- backward

// The gradient of row i's own score.
WORD ACC LOCAL_NAME(slope)(const loss_args *a, i64 i, i64 label)
{
    const ACC g = LOAD(((const T *)a->grad)[a->reduction == LOSS_NONE ? i : 0]);
    const ACC scaled = a->reduction == LOSS_MEAN ? g / LOAD(*(const T *)a->total) : g;
    return -LOCAL_NAME(weight_of)(a, label) * scaled;
}

// place / classes; most gradients have few enough elements for the short division.
WORD i64 LOCAL_NAME(row_of)(const loss_args *a, i64 place)
{
    return a->batch * a->classes >> 32 ? place / a->classes : (i64)((u32)place / (u32)a->classes);
}

// The gradient at `place` on, where rows end within the vector; what lies beyond the last is never written.
WORD void LOCAL_NAME(mixed_rows)(const loss_args *a, T *made, i64 row, i64 column)
{
    FOR_VEC(k) {
        const i64 label = row < a->batch ? a->target[row] : a->ignore;
        if (column == 0) LOCAL_NAME(counts)(a, label);
        if (column == label && label != a->ignore) made[k] = STORE(LOCAL_NAME(slope)(a, row, label));
        if (++column == a->classes) column = 0, ++row;
    }
}

WORD void LOCAL_NAME(nll_backward)(const loss_args *a, i64 group)
{
    const i64 count = a->batch * a->classes;
    FOR_KEEP(t) {
        const i64 place = ((group * KEEP + t) * LANES + lane()) * VEC;
        if (place >= count) return;
        const i64 row = LOCAL_NAME(row_of)(a, place), column = place - row * a->classes;
        T made[VEC];
        FOR_VEC(k) made[k] = STORE((ACC)0);
        if (column + VEC > a->classes) {
            LOCAL_NAME(mixed_rows)(a, made, row, column);
        } else {
            const i64 label = a->target[row], ahead = label - column;
            if (column == 0) LOCAL_NAME(counts)(a, label);
            if (ahead >= 0 && ahead < VEC && label != a->ignore) {
                const T slope = STORE(LOCAL_NAME(slope)(a, row, label));
                FOR_VEC(k) if (k == ahead) made[k] = slope;
            }
        }
        if (place + VEC <= count) put_vec((T *)a->out + place, made);
        else FOR_VEC(k) if (place + k < count) ((T *)a->out)[place + k] = made[k];
    }
}

KERNEL(loss_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

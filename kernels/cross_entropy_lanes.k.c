// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of rows of scores with class numbers, and its gradient, for groups of many lanes:
//   loss = (1 - smoothing) * weight[t] * (lse - x[t]) + smoothing / C * sum over c of weight[c] * (lse - x[c])
//   grad x[c] = slope * (exp(x[c] - lse) * ((1 - smoothing) * weight[t] + smoothing / C * sum of weights)
//                        - (c == t) * (1 - smoothing) * weight[t] - smoothing / C * weight[c])
// with lse = log(sum of exp(x)) of the row. Nothing of the scores' size is written but the gradient.
//
// Rows may be as long as they like and start anywhere: their first and last vectors are those that 16 bytes of memory belong to,
// of which only the row's elements count.
// Forward, a group reads a row once, KEEP vectors a lane at a time, each lane with its own largest element and sum of exponentials
// below it. Losses of rows are added up by `add_up`, in an order that depends on their number alone.
// Backward, a group has a chunk of a row, KEEP vectors a lane: given lse there is nothing to add up.
// Floor: forward a read, backward a read and a write of the scores; both together 1.5 GB of f32 reached 0.93 of the copy ceiling.
//
// A target out of range stops the kernel, as it does in PyTorch: the host can't look.
// Defines: T, L (type of the loss), PART (rows, add_up or backward), SMOOTH (0 or 1), LANES, KEEP, VEC.
#include "cross_entropy_args.h"

#define ACC CAT(acc_, T)
#include "cross_entropy_words.c"
#define LOWEST ((ACC)-MATH_INF_F32)
#define EXP(x) (sizeof(T) == sizeof(ACC) ? k_exp(x) : k_exp_half((f32)(x)))

typedef struct LOCAL_NAME(running) {
    ACC top, sum, all, weights;
} LOCAL_NAME(running);

// The elements of a vector that begins with element `first` of the row; what isn't the row's is the least there is.
WORD void LOCAL_NAME(load)(ACC *v, const HELD(T) *held, i32 first, i32 n)
{
    T e[VEC];
    unpack_held(e, held);
    FOR_VEC(k) v[k] = LOAD(e[k]);
    if (first < 0 || first + VEC > n) FOR_VEC(k) v[k] = first + k >= 0 && first + k < n ? v[k] : LOWEST;
}

WORD void LOCAL_NAME(take)(const cross_entropy_args *a, LOCAL_NAME(running) *to, HELD(T) *held, i32 first, i32 step, i32 n)
{
    ACC v[VEC], top = to->top;
    FOR_KEEP(t) {
        LOCAL_NAME(load)(v, &held[t], first + t * step, n);
        FOR_VEC(k) top = larger(v[k], top);
    }
    const ACC below = top == LOWEST ? 0 : top;
    to->sum *= EXP(to->top - below);
    to->top = top;
    FOR_KEEP(t) {
        ACC part = 0;
        if (sizeof(T) < sizeof(ACC)) forget_held(&held[t]);
        LOCAL_NAME(load)(v, &held[t], first + t * step, n);
        FOR_VEC(k) part += EXP(v[k] - below);
        to->sum += part;
        if (SMOOTH) FOR_VEC(k) {
            const i32 c = first + t * step + k;
            const ACC w = c >= 0 && c < n ? LOCAL_NAME(weight_of)(a, c) : 0;
            to->all += c >= 0 && c < n ? w * v[k] : 0;
            to->weights += w;
        }
    }
}

WORD void LOCAL_NAME(rows)(const cross_entropy_args *a, i64 r)
{
    const T *const row = (const T *)a->x + r * a->x_row;
    const i32 n = (i32)a->cols, before = (i32)((u64)row / sizeof(T) % VEC), vectors = (before + n + VEC - 1) / VEC;
    const i64 label = a->target[r];
    LOCAL_NAME(running) v;
    v.top = LOWEST;
    v.sum = v.all = v.weights = 0;
    REQUIRE(label == a->ignore || (label >= 0 && label < a->cols));
    for (i32 at = lane(); at < vectors; at += KEEP * LANES) {
        HELD(T) held[KEEP];
        if (at + 2 * KEEP * LANES < vectors) prefetch_row(row + (i64)(at + 2 * KEEP * LANES - lane()) * VEC, KEEP * LANES * VEC * (i64)sizeof(T));
        // Beyond the last vector it is read again, and as its place is beyond the row, not counted.
        FOR_KEEP(t) fetch_held(&held[t], row - before + (i64)(at + t * LANES < vectors ? at + t * LANES : vectors - 1) * VEC);
        LOCAL_NAME(take)(a, &v, held, at * VEC - before, LANES * VEC, n);
    }
    const ACC top = group_max(v.top), below = top == LOWEST ? 0 : top;
    const ACC sum = group_sum(v.sum * EXP((v.top == LOWEST ? top : v.top) - below));
    const ACC all = SMOOTH ? group_sum(v.all) : 0, weights = SMOOTH ? group_sum(v.weights) : 0;
    if (lane() == 0) LOCAL_NAME(finish_row)(a, r, label, top, k_log(sum), all, weights);
}

WORD void LOCAL_NAME(add_up)(const cross_entropy_args *a, i64 group)
{
    const i64 first = group * a->group_size, last = first + a->group_size < a->rows ? first + a->group_size : a->rows;
    const ACC *const pairs = (const ACC *)a->pairs;
    ACC loss = 0, total = 0;
    for (i64 i = first + lane(); i < last; i += LANES) loss += pairs[2 * i], total += pairs[2 * i + 1];
    part_sum_pair(&loss, &total);
    if (lane() != 0) return;
    if (a->sums) ((ACC *)a->sums)[2 * group] = loss, ((ACC *)a->sums)[2 * group + 1] = total;
    else LOCAL_NAME(write_loss)(a, loss, total);
}

// ---- backward

WORD T LOCAL_NAME(gradient)(const cross_entropy_args *a, const LOCAL_NAME(slope) *s, i32 c, ACC x)
{
    ACC g = EXP(x - s->top - s->rest) * s->factor;
    if (SMOOTH) g -= s->smooth * LOCAL_NAME(weight_of)(a, c);
    return STORE(s->label < 0 ? 0 : c == s->label ? g - s->hit : g);
}

WORD void LOCAL_NAME(backward)(const cross_entropy_args *a, i64 group)
{
    const i64 r = group / a->chunks;
    const T *const row = (const T *)a->x + r * a->x_row;
    T *const out = (T *)a->out + r * a->cols;
    const i32 n = (i32)a->cols, before = (i32)((u64)row / sizeof(T) % VEC), vectors = (before + n + VEC - 1) / VEC;
    const i32 at = (i32)(group - r * a->chunks) * (KEEP * LANES) + lane();
    HELD(T) held[KEEP];
    FOR_KEEP(t) fetch_held(&held[t], row - before + (i64)(at + t * LANES < vectors ? at + t * LANES : vectors - 1) * VEC);
    const LOCAL_NAME(slope) s = LOCAL_NAME(slope_of)(a, r);
    FOR_KEEP(t) {
        const i32 c = (at + t * LANES) * VEC - before;
        T e[VEC], made[VEC];
        unpack_held(e, &held[t]);
        if (c >= 0 && c + VEC <= n) {
            FOR_VEC(k) made[k] = LOCAL_NAME(gradient)(a, &s, c + k, LOAD(e[k]));
            put_vec(out + c, made);
        } else if (c < n) {
            FOR_VEC(k) if (c + k >= 0 && c + k < n) out[c + k] = LOCAL_NAME(gradient)(a, &s, c + k, LOAD(e[k]));
        }
    }
}

KERNEL(cross_entropy_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

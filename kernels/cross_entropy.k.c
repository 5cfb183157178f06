// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of rows of scores with class numbers, and its gradient: the formulas of cross_entropy_lanes.k.c.
//
// Forward, a row goes block by block, which stays in L1 between the search for its largest element and the sum of exponentials
// below that; blocks are joined by scaling the sum below the smaller top. Backward, given the row's logarithm of summed
// exponentials, elements don't depend on each other. A group owns a run of rows; `add_up` joins their losses in order.
// Floor: forward a read, backward a read and a write of the scores, and an exponential an element.
//
// Defines: T, L (type of the loss), PART (rows, add_up or backward), VEC (elements of a SIMD register of the arithmetic type).
#include "cross_entropy_args.h"
#include "softmax_exp.h"

#define ACC CAT(acc_, T)
#include "cross_entropy_words.c"
#define LOWEST ((ACC)-K_INFINITY)
#define LARGER(a, b) ((a) > (b) ? (a) : (b)) // a NaN is lost here; the sum of exponentials finds it
#define BLOCK 4096

WORD ACC LOCAL_NAME(top_of)(const T *x, i64 n)
{
    ACC tops[VEC], top = LOWEST;
    FOR_SIMD(k) tops[k] = LOWEST;
    i64 i = 0;
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) {
        const ACC v = LOAD(x[i + k]);
        tops[k] = LARGER(v, tops[k]);
    }
    SCALAR_LOOP for (; i < n; ++i) top = LARGER(LOAD(x[i]), top);
    for (int k = 0; k < VEC; ++k) top = LARGER(tops[k], top);
    return top;
}

WORD ACC LOCAL_NAME(sum_of)(const T *x, i64 n, ACC below)
{
    ACC sums[VEC], sum = 0;
    FOR_SIMD(k) sums[k] = 0;
    i64 i = 0;
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) sums[k] += k_exp_below(LOAD(x[i + k]) - below);
    SCALAR_LOOP for (; i < n; ++i) sum += k_exp_below(LOAD(x[i]) - below);
    for (int k = 0; k < VEC; ++k) sum += sums[k];
    return sum;
}

// sum of weight * x, weight being 1 where there is none
WORD ACC LOCAL_NAME(weighted_sum)(const T *x, const T *weight, i64 n)
{
    ACC sums[VEC], sum = 0;
    FOR_SIMD(k) sums[k] = 0;
    i64 i = 0;
    if (weight) for (; i + VEC <= n; i += VEC) FOR_SIMD(k) sums[k] += LOAD(weight[i + k]) * LOAD(x[i + k]);
    else for (; i + VEC <= n; i += VEC) FOR_SIMD(k) sums[k] += LOAD(x[i + k]);
    SCALAR_LOOP for (; i < n; ++i) sum += (weight ? LOAD(weight[i]) : 1) * LOAD(x[i]);
    for (int k = 0; k < VEC; ++k) sum += sums[k];
    return sum;
}

WORD void LOCAL_NAME(row)(const cross_entropy_args *a, i64 r)
{
    const T *const x = (const T *)a->x + r * a->x_row, *const weight = (const T *)a->weight;
    ACC top = LOWEST, all = 0, weights = 0;
    f64 sum = 0;
    for (i64 i = 0; i < a->cols; i += BLOCK) {
        const i64 n = a->cols - i < BLOCK ? a->cols - i : BLOCK;
        const ACC own = LOCAL_NAME(top_of)(x + i, n), larger = LARGER(own, top), below = larger == LOWEST ? 0 : larger;
        sum = sum * (f64)k_exp_below(top - below) + (f64)LOCAL_NAME(sum_of)(x + i, n, below);
        top = larger;
        if (a->smoothing > 0) {
            all += LOCAL_NAME(weighted_sum)(x + i, weight ? weight + i : 0, n);
            weights += weight ? LOCAL_NAME(weighted_sum)(weight + i, 0, n) : (ACC)n;
        }
    }
    LOCAL_NAME(finish_row)(a, r, a->target[r], top, (ACC)k_log_f64(sum), all, weights);
}

WORD void LOCAL_NAME(rows)(const cross_entropy_args *a, i64 group)
{
    const i64 first = group * a->group_size, last = first + a->group_size < a->rows ? first + a->group_size : a->rows;
    for (i64 r = first; r < last; ++r) LOCAL_NAME(row)(a, r);
}

WORD void LOCAL_NAME(add_up)(const cross_entropy_args *a, i64 group)
{
    f64 loss = 0, total = 0;
    (void)group;
    SCALAR_LOOP for (i64 r = 0; r < a->rows; ++r) {
        loss += ((const ACC *)a->pairs)[2 * r];
        total += ((const ACC *)a->pairs)[2 * r + 1];
    }
    LOCAL_NAME(write_loss)(a, (ACC)loss, (ACC)total);
}

WORD void LOCAL_NAME(row_backward)(const cross_entropy_args *a, i64 r)
{
    const T *const x = (const T *)a->x + r * a->x_row, *const weight = (const T *)a->weight;
    T *const out = (T *)a->out + r * a->cols;
    const LOCAL_NAME(slope) s = LOCAL_NAME(slope_of)(a, r);
    const ACC smooth = s.smooth, factor = s.factor, top = s.top, rest = s.rest;
    if (s.label < 0) {
        FOR_LANES(c, a->cols) out[c] = STORE((ACC)0);
        return;
    }
    if (weight && smooth != 0) FOR_LANES(c, a->cols) out[c] = STORE(k_exp_below(LOAD(x[c]) - top - rest) * factor - smooth * LOAD(weight[c]));
    else FOR_LANES(c, a->cols) out[c] = STORE(k_exp_below(LOAD(x[c]) - top - rest) * factor - smooth);
    const ACC g = k_exp_below(LOAD(x[s.label]) - top - rest) * factor - smooth * LOCAL_NAME(weight_of)(a, s.label);
    out[s.label] = STORE(g - s.hit);
}

WORD void LOCAL_NAME(backward)(const cross_entropy_args *a, i64 group)
{
    const i64 first = group * a->group_size, last = first + a->group_size < a->rows ? first + a->group_size : a->rows;
    for (i64 r = first; r < last; ++r) LOCAL_NAME(row_backward)(a, r);
}

KERNEL(cross_entropy_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

#undef ACC
#undef LOAD
#undef STORE
#undef LOWEST
#undef LARGER
#undef BLOCK

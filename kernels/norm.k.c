// SPDX-License-Identifier: Apache-2.0
// y = (x - mean) * rstd * weight + bias over rows of a contiguous (rows, size) matrix, with mean and rstd = 1 /
// sqrt(var + eps) of the row, and its gradients. Layer norm has a weight a column; group norm has one a channel, a row
// being a group of channels, each of them a plane.
//
// With u = x - mean, a = sum(g * weight) and b = sum(g * weight * u) over the row:
//   grad_x      = rstd * (g * weight - a / size - u * rstd^2 * b / size)
//   grad_weight = sum over rows of g * u * rstd        grad_bias = sum over rows of g
//
// A weight norm scales a row by g / |x|, g being a number a row; its gradients are, with s = sum(grad * x),
//   grad_x = g * (grad / |x| - x * s / |x|^3)        grad_g = s / |x|
//
// A group owns group_rows rows. Forward, it reads a row three times, from L1 but for the first: for the mean, for the
// variance about that mean (no cancellation, as in E[x^2] - E[x]^2), for the result. Backward, twice: for the sums,
// adding to the group's own partial grad_weight and grad_bias on the way, and for grad_x. Then `parameters` adds up
// the partial sums, tile by tile. How rows are shared out depends on the shape alone, and so do the rounding errors.
// Floor: forward one read and one write, backward two reads and one write.
//
// Defines: T, P (type of weight, bias, mean and rstd: T or f32), PART, VEC (the elements of one SIMD register).
#include "norm_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define LOADP(x) ((ACC)CAT(load_, P)(x))
#define STOREP(x) CAT(store_, P)(x)

WORD ACC LOCAL_NAME(sum_of)(ACC *v)
{
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) v[k] += v[k + half];
    return group_sum(v[0]);
}

// ---- moments

// Four sums in flight, so that the additions' latency doesn't set the pace.
WORD ACC LOCAL_NAME(sum)(const T *x, i64 n)
{
    ACC s0[VEC], s1[VEC], s2[VEC], s3[VEC], tail = 0;
    FOR_SIMD(k) s0[k] = s1[k] = s2[k] = s3[k] = 0;
    i64 i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        FOR_SIMD(k) s0[k] += LOAD(x[i + k]);
        FOR_SIMD(k) s1[k] += LOAD(x[i + VEC + k]);
        FOR_SIMD(k) s2[k] += LOAD(x[i + 2 * VEC + k]);
        FOR_SIMD(k) s3[k] += LOAD(x[i + 3 * VEC + k]);
    }
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) s0[k] += LOAD(x[i + k]);
    SCALAR_LOOP for (; i < n; ++i) tail += LOAD(x[i]);
    FOR_SIMD(k) s0[k] = (s0[k] + s1[k]) + (s2[k] + s3[k]);
    return LOCAL_NAME(sum_of)(s0) + tail;
}

#define SQUARE(v) (((v) - mean) * ((v) - mean))
WORD ACC LOCAL_NAME(sum_of_squares)(const T *x, i64 n, ACC mean)
{
    ACC s0[VEC], s1[VEC], s2[VEC], s3[VEC], tail = 0;
    FOR_SIMD(k) s0[k] = s1[k] = s2[k] = s3[k] = 0;
    i64 i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        FOR_SIMD(k) s0[k] += SQUARE(LOAD(x[i + k]));
        FOR_SIMD(k) s1[k] += SQUARE(LOAD(x[i + VEC + k]));
        FOR_SIMD(k) s2[k] += SQUARE(LOAD(x[i + 2 * VEC + k]));
        FOR_SIMD(k) s3[k] += SQUARE(LOAD(x[i + 3 * VEC + k]));
    }
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) s0[k] += SQUARE(LOAD(x[i + k]));
    SCALAR_LOOP for (; i < n; ++i) tail += SQUARE(LOAD(x[i]));
    FOR_SIMD(k) s0[k] = (s0[k] + s1[k]) + (s2[k] + s3[k]);
    return LOCAL_NAME(sum_of)(s0) + tail;
}

// Mean and rstd of a row, which are results too. The result uses the values before they are rounded to P.
WORD void LOCAL_NAME(moments)(const norm_args *a, const T *x, i64 row, ACC *mean, ACC *rstd)
{
    *mean = LOCAL_NAME(sum)(x, a->size) / (ACC)a->size;
    *rstd = k_rsqrt(LOCAL_NAME(sum_of_squares)(x, a->size, *mean) / (ACC)a->size + (ACC)a->eps);
    ((P *)a->mean)[row] = STOREP(*mean);
    ((P *)a->rstd)[row] = STOREP(*rstd);
}

// ---- a weight a column: layer norm, forward

WORD void LOCAL_NAME(normalise)(T *y, const T *x, i64 n, ACC mean, ACC rstd, const P *weight, const P *bias)
{
    if (weight && bias) FOR_LANES(i, n) y[i] = STORE((LOAD(x[i]) - mean) * rstd * LOADP(weight[i]) + LOADP(bias[i]));
    else if (weight) FOR_LANES(i, n) y[i] = STORE((LOAD(x[i]) - mean) * rstd * LOADP(weight[i]));
    else if (bias) FOR_LANES(i, n) y[i] = STORE((LOAD(x[i]) - mean) * rstd + LOADP(bias[i]));
    else FOR_LANES(i, n) y[i] = STORE((LOAD(x[i]) - mean) * rstd);
}

WORD void LOCAL_NAME(layer)(const norm_args *a, i64 group)
{
    const i64 first = group * a->group_rows;
    const i64 last = first + a->group_rows < a->rows ? first + a->group_rows : a->rows;
    for (i64 row = first; row < last; ++row) {
        const T *x = (const T *)a->x + row * a->size;
        ACC mean, rstd;
        LOCAL_NAME(moments)(a, x, row, &mean, &rstd);
        LOCAL_NAME(normalise)((T *)a->out + row * a->size, x, a->size, mean, rstd, (const P *)a->weight, (const P *)a->bias);
    }
}

// ---- backward

// sums of g * weight and g * weight * (x - mean) over a row; weight may be NULL
typedef struct LOCAL_NAME(row_sums) {
    ACC a, b;
} LOCAL_NAME(row_sums);

#define WEIGHTED(i) (weight ? LOAD(g[i]) * LOADP(weight[i]) : LOAD(g[i]))
WORD LOCAL_NAME(row_sums) LOCAL_NAME(sum_row)(const T *g, const T *x, const P *weight, i64 n, ACC mean)
{
    ACC a[VEC], b[VEC];
    FOR_SIMD(k) a[k] = b[k] = 0;
    i64 i = 0;
    for (; i + VEC <= n; i += VEC)
        FOR_SIMD(k) {
            const ACC v = WEIGHTED(i + k);
            a[k] += v;
            b[k] += v * (LOAD(x[i + k]) - mean);
        }
    ACC tail_a = 0, tail_b = 0;
    SCALAR_LOOP for (; i < n; ++i) {
        const ACC v = WEIGHTED(i);
        tail_a += v;
        tail_b += v * (LOAD(x[i]) - mean);
    }
    const LOCAL_NAME(row_sums) sums = { LOCAL_NAME(sum_of)(a) + tail_a, LOCAL_NAME(sum_of)(b) + tail_b };
    return sums;
}

// grad_x of a row: rstd * (g * weight) + shift + slope * (x - mean)
WORD void LOCAL_NAME(row_gradient)(T *out, const T *g, const T *x, const P *weight, i64 n, ACC mean, ACC rstd, ACC shift, ACC slope)
{
    FOR_LANES(i, n) out[i] = STORE(rstd * WEIGHTED(i) + (slope * (LOAD(x[i]) - mean) + shift));
}

WORD void LOCAL_NAME(add_parameters)(ACC *weights, ACC *biases, const T *g, const T *x, i64 n, ACC mean, ACC rstd)
{
    FOR_LANES(i, n) {
        const ACC v = LOAD(g[i]);
        biases[i] += v;
        weights[i] += v * ((LOAD(x[i]) - mean) * rstd);
    }
}

WORD void LOCAL_NAME(layer_rows)(const norm_args *a, i64 group, const P *weight)
{
    const i64 n = a->size, first = group * a->group_rows;
    const i64 last = first + a->group_rows < a->rows ? first + a->group_rows : a->rows;
    ACC *const weights = (ACC *)a->weight_sums + group * n, *const biases = (ACC *)a->bias_sums + group * n;
    if (a->weight_sums) FOR_LANES(i, n) weights[i] = biases[i] = 0;
    for (i64 row = first; row < last; ++row) {
        const T *g = (const T *)a->grad + row * n, *x = (const T *)a->x + row * n;
        const ACC mean = LOADP(((const P *)a->mean)[row]), rstd = LOADP(((const P *)a->rstd)[row]);
        if (a->weight_sums) LOCAL_NAME(add_parameters)(weights, biases, g, x, n, mean, rstd);
        if (!a->out) continue;
        const LOCAL_NAME(row_sums) s = LOCAL_NAME(sum_row)(g, x, weight, n, mean);
        const ACC scale = -rstd / (ACC)n;
        LOCAL_NAME(row_gradient)((T *)a->out + row * n, g, x, weight, n, mean, rstd, scale * s.a, scale * s.b * rstd * rstd);
    }
}

WORD void LOCAL_NAME(layer_backward)(const norm_args *a, i64 group)
{
    if (a->weight) LOCAL_NAME(layer_rows)(a, group, (const P *)a->weight);
    else LOCAL_NAME(layer_rows)(a, group, (const P *)0);
}

// Adds up the partial sums of a tile of columns.
WORD void LOCAL_NAME(add_parts)(P *out, const ACC *parts, i64 width, i64 pitch, i64 count)
{
    LOCAL(ACC, sum, NORM_TILE);
    FOR_LANES(j, width) sum[j] = parts[j];
    for (i64 part = 1; part < count; ++part) FOR_LANES(j, width) sum[j] += parts[part * pitch + j];
    FOR_LANES(j, width) out[j] = STOREP(sum[j]);
}

WORD void LOCAL_NAME(parameters)(const norm_args *a, i64 group)
{
    const i64 first = group * NORM_TILE, width = a->size - first < NORM_TILE ? a->size - first : NORM_TILE;
    if (a->grad_weight)
        LOCAL_NAME(add_parts)((P *)a->grad_weight + first, (const ACC *)a->weight_sums + first, width, a->size, a->parts);
    if (a->grad_bias)
        LOCAL_NAME(add_parts)((P *)a->grad_bias + first, (const ACC *)a->bias_sums + first, width, a->size, a->parts);
}

// ---- a weight a channel: group norm

WORD void LOCAL_NAME(group_forward)(const norm_args *a, i64 row)
{
    const i64 channels = a->channels / a->groups, first = row % a->groups * channels;
    const T *x = (const T *)a->x + row * a->size;
    T *y = (T *)a->out + row * a->size;
    const P *weight = a->weight ? (const P *)a->weight + first : 0, *bias = a->bias ? (const P *)a->bias + first : 0;
    ACC mean, rstd;
    LOCAL_NAME(moments)(a, x, row, &mean, &rstd);
    if (a->plane == 1) {
        LOCAL_NAME(normalise)(y, x, channels, mean, rstd, weight, bias);
        return;
    }
    for (i64 c = 0; c < channels; ++c) {
        const ACC scale = weight ? rstd * LOADP(weight[c]) : rstd, shift = bias ? LOADP(bias[c]) : 0;
        const T *from = x + c * a->plane;
        T *to = y + c * a->plane;
        FOR_LANES(i, a->plane) to[i] = STORE((LOAD(from[i]) - mean) * scale + shift);
    }
}

// The sums of a channel's plane go to weight_sums and bias_sums, (rows, channels of a group), which is (batch, channels).
WORD void LOCAL_NAME(group_backward)(const norm_args *a, i64 row)
{
    const i64 channels = a->channels / a->groups, first = row % a->groups * channels;
    const T *g = (const T *)a->grad + row * a->size, *x = (const T *)a->x + row * a->size;
    const P *weight = a->weight ? (const P *)a->weight + first : 0;
    const ACC mean = LOADP(((const P *)a->mean)[row]), rstd = LOADP(((const P *)a->rstd)[row]);
    ACC *const weights = (ACC *)a->weight_sums + row * channels, *const biases = (ACC *)a->bias_sums + row * channels;
    ACC sum_a = 0, sum_b = 0;
    for (i64 c = 0; c < channels; ++c) {
        const LOCAL_NAME(row_sums) s = LOCAL_NAME(sum_row)(g + c * a->plane, x + c * a->plane, (const P *)0, a->plane, mean);
        const ACC w = weight ? LOADP(weight[c]) : 1;
        sum_a += w * s.a;
        sum_b += w * s.b;
        weights[c] = s.b * rstd;
        biases[c] = s.a;
    }
    if (!a->out) return;
    const ACC scale = -rstd / (ACC)a->size, shift = scale * sum_a, slope = scale * sum_b * rstd * rstd;
    for (i64 c = 0; c < channels; ++c) {
        const ACC w = weight ? LOADP(weight[c]) : 1;
        LOCAL_NAME(row_gradient)((T *)a->out + row * a->size + c * a->plane, g + c * a->plane, x + c * a->plane, (const P *)0,
                                 a->plane, mean, rstd * w, shift, slope);
    }
}

// ---- weight norm

WORD void LOCAL_NAME(weight)(const norm_args *a, i64 group)
{
    const i64 first = group * a->group_rows, last = first + a->group_rows < a->rows ? first + a->group_rows : a->rows;
    for (i64 row = first; row < last; ++row) {
        const T *const x = (const T *)a->x + row * a->size;
        T *const out = (T *)a->out + row * a->size;
        const ACC norm = k_sqrt(LOCAL_NAME(sum_of_squares)(x, a->size, 0)), scale = LOAD(((const T *)a->weight)[row]) / norm;
        ((ACC *)a->norms)[row] = norm;
        FOR_LANES(i, a->size) out[i] = STORE(LOAD(x[i]) * scale);
    }
}

WORD void LOCAL_NAME(weight_backward)(const norm_args *a, i64 group)
{
    const i64 first = group * a->group_rows, last = first + a->group_rows < a->rows ? first + a->group_rows : a->rows;
    for (i64 row = first; row < last; ++row) {
        const T *const x = (const T *)a->x + row * a->size, *const g = (const T *)a->grad + row * a->size;
        T *const out = (T *)a->out + row * a->size;
        const ACC sum = LOCAL_NAME(sum_row)(g, x, (const P *)0, a->size, 0).b, inverse = 1 / ((const ACC *)a->norms)[row];
        const ACC weight = LOAD(((const T *)a->weight)[row]), slope = inverse * inverse * inverse * sum;
        ((T *)a->grad_weight)[row] = STORE(sum * inverse);
        FOR_LANES(i, a->size) out[i] = STORE(weight * (inverse * LOAD(g[i]) - LOAD(x[i]) * slope));
    }
}

KERNEL(norm_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

#undef ACC
#undef LOAD
#undef STORE
#undef LOADP
#undef STOREP
#undef SQUARE
#undef WEIGHTED

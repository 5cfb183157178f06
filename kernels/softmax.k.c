// SPDX-License-Identifier: Apache-2.0
// y = exp(x - max(x)) / sum(exp(x - max(x))), its logarithm, and the gradients of both, along one dimension of
// (outer, size, inner) views. top stands for the maximum, total for the sum of exponentials.
//
//   forward   softmax  exp(x - top) / total            log_softmax  (x - top) - log(total)
//   backward  softmax  (g - sum(g * y)) * y            log_softmax  g - exp(y) * sum(g)
//
// Three ways through the elements, each a kernel of its own (PART):
// * rows: inner is 1. A group owns a row. It is staged once, in the arithmetic type and padded with -inf to whole
//   vectors, into a buffer that stays in L1, where the exponentials are made and summed; so x is read once, y is
//   written once, and no exponential is computed twice or alone. A row longer than the buffer goes chunk by chunk:
//   first the maximum, then exponentials (kept in y itself where y has the arithmetic type, else made again).
// * columns: inner is large. A group owns a tile of columns, whose maxima and sums are vectors; it walks down three
//   times, and the host makes the tile so narrow that the second and third time find it in L2.
// * gathered: short rows or a small inner, where a vector would span many of them. A group transposes a tile of
//   SOFTMAX_WIDTH rows into its buffer, works on it as on columns, and scatters the result.
//
// VEC partial sums make a row's sum independent of how many threads there are. Floor: one read and one write of
// memory; in cache the exponential is the cost, about 14 instructions a vector.
// Defines: T, LOG (0 or 1), PART, VEC (the elements of one SIMD register).
#include "softmax_args.h"
#include "softmax_exp.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define MAX(a, b) ((a) > (b) ? (a) : (b)) // a NaN is lost here; the sum of exponentials finds it
#define LOWEST ((ACC)-MATH_INF_F32)
#define KEEP (SOFTMAX_BUFFER / (i64)sizeof(ACC))
#define IN_PLACE (sizeof(T) == sizeof(ACC)) // y can hold what the arithmetic makes

// ---- one vector's worth of partial results to one

WORD ACC LOCAL_NAME(max_of)(ACC *v)
{
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) v[k] = MAX(v[k + half], v[k]);
    return group_max(v[0]);
}

WORD ACC LOCAL_NAME(sum_of)(ACC *v)
{
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) v[k] += v[k + half];
    return group_sum(v[0]);
}

// ---- rows, forward

// Stages n elements, padded to whole vectors, and takes their maximum along.
WORD void LOCAL_NAME(stage)(ACC *keep, const T *x, i64 n, ACC *top)
{
    i64 i = 0;
    for (; i + VEC <= n; i += VEC)
        FOR_SIMD(k) {
            const ACC v = LOAD(x[i + k]);
            keep[i + k] = v;
            top[k] = MAX(v, top[k]);
        }
    if (i == n) return;
    FOR_SIMD(k) keep[i + k] = LOWEST;
    SCALAR_LOOP for (i64 j = i; j < n; ++j) keep[j] = LOAD(x[j]);
    FOR_SIMD(k) top[k] = MAX(keep[i + k], top[k]);
}

// Staged elements become exp(element - top), and are summed. log_softmax needs the sum only.
WORD void LOCAL_NAME(exponentials)(ACC *keep, i64 n, ACC top, ACC *sum)
{
    for (i64 i = 0; i < n; i += VEC)
        FOR_SIMD(k) {
            const ACC e = k_exp_below(keep[i + k] - top);
            if (!LOG) keep[i + k] = e;
            sum[k] += e;
        }
}

WORD void LOCAL_NAME(finish)(T *y, const ACC *keep, i64 n, ACC top, ACC rest)
{
    FOR_LANES(i, n) y[i] = STORE(LOG ? keep[i] - top - rest : keep[i] * rest);
}

WORD ACC LOCAL_NAME(max_of_row)(const T *x, i64 n)
{
    ACC tops[VEC];
    FOR_SIMD(k) tops[k] = LOWEST;
    i64 i = 0;
    for (; i + VEC <= n; i += VEC)
        FOR_SIMD(k) {
            const ACC v = LOAD(x[i + k]);
            tops[k] = MAX(v, tops[k]);
        }
    for (; i < n; ++i) tops[0] = MAX(LOAD(x[i]), tops[0]);
    return LOCAL_NAME(max_of)(tops);
}

// hold takes the exponentials: y itself or scratch.
WORD void LOCAL_NAME(long_row)(const T *x, T *y, ACC *hold, i64 n, ACC *keep)
{
    ACC tops[VEC], sums[VEC], chunk[VEC];
    FOR_SIMD(k) sums[k] = 0;
    const ACC top = LOCAL_NAME(max_of_row)(x, n);
    for (i64 at = 0; at < n; at += KEEP) {
        const i64 m = n - at < KEEP ? n - at : KEEP;
        FOR_SIMD(k) tops[k] = top;
        FOR_SIMD(k) chunk[k] = 0;
        LOCAL_NAME(stage)(keep, x + at, m, tops);
        LOCAL_NAME(exponentials)(keep, m, top, chunk);
        FOR_SIMD(k) sums[k] += chunk[k];
        if (!LOG) FOR_LANES(j, m) hold[at + j] = keep[j];
    }
    const ACC total = LOCAL_NAME(sum_of)(sums);
    if (LOG) {
        const ACC rest = k_log(total);
        FOR_LANES(j, n) y[j] = STORE(LOAD(x[j]) - top - rest);
    } else {
        LOCAL_NAME(finish)(y, hold, n, top, 1 / total);
    }
}

WORD void LOCAL_NAME(row)(const T *x, T *y, i64 n, ACC *keep)
{
    ACC tops[VEC], sums[VEC];
    FOR_SIMD(k) tops[k] = LOWEST;
    FOR_SIMD(k) sums[k] = 0;
    LOCAL_NAME(stage)(keep, x, n, tops);
    const ACC top = LOCAL_NAME(max_of)(tops);
    LOCAL_NAME(exponentials)(keep, n, top, sums);
    const ACC total = LOCAL_NAME(sum_of)(sums);
    LOCAL_NAME(finish)(y, keep, n, top, LOG ? k_log(total) : 1 / total);
}

WORD void LOCAL_NAME(rows)(const softmax_args *a, i64 group)
{
    const i64 n = a->size, first = group * a->group_rows;
    const i64 last = first + a->group_rows < a->outer ? first + a->group_rows : a->outer;
    LOCAL(ACC, keep, KEEP);
    for (i64 row = first; row < last; ++row) {
        const T *x = (const T *)a->x + row * a->x_outer;
        T *y = (T *)a->out + row * n;
        if (n <= KEEP) LOCAL_NAME(row)(x, y, n, keep);
        else LOCAL_NAME(long_row)(x, y, IN_PLACE ? (ACC *)y : (ACC *)a->scratch + group * n, n, keep);
    }
}

// ---- rows, backward

// What the gradient of an element adds to the row's sum.
#define TERM(g, y) (LOG ? LOAD(g) : LOAD(g) * LOAD(y))

WORD ACC LOCAL_NAME(sum_short)(const T *g, const T *y, i64 n)
{
    ACC s[VEC], tail = 0;
    FOR_SIMD(k) s[k] = 0;
    i64 i = 0;
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) s[k] += TERM(g[i + k], y[i + k]);
    SCALAR_LOOP for (; i < n; ++i) tail += TERM(g[i], y[i]);
    return LOCAL_NAME(sum_of)(s) + tail;
}

// Four sums in flight, so that the additions' latency doesn't set the pace.
WORD ACC LOCAL_NAME(sum_gradient)(const T *g, const T *y, i64 n)
{
    if (n < 16 * VEC) return LOCAL_NAME(sum_short)(g, y, n);
    ACC s0[VEC], s1[VEC], s2[VEC], s3[VEC];
    FOR_SIMD(k) s0[k] = s1[k] = s2[k] = s3[k] = 0;
    i64 i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC) {
        FOR_SIMD(k) s0[k] += TERM(g[i + k], y[i + k]);
        FOR_SIMD(k) s1[k] += TERM(g[i + VEC + k], y[i + VEC + k]);
        FOR_SIMD(k) s2[k] += TERM(g[i + 2 * VEC + k], y[i + 2 * VEC + k]);
        FOR_SIMD(k) s3[k] += TERM(g[i + 3 * VEC + k], y[i + 3 * VEC + k]);
    }
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) s0[k] += TERM(g[i + k], y[i + k]);
    ACC tail = 0;
    SCALAR_LOOP for (; i < n; ++i) tail += TERM(g[i], y[i]);
    FOR_SIMD(k) s0[k] = (s0[k] + s1[k]) + (s2[k] + s3[k]);
    return LOCAL_NAME(sum_of)(s0) + tail;
}

WORD void LOCAL_NAME(rows_backward)(const softmax_args *a, i64 group)
{
    const i64 n = a->size, first = group * a->group_rows;
    const i64 last = first + a->group_rows < a->outer ? first + a->group_rows : a->outer;
    for (i64 row = first; row < last; ++row) {
        const T *y = (const T *)a->x + row * n, *g = (const T *)a->grad + row * n;
        T *out = (T *)a->out + row * n;
        const ACC sum = LOCAL_NAME(sum_gradient)(g, y, n);
        if (LOG) FOR_LANES(j, n) out[j] = STORE(LOAD(g[j]) - k_exp(LOAD(y[j])) * sum);
        else FOR_LANES(j, n) out[j] = STORE((LOAD(g[j]) - sum) * LOAD(y[j]));
    }
}

// ---- columns

// A row of a tile, staged and padded to whole vectors, and back. Tiles may be narrow: vectors first, then the rest.
WORD void LOCAL_NAME(stage_tile)(ACC *row, const T *x, i64 width, i64 pitch)
{
    i64 j = 0;
    for (; j + VEC <= width; j += VEC) FOR_SIMD(k) row[j + k] = LOAD(x[j + k]);
    SCALAR_LOOP for (i64 k = j; k < pitch; ++k) row[k] = k < width ? LOAD(x[k]) : 0;
}

WORD void LOCAL_NAME(store_tile)(T *y, const ACC *row, i64 width)
{
    i64 j = 0;
    for (; j + VEC <= width; j += VEC) FOR_SIMD(k) y[j + k] = STORE(row[j + k]);
    SCALAR_LOOP for (; j < width; ++j) y[j] = STORE(row[j]);
}

WORD void LOCAL_NAME(tile_exponentials)(ACC *row, i64 pitch, const ACC *top, ACC *sum)
{
    for (i64 j = 0; j < pitch; j += VEC)
        FOR_SIMD(k) {
            const ACC e = k_exp_below(row[j + k] - top[j + k]);
            if (!LOG) row[j + k] = e;
            sum[j + k] += e;
        }
}

// again: the row holds x, not exponentials.
WORD void LOCAL_NAME(tile_finish)(ACC *row, i64 pitch, const ACC *top, const ACC *rest, int again)
{
    for (i64 j = 0; j < pitch; j += VEC) {
        if (LOG) FOR_SIMD(k) row[j + k] = row[j + k] - top[j + k] - rest[j + k];
        else if (again) FOR_SIMD(k) row[j + k] = k_exp_below(row[j + k] - top[j + k]) * rest[j + k];
        else FOR_SIMD(k) row[j + k] *= rest[j + k];
    }
}

// Sums down a column go in two levels: runs of SUM_RUN rows, then those. One running sum of thousands loses digits.
#define SUM_RUN 64
WORD void LOCAL_NAME(end_run)(ACC *sum, ACC *run, i64 pitch)
{
    FOR_LANES(j, pitch) sum[j] += run[j];
    FOR_LANES(j, pitch) run[j] = 0;
}

// A tile that fits the buffer stays there (step is its pitch); else its rows take turns in it, staged each time.
WORD void LOCAL_NAME(columns)(const softmax_args *a, i64 group)
{
    const i64 outer = group / a->tiles, first = group % a->tiles * a->tile;
    const i64 width = a->inner - first < a->tile ? a->inner - first : a->tile;
    const T *x = (const T *)a->x + outer * a->x_outer + first;
    T *y = (T *)a->out + outer * a->size * a->inner + first;
    LOCAL(ACC, top, SOFTMAX_TILE);
    LOCAL(ACC, rest, SOFTMAX_TILE);
    LOCAL(ACC, run, SOFTMAX_TILE);
    LOCAL(ACC, keep, KEEP);
    const i64 pitch = (width + VEC - 1) / VEC * VEC, step = pitch * a->size <= KEEP ? pitch : 0;
    FOR_LANES(j, pitch) top[j] = LOWEST, rest[j] = run[j] = 0;
    for (i64 d = 0; d < a->size; ++d) {
        ACC *const row = keep + d * step;
        LOCAL_NAME(stage_tile)(row, x + d * a->x_size, width, pitch);
        for (i64 j = 0; j < pitch; j += VEC) FOR_SIMD(k) top[j + k] = MAX(row[j + k], top[j + k]);
    }
    for (i64 d = 0; d < a->size; ++d) {
        ACC *const row = keep + d * step;
        if (!step) LOCAL_NAME(stage_tile)(row, x + d * a->x_size, width, pitch);
        LOCAL_NAME(tile_exponentials)(row, pitch, top, run);
        if (d % SUM_RUN == SUM_RUN - 1) LOCAL_NAME(end_run)(rest, run, pitch);
        if (!LOG && IN_PLACE && !step) LOCAL_NAME(store_tile)(y + d * a->inner, row, width);
    }
    LOCAL_NAME(end_run)(rest, run, pitch);
    FOR_LANES(j, pitch) rest[j] = LOG ? k_log(rest[j]) : 1 / rest[j];
    for (i64 d = 0; d < a->size; ++d) {
        ACC *const row = keep + d * step;
        const int from_y = !LOG && IN_PLACE;
        if (!step && from_y) LOCAL_NAME(stage_tile)(row, y + d * a->inner, width, pitch);
        if (!step && !from_y) LOCAL_NAME(stage_tile)(row, x + d * a->x_size, width, pitch);
        LOCAL_NAME(tile_finish)(row, pitch, top, rest, !step && !from_y);
        LOCAL_NAME(store_tile)(y + d * a->inner, row, width);
    }
}

WORD void LOCAL_NAME(columns_backward)(const softmax_args *a, i64 group)
{
    const i64 outer = group / a->tiles, first = group % a->tiles * a->tile;
    const i64 width = a->inner - first < a->tile ? a->inner - first : a->tile;
    const i64 at = outer * a->size * a->inner + first;
    const T *y = (const T *)a->x + at, *g = (const T *)a->grad + at;
    T *out = (T *)a->out + at;
    LOCAL(ACC, sum, SOFTMAX_TILE);
    LOCAL(ACC, run, SOFTMAX_TILE);
    FOR_LANES(j, width) sum[j] = run[j] = 0;
    for (i64 d = 0; d < a->size; ++d) {
        const T *const gd = g + d * a->inner, *const yd = y + d * a->inner;
        FOR_LANES(j, width) run[j] += TERM(gd[j], yd[j]);
        if (d % SUM_RUN == SUM_RUN - 1) LOCAL_NAME(end_run)(sum, run, width);
    }
    LOCAL_NAME(end_run)(sum, run, width);
    for (i64 d = 0; d < a->size; ++d) {
        const T *const gd = g + d * a->inner, *const yd = y + d * a->inner;
        T *const to = out + d * a->inner;
        if (LOG) FOR_LANES(j, width) to[j] = STORE(LOAD(gd[j]) - k_exp(LOAD(yd[j])) * sum[j]);
        else FOR_LANES(j, width) to[j] = STORE((LOAD(gd[j]) - sum[j]) * LOAD(yd[j]));
    }
}

// ---- gathered: SOFTMAX_WIDTH rows at a time, row p of the group at (p / inner, p % inner)

WORD i64 LOCAL_NAME(place)(const softmax_args *a, i64 p, i64 outer_stride)
{
    return a->inner == 1 ? p * outer_stride : p / a->inner * outer_stride + p % a->inner;
}

// A last group with fewer rows repeats the last one, so that every loop over columns has a constant length.
WORD void LOCAL_NAME(gather)(const softmax_args *a, ACC *keep, const T *x, i64 first, i64 count, i64 outer_stride, i64 stride)
{
    SCALAR_LOOP for (i64 p = 0; p < SOFTMAX_WIDTH; ++p) {
        const T *from = x + LOCAL_NAME(place)(a, first + (p < count ? p : count - 1), outer_stride);
        SCALAR_LOOP for (i64 d = 0; d < a->size; ++d) keep[d * SOFTMAX_WIDTH + p] = LOAD(from[d * stride]);
    }
}

WORD void LOCAL_NAME(scatter)(const softmax_args *a, T *y, const ACC *keep, i64 first, i64 count)
{
    SCALAR_LOOP for (i64 p = 0; p < count; ++p) {
        T *to = y + LOCAL_NAME(place)(a, first + p, a->size * a->inner);
        SCALAR_LOOP for (i64 d = 0; d < a->size; ++d) to[d * a->inner] = STORE(keep[d * SOFTMAX_WIDTH + p]);
    }
}

WORD void LOCAL_NAME(gathered)(const softmax_args *a, i64 group)
{
    const i64 first = group * SOFTMAX_WIDTH, rows = a->outer * a->inner;
    const i64 count = rows - first < SOFTMAX_WIDTH ? rows - first : SOFTMAX_WIDTH;
    LOCAL(ACC, keep, KEEP);
    LOCAL(ACC, top, SOFTMAX_WIDTH);
    LOCAL(ACC, rest, SOFTMAX_WIDTH);
    LOCAL_NAME(gather)(a, keep, (const T *)a->x, first, count, a->x_outer, a->x_size);
    FOR_LANES(j, SOFTMAX_WIDTH) top[j] = keep[j], rest[j] = 0;
    for (i64 d = 1; d < a->size; ++d)
        FOR_LANES(j, SOFTMAX_WIDTH) top[j] = MAX(keep[d * SOFTMAX_WIDTH + j], top[j]);
    for (i64 d = 0; d < a->size; ++d) {
        ACC *const at = keep + d * SOFTMAX_WIDTH;
        FOR_LANES(j, SOFTMAX_WIDTH) {
            const ACC e = k_exp_below(at[j] - top[j]);
            if (!LOG) at[j] = e;
            rest[j] += e;
        }
    }
    FOR_LANES(j, SOFTMAX_WIDTH) rest[j] = LOG ? k_log(rest[j]) : 1 / rest[j];
    for (i64 d = 0; d < a->size; ++d) {
        ACC *const at = keep + d * SOFTMAX_WIDTH;
        FOR_LANES(j, SOFTMAX_WIDTH) at[j] = LOG ? at[j] - top[j] - rest[j] : at[j] * rest[j];
    }
    LOCAL_NAME(scatter)(a, (T *)a->out, keep, first, count);
}

WORD void LOCAL_NAME(gathered_backward)(const softmax_args *a, i64 group)
{
    const i64 first = group * SOFTMAX_WIDTH, rows = a->outer * a->inner, outer_stride = a->size * a->inner;
    const i64 count = rows - first < SOFTMAX_WIDTH ? rows - first : SOFTMAX_WIDTH;
    LOCAL(ACC, keep, KEEP);
    LOCAL(ACC, grad, KEEP);
    LOCAL(ACC, sum, SOFTMAX_WIDTH);
    LOCAL_NAME(gather)(a, keep, (const T *)a->x, first, count, outer_stride, a->inner);
    LOCAL_NAME(gather)(a, grad, (const T *)a->grad, first, count, outer_stride, a->inner);
    FOR_LANES(j, SOFTMAX_WIDTH) sum[j] = 0;
    for (i64 d = 0; d < a->size; ++d) {
        const ACC *const y = keep + d * SOFTMAX_WIDTH, *const g = grad + d * SOFTMAX_WIDTH;
        FOR_LANES(j, SOFTMAX_WIDTH) sum[j] += LOG ? g[j] : g[j] * y[j];
    }
    for (i64 d = 0; d < a->size; ++d) {
        const ACC *const g = grad + d * SOFTMAX_WIDTH;
        ACC *const y = keep + d * SOFTMAX_WIDTH;
        FOR_LANES(j, SOFTMAX_WIDTH) y[j] = LOG ? g[j] - k_exp(y[j]) * sum[j] : (g[j] - sum[j]) * y[j];
    }
    LOCAL_NAME(scatter)(a, (T *)a->out, keep, first, count);
}

KERNEL(softmax_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

#undef ACC
#undef LOAD
#undef STORE
#undef MAX
#undef LOWEST
#undef KEEP
#undef IN_PLACE
#undef TERM
#undef SUM_RUN

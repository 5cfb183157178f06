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
//   written once, and no exponential is made twice or alone. A row longer than the buffer goes chunk by chunk:
//   first the maximum, then exponentials (kept in y itself where y has the arithmetic type, else made again).
// * columns: inner is large. A group owns a tile of columns, whose maxima and sums are vectors; it walks down three
//   times, and the host makes the tile so narrow that the second and third time find it in L2. The exponentials are
//   made twice where the tile is larger than the buffer: cheaper than to write and read them.
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

// A tile is at least a vector wide. Its last vector reaches back over columns that the one before has too: they have
// two places in top, rest and keep, and are written twice alike. Cheaper than anything that handles a part of a vector.
WORD i64 LOCAL_NAME(column_of)(i64 place, i64 width)
{
    return place + VEC <= width ? place : width - VEC;
}

WORD void LOCAL_NAME(vector_maxima)(const T *v, ACC *top)
{
    FOR_SIMD(k) {
        const ACC x = LOAD(v[k]);
        top[k] = MAX(x, top[k]);
    }
}

// keep takes the exponentials; NULL: they are not kept.
WORD void LOCAL_NAME(vector_exponentials)(const T *v, const ACC *top, ACC *sum, ACC *keep)
{
    if (keep)
        FOR_SIMD(k) {
            const ACC e = k_exp_below(LOAD(v[k]) - top[k]);
            keep[k] = e;
            sum[k] += e;
        }
    else FOR_SIMD(k) sum[k] += k_exp_below(LOAD(v[k]) - top[k]);
}

WORD void LOCAL_NAME(vector_finish)(T *y, const T *v, const ACC *top, const ACC *rest, const ACC *keep)
{
    if (LOG) FOR_SIMD(k) y[k] = STORE(LOAD(v[k]) - top[k] - rest[k]);
    else if (keep) FOR_SIMD(k) y[k] = STORE(keep[k] * rest[k]);
    else FOR_SIMD(k) y[k] = STORE(k_exp_below(LOAD(v[k]) - top[k]) * rest[k]);
}

WORD void LOCAL_NAME(tile_maxima)(const T *x, i64 width, ACC *top)
{
    for (i64 j = 0; j < width; j += VEC) LOCAL_NAME(vector_maxima)(x + LOCAL_NAME(column_of)(j, width), top + j);
}

WORD void LOCAL_NAME(tile_exponentials)(const T *x, i64 width, const ACC *top, ACC *sum, ACC *keep)
{
    if (keep)
        for (i64 j = 0; j < width; j += VEC)
            LOCAL_NAME(vector_exponentials)(x + LOCAL_NAME(column_of)(j, width), top + j, sum + j, keep + j);
    else
        for (i64 j = 0; j < width; j += VEC)
            LOCAL_NAME(vector_exponentials)(x + LOCAL_NAME(column_of)(j, width), top + j, sum + j, (ACC *)0);
}

WORD void LOCAL_NAME(tile_finish)(T *y, const T *x, i64 width, const ACC *top, const ACC *rest, const ACC *keep)
{
    for (i64 j = 0; j < width; j += VEC) {
        const i64 c = LOCAL_NAME(column_of)(j, width);
        if (keep) LOCAL_NAME(vector_finish)(y + c, x + c, top + j, rest + j, keep + j);
        else LOCAL_NAME(vector_finish)(y + c, x + c, top + j, rest + j, (const ACC *)0);
    }
}

// Sums down a column go in two levels: runs of SUM_RUN rows, then those. One running sum of thousands loses digits.
#define SUM_RUN 64
WORD void LOCAL_NAME(end_run)(ACC *sum, ACC *run, i64 pitch)
{
    FOR_LANES(j, pitch) sum[j] += run[j];
    FOR_LANES(j, pitch) run[j] = 0;
}

// The exponentials of a tile that fits the buffer stay there (step is its pitch); else they are made again.
WORD void LOCAL_NAME(columns)(const softmax_args *a, i64 group)
{
    const i64 outer = group / a->tiles, tile = group % a->tiles, first = tile * a->inner / a->tiles;
    const i64 width = (tile + 1) * a->inner / a->tiles - first;
    const T *x = (const T *)a->x + outer * a->x_outer + first;
    T *y = (T *)a->out + outer * a->size * a->inner + first;
    LOCAL(ACC, top, SOFTMAX_TILE);
    LOCAL(ACC, rest, SOFTMAX_TILE);
    LOCAL(ACC, run, SOFTMAX_TILE);
    LOCAL(ACC, keep, KEEP);
    const i64 pitch = (width + VEC - 1) / VEC * VEC;
    const int kept = !LOG && pitch * a->size <= KEEP;
    FOR_LANES(j, pitch) top[j] = LOWEST;
    FOR_LANES(j, pitch) rest[j] = run[j] = 0;
    for (i64 d = 0; d < a->size; ++d) LOCAL_NAME(tile_maxima)(x + d * a->x_size, width, top);
    for (i64 d = 0; d < a->size; ++d) {
        LOCAL_NAME(tile_exponentials)(x + d * a->x_size, width, top, run, kept ? keep + d * pitch : 0);
        if (d % SUM_RUN == SUM_RUN - 1) LOCAL_NAME(end_run)(rest, run, pitch);
    }
    LOCAL_NAME(end_run)(rest, run, pitch);
    FOR_LANES(j, pitch) rest[j] = LOG ? k_log(rest[j]) : 1 / rest[j];
    for (i64 d = 0; d < a->size; ++d)
        LOCAL_NAME(tile_finish)(y + d * a->inner, x + d * a->x_size, width, top, rest, kept ? keep + d * pitch : 0);
}

WORD void LOCAL_NAME(columns_backward)(const softmax_args *a, i64 group)
{
    const i64 outer = group / a->tiles, tile = group % a->tiles, first = tile * a->inner / a->tiles;
    const i64 width = (tile + 1) * a->inner / a->tiles - first;
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

// ---- gathered: up to SOFTMAX_WIDTH rows at a time, row p of the group at (p / inner, p % inner)

typedef struct LOCAL_NAME(batch) {
    i64 first, count; // rows of the group
    i64 width;        // count, rounded up to whole vectors
} LOCAL_NAME(batch);

WORD LOCAL_NAME(batch) LOCAL_NAME(batch_of)(const softmax_args *a, i64 group)
{
    LOCAL_NAME(batch) b;
    const i64 rows = a->outer * a->inner;
    b.first = group * SOFTMAX_WIDTH;
    b.count = rows - b.first < SOFTMAX_WIDTH ? rows - b.first : SOFTMAX_WIDTH;
    b.width = (b.count + VEC - 1) / VEC * VEC;
    return b;
}

WORD i64 LOCAL_NAME(place)(const softmax_args *a, i64 p, i64 outer_stride)
{
    return a->inner == 1 ? p * outer_stride : p / a->inner * outer_stride + p % a->inner;
}

// What fills up the last vector repeats the last row.
WORD void LOCAL_NAME(gather)(const softmax_args *a, ACC *keep, const T *x, LOCAL_NAME(batch) b, i64 outer_stride, i64 stride)
{
    SCALAR_LOOP for (i64 p = 0; p < b.width; ++p) {
        const T *from = x + LOCAL_NAME(place)(a, b.first + (p < b.count ? p : b.count - 1), outer_stride);
        SCALAR_LOOP for (i64 d = 0; d < a->size; ++d) keep[d * SOFTMAX_WIDTH + p] = LOAD(from[d * stride]);
    }
}

WORD void LOCAL_NAME(scatter)(const softmax_args *a, T *y, const ACC *keep, LOCAL_NAME(batch) b)
{
    SCALAR_LOOP for (i64 p = 0; p < b.count; ++p) {
        T *to = y + LOCAL_NAME(place)(a, b.first + p, a->size * a->inner);
        SCALAR_LOOP for (i64 d = 0; d < a->size; ++d) to[d * a->inner] = STORE(keep[d * SOFTMAX_WIDTH + p]);
    }
}

// The softmaxes of one vector of rows, in place.
WORD void LOCAL_NAME(gathered_vector)(ACC *keep, i64 size)
{
    ACC top[VEC], rest[VEC];
    FOR_SIMD(k) top[k] = keep[k];
    FOR_SIMD(k) rest[k] = 0;
    for (i64 d = 1; d < size; ++d) FOR_SIMD(k) top[k] = MAX(keep[d * SOFTMAX_WIDTH + k], top[k]);
    for (i64 d = 0; d < size; ++d) {
        ACC *const at = keep + d * SOFTMAX_WIDTH;
        FOR_SIMD(k) {
            const ACC e = k_exp_below(at[k] - top[k]);
            if (!LOG) at[k] = e;
            rest[k] += e;
        }
    }
    FOR_SIMD(k) rest[k] = LOG ? k_log(rest[k]) : 1 / rest[k];
    for (i64 d = 0; d < size; ++d) {
        ACC *const at = keep + d * SOFTMAX_WIDTH;
        FOR_SIMD(k) at[k] = LOG ? at[k] - top[k] - rest[k] : at[k] * rest[k];
    }
}

WORD void LOCAL_NAME(gathered)(const softmax_args *a, i64 group)
{
    const LOCAL_NAME(batch) b = LOCAL_NAME(batch_of)(a, group);
    LOCAL(ACC, keep, KEEP);
    LOCAL_NAME(gather)(a, keep, (const T *)a->x, b, a->x_outer, a->x_size);
    for (i64 j = 0; j < b.width; j += VEC) LOCAL_NAME(gathered_vector)(keep + j, a->size);
    LOCAL_NAME(scatter)(a, (T *)a->out, keep, b);
}

WORD void LOCAL_NAME(gathered_gradient)(ACC *keep, const ACC *grad, i64 size)
{
    ACC sum[VEC];
    FOR_SIMD(k) sum[k] = 0;
    for (i64 d = 0; d < size; ++d) {
        const ACC *const y = keep + d * SOFTMAX_WIDTH, *const g = grad + d * SOFTMAX_WIDTH;
        FOR_SIMD(k) sum[k] += LOG ? g[k] : g[k] * y[k];
    }
    for (i64 d = 0; d < size; ++d) {
        const ACC *const g = grad + d * SOFTMAX_WIDTH;
        ACC *const y = keep + d * SOFTMAX_WIDTH;
        FOR_SIMD(k) y[k] = LOG ? g[k] - k_exp(y[k]) * sum[k] : (g[k] - sum[k]) * y[k];
    }
}

WORD void LOCAL_NAME(gathered_backward)(const softmax_args *a, i64 group)
{
    const LOCAL_NAME(batch) b = LOCAL_NAME(batch_of)(a, group);
    const i64 outer_stride = a->size * a->inner;
    LOCAL(ACC, keep, KEEP);
    LOCAL(ACC, grad, KEEP);
    LOCAL_NAME(gather)(a, keep, (const T *)a->x, b, outer_stride, a->inner);
    LOCAL_NAME(gather)(a, grad, (const T *)a->grad, b, outer_stride, a->inner);
    for (i64 j = 0; j < b.width; j += VEC) LOCAL_NAME(gathered_gradient)(keep + j, grad + j, a->size);
    LOCAL_NAME(scatter)(a, (T *)a->out, keep, b);
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

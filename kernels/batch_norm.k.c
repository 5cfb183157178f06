// SPDX-License-Identifier: Apache-2.0
// y = (x - mean) * rstd * weight + bias with mean and rstd = 1 / sqrt(var + eps) of a channel, over the batch (training) or
// given (running_mean, running_var), and its gradients. With u = x - mean over the `count` elements of a channel:
//   training: grad_x = (g - sum(g) / count - u * rstd^2 * sum(g * u) / count) * rstd * weight,   else g * rstd * weight
//   grad_weight = sum(g * u) * rstd        grad_bias = sum(g)
//
// Two layouts:
//   planes: (images, channels, plane) with long planes. A group owns a channel and reads it from memory once, then from cache:
//           for the mean, for the squares about it, for the result. `planes` is the last step alone.
//   rows:   a matrix whose columns belong to channels: channels-last images, (batch, channels), and short planes, an image
//           being a row. Narrow ones are folded, several rows being one. Groups own parts of the rows and tiles of columns;
//           `tables` joins the parts and leaves what the last step, row by row, needs of each column.
// Moments are taken block by block about the block's own mean, or about the channel's, and added up in f64: nothing is lost
// by cancellation. How work is cut depends on the shape alone, and so do the rounding errors.
// Floor: forward one read and one write, backward two reads and one write, while a channel (planes) fits the cache.
//
// Defines: T_IN, T_ACC (arithmetic), P (type of parameters and moments: T_IN or f32), PART, VEC (elements of a SIMD register).
#include "batch_norm_args.h"
#include "reduce_args.h"

#define BATCH_NORM_BLOCK 64 // rows of a tile at a time, so that the second reading finds them in L2
#define BATCH_NORM_RUN 1024 // elements of a plane that go into one set of f32 sums of products
#define LOAD(v) ((T_ACC)CAT(load_, T_IN)(v))
#define STORE(v) CAT(store_, T_IN)(v)
#define LOADP(v) ((T_ACC)CAT(load_, P)(v))
#define STOREP(v) CAT(store_, P)(v)

WORD T_ACC LOCAL_NAME(join)(T_ACC a, T_ACC b) { return a + b; }
WORD T_ACC LOCAL_NAME(value)(T_IN element, T_ACC p) { return (void)p, LOAD(element); }
WORD T_ACC LOCAL_NAME(square)(T_IN element, T_ACC mean) { return (LOAD(element) - mean) * (LOAD(element) - mean); }

#define IDENTITY 0
#define BLOCK LOCAL_NAME(block_sum)
#define BLOCK_MAP LOCAL_NAME(value)
#include "reduce_block.c"
#define BLOCK LOCAL_NAME(block_squares)
#define BLOCK_MAP LOCAL_NAME(square)
#include "reduce_block.c"
#undef IDENTITY

WORD i64 LOCAL_NAME(least)(i64 x, i64 y) { return x < y ? x : y; }

// ---- a channel's numbers

typedef struct LOCAL_NAME(affine) {
    T_ACC center, scale, shift, slope;
} LOCAL_NAME(affine);

WORD T_ACC LOCAL_NAME(rstd_of)(f64 variance, f64 eps)
{
    return variance == 0 && eps == 0 ? 0 : (T_ACC)(1 / k_sqrt_f64(variance + eps));
}

WORD LOCAL_NAME(affine) LOCAL_NAME(affine_of)(const batch_norm_args *a, i64 c, T_ACC mean, T_ACC rstd)
{
    LOCAL_NAME(affine) f = { mean, rstd, 0, 0 };
    if (a->weight) f.scale *= LOADP(((const P *)a->weight)[c]);
    if (a->bias) f.shift = LOADP(((const P *)a->bias)[c]);
    return f;
}

// From the moments of a batch, which are results and move the running ones.
WORD LOCAL_NAME(affine) LOCAL_NAME(trained)(const batch_norm_args *a, i64 c, f64 mean, f64 squares)
{
    const T_ACC rstd = LOCAL_NAME(rstd_of)(squares / a->count, a->eps);
    P *const means = (P *)a->running_mean, *const variances = (P *)a->running_var;
    const f64 kept = 1 - a->momentum;
    ((P *)a->mean)[c] = STOREP(mean);
    ((P *)a->rstd)[c] = STOREP(rstd);
    if (means) means[c] = STOREP(a->momentum * mean + kept * LOADP(means[c]));
    if (variances) variances[c] = STOREP(a->momentum * (squares / (a->count - 1)) + kept * LOADP(variances[c]));
    return LOCAL_NAME(affine_of)(a, c, (T_ACC)mean, rstd);
}

WORD T_ACC LOCAL_NAME(saved_rstd)(const batch_norm_args *a, i64 c)
{
    return a->training ? LOADP(((const P *)a->rstd)[c]) : 1 / k_sqrt(LOADP(((const P *)a->running_var)[c]) + (T_ACC)a->eps);
}

// What the backward pass has before it has its sums.
WORD LOCAL_NAME(affine) LOCAL_NAME(saved)(const batch_norm_args *a, i64 c)
{
    const P *const mean = (const P *)(a->training ? a->mean : a->running_mean);
    return LOCAL_NAME(affine_of)(a, c, LOADP(mean[c]), LOCAL_NAME(saved_rstd)(a, c));
}

// The gradients of a channel's parameters, and what that of x takes from the sums of g and g * u.
WORD void LOCAL_NAME(add_sums)(const batch_norm_args *a, i64 c, f64 sum, f64 product, LOCAL_NAME(affine) *f)
{
    const T_ACC rstd = LOCAL_NAME(saved_rstd)(a, c);
    f->shift = (T_ACC)(sum / a->count);
    f->slope = (T_ACC)(product * rstd * rstd / a->count);
    if (a->grad_weight) ((P *)a->grad_weight)[c] = STOREP(product * rstd);
    if (a->grad_bias) ((P *)a->grad_bias)[c] = STOREP(sum);
}

// Writes a channel's numbers for each of its columns.
WORD void LOCAL_NAME(spread)(const batch_norm_args *a, i64 c, LOCAL_NAME(affine) f)
{
    for (i64 copy = 0; copy < a->fold; ++copy) {
        const i64 at = (copy * a->channels + c) * a->span;
        SCALAR_LOOP for (i64 i = at; i < at + a->span; ++i) {
            ((T_ACC *)a->center)[i] = f.center;
            ((T_ACC *)a->scale)[i] = f.scale;
            ((T_ACC *)a->shift)[i] = f.shift;
            ((T_ACC *)a->slope)[i] = f.slope;
        }
    }
}

// ---- planes

// Vector by vector: unrolled further, a loop leaves most of a short plane to its scalar end.
WORD void LOCAL_NAME(normalise)(T_IN *out, const T_IN *x, i64 n, LOCAL_NAME(affine) f)
{
    i64 i = 0;
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) out[i + k] = STORE((LOAD(x[i + k]) - f.center) * f.scale + f.shift);
    SCALAR_LOOP for (; i < n; ++i) out[i] = STORE((LOAD(x[i]) - f.center) * f.scale + f.shift);
}

WORD void LOCAL_NAME(channels)(const batch_norm_args *a, i64 c)
{
    const i64 step = a->channels * a->plane;
    const T_IN *const x = (const T_IN *)a->x + c * a->plane;
    f64 sum = 0, squares = 0;
    for (i64 image = 0; image < a->images; ++image)
        for (i64 i = 0; i < a->plane; i += REDUCE_BLOCK)
            sum += LOCAL_NAME(block_sum)(x + image * step + i, LOCAL_NAME(least)(REDUCE_BLOCK, a->plane - i), 1, 0);
    const f64 mean = sum / a->count;
    for (i64 image = 0; image < a->images; ++image)
        for (i64 i = 0; i < a->plane; i += REDUCE_BLOCK)
            squares += LOCAL_NAME(block_squares)(x + image * step + i, LOCAL_NAME(least)(REDUCE_BLOCK, a->plane - i), 1, (T_ACC)mean);
    const LOCAL_NAME(affine) f = LOCAL_NAME(trained)(a, c, mean, squares);
    if (!a->out) {
        LOCAL_NAME(spread)(a, c, f);
        return;
    }
    T_IN *const out = (T_IN *)a->out + c * a->plane;
    for (i64 image = 0; image < a->images; ++image) LOCAL_NAME(normalise)(out + image * step, x + image * step, a->plane, f);
}

WORD void LOCAL_NAME(planes)(const batch_norm_args *a, i64 group)
{
    const i64 first = group * a->group_rows, last = LOCAL_NAME(least)(first + a->group_rows, a->images * a->channels);
    i64 c = first % a->channels;
    for (i64 plane = first; plane < last; ++plane, c = c + 1 < a->channels ? c + 1 : 0) {
        const LOCAL_NAME(affine) f = { ((const T_ACC *)a->center)[c], ((const T_ACC *)a->scale)[c], ((const T_ACC *)a->shift)[c], 0 };
        LOCAL_NAME(normalise)((T_IN *)a->out + plane * a->plane, (const T_IN *)a->x + plane * a->plane, a->plane, f);
    }
}

// Sums of g and g * (x - mean) over at most BATCH_NORM_RUN elements, two vectors of each in flight.
WORD void LOCAL_NAME(block_products)(const T_IN *g, const T_IN *x, i64 n, T_ACC mean, f64 *sum, f64 *product)
{
    T_ACC s0[VEC], s1[VEC], p0[VEC], p1[VEC], tail = 0, products = 0;
    FOR_SIMD(k) s0[k] = s1[k] = p0[k] = p1[k] = 0;
    i64 i = 0;
    for (; i + 2 * VEC <= n; i += 2 * VEC) {
        FOR_SIMD(k) s0[k] += LOAD(g[i + k]);
        FOR_SIMD(k) p0[k] += LOAD(g[i + k]) * (LOAD(x[i + k]) - mean);
        FOR_SIMD(k) s1[k] += LOAD(g[i + VEC + k]);
        FOR_SIMD(k) p1[k] += LOAD(g[i + VEC + k]) * (LOAD(x[i + VEC + k]) - mean);
    }
    for (; i + VEC <= n; i += VEC) {
        FOR_SIMD(k) s0[k] += LOAD(g[i + k]);
        FOR_SIMD(k) p0[k] += LOAD(g[i + k]) * (LOAD(x[i + k]) - mean);
    }
    SCALAR_LOOP for (; i < n; ++i) {
        tail += LOAD(g[i]);
        products += LOAD(g[i]) * (LOAD(x[i]) - mean);
    }
    FOR_SIMD(k) s0[k] += s1[k];
    FOR_SIMD(k) p0[k] += p1[k];
    for (int half = VEC / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) {
            s0[k] += s0[k + half];
            p0[k] += p0[k + half];
        }
    *sum += s0[0] + tail;
    *product += p0[0] + products;
}

WORD void LOCAL_NAME(gradient)(T_IN *out, const T_IN *g, const T_IN *x, i64 n, LOCAL_NAME(affine) f, i64 training)
{
#define GRADIENT(i) STORE((LOAD(g[i]) - f.shift - (LOAD(x[i]) - f.center) * f.slope) * f.scale)
    i64 i = 0;
    if (!training) {
        FOR_LANES(e, n) out[e] = STORE(LOAD(g[e]) * f.scale);
        return;
    }
    for (; i + VEC <= n; i += VEC) FOR_SIMD(k) out[i + k] = GRADIENT(i + k);
    SCALAR_LOOP for (; i < n; ++i) out[i] = GRADIENT(i);
#undef GRADIENT
}

WORD void LOCAL_NAME(channels_backward)(const batch_norm_args *a, i64 c)
{
    const i64 step = a->channels * a->plane, first = c * a->plane;
    const T_IN *const x = (const T_IN *)a->x + first, *const g = (const T_IN *)a->grad + first;
    LOCAL_NAME(affine) f = LOCAL_NAME(saved)(a, c);
    f64 sum = 0, product = 0;
    if (a->training || a->grad_weight || a->grad_bias)
        for (i64 image = 0; image < a->images; ++image)
            for (i64 i = image * step; i < image * step + a->plane; i += BATCH_NORM_RUN)
                LOCAL_NAME(block_products)(g + i, x + i, LOCAL_NAME(least)(BATCH_NORM_RUN, image * step + a->plane - i), f.center, &sum, &product);
    LOCAL_NAME(add_sums)(a, c, sum, product, &f);
    if (!a->out) return;
    T_IN *const out = (T_IN *)a->out + first;
    for (i64 image = 0; image < a->images; ++image)
        LOCAL_NAME(gradient)(out + image * step, g + image * step, x + image * step, a->plane, f, a->training);
}

// ---- rows: partial results

// acc = the sums of columns over rows, or of squares about center.
WORD T_ACC LOCAL_NAME(term)(T_IN element, T_ACC mean, int squares)
{
    return squares ? LOCAL_NAME(square)(element, mean) : LOAD(element);
}
WORD void LOCAL_NAME(add_rows)(T_ACC *acc, const T_ACC *center, const T_IN *in, i64 cols, i64 rows, i64 step, int squares)
{
    FOR_LANES(c, cols) acc[c] = LOCAL_NAME(term)(in[c], center[c], squares);
    i64 r = 1;
    for (; r + 4 <= rows; r += 4) {
        const T_IN *const r0 = in + r * step, *const r1 = r0 + step, *const r2 = r1 + step, *const r3 = r2 + step;
        FOR_LANES(c, cols)
            acc[c] += (LOCAL_NAME(term)(r0[c], center[c], squares) + LOCAL_NAME(term)(r1[c], center[c], squares))
                      + (LOCAL_NAME(term)(r2[c], center[c], squares) + LOCAL_NAME(term)(r3[c], center[c], squares));
    }
    for (; r < rows; ++r) FOR_LANES(c, cols) acc[c] += LOCAL_NAME(term)(in[r * step + c], center[c], squares);
}

typedef struct LOCAL_NAME(place) {
    i64 part, col, cols, row, last;
} LOCAL_NAME(place);

// The last part is the ragged row, if there is one.
WORD LOCAL_NAME(place) LOCAL_NAME(locate)(const batch_norm_args *a, i64 group)
{
    LOCAL_NAME(place) w = { .part = group / a->tiles, .col = group % a->tiles * BATCH_NORM_TILE };
    const i64 whole = w.part < a->parts;
    w.row = whole ? w.part * a->part_rows : a->rows;
    w.last = whole ? LOCAL_NAME(least)(w.row + a->part_rows, a->rows) : a->rows + 1;
    w.cols = LOCAL_NAME(least)(BATCH_NORM_TILE, (whole ? a->width : a->ragged) - w.col);
    return w;
}

// Blocks are joined by Chan's formula, as in moments.k.c.
WORD void LOCAL_NAME(row_moments)(const batch_norm_args *a, i64 group)
{
    LOCAL(T_ACC, center, BATCH_NORM_TILE);
    LOCAL(T_ACC, acc, BATCH_NORM_TILE);
    const LOCAL_NAME(place) w = LOCAL_NAME(locate)(a, group);
    const T_IN *const in = (const T_IN *)a->x + w.col;
    f64 *const mean = a->first + w.part * a->width + w.col, *const squares = a->second + w.part * a->width + w.col;
    FOR_LANES(c, w.cols) center[c] = 0;
    FOR_LANES(c, w.cols) mean[c] = squares[c] = 0;
    for (i64 row = w.row; row < w.last; row += BATCH_NORM_BLOCK) {
        const i64 rows = LOCAL_NAME(least)(BATCH_NORM_BLOCK, w.last - row), seen = row - w.row;
        const T_ACC part = 1 / (T_ACC)rows;
        const f64 share = (f64)rows / (f64)(seen + rows), weight = (f64)seen * share;
        LOCAL_NAME(add_rows)(acc, center, in + row * a->width, w.cols, rows, a->width, 0);
        FOR_LANES(c, w.cols) center[c] = acc[c] * part;
        LOCAL_NAME(add_rows)(acc, center, in + row * a->width, w.cols, rows, a->width, 1);
        FOR_LANES(c, w.cols) {
            const f64 d = (f64)center[c] - mean[c];
            mean[c] += d * share;
            squares[c] += (f64)acc[c] + d * d * weight;
        }
    }
}

WORD void LOCAL_NAME(row_products)(const batch_norm_args *a, i64 group)
{
    LOCAL(T_ACC, sum, BATCH_NORM_TILE);
    LOCAL(T_ACC, product, BATCH_NORM_TILE);
    const LOCAL_NAME(place) w = LOCAL_NAME(locate)(a, group);
    const T_ACC *const center = (const T_ACC *)a->center + w.col;
    f64 *const sums = a->first + w.part * a->width + w.col, *const products = a->second + w.part * a->width + w.col;
    FOR_LANES(c, w.cols) sums[c] = products[c] = 0;
    for (i64 row = w.row; row < w.last; row += BATCH_NORM_BLOCK) {
        const i64 last = LOCAL_NAME(least)(row + BATCH_NORM_BLOCK, w.last);
        FOR_LANES(c, w.cols) sum[c] = product[c] = 0;
        i64 r = row;
        for (; r + 2 <= last; r += 2) {
            const T_IN *const g0 = (const T_IN *)a->grad + r * a->width + w.col, *const g1 = g0 + a->width;
            const T_IN *const x0 = (const T_IN *)a->x + r * a->width + w.col, *const x1 = x0 + a->width;
            FOR_LANES(c, w.cols) {
                sum[c] += LOAD(g0[c]) + LOAD(g1[c]);
                product[c] += LOAD(g0[c]) * (LOAD(x0[c]) - center[c]) + LOAD(g1[c]) * (LOAD(x1[c]) - center[c]);
            }
        }
        if (r < last) {
            const T_IN *const g = (const T_IN *)a->grad + r * a->width + w.col, *const x = (const T_IN *)a->x + r * a->width + w.col;
            FOR_LANES(c, w.cols) {
                sum[c] += LOAD(g[c]);
                product[c] += LOAD(g[c]) * (LOAD(x[c]) - center[c]);
            }
        }
        FOR_LANES(c, w.cols) {
            sums[c] += sum[c];
            products[c] += product[c];
        }
    }
}

// ---- rows: a channel's numbers for each of its columns

// Adds up a channel's columns over all parts: of sums, their sums; of means and squares, as in training: first the mean,
// then the squares about it.
typedef struct LOCAL_NAME(sums) {
    f64 first, second;
} LOCAL_NAME(sums);

WORD LOCAL_NAME(sums) LOCAL_NAME(add_parts)(const batch_norm_args *a, i64 c, int moments, f64 mean)
{
    LOCAL_NAME(sums) s = { 0, 0 };
    for (i64 part = 0; part < a->parts + (a->ragged > 0); ++part) {
        const i64 whole = part < a->parts;
        const i64 width = whole ? a->width : a->ragged;
        const f64 rows = !moments ? 1 : whole ? (f64)(LOCAL_NAME(least)(a->part_rows, a->rows - part * a->part_rows)) : 1;
        const f64 *const first = a->first + part * a->width, *const second = a->second + part * a->width;
        for (i64 at = c * a->span; at < width; at += a->channels * a->span)
            SCALAR_LOOP for (i64 i = at; i < at + a->span; ++i) {
                const f64 d = first[i] - mean;
                s.first += rows * first[i];
                s.second += moments ? second[i] + rows * d * d : second[i];
            }
    }
    return s;
}

// Of channels whose statistics are there: the batch's saved ones, or the running ones.
WORD void LOCAL_NAME(given_tables)(const batch_norm_args *a, i64 first, i64 n)
{
    const i64 plain = a->span == 1 && a->fold == 1; // a channel is a column
    const P *const mean = (const P *)(a->training ? a->mean : a->running_mean) + first;
    const P *const width = (const P *)(a->training ? a->rstd : a->running_var) + first;
    const T_ACC eps = (T_ACC)a->eps;
    LOCAL(T_ACC, scales, BATCH_NORM_CHANNELS);
    if (a->training) FOR_LANES(i, n) scales[i] = LOADP(width[i]);
    else FOR_LANES(i, n) scales[i] = 1 / k_sqrt(LOADP(width[i]) + eps);
    if (a->weight) FOR_LANES(i, n) scales[i] *= LOADP(((const P *)a->weight)[first + i]);
    if (plain) {
        T_ACC *const center = (T_ACC *)a->center + first, *const scale = (T_ACC *)a->scale + first, *const shift = (T_ACC *)a->shift + first;
        FOR_LANES(i, n) center[i] = LOADP(mean[i]);
        FOR_LANES(i, n) scale[i] = scales[i];
        if (a->bias) FOR_LANES(i, n) shift[i] = LOADP(((const P *)a->bias)[first + i]);
        else FOR_LANES(i, n) shift[i] = 0;
        return;
    }
    for (i64 i = 0; i < n; ++i) {
        const T_ACC shift = a->bias ? LOADP(((const P *)a->bias)[first + i]) : 0;
        LOCAL_NAME(spread)(a, first + i, (LOCAL_NAME(affine)){ LOADP(mean[i]), scales[i], shift, 0 });
    }
}

WORD void LOCAL_NAME(tables)(const batch_norm_args *a, i64 group)
{
    const i64 first = group * BATCH_NORM_CHANNELS, last = LOCAL_NAME(least)(first + BATCH_NORM_CHANNELS, a->channels);
    if (!a->training) {
        LOCAL_NAME(given_tables)(a, first, last - first);
        return;
    }
    for (i64 c = first; c < last; ++c) {
        const f64 mean = LOCAL_NAME(add_parts)(a, c, 1, 0).first / a->count;
        LOCAL_NAME(spread)(a, c, LOCAL_NAME(trained)(a, c, mean, LOCAL_NAME(add_parts)(a, c, 1, mean).second));
    }
}

// Without the sums, for which the means are needed, and with them.
WORD void LOCAL_NAME(tables_backward)(const batch_norm_args *a, i64 group)
{
    const i64 first = group * BATCH_NORM_CHANNELS, last = LOCAL_NAME(least)(first + BATCH_NORM_CHANNELS, a->channels);
    if (!a->first) {
        LOCAL_NAME(given_tables)(a, first, last - first);
        return;
    }
    for (i64 c = first; c < last; ++c) {
        LOCAL_NAME(affine) f = LOCAL_NAME(saved)(a, c);
        const LOCAL_NAME(sums) s = LOCAL_NAME(add_parts)(a, c, 0, 0);
        LOCAL_NAME(add_sums)(a, c, s.first, s.second, &f);
        LOCAL_NAME(spread)(a, c, f);
    }
}

// ---- rows: results

WORD void LOCAL_NAME(write_rows)(const batch_norm_args *a, i64 group)
{
    const T_ACC *const center = (const T_ACC *)a->center, *const scale = (const T_ACC *)a->scale, *const shift = (const T_ACC *)a->shift;
    const i64 last = LOCAL_NAME(least)((group + 1) * a->group_rows, a->rows + (a->ragged > 0));
    for (i64 r = group * a->group_rows; r < last; ++r) {
        const T_IN *const x = (const T_IN *)a->x + r * a->width;
        T_IN *const out = (T_IN *)a->out + r * a->width;
        const i64 cols = r < a->rows ? a->width : a->ragged;
        FOR_LANES(c, cols) out[c] = STORE((LOAD(x[c]) - center[c]) * scale[c] + shift[c]);
    }
}

WORD void LOCAL_NAME(write_rows_backward)(const batch_norm_args *a, i64 group)
{
    const T_ACC *const center = (const T_ACC *)a->center, *const scale = (const T_ACC *)a->scale, *const shift = (const T_ACC *)a->shift,
                *const slope = (const T_ACC *)a->slope;
    const i64 last = LOCAL_NAME(least)((group + 1) * a->group_rows, a->rows + (a->ragged > 0));
    for (i64 r = group * a->group_rows; r < last; ++r) {
        const T_IN *const g = (const T_IN *)a->grad + r * a->width, *const x = (const T_IN *)a->x + r * a->width;
        T_IN *const out = (T_IN *)a->out + r * a->width;
        const i64 cols = r < a->rows ? a->width : a->ragged;
        if (a->training) FOR_LANES(c, cols) out[c] = STORE((LOAD(g[c]) - shift[c] - (LOAD(x[c]) - center[c]) * slope[c]) * scale[c]);
        else FOR_LANES(c, cols) out[c] = STORE(LOAD(g[c]) * scale[c]);
    }
}

KERNEL(batch_norm_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

#undef BATCH_NORM_BLOCK
#undef BATCH_NORM_RUN
#undef LOAD
#undef STORE
#undef LOADP
#undef STOREP

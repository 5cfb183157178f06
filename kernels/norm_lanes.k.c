// SPDX-License-Identifier: Apache-2.0
// Layer norm and RMS norm of rows, for groups of many lanes: y = (x - mean) / sqrt(var + eps) * weight + bias, or
// x / sqrt(mean of squares + eps) * weight; and their gradients, by the formulas of norm.k.c.
//
// Forward, a group owns a row, of which each lane holds KEEP vectors of VEC elements, all of it together, as they lie in memory
// (see softmax_lanes.k.c): it is read once. The variance is the mean of squared distances from the mean, which loses no digits
// as a difference of squares would; a row's parts each have their own, and meet once:
//   var * n = sum over parts of squares_p + count_p * (mean_p - mean)^2
// Floor: one read of x and one write. Parameters come from the L1 cache, which they fill from 128 KB on: longer rows' come from
// L2, as many bytes as the row has or twice that.
//
// Backward, group g owns rows g, g + parts, ...: it adds up its share of the parameters' gradients in registers on the way and
// reads the next row while it works on one. A row's parts meet once a row. Where registers don't hold a row twice, and the sums,
// `rows` and `sums` each make their own pass instead. `columns` then adds up the groups' sums, in an order that depends on the shape alone.
// Floor: a read of x, of the gradient and a write.
//
// Defines: T, PART (forward, rows, sums, backward or columns), RMS, WEIGHT and BIAS (whether there are any), LANES, PART_LANES,
// KEEP, VEC.
#include "norm_lanes_args.h"

#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define PLACE(t) (((t) * LANES + lane()) * VEC)
#define WITHIN(t) (PLACE(t) < n ? PLACE(t) : n - VEC) // lanes beyond the end read the last vector
#define TAKE(t, v) (PLACE(t) < n ? (v) : 0)           // and take no part in sums

WORD void LOCAL_NAME(read)(HELD(T) *held, const T *row, i32 n)
{
    FOR_KEEP(t) fetch_held(&held[t], row + WITHIN(t));
}

WORD void LOCAL_NAME(load)(ACC *v, const HELD(T) *held)
{
    T e[VEC];
    unpack_held(e, held);
    FOR_VEC(k) v[k] = LOAD(e[k]);
}

// ---- forward

// Elements of the row that part p holds.
WORD ACC LOCAL_NAME(count_of)(int p, i32 n)
{
    if (PARTS == 1) return (ACC)n;
    const i32 width = LANES / PARTS * VEC;
    i32 count = 0;
    for (int t = 0; t < KEEP; ++t) {
        const i32 left = n - (t * LANES * VEC + p * width);
        count += left < 0 ? 0 : left < width ? left : width;
    }
    return (ACC)count;
}

// sum of (x - about)^2 over a part of the row
WORD ACC LOCAL_NAME(squares)(const HELD(T) *held, i32 n, ACC about)
{
    ACC v[VEC], squares = 0;
    FOR_KEEP(t) {
        ACC sum = 0;
        LOCAL_NAME(load)(v, &held[t]);
        FOR_VEC(k) sum += (v[k] - about) * (v[k] - about);
        squares += TAKE(t, sum);
    }
    return part_sum(squares);
}

WORD ACC LOCAL_NAME(part_mean)(const HELD(T) *held, i32 n)
{
    ACC v[VEC], total = 0;
    FOR_KEEP(t) {
        ACC sum = 0;
        LOCAL_NAME(load)(v, &held[t]);
        FOR_VEC(k) sum += v[k];
        total += TAKE(t, sum);
    }
    const ACC count = LOCAL_NAME(count_of)(part_id(), n);
    total = part_sum(total);
    return count > 0 ? total / count : 0;
}

// The row's mean (0 for an RMS norm), and the sum of squared distances from it.
WORD ACC LOCAL_NAME(moments)(HELD(T) *held, i32 n, ACC *mean)
{
    ACC means[PARTS], squares[PARTS];
    const ACC own = RMS ? 0 : LOCAL_NAME(part_mean)(held, n);
    if (!RMS) FOR_KEEP(t) forget_held(&held[t]);
    gather_parts(means, squares, own, LOCAL_NAME(squares)(held, n, own));
    *mean = means[0];
    if (PARTS == 1) return squares[0];
    ACC sum = 0, total = 0;
    if (!RMS) for (int p = 0; p < PARTS; ++p) sum += means[p] * LOCAL_NAME(count_of)(p, n);
    *mean = sum / (ACC)n;
    for (int p = 0; p < PARTS; ++p) {
        total += squares[p];
        if (!RMS) total += (means[p] - *mean) * (means[p] - *mean) * LOCAL_NAME(count_of)(p, n);
    }
    return total;
}

WORD void LOCAL_NAME(forward)(const norm_lanes_args *a, i64 group)
{
    const i32 n = (i32)a->cols;
    HELD(T) held[KEEP];
    ACC mean;
    begin_parts();
    LOCAL_NAME(read)(held, (const T *)a->x + group * a->x_row, n);
    if (group + a->ahead < a->rows) prefetch_row((const T *)a->x + (group + a->ahead) * a->x_row, n * (i64)sizeof(T));
    const ACC rstd = k_rsqrt(LOCAL_NAME(moments)(held, n, &mean) / (ACC)n + (ACC)a->eps);
    FOR_KEEP(t) {
        T made[VEC], weight[VEC], bias[VEC];
        ACC v[VEC];
        if (WEIGHT) fetch_vec(weight, (const T *)a->weight + WITHIN(t));
        if (BIAS) fetch_vec(bias, (const T *)a->bias + WITHIN(t));
        forget_held(&held[t]);
        LOCAL_NAME(load)(v, &held[t]);
        FOR_VEC(k) {
            ACC y = (RMS ? v[k] : v[k] - mean) * rstd;
            if (WEIGHT) y *= LOAD(weight[k]);
            if (BIAS) y += LOAD(bias[k]);
            made[k] = STORE(y);
        }
        if (PLACE(t) < n) put_vec((T *)a->out + group * n + PLACE(t), made);
    }
    if (lane() != 0) return;
    if (!RMS) ((ACC *)a->mean)[group] = mean;
    ((ACC *)a->rstd)[group] = rstd;
}

// ---- backward

// What a lane has of a row.
typedef struct LOCAL_NAME(row_share) {
    HELD(T) x[KEEP], g[KEEP];
    ACC mean, rstd;
} LOCAL_NAME(row_share);

// Columns [first, first + n) of a row.
WORD void LOCAL_NAME(read_row)(LOCAL_NAME(row_share) *r, const norm_lanes_args *a, i64 row, i64 first, i32 n)
{
    LOCAL_NAME(read)(r->x, (const T *)a->x + row * a->x_row + first, n);
    LOCAL_NAME(read)(r->g, (const T *)a->grad + row * a->cols + first, n);
    r->mean = RMS ? 0 : ((const ACC *)a->mean)[row];
    r->rstd = ((const ACC *)a->rstd)[row];
}

// A lane's elements of vector t: u = (x - mean) * rstd, g, and g * weight.
WORD void LOCAL_NAME(spread)(const LOCAL_NAME(row_share) *r, const HELD(T) *weight, int t, ACC *u, ACC *g, ACC *gw)
{
    ACC w[VEC];
    LOCAL_NAME(load)(u, &r->x[t]);
    LOCAL_NAME(load)(g, &r->g[t]);
    if (WEIGHT) LOCAL_NAME(load)(w, weight);
    FOR_VEC(k) {
        u[k] = (RMS ? u[k] : u[k] - r->mean) * r->rstd;
        gw[k] = WEIGHT ? g[k] * w[k] : g[k];
    }
}

// Writes a row's gradient; sum and dot are the means of g * weight and of g * weight * u.
WORD void LOCAL_NAME(write_row)(const norm_lanes_args *a, i64 row, const LOCAL_NAME(row_share) *r, const HELD(T) *weight, int t, ACC sum, ACC dot)
{
    const i32 n = (i32)a->cols;
    T made[VEC];
    ACC u[VEC], g[VEC], gw[VEC];
    LOCAL_NAME(spread)(r, weight, t, u, g, gw);
    FOR_VEC(k) made[k] = STORE(r->rstd * (gw[k] - (RMS ? 0 : sum) - u[k] * dot));
    if (PLACE(t) < n) put_vec((T *)a->out + row * n + PLACE(t), made);
}

// A group's row of the gradient of x alone.
WORD void LOCAL_NAME(rows)(const norm_lanes_args *a, i64 group)
{
    const i32 n = (i32)a->cols;
    LOCAL_NAME(row_share) r;
    HELD(T) weight;
    ACC sum = 0, dot = 0, sums[PARTS], dots[PARTS], u[VEC], g[VEC], gw[VEC];
    begin_parts();
    LOCAL_NAME(read_row)(&r, a, group, 0, n);
    if (group + a->ahead < a->rows) {
        prefetch_row((const T *)a->x + (group + a->ahead) * a->x_row, n * (i64)sizeof(T));
        prefetch_row((const T *)a->grad + (group + a->ahead) * n, n * (i64)sizeof(T));
    }
    FOR_KEEP(t) {
        ACC part_of_sum = 0, part_of_dot = 0;
        if (WEIGHT) fetch_held(&weight, (const T *)a->weight + WITHIN(t));
        LOCAL_NAME(spread)(&r, &weight, t, u, g, gw);
        FOR_VEC(k) part_of_sum += gw[k], part_of_dot += gw[k] * u[k];
        sum += TAKE(t, part_of_sum);
        dot += TAKE(t, part_of_dot);
    }
    part_sum_pair(&sum, &dot);
    gather_parts(sums, dots, sum, dot);
    sum = sums[0], dot = dots[0];
    for (int p = 1; p < PARTS; ++p) sum += sums[p], dot += dots[p];
    FOR_KEEP(t) {
        if (WEIGHT) fetch_held(&weight, (const T *)a->weight + WITHIN(t));
        forget_held(&r.x[t]);
        forget_held(&r.g[t]);
        LOCAL_NAME(write_row)(a, group, &r, &weight, t, sum / (ACC)n, dot / (ACC)n);
    }
}

WORD void LOCAL_NAME(write_parameters)(const norm_lanes_args *a, i64 part, i64 first, i32 n, ACC (*of_weight)[VEC], ACC (*of_bias)[VEC])
{
    ACC *const weights = (ACC *)a->sums + part * a->cols + first, *const biases = weights + a->parts * a->cols;
    FOR_KEEP(t) FOR_VEC(k) if (PLACE(t) < n) {
        weights[PLACE(t) + k] = of_weight[t][k];
        if (!RMS) biases[PLACE(t) + k] = of_bias[t][k];
    }
}

// The parameters' gradients alone: a group has a tile of columns of rows part, part + parts, ...
WORD void LOCAL_NAME(sums)(const norm_lanes_args *a, i64 group)
{
    enum { TILE = LANES * KEEP * VEC };
    const i64 tiles = (a->cols + TILE - 1) / TILE, first = group % tiles * TILE, part = group / tiles;
    const i32 n = (i32)(a->cols - first < TILE ? a->cols - first : TILE);
    ACC of_weight[KEEP][VEC], of_bias[KEEP][VEC], u[VEC], g[VEC], gw[VEC];
    FOR_KEEP(t) FOR_VEC(k) of_weight[t][k] = of_bias[t][k] = 0;
    _Pragma("unroll 4") for (i64 row = part; row < a->rows; row += a->parts) {
        LOCAL_NAME(row_share) r;
        LOCAL_NAME(read_row)(&r, a, row, first, n);
        FOR_KEEP(t) {
            LOCAL_NAME(spread)(&r, &r.g[t], t, u, g, gw);
            FOR_VEC(k) of_weight[t][k] += g[k] * u[k], of_bias[t][k] += g[k];
        }
    }
    LOCAL_NAME(write_parameters)(a, part, first, n, of_weight, of_bias);
}

// Both at once.
WORD void LOCAL_NAME(backward)(const norm_lanes_args *a, i64 group)
{
    const i32 n = (i32)a->cols;
    LOCAL_NAME(row_share) now, next;
    HELD(T) weight[KEEP];
    ACC of_weight[KEEP][VEC], of_bias[KEEP][VEC], u[VEC], g[VEC], gw[VEC], sums[PARTS], dots[PARTS];
    int turn = 0;
    begin_parts();
    FOR_KEEP(t) FOR_VEC(k) of_weight[t][k] = of_bias[t][k] = 0;
    if (WEIGHT) LOCAL_NAME(read)(weight, (const T *)a->weight, n);
    LOCAL_NAME(read_row)(&next, a, group, 0, n);
    await_parts();
    for (i64 row = group; row < a->rows; row += a->parts, turn ^= 1) {
        ACC sum = 0, dot = 0;
        now = next;
        if (row + a->parts < a->rows) LOCAL_NAME(read_row)(&next, a, row + a->parts, 0, n);
        FOR_KEEP(t) {
            ACC part_of_sum = 0, part_of_dot = 0;
            LOCAL_NAME(spread)(&now, &weight[t], t, u, g, gw);
            FOR_VEC(k) {
                part_of_sum += gw[k];
                part_of_dot += gw[k] * u[k];
                of_weight[t][k] += g[k] * u[k], of_bias[t][k] += g[k];
            }
            sum += TAKE(t, part_of_sum);
            dot += TAKE(t, part_of_dot);
        }
        part_sum_pair(&sum, &dot);
        meet_parts(sums, dots, sum, dot, turn);
        sum = sums[0], dot = dots[0];
        for (int p = 1; p < PARTS; ++p) sum += sums[p], dot += dots[p];
        FOR_KEEP(t) LOCAL_NAME(write_row)(a, row, &now, &weight[t], t, sum / (ACC)n, dot / (ACC)n);
    }
    LOCAL_NAME(write_parameters)(a, group, 0, n, of_weight, of_bias);
}

// Adds up the partial sums of NORM_COLUMNS columns: every NORM_COLUMNS-th lane takes one of them, and each a share of the parts.
WORD void LOCAL_NAME(columns)(const norm_lanes_args *a, i64 group)
{
    enum { SHARES = LANES / NORM_COLUMNS, AHEAD = 8 };
    const i64 n = a->cols, tiles = (n + NORM_COLUMNS - 1) / NORM_COLUMNS;
    const i64 which = group / tiles, column = group % tiles * NORM_COLUMNS + lane() % NORM_COLUMNS;
    const ACC *const sums = (const ACC *)a->sums + which * a->parts * n + (column < n ? column : 0);
    ACC part[AHEAD];
    LOCAL(ACC, of_share, LANES);
    for (int i = 0; i < AHEAD; ++i) part[i] = 0;
    i64 p = lane() / NORM_COLUMNS;
    for (; p + (AHEAD - 1) * SHARES < a->parts; p += AHEAD * SHARES)
        for (int i = 0; i < AHEAD; ++i) part[i] += sums[(p + i * SHARES) * n];
    for (; p < a->parts; p += SHARES) part[0] += sums[p * n];
    for (int i = 1; i < AHEAD; ++i) part[0] += part[i];
    of_share[lane()] = part[0];
    SYNC();
    if (lane() >= NORM_COLUMNS || column >= n || !a->grads[which]) return;
    ACC sum = 0;
    for (int s = 0; s < SHARES; ++s) sum += of_share[s * NORM_COLUMNS + lane()];
    ((T *)a->grads[which])[column] = STORE(sum);
}

KERNEL(norm_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

// SPDX-License-Identifier: Apache-2.0
// Softmax along a dimension that isn't the innermost, where a group's registers hold it: included by softmax_lanes.k.c.
//
// The innermost dimensions are vectors of neighbouring columns, one after the other through all outer indices. A group owns ACROSS
// of them, so that each of its reads takes whole sectors of memory, and all of their rows: lane l has vector l % ACROSS and rows
// l / ACROSS, l / ACROSS + DOWN, ... Lanes beyond the last vector or row read that and take no part.
// A column's lanes meet twice, for the maximum and for the sum: neighbours through registers, then warps through shared memory,
// where one lane joins a column in a fixed order.
// Floor: one read of each input and one write. Reached of the copy ceiling on an H200 (4.26 TB/s), 64M elements: f32 0.67-0.96,
// halves 0.60-0.76, whose exponentials are the limit; backward 0.83-1.0; of odd numbers of columns 0.40-0.63.
#define DOWN (LANES / ACROSS)
#define WIDTH (ACROSS * VEC)                // columns of a group
#define NEAR (LANES < NEAR_LANES ? LANES : NEAR_LANES)
#define ROW(t) ((t) * DOWN + lane() / ACROSS)

typedef struct LOCAL_NAME(tile) {
    i64 outer, column; // of this lane's vector
    i32 n;             // rows
    int mine;          // whether it is to be written
} LOCAL_NAME(tile);

WORD LOCAL_NAME(tile) LOCAL_NAME(tile_of)(const softmax_lanes_args *a, i64 group)
{
    LOCAL_NAME(tile) at;
    const i64 vector = group * ACROSS + lane() % ACROSS, vectors = a->inner / VEC, last = a->rows * vectors - 1;
    at.mine = vector <= last;
    at.outer = (at.mine ? vector : last) / vectors;
    at.column = ((at.mine ? vector : last) - at.outer * vectors) * VEC;
    at.n = (i32)a->cols;
    return at;
}

WORD void LOCAL_NAME(read_column)(HELD(T) *held, const T *from, i64 step, i32 n)
{
    FOR_KEEP(t) fetch_held(&held[t], from + (ROW(t) < n ? ROW(t) : n - 1) * step);
}

WORD ACC LOCAL_NAME(either)(ACC x, ACC y, int maximum) { return maximum ? larger(x, y) : x + y; }

// Joins what a column's lanes have; `all` holds WIDTH values of each warp, those of neighbouring lanes side by side.
WORD void LOCAL_NAME(join_columns)(ACC *v, ACC *all, int maximum)
{
    const int vector = lane() % ACROSS;
    FOR_VEC(k) UNROLLED for (u32 o = ACROSS; o < NEAR; o *= 2) v[k] = LOCAL_NAME(either)(v[k], from_lane(v[k], o), maximum);
    if (LANES <= NEAR) return;
    if (lane() % NEAR < ACROSS) FOR_VEC(k) all[lane() / NEAR * WIDTH + k * ACROSS + vector] = v[k];
    SYNC();
    for (int c = lane(); c < WIDTH; c += LANES) {
        ACC joined = all[c];
        for (int warp = 1; warp < LANES / NEAR; ++warp) joined = LOCAL_NAME(either)(joined, all[warp * WIDTH + c], maximum);
        all[c] = joined;
    }
    SYNC();
    FOR_VEC(k) v[k] = all[k * ACROSS + vector];
}

WORD void LOCAL_NAME(columns)(const softmax_lanes_args *a, i64 group)
{
    const LOCAL_NAME(tile) at = LOCAL_NAME(tile_of)(a, group);
    O *const to = (O *)a->out + at.outer * at.n * a->inner + at.column;
    HELD(T) held[KEEP];
    ACC v[KEEP][VEC], top[VEC], sum[VEC], rest[VEC]; // v stays what it is only where the exponentials are kept
    LOCAL(ACC, tops, LANES / NEAR * WIDTH);
    LOCAL(ACC, sums, LANES / NEAR * WIDTH);
    LOCAL_NAME(read_column)(held, (const T *)a->x + at.outer * a->x_row + at.column, a->x_step, at.n);
    FOR_VEC(k) top[k] = LOWEST, sum[k] = 0;
    FOR_KEEP(t) {
        LOCAL_NAME(load)(v[t], &held[t]);
        FOR_VEC(k) top[k] = larger(v[t][k], top[k]);
    }
    LOCAL_NAME(join_columns)(top, tops, 1);
    FOR_KEEP(t) {
        if (sizeof(T) < sizeof(ACC)) forget_held(&held[t]);
        LOCAL_NAME(load)(v[t], &held[t]);
        FOR_VEC(k) {
            const ACC e = EXP(v[t][k] - top[k]);
            if (!LOG) v[t][k] = e;
            sum[k] += ROW(t) < at.n ? e : 0;
        }
    }
    LOCAL_NAME(join_columns)(sum, sums, 0);
    FOR_VEC(k) rest[k] = LOG || !EXACT ? k_log(sum[k]) : 1 / sum[k];
    FOR_KEEP(t) {
        O made[VEC];
        if (!EXACT) forget_held(&held[t]);
        if (!EXACT || LOG) LOCAL_NAME(load)(v[t], &held[t]);
        FOR_VEC(k) made[k] = STORE(LOG ? v[t][k] - top[k] - rest[k] : EXACT ? v[t][k] * rest[k] : EXP(v[t][k] - top[k] - rest[k]));
        if (at.mine && ROW(t) < at.n) put_vec(to + ROW(t) * a->inner, made);
    }
}

WORD void LOCAL_NAME(columns_backward)(const softmax_lanes_args *a, i64 group)
{
    const LOCAL_NAME(tile) at = LOCAL_NAME(tile_of)(a, group);
    const i64 place = at.outer * at.n * a->inner + at.column;
    HELD(T) y[KEEP], g[KEEP];
    ACC u[VEC], v[VEC], sum[VEC];
    LOCAL(ACC, sums, LANES / NEAR * WIDTH);
    LOCAL_NAME(read_column)(y, (const T *)a->x + place, a->inner, at.n);
    LOCAL_NAME(read_column)(g, (const T *)a->grad + place, a->inner, at.n);
    FOR_VEC(k) sum[k] = 0;
    FOR_KEEP(t) {
        LOCAL_NAME(load)(u, &y[t]);
        LOCAL_NAME(load)(v, &g[t]);
        FOR_VEC(k) sum[k] += ROW(t) >= at.n ? 0 : LOG ? v[k] : v[k] * u[k];
    }
    LOCAL_NAME(join_columns)(sum, sums, 0);
    FOR_KEEP(t) {
        O made[VEC];
        forget_held(&y[t]), forget_held(&g[t]);
        LOCAL_NAME(load)(u, &y[t]);
        LOCAL_NAME(load)(v, &g[t]);
        FOR_VEC(k) made[k] = STORE(LOG ? v[k] - EXP(u[k]) * sum[k] : (v[k] - sum[k]) * u[k]);
        if (at.mine && ROW(t) < at.n) put_vec((O *)a->out + place + ROW(t) * a->inner, made);
    }
}

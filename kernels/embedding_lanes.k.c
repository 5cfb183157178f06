// SPDX-License-Identifier: Apache-2.0
// out[v, :] = sum of grad[t, :] over the tokens t with index[t] = v (see embedding.k.c), for groups of many lanes. No atomics: sums
// are the same every time.
//
// * order: sorts the tokens by row. A group owns LANES rows and looks through all tokens: each lane counts, in a stretch of them,
//   those that belong to rows of the group's and those before, and then writes its own down; each lane then owns a row, for
//   which it picks tokens from what the group has found. Cost: tokens * rows / LANES comparisons, twice.
// * sum: a lane owns a vector of `out` and adds up the row's tokens, where they are no more than a piece. Of rows with more it
//   adds up one piece of all tokens in order: two rows at most that are longer than a piece can have tokens in it.
// * finish: joins the pieces of long rows, in order.
//
// Floor: `out` written once, `grad` read once. Reached on an H200 for 8192 tokens of 32000 x 4096: f32 0.71, bf16 0.58.
//
// Defines: T; I index type; PART (one of the three); LANES, VEC.
#include "embedding_lanes_args.h"

#define ACC CAT(acc_, T)
#define PIECE EMBEDDING_PIECE
#define AHEAD 4 // reads under way

// ---- order

// The sum of what lanes before this one have, and of all.
WORD u32 LOCAL_NAME(sum_before)(u32 mine, u32 *all)
{
    LOCAL(u32, of_lane, LANES);
    u32 before = 0, total = 0;
    SYNC();
    of_lane[lane()] = mine;
    SYNC();
    SCALAR_LOOP for (int k = 0; k < LANES; ++k) {
        before += k < lane() ? of_lane[k] : 0;
        total += of_lane[k];
    }
    *all = total;
    return before;
}

// Counts the tokens of this lane's row among those that the group has found, and writes them to `order` unless that is NULL.
WORD u32 LOCAL_NAME(pick)(const embedding_lanes_args *a, u32 start, u32 found, u32 *order)
{
    LOCAL(u32, some, AHEAD * LANES);
    u32 count = 0;
    for (u32 first = 0; first < found; first += AHEAD * LANES) {
        const u32 n = found - first < AHEAD * LANES ? found - first : AHEAD * LANES;
        SYNC();
        FOR_LANES(k, n) some[k] = a->found[start + first + k];
        SYNC();
        SCALAR_LOOP for (u32 k = 0; k < n; ++k) {
            const u32 token = some[k];
            if (token % LANES != (u32)lane()) continue;
            if (order) order[count] = token / LANES;
            ++count;
        }
    }
    return count;
}

WORD void LOCAL_NAME(order)(const embedding_lanes_args *a, i64 group)
{
    const I *const index = (const I *)a->index;
    const i64 low = group * LANES, high = low + LANES;
    const u32 stretch = (a->tokens + LANES - 1) / LANES, first = (u32)lane() * stretch;
    const u32 last = first + stretch < a->tokens ? first + stretch : a->tokens;
    u32 earlier = 0, mine = 0, bad = 0, start, found, unused;
    for (u32 t = first; t < last; ++t) {
        const i64 row = index[t];
        const u32 counts = row != a->padding;
        bad |= counts & ((u64)row >= a->rows);
        earlier += counts & (row < low);
        mine += counts & (row >= low) & (row < high);
    }
    REQUIRE(!bad);
    LOCAL_NAME(sum_before)(earlier, &start);
    u32 to = start + LOCAL_NAME(sum_before)(mine, &found);
    for (u32 t = first; t < last && mine; ++t) {
        const i64 row = index[t];
        if (row == a->padding || row < low || row >= high) continue;
        a->found[to++] = t * LANES + (u32)(row - low);
        --mine;
    }
    SYNC();
    const u32 count = LOCAL_NAME(pick)(a, start, found, (u32 *)0);
    const u32 place = start + LOCAL_NAME(sum_before)(count, &unused);
    const i64 row = low + lane();
    if (row < a->rows) a->start[row] = place;
    if (row == a->rows - 1) a->start[a->rows] = place + count;
    LOCAL_NAME(pick)(a, start, found, a->order + place);
}

// ---- sum

WORD void LOCAL_NAME(add_tokens)(const embedding_lanes_args *a, ACC *sum, u32 first, u32 last, u32 col)
{
    const T *const grad = (const T *)a->grad + (i64)col * VEC;
    FOR_VEC(k) sum[k] = 0;
    for (u32 n = first; n < last; n += AHEAD) {
        T held[AHEAD][VEC];
        UNROLLED for (u32 t = 0; t < AHEAD; ++t) fetch_vec(held[t], grad + a->order[n + t < last ? n + t : last - 1] * a->grad_stride);
        UNROLLED for (u32 t = 0; t < AHEAD; ++t)
            if (n + t < last) FOR_VEC(k) sum[k] += CAT(load_, T)(held[t][k]);
    }
}

WORD void LOCAL_NAME(write)(const embedding_lanes_args *a, const ACC *sum, u32 row, u32 col)
{
    T made[VEC];
    FOR_VEC(k) made[k] = CAT(store_, T)(sum[k]);
    put_vec((T *)a->out + ((i64)row * a->across + col) * VEC, made);
}

WORD ACC *LOCAL_NAME(partial)(const embedding_lanes_args *a, u32 piece, u32 slot, u32 col)
{
    return (ACC *)a->partial + (((i64)piece * 2 + slot) * a->across + col) * VEC;
}

typedef struct LOCAL_NAME(run) {
    u32 row, first, last; // of `order`
} LOCAL_NAME(run);

// The row that has place n of `order`.
WORD LOCAL_NAME(run) LOCAL_NAME(run_at)(const embedding_lanes_args *a, u32 n)
{
    LOCAL_NAME(run) r;
    r.row = (u32)((const I *)a->index)[a->order[n]];
    r.first = a->start[r.row];
    r.last = a->start[r.row + 1];
    return r;
}

// Slot 0 of a piece: of the row that its first token has; slot 1: of the last one's, if that is another.
WORD void LOCAL_NAME(sum_piece)(const embedding_lanes_args *a, u32 piece, u32 slot, u32 col)
{
    const u32 all = a->start[a->rows], low = piece * PIECE, high = low + PIECE < all ? low + PIECE : all;
    ACC sum[VEC];
    if (low >= all) return;
    const LOCAL_NAME(run) r = LOCAL_NAME(run_at)(a, slot ? high - 1 : low);
    if (r.last - r.first <= PIECE || (slot && r.first <= low)) return;
    LOCAL_NAME(add_tokens)(a, sum, r.first > low ? r.first : low, r.last < high ? r.last : high, col);
    ACC *const to = LOCAL_NAME(partial)(a, piece, slot, col);
    FOR_VEC(k) to[k] = sum[k];
}

WORD void LOCAL_NAME(sum)(const embedding_lanes_args *a, i64 group)
{
    const u32 n = (u32)group * LANES + (u32)lane(), row = quotient(n, a->across_magic, a->across_shift), col = n - row * a->across;
    ACC sum[VEC];
    if (row >= a->rows) {
        const u32 piece = row - a->rows;
        if (piece < 2 * a->pieces) LOCAL_NAME(sum_piece)(a, piece / 2, piece % 2, col);
        return;
    }
    const u32 first = a->start[row], last = a->start[row + 1];
    if (last - first > PIECE) return;
    LOCAL_NAME(add_tokens)(a, sum, first, last, col);
    LOCAL_NAME(write)(a, sum, row, col);
}

// ---- finish: the piece in which a long row begins joins all of the row's

WORD void LOCAL_NAME(finish)(const embedding_lanes_args *a, i64 group)
{
    const u32 n = (u32)group * LANES + (u32)lane(), piece = quotient(n, a->across_magic, a->across_shift), col = n - piece * a->across;
    const u32 all = a->start[a->rows], low = piece * PIECE, high = low + PIECE < all ? low + PIECE : all;
    ACC sum[VEC];
    if (piece >= a->pieces || low >= all) return;
    const LOCAL_NAME(run) r = LOCAL_NAME(run_at)(a, high - 1);
    if (r.last - r.first <= PIECE || r.first < low) return;
    const u32 end = (r.last + PIECE - 1) / PIECE;
    FOR_VEC(k) sum[k] = 0;
    for (u32 p = piece; p < end; p += AHEAD) {
        ACC held[AHEAD][VEC];
        UNROLLED for (u32 t = 0; t < AHEAD; ++t) {
            const u32 at = p + t < end ? p + t : end - 1;
            const ACC *const from = LOCAL_NAME(partial)(a, at, at == piece && r.first > low, col);
            FOR_VEC(k) held[t][k] = from[k];
        }
        UNROLLED for (u32 t = 0; t < AHEAD; ++t)
            if (p + t < end) FOR_VEC(k) sum[k] += held[t][k];
    }
    LOCAL_NAME(write)(a, sum, r.row, col);
}

KERNEL(embedding_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}
#undef ACC

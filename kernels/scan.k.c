// SPDX-License-Identifier: Apache-2.0
// out[i] = in[0] COMBINE in[1] ... COMBINE in[i] along one dimension: cumsum, cumprod, logcumsumexp; with INDEXED the
// extreme so far and where it is: cummax, cummin.
//
// A scan is a chain, so speed comes from chains side by side.
//   contiguous columns: a tile of up to SCAN_TILE columns, one vector operation a row.
//   rows or strided columns: SCAN_SIDE of them, their running values in registers.
//   rows of cummax and cummin: blocks of SCAN_RUN elements, of which most need only be compared with the extreme so far.
//   one row: blocks of SCAN_BLOCK elements, cut into SCAN_SIDE segments: first the total of each, then all are scanned
//   side by side from where the segment before ends. The second pass finds the block in L1.
// A group owns a tile of columns. Running values are T_ACC: f64 for f32, f32 for halves, i64 for integers.
// Cost: the traffic, for columns; about 0.4 ns an element for rows.
//
// Defines: T_IN, T_ACC, T_OUT; FLOATING; COMBINE(a, b) with a so far and b the next; INDEXED, and then COMPARE (>= or <=).
#include "scan_args.h"

#include "scan_words.c"

WORD i64 LOCAL_NAME(offset)(const i64 *size, const i64 *stride, i64 at)
{
    i64 offset = 0;
    SCALAR_LOOP for (int d = 0; d < SCAN_RANK && at; ++d) {
        offset += at % size[d] * stride[d];
        at /= size[d];
    }
    return offset;
}

WORD T_ACC LOCAL_NAME(get)(T_IN element) { return (T_ACC)CAT(load_, T_IN)(element); }

#if INDEXED

// Among equals the last one counts; NaN stays, and the last NaN counts.
WORD int LOCAL_NAME(takes_over)(T_ACC x, T_ACC best) { return (x COMPARE best) | UNORDERED(x); }

WORD void LOCAL_NAME(columns)(const T_IN *in, T_OUT *out, i64 *second, const scan_args *a, i64 cols)
{
    LOCAL(T_ACC, best, SCAN_TILE);
    LOCAL(i64, at, SCAN_TILE);
    FOR_LANES(c, cols) {
        best[c] = LOCAL_NAME(get)(in[c]);
        at[c] = 0;
    }
    for (i64 i = 0; i < a->n; ++i, in += a->n_in, out += a->n_out, second += a->n_out)
        FOR_LANES(c, cols) {
            const T_ACC x = LOCAL_NAME(get)(in[c]);
            const int take = LOCAL_NAME(takes_over)(x, best[c]);
            best[c] = take ? x : best[c];
            at[c] = take ? i : at[c];
            out[c] = CAT(store_, T_OUT)(best[c]);
            second[c] = at[c];
        }
}

// The extreme of a row so far, and the places of the row's next elements.
struct LOCAL_NAME(extreme) {
    T_ACC best;
    T_OUT element; // what `best` was read from: no rounding where it is stored
    i64 at, next;
    T_OUT *out;
    i64 *second;
};

// n elements one after the other, without a branch: where many are equal, none could be foretold.
WORD void LOCAL_NAME(chain)(struct LOCAL_NAME(extreme) *row, const T_IN *in, i64 n, i64 n_out)
{
    T_OUT *const out = row->out;
    i64 *const second = row->second;
    T_ACC best = row->best;
    T_OUT element = row->element;
    i64 at = row->at, place = row->next;
    SCALAR_LOOP for (i64 i = 0; i < n; ++i, ++place) {
        const T_ACC x = LOCAL_NAME(get)(in[i]);
        const int take = LOCAL_NAME(takes_over)(x, best);
        best = take ? x : best;
        element = take ? in[i] : element;
        at += (place - at) & -(i64)take;
        out[i * n_out] = element;
        second[i * n_out] = at;
    }
    row->best = best;
    row->element = element;
    row->at = at;
}

// The same, by blocks: most bring no new extreme, which a comparison of vectors tells, and only repeat it.
WORD void LOCAL_NAME(blocks)(struct LOCAL_NAME(extreme) *row, const T_IN *in, i64 n, i64 n_out)
{
    for (i64 i = 0; i < n; i += SCAN_RUN, row->next += SCAN_RUN, row->out += SCAN_RUN * n_out, row->second += SCAN_RUN * n_out) {
        T_OUT *const out = row->out;
        i64 *const second = row->second;
        const T_ACC best = row->best;
        const T_OUT element = row->element;
        const i64 at = row->at;
        int news = n - i < SCAN_RUN;
        if (!news)
            for (int k = 0; k < SCAN_RUN; ++k) news |= LOCAL_NAME(takes_over)(LOCAL_NAME(get)(in[i + k]), best);
        if (news) {
            LOCAL_NAME(chain)(row, in + i, n - i < SCAN_RUN ? n - i : SCAN_RUN, n_out);
            continue;
        }
        FOR_LANES(k, SCAN_RUN) out[k * n_out] = element;
        FOR_LANES(k, SCAN_RUN) second[k * n_out] = at;
    }
}

static void LOCAL_NAME(advance)(struct LOCAL_NAME(extreme) *row, const T_IN *in, i64 n, i64 n_out)
{
    if (n_out == 1) LOCAL_NAME(blocks)(row, in, n, 1);
    else LOCAL_NAME(blocks)(row, in, n, n_out);
}

// Rows whose elements lie apart come through a buffer, SCAN_ROWS at a time: their neighbours share cache lines.
WORD void LOCAL_NAME(apart)(struct LOCAL_NAME(extreme) *row, const T_IN *in, const scan_args *a, i64 rows)
{
    LOCAL(T_IN, buffer, SCAN_ROWS * SCAN_STAGE);
    for (i64 first = 0; first < a->n; first += SCAN_STAGE) {
        const i64 n = a->n - first < SCAN_STAGE ? a->n - first : SCAN_STAGE;
        for (i64 i = 0; i < n; ++i)
            for (i64 r = 0; r < rows; ++r) buffer[r * SCAN_STAGE + i] = in[(first + i) * a->n_in + r * a->col_in];
        for (i64 r = 0; r < rows; ++r) LOCAL_NAME(advance)(&row[r], buffer + r * SCAN_STAGE, n, a->n_out);
    }
}

WORD void LOCAL_NAME(rows)(const T_IN *in, T_OUT *out, i64 *second, const scan_args *a, i64 rows)
{
    struct LOCAL_NAME(extreme) row[SCAN_ROWS];
    for (i64 r = 0; r < rows; ++r) {
        row[r].element = in[r * a->col_in];
        row[r].best = LOCAL_NAME(get)(row[r].element);
        row[r].at = row[r].next = 0;
        row[r].out = out + r * a->col_out;
        row[r].second = second + r * a->col_out;
    }
    if (a->n_in != 1) LOCAL_NAME(apart)(row, in, a, rows);
    else for (i64 r = 0; r < rows; ++r) LOCAL_NAME(advance)(&row[r], in + r * a->col_in, a->n, a->n_out);
}

KERNEL(scan_args, a)
{
    const i64 first = group_id() % a->tiles * a->tile, outer = group_id() / a->tiles;
    const i64 cols = first + a->tile < a->cols ? a->tile : a->cols - first;
    const T_IN *const in = (const T_IN *)a->in + LOCAL_NAME(offset)(a->outer_size, a->outer_in, outer) + first * a->col_in;
    const i64 to = LOCAL_NAME(offset)(a->outer_size, a->outer_out, outer) + first * a->col_out;
    T_OUT *const out = (T_OUT *)a->out + to;
    i64 *const second = (i64 *)a->second + to;
    if (a->col_in == 1 && a->col_out == 1 && cols >= SCAN_SIDE) {
        LOCAL_NAME(columns)(in, out, second, a, cols);
        return;
    }
    for (i64 c = 0; c < cols; c += SCAN_ROWS)
        LOCAL_NAME(rows)(in + c * a->col_in, out + c * a->col_out, second + c * a->col_out, a, cols - c < SCAN_ROWS ? cols - c : SCAN_ROWS);
}

#else

WORD T_ACC LOCAL_NAME(join)(T_ACC a, T_ACC b) { return (T_ACC)(COMBINE); }

WORD void LOCAL_NAME(columns)(const T_IN *in, T_OUT *out, const scan_args *a, i64 cols, i64 col_in, i64 col_out)
{
    LOCAL(T_ACC, acc, SCAN_TILE);
    FOR_LANES(c, cols) {
        acc[c] = LOCAL_NAME(get)(in[c * col_in]);
        out[c * col_out] = CAT(store_, T_OUT)(acc[c]);
    }
    for (i64 i = 1; i < a->n; ++i) {
        in += a->n_in;
        out += a->n_out;
        FOR_LANES(c, cols) {
            acc[c] = LOCAL_NAME(join)(acc[c], LOCAL_NAME(get)(in[c * col_in]));
            out[c * col_out] = CAT(store_, T_OUT)(acc[c]);
        }
    }
}

// Continues the chains in acc over n elements.
WORD void LOCAL_NAME(side_by_side)(T_ACC *acc, const T_IN *in, T_OUT *out, i64 n, i64 n_in, i64 n_out, i64 side_in, i64 side_out)
{
    T_ACC run[SCAN_SIDE];
    for (int k = 0; k < SCAN_SIDE; ++k) run[k] = acc[k];
    SCALAR_LOOP for (i64 i = 0; i < n; ++i)
        for (int k = 0; k < SCAN_SIDE; ++k) {
            run[k] = LOCAL_NAME(join)(run[k], LOCAL_NAME(get)(in[k * side_in + i * n_in]));
            out[k * side_out + i * n_out] = CAT(store_, T_OUT)(run[k]);
        }
    for (int k = 0; k < SCAN_SIDE; ++k) acc[k] = run[k];
}

WORD void LOCAL_NAME(rows)(const T_IN *in, T_OUT *out, const scan_args *a)
{
    T_ACC acc[SCAN_SIDE];
    for (int k = 0; k < SCAN_SIDE; ++k) {
        acc[k] = LOCAL_NAME(get)(in[k * a->col_in]);
        out[k * a->col_out] = CAT(store_, T_OUT)(acc[k]);
    }
    if (a->n_in == 1 && a->n_out == 1)
        LOCAL_NAME(side_by_side)(acc, in + 1, out + 1, a->n - 1, 1, 1, a->col_in, a->col_out);
    else
        LOCAL_NAME(side_by_side)(acc, in + a->n_in, out + a->n_out, a->n - 1, a->n_in, a->n_out, a->col_in, a->col_out);
}

// Elements [first, last) of a row one after the other, after `acc`.
WORD T_ACC LOCAL_NAME(chain)(T_ACC acc, const T_IN *in, T_OUT *out, const scan_args *a, i64 first, i64 last)
{
    SCALAR_LOOP for (i64 i = first; i < last; ++i) {
        acc = LOCAL_NAME(join)(acc, LOCAL_NAME(get)(in[i * a->n_in]));
        out[i * a->n_out] = CAT(store_, T_OUT)(acc);
    }
    return acc;
}

WORD void LOCAL_NAME(row)(const T_IN *in, T_OUT *out, const scan_args *a)
{
    T_ACC total = LOCAL_NAME(get)(in[0]);
    out[0] = CAT(store_, T_OUT)(total);
    i64 at = 1;
    for (; a->n - at >= 32 * SCAN_SIDE;) {
        const i64 n = (a->n - at < SCAN_BLOCK ? a->n - at : SCAN_BLOCK) / SCAN_SIDE;
        const i64 side_in = n * a->n_in, side_out = n * a->n_out;
        const T_IN *const from = in + at * a->n_in;
        T_ACC sums[SCAN_SIDE], acc[SCAN_SIDE];
        for (int k = 0; k < SCAN_SIDE; ++k) sums[k] = LOCAL_NAME(get)(from[k * side_in]);
        SCALAR_LOOP for (i64 i = 1; i < n; ++i)
            for (int k = 0; k < SCAN_SIDE; ++k) sums[k] = LOCAL_NAME(join)(sums[k], LOCAL_NAME(get)(from[k * side_in + i * a->n_in]));
        for (int k = 0; k < SCAN_SIDE; ++k) {
            acc[k] = total;
            total = LOCAL_NAME(join)(total, sums[k]);
        }
        LOCAL_NAME(side_by_side)(acc, from, out + at * a->n_out, n, a->n_in, a->n_out, side_in, side_out);
        at += n * SCAN_SIDE;
    }
    LOCAL_NAME(chain)(total, in, out, a, at, a->n);
}

KERNEL(scan_args, a)
{
    const i64 first = group_id() % a->tiles * a->tile, outer = group_id() / a->tiles;
    const i64 cols = first + a->tile < a->cols ? a->tile : a->cols - first;
    const T_IN *const in = (const T_IN *)a->in + LOCAL_NAME(offset)(a->outer_size, a->outer_in, outer) + first * a->col_in;
    T_OUT *const out = (T_OUT *)a->out + LOCAL_NAME(offset)(a->outer_size, a->outer_out, outer) + first * a->col_out;
    if (a->col_in == 1 && a->col_out == 1 && cols >= SCAN_SIDE) {
        LOCAL_NAME(columns)(in, out, a, cols, 1, 1);
        return;
    }
    i64 c = 0;
    for (; c + SCAN_SIDE <= cols; c += SCAN_SIDE) LOCAL_NAME(rows)(in + c * a->col_in, out + c * a->col_out, a);
    for (; c < cols; ++c) LOCAL_NAME(row)(in + c * a->col_in, out + c * a->col_out, a);
}

#endif
#undef UNORDERED

// SPDX-License-Identifier: Apache-2.0
// Where the extreme element of a row or column is, and its value: argmax, argmin, max.dim, min.dim. Among equals the
// first one counts, and NaN beats everything.
//
// Layout as in reduce.k.c, one reduced dimension, in order.
//   rows:    an extreme of every REDUCE_BLOCK elements, without indices, at the speed of amax; the block with the first
//            best one is searched for it in the end. So indices cost one block a row.
//   columns: value and index of every column of a tile side by side, a select each an element.
// A group owns a tile of columns and a part of the reduction; parts are joined in order by a second launch.
//
// Defines: T_IN, T_ACC, T_INDEX (as wide as T_ACC); FLOATING; COMPARE (> or <); IDENTITY (loses to all); VALUES (1:
// values to `out`, indices to `second`; 0: indices to `out`); VEC.
#include "reduce_args.h"
#include "reduce_walk.h"

#if FLOATING
#define UNORDERED(v) ((v) != (v)) // NaN
#else
#define UNORDERED(v) 0
#endif

WORD T_ACC LOCAL_NAME(get)(T_IN element) { return (T_ACC)CAT(load_, T_IN)(element); }
WORD T_ACC LOCAL_NAME(map)(T_IN element, T_ACC p)
{
    (void)p;
    return LOCAL_NAME(get)(element);
}
WORD int LOCAL_NAME(better)(T_ACC a, T_ACC b) { return (a COMPARE b) | (UNORDERED(a) & !UNORDERED(b)); }
WORD T_ACC LOCAL_NAME(join)(T_ACC a, T_ACC b) { return ((a COMPARE b) | UNORDERED(a)) ? a : b; }

// ---- rows

#define BLOCK LOCAL_NAME(block)
#define BLOCK_MAP LOCAL_NAME(map)
#include "reduce_block.c"

WORD int LOCAL_NAME(is)(T_IN element, T_ACC value)
{
    const T_ACC x = LOCAL_NAME(get)(element);
    return (x == value) | (UNORDERED(x) & UNORDERED(value));
}

// The first of n elements that is `value`; VEC at a time until there is one.
WORD i64 LOCAL_NAME(find)(const T_IN *in, i64 n, i64 stride, T_ACC value)
{
    i64 i = 0;
    for (; i + VEC <= n; i += VEC) {
        int hits = 0;
        FOR_VEC(k) hits |= LOCAL_NAME(is)(in[(i + k) * stride], value);
        if (hits) break;
    }
    SCALAR_LOOP while (i + 1 < n && !LOCAL_NAME(is)(in[i * stride], value)) ++i;
    return i;
}

WORD void LOCAL_NAME(row)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_IN *in, T_ACC *value, i64 *index)
{
    i64 best_block = w->first;
    T_ACC best = IDENTITY;
    for (i64 i = w->first; i < w->last; i += REDUCE_BLOCK) {
        const i64 n = LOCAL_NAME(least)(REDUCE_BLOCK, w->last - i);
        const T_ACC x = a->n_in == 1 ? LOCAL_NAME(block)(in + i, n, 1, 0) : LOCAL_NAME(block)(in + i * a->n_in, n, a->n_in, 0);
        if (!LOCAL_NAME(better)(x, best)) continue;
        best = x;
        best_block = i;
    }
    const i64 n = LOCAL_NAME(least)(REDUCE_BLOCK, w->last - best_block);
    const T_IN *const at = in + best_block * a->n_in;
    *index = best_block + (a->n_in == 1 ? LOCAL_NAME(find)(at, n, 1, best) : LOCAL_NAME(find)(at, n, a->n_in, best));
    *value = LOCAL_NAME(get)(in[*index * a->n_in]); // of the zeros, the one found
}

// ---- columns

WORD void LOCAL_NAME(take_row)(const T_IN *row, i64 cols, i64 col_in, T_INDEX r, T_ACC *value, T_INDEX *index)
{
    FOR_LANES(c, cols) {
        const T_ACC x = LOCAL_NAME(get)(row[c * col_in]);
        const int take = LOCAL_NAME(better)(x, value[c]);
        value[c] = take ? x : value[c];
        index[c] = take ? r : index[c];
    }
}

WORD void LOCAL_NAME(columns)(const reduce_args *a, const LOCAL_NAME(place) *w, T_ACC *value, i64 *result)
{
    LOCAL(T_INDEX, index, REDUCE_TILE);
    const T_IN *row = (const T_IN *)a->in + w->in + w->first * a->n_in;
    FOR_LANES(c, w->cols) {
        value[c] = LOCAL_NAME(get)(row[c * a->col_in]);
        index[c] = 0;
    }
    const i64 rows = w->last - w->first;
    for (i64 r = 1; r < rows; ++r) {
        row += a->n_in;
        if (a->col_in == 1) LOCAL_NAME(take_row)(row, w->cols, 1, (T_INDEX)r, value, index);
        else LOCAL_NAME(take_row)(row, w->cols, a->col_in, (T_INDEX)r, value, index);
    }
    FOR_LANES(c, w->cols) result[c] = w->first + index[c];
}

// ---- results

WORD void LOCAL_NAME(combine)(const reduce_args *a, const LOCAL_NAME(place) *w, T_ACC *value, i64 *index)
{
    const T_ACC *values = (const T_ACC *)a->partial + w->first_output;
    const i64 *indices = (const i64 *)a->partial_second + w->first_output;
    FOR_LANES(c, w->cols) value[c] = values[c];
    FOR_LANES(c, w->cols) index[c] = indices[c];
    for (i64 part = 1; part < a->parts; ++part) {
        values += a->outputs;
        indices += a->outputs;
        SCALAR_LOOP for (i64 c = lane(); c < w->cols; c += LANES) {
            if (!LOCAL_NAME(better)(values[c], value[c])) continue;
            value[c] = values[c];
            index[c] = indices[c];
        }
    }
}

WORD void LOCAL_NAME(emit)(const reduce_args *a, const LOCAL_NAME(place) *w, const T_ACC *value, const i64 *index)
{
    SYNC();
    if (a->partial && !a->combining) {
        T_ACC *const values = (T_ACC *)a->partial + w->part * a->outputs + w->first_output;
        i64 *const indices = (i64 *)a->partial_second + w->part * a->outputs + w->first_output;
        FOR_LANES(c, w->cols) values[c] = value[c];
        FOR_LANES(c, w->cols) indices[c] = index[c];
        return;
    }
#if VALUES
    T_IN *const values = (T_IN *)a->out + w->out;
    i64 *const indices = (i64 *)a->second + w->out;
    FOR_LANES(c, w->cols) values[c * a->col_out] = CAT(store_, T_IN)(value[c]);
    FOR_LANES(c, w->cols) indices[c * a->col_out] = index[c];
#else
    i64 *const indices = (i64 *)a->out + w->out;
    FOR_LANES(c, w->cols) indices[c * a->col_out] = index[c];
#endif
}

KERNEL(reduce_args, a)
{
    const LOCAL_NAME(place) w = LOCAL_NAME(locate)(a, group_id());
    LOCAL(T_ACC, value, REDUCE_TILE);
    LOCAL(i64, index, REDUCE_TILE);
    if (a->combining)
        LOCAL_NAME(combine)(a, &w, value, index);
    else if (a->by_columns)
        LOCAL_NAME(columns)(a, &w, value, index);
    else
        for (i64 c = lane(); c < w.cols; c += LANES)
            LOCAL_NAME(row)(a, &w, (const T_IN *)a->in + w.in + c * a->col_in, &value[c], &index[c]);
    LOCAL_NAME(emit)(a, &w, value, index);
}
#undef UNORDERED

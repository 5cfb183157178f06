// SPDX-License-Identifier: Apache-2.0
// to[i...] = from[index[i...] * step + ...], and the way back: to[index[i...] * step + ...] (+)= from[i...].
//
// One iteration space carries all of them: index_select, gather, embedding, x[i, j] and take read through an index; scatter,
// index_put, index_add and index_copy write through one. `to`, `from` and each index tensor have a stride per dimension of that
// space, 0 where they don't move; an index value moves the indexed operand by `step` elements. Where no index changes along
// dimension 0 (whole rows of an embedding), the offset is found once a row and the row is one vector loop.
// A group owns a block of rows and a part of the columns. Writing through an index, the host puts dimensions in which only the
// index tells the place inside one group, in order: equal indices meet in one thread, so results don't depend on threads.
// Cost: the traffic of the rows; element by element, about 1 ns.
//
// Defines: T element type; I index type; WRITES 1 if `to` is indexed, else 0; ARITHMETIC 1 and COMBINE(t, f), or 0 to move
// elements as they are.
#include "index_args.h"

typedef struct LOCAL_NAME(place) {
    i64 to, from, at[INDEX_TENSORS]; // element offsets
} LOCAL_NAME(place);

#if ARITHMETIC
#define ACC CAT(acc_, T)
#define PUT(t, f) t = CAT(store_, T)(COMBINE((ACC)CAT(load_, T)(t), (ACC)CAT(load_, T)(f)))
#define ALPHA const ACC alpha = *(const ACC *)a->alpha; (void)alpha;
#else
#define PUT(t, f) t = f
#define ALPHA
#endif

WORD void LOCAL_NAME(move)(const index_args *a, LOCAL_NAME(place) *p, int d, i64 by)
{
    p->to += by * a->to_stride[d];
    p->from += by * a->from_stride[d];
    SCALAR_LOOP for (int k = 0; k < a->indices; ++k) p->at[k] += by * a->index[k].stride[d];
}

// Sum of what the indices move the indexed operand by, `i` columns on; *bad is set where one is out of range.
WORD i64 LOCAL_NAME(offset)(const index_args *a, const LOCAL_NAME(place) *p, i64 i, u32 *bad)
{
    i64 offset = 0;
    SCALAR_LOOP for (int k = 0; k < a->indices; ++k) {
        const index_tensor *t = &a->index[k];
        const i64 value = ((const I *)t->data)[p->at[k] + i * t->stride[0]];
        const i64 wrapped = value + (value < 0 ? t->wrap : 0);
        const u32 outside = (u64)wrapped >= (u64)t->size;
        *bad |= outside;
        offset += outside ? 0 : wrapped * t->step;
    }
    return offset;
}

// n columns whose place is told by one offset.
WORD void LOCAL_NAME(whole)(const index_args *a, T *to, const T *from, i64 n)
{
    ALPHA
    const i64 ts = a->to_stride[0], fs = a->from_stride[0];
#if ARITHMETIC
    if (ts == 1 && fs == 1) FOR_LANES(i, n) PUT(to[i], from[i]);
#else
    if (ts == 1 && fs == 1) {
        const i64 line = 64 / (i64)sizeof(T);
        i64 i = 0;
        const i64 part = 16 / (i64)sizeof(T);
        SCALAR_LOOP for (; i + line <= n; i += line) copy_block(to + i, from + i, 64);
        SCALAR_LOOP for (; i + part <= n; i += part) copy_block(to + i, from + i, 16);
        SCALAR_LOOP for (; i < n; ++i) to[i] = from[i];
    }
#endif
    else if (ts == 1 && fs == 0) FOR_LANES(i, n) PUT(to[i], from[0]);
    else SCALAR_LOOP for (i64 i = 0; i < n; ++i) PUT(to[i * ts], from[i * fs]);
}

// n columns, each at the place that one index tells. Equal indices may follow each other: in order.
WORD u32 LOCAL_NAME(lookups)(const index_args *a, const I *index, T *to, const T *from, i64 n, i64 is, i64 ts, i64 fs, i64 wrap)
{
    ALPHA
    const i64 step = a->index[0].step, size = a->index[0].size;
    u32 any = 0;
    SCALAR_LOOP for (i64 first = 0; first < n; first += 4)
        UNROLL(4) for (i64 k = 0; k < 4; ++k) {
            const i64 i = first + k;
            if (i >= n) break;
            const i64 value = index[i * is], wrapped = value + (value < 0 ? wrap : 0);
            if ((u64)wrapped >= (u64)size) {
                any = 1;
                continue;
            }
            if (WRITES) PUT(to[i * ts + wrapped * step], from[i * fs]);
            else PUT(to[i * ts], from[i * fs + wrapped * step]);
        }
    return any;
}

// Strides that are constants make up most of the difference to ATen.
WORD u32 LOCAL_NAME(by_one)(const index_args *a, const I *index, T *to, const T *from, i64 n)
{
    const i64 is = a->index[0].stride[0], ts = a->to_stride[0], fs = a->from_stride[0], wrap = a->index[0].wrap;
    if (is == 1 && ts == !WRITES && fs == WRITES && !wrap) return LOCAL_NAME(lookups)(a, index, to, from, n, 1, !WRITES, WRITES, 0);
    return LOCAL_NAME(lookups)(a, index, to, from, n, is, ts, fs, wrap);
}

// The same by several.
WORD u32 LOCAL_NAME(each)(const index_args *a, const LOCAL_NAME(place) *p, T *to, const T *from, i64 n)
{
    ALPHA
    const i64 ts = a->to_stride[0], fs = a->from_stride[0];
    u32 any = 0;
    SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
        u32 bad = 0;
        const i64 offset = LOCAL_NAME(offset)(a, p, i, &bad);
        any |= bad;
        if (WRITES) { if (!bad) PUT(to[i * ts + offset], from[i * fs]); }
        else PUT(to[i * ts], from[i * fs + offset]);
    }
    return any;
}

// Rows along one dimension by one index, as of an embedding: short ones are worth a loop without general steps.
WORD u32 LOCAL_NAME(plain_rows)(const index_args *a, const LOCAL_NAME(place) *p, i64 rows, i64 cols)
{
    const index_tensor *t = &a->index[0];
    const I *index = (const I *)t->data + p->at[0];
    T *to = (T *)a->to + p->to;
    const T *from = (const T *)a->from + p->from;
    const i64 is = t->stride[1], ts = a->to_stride[1], fs = a->from_stride[1];
    u32 any = 0;
    if (!a->constant_along_rows) {
        SCALAR_LOOP for (i64 row = 0; row < rows; ++row) any |= LOCAL_NAME(by_one)(a, index + row * is, to + row * ts, from + row * fs, cols);
        return any;
    }
    SCALAR_LOOP for (i64 row = 0; row < rows; ++row, index += is, to += ts, from += fs) {
        const i64 value = *index, wrapped = value + (value < 0 ? t->wrap : 0);
        if ((u64)wrapped >= (u64)t->size)
            any = 1;
        else
            LOCAL_NAME(whole)(a, WRITES ? to + wrapped * t->step : to, WRITES ? from : from + wrapped * t->step, cols);
    }
    return any;
}

KERNEL(index_args, a)
{
    const i64 across = group_id() % a->groups_across, rest = group_id() / a->groups_across;
    const i64 first_row = rest % a->groups_down * a->group_rows, first_col = across * a->group_cols;
    const i64 last_row = first_row + a->group_rows < a->rows ? first_row + a->group_rows : a->rows;
    const i64 cols = first_col + a->group_cols < a->size[0] ? a->group_cols : a->size[0] - first_col;
    LOCAL_NAME(place) p;
    p.to = p.from = 0;
    SCALAR_LOOP for (int k = 0; k < INDEX_TENSORS; ++k) p.at[k] = 0;
    LOCAL_NAME(move)(a, &p, 0, first_col);

    i64 coordinate[INDEX_RANK], remaining = first_row, outer = rest / a->groups_down;
    SCALAR_LOOP for (int d = 1; d < a->rank; ++d) {
        i64 *const left = d <= a->row_dims ? &remaining : &outer;
        coordinate[d] = *left % a->size[d];
        *left /= a->size[d];
        LOCAL_NAME(move)(a, &p, d, coordinate[d]);
    }
    u32 any = 0;
    if (a->indices == 1 && a->row_dims == 1) {
        if (LOCAL_NAME(plain_rows)(a, &p, last_row - first_row, cols)) *a->out_of_range = 1;
        return;
    }
    for (i64 row = first_row; row < last_row; ++row) {
        T *const to = (T *)a->to + p.to;
        const T *const from = (const T *)a->from + p.from;
        if (a->constant_along_rows) {
            u32 bad = 0;
            const i64 offset = LOCAL_NAME(offset)(a, &p, 0, &bad);
            any |= bad;
            if (!bad) LOCAL_NAME(whole)(a, WRITES ? to + offset : to, WRITES ? from : from + offset, cols);
        } else if (a->indices == 1) {
            any |= LOCAL_NAME(by_one)(a, (const I *)a->index[0].data + p.at[0], to, from, cols);
        } else {
            any |= LOCAL_NAME(each)(a, &p, to, from, cols);
        }
        SCALAR_LOOP for (int d = 1; d <= a->row_dims; ++d) {
            LOCAL_NAME(move)(a, &p, d, 1);
            if (++coordinate[d] < a->size[d]) break;
            coordinate[d] = 0;
            LOCAL_NAME(move)(a, &p, d, -a->size[d]);
        }
    }
    if (any) *a->out_of_range = 1;
}
#undef PUT
#undef ACC
#undef ALPHA

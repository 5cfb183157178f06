// SPDX-License-Identifier: Apache-2.0
// Elements that follow from their place: ranges, triangles; and membership in a short list of values.
//
// RANGE: out[i] = start + i * step, in f64 or i64. LINSPACE: from both ends, so that the last is exact, as ATen has it.
// TRI: a matrix with the elements beyond a diagonal set to zero; a group owns rows, each split at the diagonal into a copied and
// a cleared stretch. ISIN: out[i] = any(in[i] == values[j]); the loop over values lies outside, so that elements are compared
// a vector at a time.
// Cost: the result written once.
//
// Defines: T element type, and one of RANGE, LINSPACE, TRI, ISIN set to 1.
#include "create_args.h"

#ifdef ISIN
#define BLOCK 1024
WORD void LOCAL_NAME(block)(const create_args *a, b8 *out, const T *in, i64 n)
{
    const T *const values = (const T *)a->values;
    LOCAL(u32, found, BLOCK);
    FOR_LANES(i, n) found[i] = 0;
    for (i64 j = 0; j < a->value_count; ++j) {
        const CAT(acc_, T) value = CAT(load_, T)(values[j]);
        FOR_LANES(i, n) found[i] |= CAT(load_, T)(in[i]) == value;
    }
    const u32 invert = (u32)a->invert;
    FOR_LANES(i, n) out[i] = (b8)(found[i] ^ invert);
}
#endif

#ifdef TRI
WORD void LOCAL_NAME(row)(const create_args *a, T *out, const T *in, i64 row)
{
    const T zero = { 0 };
    const i64 cols = a->cols, edge = row + a->diagonal + (a->lower ? 1 : 0); // first column that is dropped, or kept
    const i64 split = edge < 0 ? 0 : edge > cols ? cols : edge, step = a->in_strides[2];
    const i64 first = a->lower ? 0 : split, last = a->lower ? split : cols;
    if (out != in) {
        if (step == 1) FOR_LANES(i, last - first) out[first + i] = in[first + i];
        else FOR_LANES(i, last - first) out[first + i] = in[(first + i) * step];
    }
    if (a->lower) FOR_LANES(i, cols - split) out[split + i] = zero;
    else FOR_LANES(i, split) out[i] = zero;
}
#endif

KERNEL(create_args, a)
{
    const i64 first = group_id() * a->group_elements, left = a->count - first;
    const i64 n = left < a->group_elements ? left : a->group_elements;
#if defined RANGE
    T *const out = (T *)a->out + first;
#if WHOLE
    FOR_LANES(i, n) out[i] = (T)(a->whole_start + (first + i) * a->whole_step);
#else
    const f64 start = a->start + (f64)first * a->step, step = a->step;
    FOR_LANES(i, n) out[i] = CAT(store_, T)(start + (f64)(i32)i * step);
#endif
#elif defined LINSPACE
    T *const out = (T *)a->out + first;
    const i64 half = a->count / 2;
    FOR_LANES(i, n) {
        const i64 at = first + i;
        const f64 low = a->start + a->step * (f64)at, high = a->end - a->step * (f64)(a->count - 1 - at);
        out[i] = CAT(store_, T)(at < half ? low : high);
    }
#elif defined TRI
    for (i64 r = first; r < first + n; ++r) {
        const i64 matrix = r / a->rows, row = r % a->rows;
        LOCAL_NAME(row)(a, (T *)a->out + r * a->cols, (const T *)a->in + matrix * a->in_strides[0] + row * a->in_strides[1], row);
    }
#elif defined ISIN
    for (i64 i = 0; i < n; i += BLOCK)
        LOCAL_NAME(block)(a, (b8 *)a->out + first + i, (const T *)a->in + first + i, n - i < BLOCK ? n - i : BLOCK);
#endif
}
#undef BLOCK

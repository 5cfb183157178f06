// SPDX-License-Identifier: Apache-2.0
// Elements that follow from their place (see create.k.c), for groups of many lanes.
//
// A group owns KEEP * LANES vectors of VEC elements, in the order of memory. Ranges are computed as ATen computes them on a GPU, in
// the arithmetic type rather than f64. A triangle reads only vectors of which something is kept.
// Floor: the result written once, what is kept of the input read once. Reached on an H200: ranges 1.0, triangles of f32 0.91, of
// halves 0.7.
//
// Defines: T; LANES, KEEP, VEC; PART: range, linspace, tri or isin; RANGES 1 for the first two.
#include "create_lanes_args.h"

#define ACC CAT(acc_, T)

WORD i64 LOCAL_NAME(first_of)(i64 group, int t)
{
    return ((group * KEEP + t) * LANES + lane()) * VEC;
}

// Whole vectors, but for what is left at the end.
template <class R> WORD void LOCAL_NAME(put)(const create_lanes_args *a, R *out, i64 first, const R *made)
{
    if (first + VEC <= a->count) put_vec(out + first, made);
    else FOR_VEC(k) if (first + k < a->count) out[first + k] = made[k];
}

#if RANGES
WORD void LOCAL_NAME(range)(const create_lanes_args *a, i64 group)
{
    const ACC start = *(const ACC *)&a->start, step = *(const ACC *)&a->step;
    FOR_KEEP(t) {
        const i64 first = LOCAL_NAME(first_of)(group, t);
        T made[VEC];
        FOR_VEC(k) made[k] = CAT(store_, T)((ACC)(start + step * (ACC)(first + k)));
        LOCAL_NAME(put)(a, (T *)a->out, first, made);
    }
}

// From both ends, so that the last is exact.
WORD void LOCAL_NAME(linspace)(const create_lanes_args *a, i64 group)
{
    const ACC start = *(const ACC *)&a->start, step = *(const ACC *)&a->step, end = *(const ACC *)&a->end;
    FOR_KEEP(t) {
        const i64 first = LOCAL_NAME(first_of)(group, t);
        T made[VEC];
        FOR_VEC(k) {
            const i64 at = first + k;
            made[k] = CAT(store_, T)(at < a->count / 2 ? start + step * (ACC)at : end - step * (ACC)(a->count - 1 - at));
        }
        LOCAL_NAME(put)(a, (T *)a->out, first, made);
    }
}

#endif

// Vectors lie inside rows: VEC divides their length, and all addresses.
WORD void LOCAL_NAME(tri)(const create_lanes_args *a, i64 group)
{
    const T zero = { 0 };
    FOR_KEEP(t) {
        const u32 vector = (u32)((group * KEEP + t) * LANES + lane());
        if ((i64)vector * VEC >= a->count) continue;
        const u32 across = a->cols / VEC, r = quotient(vector, a->across_magic, a->across_shift);
        const u32 matrix = quotient(r, a->rows_magic, a->rows_shift), row = r - matrix * a->rows;
        const i64 col = (i64)(vector - r * across) * VEC, edge = row + a->diagonal; // the last column kept of a lower one, the first of an upper one
        const T *const in = (const T *)a->in + matrix * a->in_strides[0] + row * a->in_strides[1] + col * a->in_strides[2];
        if (a->in == a->out && (a->lower ? col + VEC <= edge + 1 : col >= edge)) continue; // stays as it is
        T made[VEC];
        if (a->lower ? col <= edge : col + VEC > edge) fetch_vec(made, in);
        FOR_VEC(k) if (a->lower ? col + k > edge : col + k < edge) made[k] = zero;
        put_vec((T *)a->out + (i64)vector * VEC, made);
    }
}

WORD void LOCAL_NAME(isin)(const create_lanes_args *a, i64 group)
{
    const T *const values = a->values ? (const T *)a->values : (const T *)&a->value;
    ACC x[KEEP];
    b8 found[KEEP];
    FOR_KEEP(t) {
        const i64 i = LOCAL_NAME(first_of)(group, t);
        x[t] = CAT(load_, T)(((const T *)a->in)[i < a->count ? i : a->count - 1]);
        found[t] = 0;
    }
    SCALAR_LOOP for (i64 j = 0; j < a->value_count; ++j) {
        const ACC value = CAT(load_, T)(values[j]);
        FOR_KEEP(t) found[t] |= x[t] == value;
    }
    FOR_KEEP(t) {
        const i64 i = LOCAL_NAME(first_of)(group, t);
        if (i < a->count) ((b8 *)a->out)[i] = (b8)(found[t] ^ (b8)a->invert);
    }
}

KERNEL(create_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}
#undef ACC

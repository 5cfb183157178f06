// SPDX-License-Identifier: Apache-2.0
// out[i] = BODY(x[i], y[i], z[i], w[i]; scalars) over an index space of any rank, with broadcasting and any strides.
//
// Dimension 0 (columns) is the innermost, dimension 1 (rows) is the next or the one in which some operand is
// contiguous; a group owns a block of rows x columns at one place of the outer dimensions and works through it in
// chunks. Operands with unit column stride are read in place. Others (transposed, strided, repeated) are
// staged: copied into a small local buffer, so that the one vector loop below sees consecutive elements only.
// A chunk of 32 x 32 of a transposed operand uses whole cache lines.
// Cost: the traffic of the operands, read once and written once. Contiguous f32 add, x86-64-v3: 0.10 ns an element in L1.
//
// Defines: BODY, NIN; element types O0 and X<j>; arithmetic types C<j> of the inputs (the loaded value is converted),
// CS of the scalars; scalar names S0...; a condition NEAR and a body NEAR_BODY that is right where it holds.
#include "pointwise_args.h"

#if NIN == 0
#define INPUTS(DO)
#elif NIN == 1
#define INPUTS(DO) DO(0, x, X0, C0)
#elif NIN == 2
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1)
#elif NIN == 3
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1) DO(2, z, X2, C2)
#else
#define INPUTS(DO) DO(0, x, X0, C0) DO(1, y, X1, C1) DO(2, z, X2, C2) DO(3, w, X3, C3)
#endif
#define REAL(v) ((CAT(acc_, CS))(v)) // a constant in the arithmetic type

// The vector loop: n consecutive elements of every operand. out may be one of the inputs.
WORD void LOCAL_NAME(run)(const pointwise_args *a, O0 *out, const void *const *in, i64 n)
{
#define POINTER(j, name, X, C) const X *const p##j = (const X *)in[j];
    INPUTS(POINTER)
#undef POINTER
#define SCALAR(j, name) CAT(acc_, CS) name; memcpy(&name, a->scalar[j].bits, sizeof name); (void)name;
#ifdef S0
    SCALAR(0, S0)
#endif
#ifdef S1
    SCALAR(1, S1)
#endif
#ifdef S2
    SCALAR(2, S2)
#endif
#ifdef S3
    SCALAR(3, S3)
#endif
#undef SCALAR
    (void)a, (void)in;
#define LOAD(j, name, X, C) const CAT(acc_, C) name = (CAT(acc_, C))CAT(load_, X)(p##j[i]); (void)name;
#ifdef NEAR
    int near = 1; // whether the cheaper form is right for every element
    FOR_LANES(i, n) {
        INPUTS(LOAD)
        near &= (NEAR);
    }
    if (near) {
        FOR_LANES(i, n) {
            INPUTS(LOAD)
            out[i] = CAT(store_, O0)((NEAR_BODY));
        }
        return;
    }
#endif
    FOR_LANES(i, n) {
        INPUTS(LOAD)
        out[i] = CAT(store_, O0)((BODY));
    }
#undef LOAD
}

// Copies a chunk of rows x cols elements from strided memory. A transposed operand is walked down its rows, so that its
// cache lines are used whole; a row of one repeated element is filled; every second element is a shuffle.
#define STAGE(name, T)                                                                                               \
    WORD void LOCAL_NAME(gather_##name)(T *buffer, const T *from, i64 rows, i64 cols, i64 s1, i64 s0)                \
    {                                                                                                                \
        if (s1 == 1 && rows > 1) {                                                                                   \
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c)                                                               \
                SCALAR_LOOP for (i64 r = 0; r < rows; ++r) buffer[r * cols + c] = from[c * s0 + r];                  \
            return;                                                                                                  \
        }                                                                                                            \
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r) {                                                                 \
            const T *const row = from + r * s1;                                                                      \
            T *const to = buffer + r * cols;                                                                         \
            if (s0 == 1) FOR_LANES(c, cols) to[c] = row[c];                                                          \
            else if (s0 == 0) FOR_LANES(c, cols) to[c] = row[0];                                                     \
            else if (s0 == 2) FOR_LANES(c, cols) to[c] = row[2 * c];                                                 \
            else SCALAR_LOOP for (i64 c = 0; c < cols; ++c) to[c] = row[c * s0];                                     \
        }                                                                                                            \
    }
#define GATHER(j, name, X, C) STAGE(j, X)
INPUTS(GATHER)
#undef GATHER
#undef STAGE

WORD void LOCAL_NAME(scatter)(O0 *to, const O0 *buffer, i64 rows, i64 cols, i64 s1, i64 s0)
{
    if (s1 == 1 && rows > 1)
        SCALAR_LOOP for (i64 c = 0; c < cols; ++c)
            SCALAR_LOOP for (i64 r = 0; r < rows; ++r) to[c * s0 + r] = buffer[r * cols + c];
    else if (s0 == 1)
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r) FOR_LANES(c, cols) to[r * s1 + c] = buffer[r * cols + c];
    else
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r)
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c) to[r * s1 + c * s0] = buffer[r * cols + c];
}

// Element offset of the group's place in the outer dimensions.
WORD i64 LOCAL_NAME(outer_offset)(const pointwise_args *a, const pointwise_operand *operand, i64 outer)
{
    i64 offset = 0;
    SCALAR_LOOP for (int d = 2; d < POINTWISE_RANK && outer; ++d) {
        offset += outer % a->size[d] * operand->stride[d];
        outer /= a->size[d];
    }
    return offset;
}

KERNEL(pointwise_args, a)
{
    const i64 across = group_id() % a->groups_across, rest = group_id() / a->groups_across;
    const i64 first_row = rest % a->groups_down * a->group_rows, first_col = across * a->group_cols;
    const i64 outer = rest / a->groups_down;
    const i64 last_row = first_row + a->group_rows < a->size[1] ? first_row + a->group_rows : a->size[1];
    const i64 last_col = first_col + a->group_cols < a->size[0] ? first_col + a->group_cols : a->size[0];

    LOCAL(O0, out_buffer, POINTWISE_CHUNK / sizeof(O0));
    O0 *const out_base = (O0 *)a->operand[0].data + LOCAL_NAME(outer_offset)(a, &a->operand[0], outer);
#define BASE(j, name, X, C)                                                                                          \
    LOCAL(X, buffer##j, POINTWISE_CHUNK / sizeof(X));                                                                \
    const X *const base##j = (const X *)a->operand[1 + j].data + LOCAL_NAME(outer_offset)(a, &a->operand[1 + j], outer);
    INPUTS(BASE)
#undef BASE
    const void *in[NIN + 1];

    for (i64 row = first_row; row < last_row; row += a->chunk_rows)
        for (i64 col = first_col; col < last_col; col += a->chunk_cols) {
            const i64 rows = row + a->chunk_rows < last_row ? a->chunk_rows : last_row - row;
            const i64 cols = col + a->chunk_cols < last_col ? a->chunk_cols : last_col - col;
            const i64 runs = a->flat ? 1 : rows, length = a->flat ? rows * cols : cols;
#define FILL(j, name, X, C)                                                                                          \
    const pointwise_operand *const o##j = &a->operand[1 + j];                                                        \
    const X *const at##j = base##j + row * o##j->stride[1] + col * o##j->stride[0];                                  \
    if (o##j->staged == 1 || (o##j->staged == 2 && row == first_row && col == first_col))                            \
        LOCAL_NAME(gather_##j)(buffer##j, at##j, rows, cols, o##j->stride[1], o##j->stride[0]);
            INPUTS(FILL)
#undef FILL
            const pointwise_operand *const o = &a->operand[0];
            O0 *const out = out_base + row * o->stride[1] + col * o->stride[0];
            SYNC();
            for (i64 r = 0; r < runs; ++r) {
#define RUN(j, name, X, C) in[j] = o##j->staged ? buffer##j + r * cols : at##j + r * o##j->stride[1];
                INPUTS(RUN)
#undef RUN
                LOCAL_NAME(run)(a, o->staged ? out_buffer + r * cols : out + r * o->stride[1], in, length);
            }
            SYNC();
            if (o->staged) LOCAL_NAME(scatter)(out, out_buffer, rows, cols, o->stride[1], o->stride[0]);
        }
}
#undef INPUTS
#undef REAL

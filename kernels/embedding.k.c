// SPDX-License-Identifier: Apache-2.0
// out[v, :] = sum of grad[t, :] over the tokens t with index[t] = v: the gradient of an embedding's weight.
//
// The host links the tokens of each row of `out` in ascending order. A group owns a block of rows x columns of `out` and writes
// it once, rows without tokens as zeros: no clearing pass, no atomics, and sums whose order doesn't depend on threads.
// Halves are summed in f32 and rounded once. Few rows with many tokens (token types) are shared out by columns.
// Cost: `out` written once, `grad` read once. Floor for 30522 x 384 f32: 47 MB of writes.
//
// Defines: T element type.
#include "embedding_args.h"

#define ACC CAT(acc_, T)
#define TILE 256 // columns summed at a time: 1 or 2 KB of L1

WORD void LOCAL_NAME(row)(const embedding_args *a, T *out, const T *grad, i32 token, i64 n)
{
    LOCAL(ACC, sum, TILE);
    const T *from = grad + token * a->grad_stride;
    token = a->next[token];
    if (token < 0) {
        FOR_LANES(i, n) out[i] = from[i];
        return;
    }
    FOR_LANES(i, n) sum[i] = CAT(load_, T)(from[i]);
    for (; token >= 0; token = a->next[token]) {
        from = grad + token * a->grad_stride;
        FOR_LANES(i, n) sum[i] += CAT(load_, T)(from[i]);
    }
    FOR_LANES(i, n) out[i] = CAT(store_, T)(sum[i]);
}

KERNEL(embedding_args, a)
{
    const i64 first_row = group_id() / a->groups_across * a->group_rows, first_col = group_id() % a->groups_across * a->group_cols;
    const i64 last_row = first_row + a->group_rows < a->rows ? first_row + a->group_rows : a->rows;
    const i64 last_col = first_col + a->group_cols < a->cols ? first_col + a->group_cols : a->cols;
    const ACC zero = 0;
    for (i64 r = first_row; r < last_row; ++r) {
        T *const out = (T *)a->out + r * a->cols;
        const i32 token = a->first[r];
        if (token < 0) {
            FOR_LANES(i, last_col - first_col) out[first_col + i] = CAT(store_, T)(zero);
            continue;
        }
        for (i64 c = first_col; c < last_col; c += TILE)
            LOCAL_NAME(row)(a, out + c, (const T *)a->grad + c, token, last_col - c < TILE ? last_col - c : TILE);
    }
}
#undef ACC
#undef TILE

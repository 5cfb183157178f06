// SPDX-License-Identifier: Apache-2.0
// What matrix products work on, a part of matmul.k.c and matmul_tiles.k.c: a step, a tile, and how a tile's sums become C.
// Of the including kernel: T, ACC, VEC, NR, FINISH_STORE, the vec_store of results,
// and PACKED, what the copies of A and B are made of.
struct LOCAL_NAME(step) {
    i64 batch, row, col, rows, cols; // of C
};

struct LOCAL_NAME(tile) {
    const PACKED *left, *right; // A's rows and B's panel
    ACC *sums;                  // MR x NR: the sums so far, and where they go
    i64 sums_step;              // to the next tile's; 0 in the only pass
    i64 left_row, right_row;    // from one row of A, or of B's panel, to the next
    const char *ahead;          // what to bring to the caches while the tile is multiplied
    i64 ahead_step;             // from one k to the next
    T *direct;                  // where results go straight from registers, or null
    const T *input;             // what is added to those, or null
    i64 row, col, rows, cols, depth;
    int first, last;
};

#define SCALE(name) LOCAL_NAME(number)(a->name.bits)
WORD ACC LOCAL_NAME(number)(const f64 *bits)
{
    ACC x;
    memcpy(&x, bits, sizeof x);
    return x;
}

// One row of a tile's finished sums to C.
WORD void LOCAL_NAME(finish_row)(const matmul_args *a, T *c, const T *input, const ACC *sums, i64 cols, int dense)
{
    const ACC alpha = SCALE(alpha), beta = SCALE(beta);
    i64 i = 0;
    if (dense && input)
        for (; i + VEC <= cols; i += VEC) {
            const vec scaled = vec_mul(vec_splat(alpha), vec_read(sums + i));
            FINISH_STORE(c + i, vec_fma(vec_splat(beta), vec_load(input + i), scaled));
        }
    else if (dense)
        for (; i + VEC <= cols; i += VEC) FINISH_STORE(c + i, vec_mul(vec_splat(alpha), vec_read(sums + i)));
    for (; i < cols; ++i) {
        ACC y = alpha * sums[i];
        if (input) y = beta * (ACC)CAT(load_, T)(input[i * a->input.col]) + y;
        c[i * a->c.col] = CAT(store_, T)(y);
    }
}

static void LOCAL_NAME(finish_rows)(const matmul_args *a, const struct LOCAL_NAME(tile) *tile, i64 batch, i64 from, i64 to)
{
    const matmul_view *in = &a->input, *out = &a->c;
    const int dense = out->col == 1 && (!in->data || in->col == 1);
    for (i64 r = from; r < to; ++r) {
        const i64 row = tile->row + r;
        T *const c = (T *)out->data + batch * out->batch + row * out->row + tile->col * out->col;
        const T *input = 0;
        if (in->data) input = (const T *)in->data + batch * in->batch + row * in->row + tile->col * in->col;
        LOCAL_NAME(finish_row)(a, c, input, tile->sums + r * NR, tile->cols, dense);
    }
}

// SPDX-License-Identifier: Apache-2.0
// Copies of operands for a matrix unit, a part of the kernels on it: tiles of halves as dialect/cpu_tile.h describes them, zero-padded.
// Of the including kernel: T, VEC (TILE_COLS).
WORD i64 LOCAL_NAME(part)(i64 whole, i64 from, i64 most)
{
    return whole - from < most ? whole - from : most;
}

// Elements p[i] and q[i] of VEC columns, side by side.
WORD vec_i32 LOCAL_NAME(pairs)(const T *p, const T *q)
{
    return (vec_i32)(widen_halves(p) | widen_halves(q) << 16);
}

WORD void LOCAL_NAME(write_lines)(T *dst, const vec_i32 *lines)
{
    UNROLL(16) FOR_VEC(k) vec_write_i32((i32 *)dst + k * VEC, lines[k]);
}

// One tile of A: rows x depth elements, the rest zero.
WORD void LOCAL_NAME(pack_left)(T *dst, const T *src, i64 row, i64 col, i64 rows, i64 depth)
{
    if (rows == TILE_ROWS && depth == TILE_DEPTH && row == 1) {
        vec_i32 square[VEC];
        UNROLL(16) FOR_VEC(k) square[k] = LOCAL_NAME(pairs)(src + 2 * k * col, src + (2 * k + 1) * col);
        vec_transpose_i32(square);
        LOCAL_NAME(write_lines)(dst, square);
        return;
    }
    if (rows < TILE_ROWS || depth < TILE_DEPTH) memset(dst, 0, TILE_SIZE * sizeof(T));
    for (i64 r = 0; r < rows; ++r) {
        if (col == 1 && depth == TILE_DEPTH)
            copy_block(dst + r * TILE_DEPTH, src + r * row, TILE_DEPTH * sizeof(T));
        else
            SCALAR_LOOP for (i64 k = 0; k < depth; ++k) dst[r * TILE_DEPTH + k] = src[r * row + k * col];
    }
}

// One tile of B: depth x cols elements, the rest zero.
WORD void LOCAL_NAME(pack_right)(T *dst, const T *src, i64 row, i64 col, i64 depth, i64 cols)
{
    const int whole = depth == TILE_DEPTH && cols == TILE_COLS;
    vec_i32 lines[VEC];
    if (whole && col == 1) {
        UNROLL(16) FOR_VEC(k) lines[k] = LOCAL_NAME(pairs)(src + 2 * k * row, src + (2 * k + 1) * row);
        LOCAL_NAME(write_lines)(dst, lines);
    } else if (whole && row == 1) {
        UNROLL(16) FOR_VEC(k) lines[k] = vec_read_i32((const i32 *)(src + k * col));
        vec_transpose_i32(lines);
        LOCAL_NAME(write_lines)(dst, lines);
    } else {
        memset(dst, 0, TILE_SIZE * sizeof(T));
        for (i64 k = 0; k < depth; ++k)
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c)
                dst[k / 2 * 2 * TILE_COLS + 2 * c + k % 2] = src[k * row + c * col];
    }
}

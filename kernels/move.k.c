// SPDX-License-Identifier: Apache-2.0
// out[row, :] = part 0's row | part 1's row | ...: cat, stack, roll, and, with parts that are filled, padding and the gradients
// of slices and selections.
//
// A row is the joined dimension with all that lies inside it, consecutive in every part; rows run over the outer dimensions, in
// which parts may have any strides. Elements move as words (the host takes 8-byte words where all addresses allow it), so dtypes
// don't matter. A group owns a block of rows; the result is written once, front to back.
// Cost: the traffic, and a few ns for each part of each row.
//
// STRIDED: to[i...] = from[i...] over any strides: rows that are consecutive in both; tiles of TILE x TILE, a cache line each way,
// where `from` is consecutive along dimension 1 (a transposed copy); else element by element.
//
// Defines: T the word; BYTES its size; STRIDED 1 or 0.
#include "move_args.h"

// n consecutive words, cache line by cache line: rows are often too short for the compiler's unrolled loops.
#define LINE (64 / BYTES)
WORD void LOCAL_NAME(words)(T *to, const T *from, i64 n)
{
    i64 i = 0;
    SCALAR_LOOP for (; i + LINE <= n; i += LINE) copy_block(to + i, from + i, 64);
    SCALAR_LOOP for (; i < n; ++i) to[i] = from[i];
}

#if STRIDED
#define TILE (BYTES == 1 ? 32 : LINE > 16 ? 16 : LINE)

WORD void LOCAL_NAME(tile)(T *to, const T *from, i64 rows, i64 cols, i64 to_stride, i64 from_stride)
{
    if (rows == TILE && cols == TILE)
        SCALAR_LOOP for (int r = 0; r < TILE; ++r)
            for (int c = 0; c < TILE; ++c) to[r * to_stride + c] = from[c * from_stride + r];
    else
        SCALAR_LOOP for (i64 r = 0; r < rows; ++r)
            SCALAR_LOOP for (i64 c = 0; c < cols; ++c) to[r * to_stride + c] = from[c * from_stride + r];
}

WORD void LOCAL_NAME(row)(T *to, const T *from, i64 n, i64 to_step, i64 from_step)
{
    if (to_step == 1 && from_step == 1) LOCAL_NAME(words)(to, from, n);
    else if (to_step == 1 && from_step == 0) FOR_LANES(i, n) to[i] = from[0];
    else if (to_step == 1 && from_step == -1) FOR_LANES(i, n) to[i] = from[-i];
    else SCALAR_LOOP for (i64 i = 0; i < n; ++i) to[i * to_step] = from[i * from_step];
}

KERNEL(strided_args, a)
{
    const i64 across = group_id() % a->groups_across, rest = group_id() / a->groups_across;
    const i64 row = rest % a->groups_down * a->group_rows, col = across * a->group_cols;
    const i64 rows = row + a->group_rows < a->size[1] ? a->group_rows : a->size[1] - row;
    const i64 cols = col + a->group_cols < a->size[0] ? a->group_cols : a->size[0] - col;
    const i64 *const ts = a->to_stride, *const fs = a->from_stride;
    i64 outer = rest / a->groups_down;
    T *to = (T *)a->to + row * ts[1] + col * ts[0];
    const T *from = (const T *)a->from + row * fs[1] + col * fs[0];
    SCALAR_LOOP for (int d = 2; d < a->rank; ++d) {
        to += outer % a->size[d] * ts[d];
        from += outer % a->size[d] * fs[d];
        outer /= a->size[d];
    }
    if (ts[0] == 1 && fs[1] == 1 && fs[0] != 1 && rows > 1) {
        for (i64 r = 0; r < rows; r += TILE)
            for (i64 c = 0; c < cols; c += TILE)
                LOCAL_NAME(tile)(to + r * ts[1] + c, from + c * fs[0] + r, rows - r < TILE ? rows - r : TILE, cols - c < TILE ? cols - c : TILE,
                                 ts[1], fs[0]);
        return;
    }
    for (i64 r = 0; r < rows; ++r) LOCAL_NAME(row)(to + r * ts[1], from + r * fs[1], cols, ts[0], fs[0]);
}
#undef TILE
#else
KERNEL(move_args, a)
{
    const i64 first = group_id() * a->group_rows, last = first + a->group_rows < a->rows ? first + a->group_rows : a->rows;
    i64 coordinate[MOVE_RANK], offset[MOVE_PARTS], rest = first;
    SCALAR_LOOP for (int p = 0; p < a->parts; ++p) offset[p] = 0;
    SCALAR_LOOP for (int d = 0; d < a->rank; ++d) {
        coordinate[d] = rest % a->size[d];
        rest /= a->size[d];
        SCALAR_LOOP for (int p = 0; p < a->parts; ++p) offset[p] += coordinate[d] * a->part[p].stride[d];
    }
    for (i64 row = first; row < last; ++row) {
        for (int p = 0; p < a->parts; ++p) {
            const move_part *part = &a->part[p];
            T *const to = (T *)a->out + row * a->row_width + part->at;
            const T *const from = (const T *)part->data + offset[p];
            const i64 width = part->width;
            if (part->data) LOCAL_NAME(words)(to, from, width);
            else FOR_LANES(i, width) to[i] = (T)a->fill;
        }
        SCALAR_LOOP for (int d = 0; d < a->rank; ++d) {
            const i64 by = ++coordinate[d] < a->size[d] ? 1 : 1 - a->size[d];
            SCALAR_LOOP for (int p = 0; p < a->parts; ++p) offset[p] += by * a->part[p].stride[d];
            if (by == 1) break;
            coordinate[d] = 0;
        }
    }
}
#endif
#undef LINE

// SPDX-License-Identifier: Apache-2.0
// out[row, :] = part 0's row | part 1's row | ...: cat, stack, roll, and, with parts that are filled, padding and the gradients
// of slices and selections.
//
// A row is the joined dimension with all that lies inside it, consecutive in every part; rows run over the outer dimensions, in
// which parts may have any strides. Elements move as words (the host takes 8-byte words where all addresses allow it), so dtypes
// don't matter. A group owns a block of rows; the result is written once, front to back.
// Cost: the traffic, and a few ns for each part of each row.
//
// Defines: T the word.
#include "move_args.h"

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
            if (part->data) FOR_LANES(i, width) to[i] = from[i];
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

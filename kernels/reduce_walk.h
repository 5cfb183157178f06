// SPDX-License-Identifier: Apache-2.0
// Where a group of a reducing kernel works: its columns, its part of the reduction, and its place in the outer dimensions.

typedef struct LOCAL_NAME(place) {
    i64 in, out;                 // offsets of the group's first column
    i64 first_output;            // its number among all outputs
    i64 first_col, cols;
    i64 part;
    i64 first, last;             // of the n elements of a run
    i64 first_run, last_run;
} LOCAL_NAME(place);

WORD i64 LOCAL_NAME(least)(i64 x, i64 y) { return x < y ? x : y; }

WORD i64 LOCAL_NAME(offset)(const i64 *size, const i64 *stride, i64 at)
{
    i64 offset = 0;
    SCALAR_LOOP for (int d = 0; d < REDUCE_RANK && at; ++d) {
        offset += at % size[d] * stride[d];
        at /= size[d];
    }
    return offset;
}

WORD LOCAL_NAME(place) LOCAL_NAME(locate)(const reduce_args *a, i64 group)
{
    LOCAL_NAME(place) w;
    const i64 parts = a->combining ? 1 : a->parts;
    w.part = group % parts;
    w.first_col = group / parts % a->tiles * a->tile;
    w.cols = LOCAL_NAME(least)(a->tile, a->cols - w.first_col);
    const i64 outer = group / parts / a->tiles;
    w.in = LOCAL_NAME(offset)(a->outer_size, a->outer_in, outer) + w.first_col * a->col_in;
    w.out = LOCAL_NAME(offset)(a->outer_size, a->outer_out, outer) + w.first_col * a->col_out;
    w.first_output = outer * a->cols + w.first_col;
    const int in_runs = a->part_runs < a->runs;
    w.first = in_runs ? 0 : w.part * a->part_n;
    w.last = in_runs ? a->n : LOCAL_NAME(least)(w.first + a->part_n, a->n);
    w.first_run = in_runs ? w.part * a->part_runs : 0;
    w.last_run = in_runs ? LOCAL_NAME(least)(w.first_run + a->part_runs, a->runs) : a->runs;
    return w;
}

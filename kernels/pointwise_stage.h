// SPDX-License-Identifier: Apache-2.0
// The walk of a pointwise kernel over its group's part of the index space: which memory the vector loop sees next.
//
// The vector loop takes whole blocks of consecutive elements only, so that it needs neither a scalar rest nor versions
// for short runs. What is left of a run goes through small buffers that hold one block of each operand. Operands that
// aren't consecutive are staged (see pointwise.k.c). Nothing here depends on what a kernel computes, and the kernels of a
// translation unit share one copy of it: sizes of elements are arguments.
#ifndef CARAT_KERNELS_POINTWISE_STAGE_H
#define CARAT_KERNELS_POINTWISE_STAGE_H

#include "pointwise_args.h"

enum {
    POINTWISE_BLOCK_BYTES = 1024,                                                // 64 elements of 16 bytes at most
    POINTWISE_BUFFERS = POINTWISE_CHUNK + POINTWISE_BLOCK_BYTES,                 // of one operand: chunk, block
};

#define ELEMENT u8
#include "pointwise_copy.c"
#undef ELEMENT
#define ELEMENT u16
#include "pointwise_copy.c"
#undef ELEMENT
#define ELEMENT u32
#include "pointwise_copy.c"
#undef ELEMENT
#define ELEMENT u64
#include "pointwise_copy.c"
#undef ELEMENT
#define ELEMENT c128
#include "pointwise_copy.c"
#undef ELEMENT

typedef struct pointwise_walk {
    const pointwise_args *args;
    int outputs, operands;                        // how many; outputs come first
    i64 block;                                    // elements that the vector loop takes at a time
    i64 first_row, last_row, first_col, last_col; // the group's part
    i64 row, col, rows, cols;                     // the chunk
    i64 runs, run, length;                        // runs of the chunk, the next one, elements in each
    i64 rest;                                     // elements of the open run that are left for a block of their own
    i64 tail;                                     // elements in the block buffers now,
    b8 *tail_out[POINTWISE_OUTPUTS];              // and where their results belong
    b8 *base[POINTWISE_OPERANDS];                 // the operands at the group's place in the outer dimensions
    b8 *at[POINTWISE_OPERANDS];                   // and at the chunk
    b8 *buffer[POINTWISE_OPERANDS];
    // For the vector loop: where each operand's elements are, how far they are from those of the next block, and how many blocks.
    b8 *now[POINTWISE_OPERANDS];
    i64 step[POINTWISE_OPERANDS];
    i64 blocks;
} pointwise_walk;

WORD i64 pointwise_least(i64 x, i64 y) { return x < y ? x : y; }

SHARED void pointwise_gather(b8 *buffer, const b8 *from, i64 rows, i64 cols, const pointwise_operand *o)
{
    const i64 s1 = o->stride[1], s0 = o->stride[0];
    switch (o->bytes) {
    case 1: pointwise_gather_u8((any_u8 *)buffer, (const any_u8 *)from, rows, cols, s1, s0); break;
    case 2: pointwise_gather_u16((any_u16 *)buffer, (const any_u16 *)from, rows, cols, s1, s0); break;
    case 4: pointwise_gather_u32((any_u32 *)buffer, (const any_u32 *)from, rows, cols, s1, s0); break;
    case 8: pointwise_gather_u64((any_u64 *)buffer, (const any_u64 *)from, rows, cols, s1, s0); break;
    default: pointwise_gather_c128((any_c128 *)buffer, (const any_c128 *)from, rows, cols, s1, s0); break;
    }
}

SHARED void pointwise_scatter(b8 *to, const b8 *buffer, i64 rows, i64 cols, const pointwise_operand *o)
{
    const i64 s1 = o->stride[1], s0 = o->stride[0];
    switch (o->bytes) {
    case 1: pointwise_scatter_u8((any_u8 *)to, (const any_u8 *)buffer, rows, cols, s1, s0); break;
    case 2: pointwise_scatter_u16((any_u16 *)to, (const any_u16 *)buffer, rows, cols, s1, s0); break;
    case 4: pointwise_scatter_u32((any_u32 *)to, (const any_u32 *)buffer, rows, cols, s1, s0); break;
    case 8: pointwise_scatter_u64((any_u64 *)to, (const any_u64 *)buffer, rows, cols, s1, s0); break;
    default: pointwise_scatter_c128((any_c128 *)to, (const any_c128 *)buffer, rows, cols, s1, s0); break;
    }
}

// Goes to a group's part. `buffers` has POINTWISE_BUFFERS bytes for each operand.
SHARED void pointwise_begin(pointwise_walk *w, const pointwise_args *a, i64 group, int outputs, int operands, i64 block, b8 *buffers)
{
    const i64 across = group % a->groups_across, rest = group / a->groups_across;
    const i64 outer = rest / a->groups_down;
    w->args = a;
    w->outputs = outputs;
    w->operands = operands;
    w->block = block;
    w->row = w->first_row = rest % a->groups_down * a->group_rows;
    w->col = w->first_col = across * a->group_cols;
    w->last_row = pointwise_least(w->first_row + a->group_rows, a->size[1]);
    w->last_col = pointwise_least(w->first_col + a->group_cols, a->size[0]);
    w->rows = w->runs = w->run = w->rest = w->tail = 0;
    SCALAR_LOOP for (int j = 0; j < operands; ++j) {
        const pointwise_operand *const o = &a->operand[j];
        i64 offset = 0, left = outer;
        SCALAR_LOOP for (int d = 2; d < POINTWISE_RANK && left; ++d) {
            offset += left % a->size[d] * o->stride[d];
            left /= a->size[d];
        }
        w->base[j] = (b8 *)o->data + offset * o->bytes;
        w->buffer[j] = buffers + j * POINTWISE_BUFFERS;
        w->step[j] = o->staged == POINTWISE_REPEATED ? 0 : block;
    }
}

// Finishes the open chunk and goes to the next one; 0 if there is none.
WORD int pointwise_next_chunk(pointwise_walk *w)
{
    const pointwise_args *const a = w->args;
    if (w->rows) {
        SCALAR_LOOP for (int k = 0; k < w->outputs; ++k)
            if (a->operand[k].staged) pointwise_scatter(w->at[k], w->buffer[k], w->rows, w->cols, &a->operand[k]);
        w->col += a->chunk_cols;
        if (w->col >= w->last_col) {
            w->col = w->first_col;
            w->row += a->chunk_rows;
        }
    }
    if (w->row >= w->last_row) return 0;
    w->rows = pointwise_least(a->chunk_rows, w->last_row - w->row);
    w->cols = pointwise_least(a->chunk_cols, w->last_col - w->col);
    w->runs = a->flat ? 1 : w->rows;
    w->length = a->flat ? w->rows * w->cols : w->cols;
    w->run = 0;
    const int first = w->row == w->first_row && w->col == w->first_col;
    SCALAR_LOOP for (int j = 0; j < w->operands; ++j) {
        const pointwise_operand *const o = &a->operand[j];
        w->at[j] = w->base[j] + (w->row * o->stride[1] + w->col * o->stride[0]) * o->bytes;
        if (j >= w->outputs && (o->staged == POINTWISE_STAGED || (o->staged == POINTWISE_STAGED_ONCE && first)))
            pointwise_gather(w->buffer[j], w->at[j], w->rows, w->cols, o);
    }
    return 1;
}

// Points the vector loop to the next run of the chunk. A repeated element that all rows share fills its block once a group.
WORD void pointwise_begin_run(pointwise_walk *w)
{
    const pointwise_args *const a = w->args;
    const int first = w->run == 0 && w->row == w->first_row && w->col == w->first_col;
    SCALAR_LOOP for (int j = 0; j < w->operands; ++j) {
        const pointwise_operand *const o = &a->operand[j];
        if (o->staged == POINTWISE_IN_PLACE) {
            w->now[j] = w->at[j] + w->run * o->stride[1] * o->bytes;
        } else if (o->staged == POINTWISE_REPEATED) {
            w->now[j] = w->buffer[j];
            if (first || o->stride[1])
                pointwise_gather(w->buffer[j], w->at[j] + w->run * o->stride[1] * o->bytes, 1, w->block, o);
        } else {
            w->now[j] = w->buffer[j] + w->run * w->cols * o->bytes;
        }
    }
    w->blocks = w->length / w->block;
    w->rest = w->length - w->blocks * w->block;
    ++w->run;
}

// What is left of a run becomes a block in the operands' block buffers, the last elements of which are zeros.
WORD void pointwise_begin_tail(pointwise_walk *w)
{
    w->tail = w->rest;
    w->rest = 0;
    SCALAR_LOOP for (int j = 0; j < w->operands; ++j) {
        const i64 bytes = w->args->operand[j].bytes;
        b8 *const from = w->now[j] + w->blocks * w->step[j] * bytes, *const block = w->buffer[j] + POINTWISE_CHUNK;
        if (j < w->outputs) {
            w->tail_out[j] = from;
        } else if (w->step[j]) {
            memset(block, 0, (size_t)(w->block * bytes));
            memcpy(block, from, (size_t)(w->tail * bytes));
        }
        if (w->step[j]) w->now[j] = block;
    }
    w->blocks = 1;
}

WORD void pointwise_end_tail(pointwise_walk *w)
{
    SCALAR_LOOP for (int k = 0; k < w->outputs; ++k)
        memcpy(w->tail_out[k], w->now[k], (size_t)(w->tail * w->args->operand[k].bytes));
    w->tail = 0;
}

// Makes the next blocks ready for the vector loop; 0 when the group is done.
SHARED int pointwise_next(pointwise_walk *w)
{
    SYNC();
    if (w->tail) pointwise_end_tail(w);
    if (w->rest) {
        pointwise_begin_tail(w);
    } else {
        if (w->run == w->runs && !pointwise_next_chunk(w)) return 0;
        pointwise_begin_run(w);
        if (w->blocks == 0) pointwise_begin_tail(w);
    }
    SYNC();
    return 1;
}

#endif

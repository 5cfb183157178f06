// SPDX-License-Identifier: Apache-2.0
// The plan of a pointwise launch: order and merge dimensions, decide which operands are staged, cut the index space
// into groups and chunks (see kernels/pointwise.k.c for what these mean).
#include "core/integer.h"
#include "core/kernel_types.h"
#include "ops/pointwise_space.h"
#include "pointwise_args.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(POINTWISE_RANK == CARAT_POINTWISE_RANK && POINTWISE_OUTPUTS == CARAT_MAX_OUTPUTS && POINTWISE_INPUTS == CARAT_POINTWISE_INPUTS
                   && POINTWISE_SCALARS == CARAT_POINTWISE_SCALARS, "host and kernel agree");

enum {
    GROUP_ELEMENTS = 32768,  // a group's work: large against its set-up, small against a thread's share
    THREAD_ELEMENTS = 32768, // below this a second thread costs more than it brings
    SHORT_ROW = 64,          // rows below this many columns are run together
    TILE = 64,               // columns of a transposed chunk: the longest block that kernels take at a time
};

static int64_t at_least_one(int64_t n)
{
    return n > 1 ? n : 1;
}

static int64_t buffer_elements(const pointwise_args *a, int operands)
{
    int64_t largest = 1;
    for (int j = 0; j < operands; ++j)
        if (a->operand[j].bytes > largest) largest = a->operand[j].bytes;
    return POINTWISE_CHUNK / largest;
}

static void choose_chunks(pointwise_args *a, const carat_pointwise_space *s, bool transposed, int64_t buffer)
{
    const int64_t cols = a->size[0], rows = a->size[1];
    bool any_staged = false;
    a->flat = rows > 1 && cols < SHORT_ROW;
    for (int j = 0; j < s->operands; ++j) {
        pointwise_operand *o = &a->operand[j];
        const bool linear = o->stride[0] == 1 && (!a->flat || o->stride[1] == cols);
        const bool same_rows = o->stride[1] == 0;
        o->staged = linear || cols * rows == 1 ? POINTWISE_IN_PLACE
                    : j >= s->outputs && o->stride[0] == 0 && (same_rows || !a->flat) ? POINTWISE_REPEATED
                    : j >= s->outputs && same_rows && a->flat ? POINTWISE_STAGED_ONCE : POINTWISE_STAGED;
        any_staged = any_staged || o->staged == POINTWISE_STAGED || o->staged == POINTWISE_STAGED_ONCE;
    }
    if (a->flat) {
        a->chunk_cols = cols;
        a->chunk_rows = at_least_one(buffer / cols);
    } else if (transposed) {
        a->chunk_cols = smaller(TILE, buffer / 8);
        a->chunk_rows = smaller(buffer / a->chunk_cols, rows); // 64 bytes of a transposed column, or more
        a->chunk_cols *= buffer / (a->chunk_rows * a->chunk_cols);
    } else {
        a->chunk_cols = any_staged ? buffer : at_least_one(cols);
        a->chunk_rows = 1;
    }
}

static void choose_groups(pointwise_args *a)
{
    a->group_cols = a->size[0];
    if (a->size[0] > GROUP_ELEMENTS && !a->flat)
        a->group_cols = a->chunk_cols < GROUP_ELEMENTS ? GROUP_ELEMENTS / a->chunk_cols * a->chunk_cols : GROUP_ELEMENTS;
    const int64_t chunks_down = at_least_one(GROUP_ELEMENTS / at_least_one(a->group_cols * a->chunk_rows));
    a->group_rows = smaller(chunks_down * a->chunk_rows, a->size[1]);
    a->groups_across = (a->size[0] + a->group_cols - 1) / a->group_cols;
    a->groups_down = (a->size[1] + a->group_rows - 1) / a->group_rows;
}

// Everything consecutive (or one number): the common case, planned without looking at dimensions.
static bool plan_contiguous(pointwise_args *a, const carat_pointwise *launch, int outputs, int inputs, int64_t numel)
{
    for (int k = 0; k < outputs; ++k) {
        if (!carat_is_contiguous(launch->out[k])) return false;
        a->operand[k].stride[0] = 1;
    }
    for (int j = 0; j < inputs; ++j) {
        const carat_tensor *in = launch->in[j];
        const bool number = in->ndim == 0 && numel != 1;
        if (!number && !(carat_same_shape(in, launch->out[0]) && carat_is_contiguous(in))) return false;
        a->operand[outputs + j].stride[0] = !number;
        a->operand[outputs + j].staged = number ? POINTWISE_REPEATED : POINTWISE_IN_PLACE;
    }
    a->size[0] = numel;
    a->chunk_rows = 1;
    a->chunk_cols = numel;
    return true;
}

// The operands' memory and the scalars; clears what the plan fills in.
static void fill_arguments(pointwise_args *a, const carat_pointwise *launch, const carat_pointwise_row *row, int outputs)
{
    const int operands = outputs + row->inputs;
    memset(a, 0, offsetof(pointwise_args, operand) + sizeof *a->operand * (size_t)operands);
    for (int d = 0; d < POINTWISE_RANK; ++d) a->size[d] = 1;
    for (int j = 0; j < operands; ++j) {
        const carat_tensor *tensor = j < outputs ? launch->out[j] : launch->in[j - outputs];
        a->operand[j].data = carat_data(tensor);
        a->operand[j].bytes = (i64)carat_dtype_size(carat_dtype_of(tensor));
    }
    for (int i = 0; i < row->scalars; ++i)
        carat_scalar_store(launch->scalar[i], carat_pointwise_scalar_dtype(row, launch, i), a->scalar[i].bits);
}

carat_status carat_pointwise_launch(const carat_frame *call, const carat_pointwise *launch)
{
    const carat_pointwise_row *row = carat_pointwise_row_at(launch->row);
    const int64_t numel = carat_numel(launch->out[0]);
    if (numel == 0) return CARAT_OK;
    if (carat_has_lanes(call)) return carat_pointwise_launch_lanes(call, launch);
    const int outputs = carat_pointwise_outputs(row), inputs = row->inputs;
    pointwise_args a;
    fill_arguments(&a, launch, row, outputs);
    if (!plan_contiguous(&a, launch, outputs, inputs, numel)) {
        carat_pointwise_space s;
        carat_pointwise_shape(&s, launch, outputs, inputs);
        const bool transposed = carat_pointwise_find_transposed(&s);
        if (s.rank > POINTWISE_RANK) return carat_step_aside("rank");
        memcpy(a.size, s.size, sizeof *a.size * (size_t)s.rank);
        for (int j = 0; j < s.operands; ++j) memcpy(a.operand[j].stride, s.stride[j], sizeof *s.stride[j] * (size_t)s.rank);
        choose_chunks(&a, &s, transposed, buffer_elements(&a, s.operands));
    }
    choose_groups(&a);
    int64_t groups = a.groups_across * a.groups_down;
    for (int d = 2; d < POINTWISE_RANK; ++d) groups *= a.size[d];
    const int64_t grain = at_least_one(THREAD_ELEMENTS / (a.group_rows * a.group_cols));
    carat_kernel kernel = launch->kernel;
    if (!kernel.handle) CARAT_TRY(carat_pointwise_find_kernel(call, launch, carat_dtype_of(launch->out[0]), &kernel));
    return call->backend->launch(call->context, call->device, kernel, &a, sizeof a, groups, grain);
}

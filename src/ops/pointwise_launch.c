// SPDX-License-Identifier: Apache-2.0
// The plan of a pointwise launch: order and merge dimensions, decide which operands are staged, cut the index space
// into groups and chunks (see kernels/pointwise.k.c for what these mean).
#include "core/integer.h"
#include "core/kernel_types.h"
#include "ops/pointwise_space.h"
#include "pointwise_args.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(POINTWISE_RANK == CARAT_POINTWISE_RANK && POINTWISE_INPUTS == CARAT_POINTWISE_INPUTS
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

static int64_t buffer_elements(const carat_pointwise *launch, int inputs)
{
    size_t largest = carat_dtype_size(carat_dtype_of(launch->out));
    for (int j = 0; j < inputs; ++j) {
        const size_t size = carat_dtype_size(carat_dtype_of(launch->in[j]));
        if (size > largest) largest = size;
    }
    return POINTWISE_CHUNK / (int64_t)largest;
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
                    : j > 0 && o->stride[0] == 0 && (same_rows || !a->flat) ? POINTWISE_REPEATED
                    : j > 0 && same_rows && a->flat ? POINTWISE_STAGED_ONCE : POINTWISE_STAGED;
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
static bool plan_contiguous(pointwise_args *a, const carat_pointwise *launch, int inputs, int64_t numel)
{
    if (!carat_is_contiguous(launch->out)) return false;
    for (int j = 0; j < inputs; ++j) {
        const carat_tensor *in = launch->in[j];
        const bool number = in->ndim == 0 && numel != 1;
        if (!number && !(carat_same_shape(in, launch->out) && carat_is_contiguous(in))) return false;
        a->operand[1 + j].stride[0] = !number;
        a->operand[1 + j].staged = number ? POINTWISE_REPEATED : POINTWISE_IN_PLACE;
    }
    a->operand[0].stride[0] = 1;
    a->size[0] = numel;
    a->chunk_rows = 1;
    a->chunk_cols = numel;
    return true;
}

carat_status carat_pointwise_launch(const carat_frame *call, const carat_pointwise *launch)
{
    const carat_pointwise_row *row = carat_pointwise_row_at((int)launch->row);
    const int64_t numel = carat_numel(launch->out);
    if (numel == 0) return CARAT_OK;
    const int inputs = row->inputs;
    if (carat_has_lanes(call)) return carat_pointwise_launch_lanes(call, launch);
    pointwise_args a;
    memset(&a, 0, sizeof a);
    for (int d = 0; d < POINTWISE_RANK; ++d) a.size[d] = 1;
    for (int j = 0; j <= inputs; ++j) {
        const carat_tensor *tensor = j ? launch->in[j - 1] : launch->out;
        a.operand[j].data = carat_data(tensor);
        a.operand[j].bytes = (i64)carat_dtype_size(carat_dtype_of(tensor));
    }
    const carat_dtype scalars = row->raw ? carat_dtype_of(launch->out) : launch->compute;
    for (int i = 0; i < row->scalars; ++i) carat_scalar_store(launch->scalar[i], scalars, a.scalar[i].bits);

    if (!plan_contiguous(&a, launch, inputs, numel)) {
        carat_pointwise_space s;
        carat_pointwise_shape(&s, launch, inputs);
        const bool transposed = carat_pointwise_find_transposed(&s);
        if (s.rank > POINTWISE_RANK) return carat_step_aside("rank");
        memcpy(a.size, s.size, sizeof *a.size * (size_t)s.rank);
        for (int j = 0; j <= inputs; ++j) memcpy(a.operand[j].stride, s.stride[j], sizeof *s.stride[j] * (size_t)s.rank);
        choose_chunks(&a, &s, transposed, buffer_elements(launch, inputs));
    }
    choose_groups(&a);
    int64_t groups = a.groups_across * a.groups_down;
    for (int d = 2; d < POINTWISE_RANK; ++d) groups *= a.size[d];
    const int64_t grain = at_least_one(THREAD_ELEMENTS / (a.group_rows * a.group_cols));
    carat_kernel kernel = launch->kernel;
    if (!kernel.handle) CARAT_TRY(carat_pointwise_find_kernel(call, launch, carat_dtype_of(launch->out), &kernel));
    return call->backend->launch(call->context, call->device, kernel, &a, sizeof a, groups, grain);
}

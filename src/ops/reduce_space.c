// SPDX-License-Identifier: Apache-2.0
// From a tensor and the dimensions to reduce to a launch: sort and merge dimensions, walk along what is contiguous, cut
// into groups by shape alone.
#include "ops/reduce_space.h"

#include "core/integer.h"

#include <string.h>

enum {
    GROUP_ELEMENTS = 16384,  // a group's work: large against its set-up, small against a thread's share
    THREAD_ELEMENTS = 32768, // below this a second thread costs more than it brings
    ENOUGH_GROUPS = 8,       // with fewer, the reduction itself is cut into parts
    MOST_PARTS = 256,        // of rows
    COLUMN_PARTS = 16,       // of columns, whose many partial results cost traffic; over all tiles
    SHORT_ROW = 20,          // rows below this are reduced side by side, as columns with a stride
    NARROW = 128,            // fewer columns than this are folded, several rows side by side,
    FOLDED = 1024,           // to at most so many
};

carat_status carat_reduction_dims(const carat_frame *call, int at, carat_reduction *reduction)
{
    const int ndim = reduction->in->ndim;
    const uint32_t every = ndim ? (1u << ndim) - 1 : 0;
    const carat_arg *arg = at >= 0 && at < call->nargs ? &call->args[at] : NULL;
    reduction->dims = every;
    if (!arg || arg->kind == CARAT_ARG_NONE) return CARAT_OK;
    if (arg->kind != CARAT_ARG_INT && arg->kind != CARAT_ARG_INTS) return carat_step_aside("argument kind");
    const int64_t *items = arg->kind == CARAT_ARG_INT ? &arg->i : arg->ints.items;
    const int64_t count = arg->kind == CARAT_ARG_INT ? 1 : arg->ints.count;
    if (count == 0) return CARAT_OK;
    uint32_t seen = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int d = carat_wrap_dim(items[i], ndim);
        if (d < 0) return carat_step_aside("dim out of range");
        if (seen >> d & 1) return carat_step_aside("dim appears twice");
        seen |= 1u << d;
    }
    reduction->dims = seen & every;
    return CARAT_OK;
}

int carat_reduction_shape(const carat_reduction *reduction, int64_t *shape)
{
    int ndim = 0;
    for (int d = 0; d < reduction->in->ndim; ++d) {
        const bool reduced = reduction->dims >> d & 1;
        if (!reduced) shape[ndim++] = reduction->in->shape[d];
        else if (reduction->keepdim) shape[ndim++] = 1;
    }
    return ndim;
}

int64_t carat_reduction_count(const carat_reduction *reduction)
{
    int64_t count = 1;
    for (int d = 0; d < reduction->in->ndim; ++d)
        if (reduction->dims >> d & 1) count *= reduction->in->shape[d];
    return count;
}

carat_along carat_reduction_along(const carat_reduction *reduction)
{
    const carat_tensor *in = reduction->in;
    for (int d = 0; d < in->ndim; ++d)
        if (in->strides[d] == 1 && in->shape[d] > 1) return reduction->dims >> d & 1 ? CARAT_ALONG_REDUCED : CARAT_ALONG_KEPT;
    return CARAT_ALONG_NONE;
}

// ---- dimensions

static void insert(carat_reduce_dims *to, int64_t size, int64_t in, int64_t out, bool ordered)
{
    int at = to->rank++;
    for (; at > 0 && (ordered || to->in[at - 1] > in); --at) {
        to->size[at] = to->size[at - 1];
        to->in[at] = to->in[at - 1];
        to->out[at] = to->out[at - 1];
    }
    to->size[at] = size;
    to->in[at] = in;
    to->out[at] = out;
}

static void merge(carat_reduce_dims *d)
{
    int last = 0;
    for (int i = 1; i < d->rank; ++i) {
        if (d->in[i] == d->size[last] * d->in[last] && d->out[i] == d->size[last] * d->out[last]) {
            d->size[last] *= d->size[i];
            continue;
        }
        ++last;
        d->size[last] = d->size[i];
        d->in[last] = d->in[i];
        d->out[last] = d->out[i];
    }
    if (d->rank) d->rank = last + 1;
}

void carat_reduce_split(const carat_reduction *r, const carat_tensor *out, bool ordered, carat_reduce_dims *kept,
                        carat_reduce_dims *reduced)
{
    kept->rank = reduced->rank = 0;
    const bool all_there = out->ndim == r->in->ndim;
    for (int d = 0, o = 0; d < r->in->ndim; ++d) {
        const bool is_reduced = r->dims >> d & 1;
        const int64_t size = r->in->shape[d];
        if (size != 1) {
            if (is_reduced) insert(reduced, size, r->in->strides[d], 0, ordered);
            else insert(kept, size, r->in->strides[d], out->strides[o], false);
        }
        o += all_there || !is_reduced;
    }
    merge(kept);
    merge(reduced);
}

// ---- cutting

// Narrow contiguous columns: 2^k rows count as one of 2^k times as many columns, so that a vector is filled.
static void fold(reduce_args *a, int64_t outer)
{
    if (a->col_in != 1 || a->n_in != a->cols || a->runs != 1 || outer != 1 || a->cols >= NARROW) return;
    int64_t times = 1;
    while (2 * times * a->cols <= FOLDED && 8 * times <= a->n) times *= 2;
    if (times == 1) return;
    a->folded = 1;
    a->ragged = a->n % times * a->cols;
    a->n /= times;
    a->cols *= times;
    a->n_in = a->cols;
}

static void cut_parts(reduce_args *a, int64_t groups)
{
    const int64_t work = a->n * a->runs * a->tile;
    if (groups >= ENOUGH_GROUPS || work < 2 * GROUP_ELEMENTS) return;
    const int64_t most = a->by_columns ? pieces(COLUMN_PARTS, groups) : MOST_PARTS;
    const int64_t part = larger(larger(GROUP_ELEMENTS, pieces(work, most)) / a->tile, 1); // elements of a column
    if (a->runs > 1 && a->n <= part) {
        a->part_runs = larger(part / a->n, 1);
        a->parts = pieces(a->runs, a->part_runs);
    } else if (a->n > a->runs) {
        const int64_t step = a->by_columns ? 8 : 64;
        a->part_n = pieces(larger(part / a->runs, step), step) * step;
        a->parts = pieces(a->n, a->part_n);
    } else {
        a->part_runs = pieces(a->runs, smaller(a->runs, most));
        a->parts = pieces(a->runs, a->part_runs);
    }
}

static void cut(carat_reduce_launch *launch, int64_t outer)
{
    reduce_args *a = &launch->args;
    const int64_t work = larger(a->n * a->runs, 1);
    a->tile = a->by_columns ? smaller(a->cols, REDUCE_TILE) : smaller(a->cols, smaller(REDUCE_TILE, larger(GROUP_ELEMENTS / work, 1)));
    a->tiles = pieces(a->cols, a->tile);
    a->parts = 1;
    a->part_n = a->n;
    a->part_runs = a->runs;
    cut_parts(a, outer * a->tiles);
    launch->groups = outer * a->tiles * a->parts;
    const int64_t group = larger(larger(smaller(a->part_n, a->n), 1) * larger(smaller(a->part_runs, a->runs), 1) * a->tile, 1);
    launch->grain = larger(THREAD_ELEMENTS / group, 1);
}

carat_status carat_reduce_plan(const carat_reduction *reduction, const carat_tensor *out, int flags, carat_reduce_launch *launch)
{
    reduce_args *a = &launch->args;
    carat_reduce_dims kept, reduced;
    carat_reduce_split(reduction, out, flags & CARAT_REDUCE_ORDERED, &kept, &reduced);
    if (kept.rank > REDUCE_RANK + 1 || reduced.rank > REDUCE_RANK + 1) return carat_step_aside("rank");
    memset(a, 0, sizeof *a);
    a->in = carat_data(reduction->in);
    a->out = carat_data(out);
    a->cols = kept.rank ? kept.size[0] : 1;
    a->col_in = kept.rank ? kept.in[0] : 1;
    a->col_out = kept.rank ? kept.out[0] : 1;
    a->n = reduced.rank ? reduced.size[0] : 1;
    a->n_in = reduced.rank ? reduced.in[0] : 1;
    a->runs = 1;
    int64_t outer = 1;
    for (int d = 1; d < kept.rank; ++d) {
        outer *= a->outer_size[d - 1] = kept.size[d];
        a->outer_in[d - 1] = kept.in[d];
        a->outer_out[d - 1] = kept.out[d];
    }
    for (int d = 1; d < reduced.rank; ++d) {
        a->runs *= a->run_size[d - 1] = reduced.size[d];
        a->run_in[d - 1] = reduced.in[d];
    }
    a->outputs = a->cols * outer;
    a->by_columns = kept.rank && (!reduced.rank || a->col_in < a->n_in || (a->n < SHORT_ROW && a->n < a->cols));
    if (a->by_columns && !(flags & (CARAT_REDUCE_UNFOLDED | CARAT_REDUCE_ORDERED))) fold(a, outer);
    cut(launch, outer);
    return CARAT_OK;
}

// ---- running

carat_status carat_reduce_run(const carat_frame *call, const carat_key *key, carat_reduce_launch *launch, size_t partial_bytes,
                              size_t second_bytes)
{
    reduce_args *a = &launch->args;
    if (a->parts == 1) return carat_run_kernel(call, key, a, sizeof *a, launch->groups, launch->grain);
    const size_t count = (size_t)(a->parts * a->outputs);
    char *scratch = carat_alloc(count * (partial_bytes + second_bytes));
    if (!scratch) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %zu partial results", count);
    a->partial = scratch;
    a->partial_second = scratch + count * partial_bytes;
    carat_status status = carat_run_kernel(call, key, a, sizeof *a, launch->groups, launch->grain);
    a->combining = 1;
    if (a->folded) {
        a->cols = a->tile = a->outputs;
        a->tiles = 1;
    } else {
        a->tile = smaller(a->cols, REDUCE_TILE);
        a->tiles = pieces(a->cols, a->tile);
    }
    const int64_t groups = a->outputs / a->cols * a->tiles;
    if (status == CARAT_OK)
        status = carat_run_kernel(call, key, a, sizeof *a, groups, larger(THREAD_ELEMENTS / (a->tile * a->parts), 1));
    carat_free(scratch);
    return status;
}

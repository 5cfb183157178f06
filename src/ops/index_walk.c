// SPDX-License-Identifier: Apache-2.0
// The plan of an indexed move: drop and merge dimensions, decide which of them a group must walk alone, fill the kernel's
// arguments (see kernels/index.k.c), and the kernels that there are.
#include "ops/index_row.h"

#include "jit/jit.h"
#include <string.h>

enum {
    GROUP_ELEMENTS = 16384, // of rows that are copied whole
    GROUP_LOOKUPS = 4096,   // of elements that each have an index
    THREAD_ELEMENTS = 32768,
    NARROW = 64,            // columns that a group has at least
};

// ---- kernels

// key.params: [0] writes, [1] combine, [2] index is i32. key.dtypes[0]: element type, for CARAT_PUT one of its size.
static carat_key make_key(bool writes, carat_combine combine, carat_dtype dtype, bool narrow_index)
{
    carat_key key = { .family = CARAT_FAMILY_index };
    key.params[0] = writes;
    key.params[1] = (uint8_t)combine;
    key.params[2] = narrow_index;
    key.dtypes[0] = (uint8_t)(combine == CARAT_PUT ? carat_raw_dtype(dtype) : dtype);
    return key;
}

void carat_walk_describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const combines[CARAT_COMBINE_COUNT] = {
        "f", "t + alpha * f", "t * f", "k_minimum(t, f)", "k_maximum(t, f)",
    };
    if (target->lanes > 1) carat_walk_describe_lanes(key, defines);
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "I", "%s", key->params[2] ? "i32" : "i64");
    carat_define(defines, "WRITES", "%d", key->params[0]);
    carat_define(defines, "ARITHMETIC", "%d", key->params[1] != CARAT_PUT);
    carat_define(defines, "COMBINE(t, f)", "%s", combines[key->params[1]]);
}

void carat_walk_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_walk_enumerate_lanes(emit, arg);
        return;
    }
    for (int s = 0; s < CARAT_RAW_DTYPE_COUNT; ++s)
        for (int form = 0; form < 4; ++form) {
            const carat_key key = make_key(form & 1, CARAT_PUT, carat_raw_dtypes[s], form >> 1);
            emit(arg, &key);
        }
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (int combine = CARAT_ADD; combine < CARAT_COMBINE_COUNT; ++combine) {
            if (!carat_dtype_in(dtype, CARAT_REALS)) continue;
            const carat_key key = make_key(true, (carat_combine)combine, dtype, false);
            emit(arg, &key);
        }
}

static carat_key key_of(const carat_walk *walk)
{
    return make_key(walk->writes, walk->combine, walk->dtype, walk->index_dtype == CARAT_i32);
}

// ---- plan

// The space while it is being shaped, innermost dimension first.
static void drop_dim(index_args *a, int d)
{
    --a->rank;
    for (int e = d; e < a->rank; ++e) {
        a->size[e] = a->size[e + 1];
        a->to_stride[e] = a->to_stride[e + 1];
        a->from_stride[e] = a->from_stride[e + 1];
        for (int k = 0; k < a->indices; ++k) a->index[k].stride[e] = a->index[k].stride[e + 1];
    }
}

static bool mergeable(int64_t inner_size, const int64_t *stride)
{
    return stride[1] == inner_size * stride[0];
}

static void merge_dims(index_args *a)
{
    for (int d = 0; d + 1 < a->rank;) {
        bool all = mergeable(a->size[d], a->to_stride + d) && mergeable(a->size[d], a->from_stride + d);
        for (int k = 0; k < a->indices; ++k) all = all && mergeable(a->size[d], a->index[k].stride + d);
        if (!all) {
            ++d;
            continue;
        }
        a->size[d + 1] *= a->size[d];
        a->to_stride[d + 1] = a->to_stride[d];
        a->from_stride[d + 1] = a->from_stride[d];
        for (int k = 0; k < a->indices; ++k) a->index[k].stride[d + 1] = a->index[k].stride[d];
        drop_dim(a, d);
    }
}

static void swap(int64_t *values, int a, int b)
{
    const int64_t value = values[a];
    values[a] = values[b];
    values[b] = value;
}

static void swap_dims(index_args *a, int d, int e)
{
    swap(a->size, d, e);
    swap(a->to_stride, d, e);
    swap(a->from_stride, d, e);
    for (int k = 0; k < a->indices; ++k) swap(a->index[k].stride, d, e);
}

// By how much an operand moves along dimension d where it moves at all.
static int64_t pace(const index_args *a, const int64_t *stride, bool indexed, int d)
{
    for (int k = 0; indexed && k < a->indices; ++k)
        if (a->index[k].stride[d] != 0) return a->index[k].step;
    return stride[d];
}

static bool has_unit_pace(const carat_walk *walk, const index_args *a, int d)
{
    return pace(a, a->to_stride, walk->writes, d) == 1 || pace(a, a->from_stride, !walk->writes, d) == 1;
}

// Dimension 0 should follow cache lines: where neither operand does so there, a dimension in which one does takes its place.
// But elements that may be written to one place keep their order.
static void face_lines(const carat_walk *walk, index_args *a)
{
    enum { LONG = 16 };
    int unordered = 0;
    for (int d = 0; walk->writes && d < a->rank; ++d) unordered += a->to_stride[d] == 0;
    if (unordered > 1) return;
    for (int d = 0; d < a->rank; ++d) {
        if (!has_unit_pace(walk, a, d) || (d > 0 && a->size[d] < LONG)) continue;
        if (d > 0) swap_dims(a, 0, d);
        return;
    }
}

static bool fill_space(const carat_walk *walk, index_args *a)
{
    a->rank = 0;
    a->indices = walk->indices;
    for (int d = walk->ndim; d-- > 0;) {
        if (walk->shape[d] == 1) continue;
        if (a->rank == INDEX_RANK) return false;
        a->size[a->rank] = walk->shape[d];
        a->to_stride[a->rank] = walk->to_strides[d];
        a->from_stride[a->rank] = walk->from_strides[d];
        for (int k = 0; k < a->indices; ++k) a->index[k].stride[a->rank] = walk->index[k].strides[d];
        ++a->rank;
        if (a->rank > 1) merge_dims(a);
    }
    for (int d = (int)a->rank; d < INDEX_RANK; ++d) a->size[d] = 1;
    for (int k = 0; k < a->indices; ++k) {
        a->index[k].data = walk->index[k].data;
        a->index[k].step = walk->index[k].step;
        a->index[k].size = walk->index[k].size;
        a->index[k].wrap = walk->index[k].wraps ? walk->index[k].size : 0;
    }
    face_lines(walk, a);
    return true;
}

// Writing, dimensions where `to` stands still but for its indices go into one group: next after dimension 0, as its rows.
// Other dimensions separate places, so they may be cut. True if the rows may be.
static bool choose_rows(const carat_walk *walk, index_args *a)
{
    int serial = 0;
    for (int d = 1; walk->writes && d < a->rank; ++d) {
        if (a->to_stride[d] != 0) continue;
        for (int e = d; e > serial + 1; --e) swap_dims(a, e, e - 1);
        ++serial;
    }
    a->row_dims = serial ? serial : (a->rank > 1 ? a->rank - 1 : 0);
    a->rows = 1;
    for (int d = 1; d <= a->row_dims; ++d) a->rows *= a->size[d];
    return serial == 0;
}

static int64_t between(int64_t low, int64_t value, int64_t high)
{
    return value > high ? high : value < low ? low : value;
}

// Parts of dimension 0 and of the rows. Returns the number of groups.
static int64_t choose_groups(const carat_walk *walk, index_args *a, bool cut_rows)
{
    const bool cut_columns = !walk->writes || a->to_stride[0] != 0;
    a->constant_along_rows = 1;
    for (int k = 0; k < a->indices; ++k)
        if (a->index[k].stride[0] != 0 && a->size[0] > 1) a->constant_along_rows = 0;
    const int64_t wanted = a->constant_along_rows ? GROUP_ELEMENTS : GROUP_LOOKUPS;
    int64_t outer = 1;
    for (int64_t d = a->row_dims + 1; d < a->rank; ++d) outer *= a->size[d];
    a->group_cols = cut_columns ? between(1, wanted, a->size[0]) : a->size[0];
    // Rows in one piece leave only columns to share: cut them finer, down to whole cache lines.
    if (!cut_rows && cut_columns && outer < 8) a->group_cols = between(1, between(NARROW, (a->size[0] / 4 + 15) / 16 * 16, wanted), a->size[0]);
    a->group_rows = cut_rows ? between(1, wanted / a->group_cols, a->rows) : a->rows;
    a->groups_across = (a->size[0] + a->group_cols - 1) / a->group_cols;
    a->groups_down = (a->rows + a->group_rows - 1) / a->group_rows;
    return a->groups_across * a->groups_down * outer;
}

carat_status carat_walk_check(const carat_frame *call, const carat_walk *walk)
{
    index_args a;
    carat_kernel kernel;
    if (walk->indices > INDEX_TENSORS) return carat_step_aside("number of index tensors");
    if (walk->ndim > INDEX_RANK && !fill_space(walk, &a)) return carat_step_aside("rank");
    for (int k = 0; k < walk->indices; ++k)
        if (walk->index[k].size == 0) return carat_step_aside("index into nothing");
    if (carat_has_lanes(call)) return CARAT_OK; // the kernel depends on the result's layout
    const carat_key key = key_of(walk);
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

carat_status carat_walk_run(const carat_frame *call, const carat_walk *walk)
{
    index_args a;
    uint32_t out_of_range = 0;
    for (int d = 0; d < walk->ndim; ++d)
        if (walk->shape[d] == 0) return CARAT_OK;
    if (!fill_space(walk, &a)) return carat_step_aside("rank");
    if (a.rank == 0) {
        a.rank = 1;
        a.to_stride[0] = a.from_stride[0] = 0;
        for (int k = 0; k < a.indices; ++k) a.index[k].stride[0] = 0;
    }
    if (carat_has_lanes(call)) return carat_walk_run_lanes(call, walk, &a);
    const bool cut_rows = choose_rows(walk, &a);
    const int64_t groups = choose_groups(walk, &a, cut_rows);
    a.to = walk->to;
    a.from = walk->from;
    a.out_of_range = &out_of_range;
    memset(a.alpha, 0, sizeof a.alpha);
    if (walk->combine == CARAT_ADD) carat_scalar_store(walk->alpha, carat_compute_dtype(walk->dtype), a.alpha);
    const carat_key key = key_of(walk);
    const int64_t work = a.group_rows * a.group_cols * (a.constant_along_rows ? 1 : 4);
    CARAT_TRY(carat_run_kernel(call, &key, &a, sizeof a, groups, between(1, THREAD_ELEMENTS / (work ? work : 1), groups)));
    return out_of_range ? carat_fail(CARAT_OUT_OF_RANGE, "%s: an index is out of range", call->op->name) : CARAT_OK;
}

// ---- checking before writing

// Negative where one of n values was out of [0, limit]: a difference has the sign bit for that, which or-ing keeps.
static int64_t outside(const int64_t *values, int64_t n, int64_t limit)
{
    uint64_t seen = 0;
    for (int64_t i = 0; i < n; ++i) seen |= (uint64_t)values[i] | ((uint64_t)limit - (uint64_t)values[i]);
    return (int64_t)seen;
}

// Both extremes in one pass without branches, in blocks so that the compiler keeps them in registers.
carat_status carat_index_check(const carat_tensor *index, int64_t size, bool wraps)
{
    const int64_t numel = carat_numel(index);
    const bool narrow = carat_dtype_of(index) == CARAT_i32;
    int64_t low = 0, high = 0, at[CARAT_MAX_DIMS] = { 0 };
    if (numel == 0) return CARAT_OK;
    if (!narrow && !wraps && carat_is_contiguous(index))
        return outside(carat_data(index), numel, size - 1) < 0 ? carat_step_aside("index out of range") : CARAT_OK;
    const int last = index->ndim - 1;
    const int64_t n = last < 0 ? 1 : index->shape[last], step = last < 0 ? 1 : index->strides[last];
    const int64_t distinct = step == 0 ? 1 : n;
    const int64_t *wide = carat_data(index);
    const int32_t *small = carat_data(index);
    int64_t offset = 0;
    for (;;) {
        for (int64_t i = 0; i < distinct; ++i) {
            const int64_t value = narrow ? small[offset + i * step] : wide[offset + i * step];
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
        int d = last - 1;
        for (; d >= 0; --d) {
            if (index->strides[d] == 0) continue; // repeats what was seen
            offset += index->strides[d];
            if (++at[d] < index->shape[d]) break;
            offset -= index->strides[d] * index->shape[d];
            at[d] = 0;
        }
        if (d < 0) break;
    }
    return low < (wraps ? -size : 0) || high >= size ? carat_step_aside("index out of range") : CARAT_OK;
}

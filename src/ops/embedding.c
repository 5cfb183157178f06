// SPDX-License-Identifier: Apache-2.0
// embedding_dense_backward(grad_output, indices, num_weights, padding_idx, scale_grad_by_freq).
#include "ops/embedding.h"

#include "core/kernel_types.h"
#include "embedding_args.h"
#include "ops/pointwise.h"

#include <string.h>

enum {
    GROUP_ELEMENTS = 16384,
    THREAD_ELEMENTS = 32768,
    FEW_ROWS = 64, // below: columns are shared out too
    NARROW = 64,
    STACK_LINKS = 2048,
};

// Reads the indices (any strides) into the lists of tokens per row, last token first so that lists ascend.
// False: one is out of range.
static bool link_tokens(const carat_tensor *indices, int64_t tokens, int64_t rows, int64_t padding, int32_t *first, int32_t *next)
{
    int64_t at[CARAT_MAX_DIMS], offset = 0;
    const bool narrow = carat_dtype_of(indices) == CARAT_i32;
    const int64_t *wide = carat_data(indices);
    const int32_t *small = carat_data(indices);
    memset(first, -1, sizeof *first * (size_t)rows);
    for (int d = 0; d < indices->ndim; ++d) {
        at[d] = indices->shape[d] - 1;
        offset += at[d] * indices->strides[d];
    }
    for (int64_t t = tokens; t-- > 0;) {
        const int64_t row = narrow ? small[offset] : wide[offset];
        if (row < 0 || row >= rows) return false;
        next[t] = -1;
        if (row != padding) {
            next[t] = first[row];
            first[row] = (int32_t)t;
        }
        for (int d = indices->ndim - 1; d >= 0; --d) {
            offset -= indices->strides[d];
            if (--at[d] >= 0) break;
            offset += indices->strides[d] * indices->shape[d];
            at[d] = indices->shape[d] - 1;
        }
    }
    return true;
}

bool carat_embedding_merges(const carat_tensor *grad, int64_t cols, int64_t *stride)
{
    bool merges = cols == 1 || grad->strides[grad->ndim - 1] == 1;
    int64_t expected = -1;
    *stride = cols;
    for (int d = grad->ndim - 1; d-- > 0;) {
        if (grad->shape[d] == 1) continue;
        if (expected < 0) *stride = grad->strides[d];
        else merges = merges && grad->strides[d] == expected;
        expected = grad->strides[d] * grad->shape[d];
    }
    return merges;
}

// The gradient as a matrix: itself or a copy.
static carat_status as_matrix(const carat_frame *call, const carat_tensor *grad, int64_t cols, const void **data, int64_t *stride, void **copy)
{
    *copy = NULL;
    *data = carat_data(grad);
    if (carat_embedding_merges(grad, cols, stride)) return CARAT_OK;
    *copy = carat_alloc((size_t)carat_numel(grad) * carat_dtype_size(carat_dtype_of(grad)));
    if (!*copy) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for a copy of the gradient");
    int64_t strides[CARAT_MAX_DIMS];
    carat_contiguous_strides(grad->ndim, grad->shape, strides);
    carat_tensor to = *grad;
    to.data = *copy;
    to.byte_offset = 0;
    to.strides = strides;
    *data = *copy;
    *stride = cols;
    return carat_copy(call, &to, grad);
}

static void choose_groups(embedding_args *a)
{
    a->group_cols = a->cols;
    if (a->rows < FEW_ROWS && a->cols > NARROW) a->group_cols = (a->cols / 4 + NARROW - 1) / NARROW * NARROW;
    a->group_rows = GROUP_ELEMENTS / (a->cols ? a->cols : 1);
    if (a->rows < FEW_ROWS) a->group_rows = 1;
    if (a->group_rows < 1) a->group_rows = 1;
    a->groups_across = a->cols ? (a->cols + a->group_cols - 1) / a->group_cols : 0;
}

static carat_status launch(carat_frame *call, const carat_tensor *grad, const int32_t *first, const int32_t *next, int64_t rows, int64_t cols)
{
    embedding_args a = { .first = first, .next = next, .rows = rows, .cols = cols };
    const int64_t tokens = cols ? carat_numel(grad) / cols : 0;
    void *copy;
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(grad), 2, (const int64_t[]){ rows, cols }, NULL, &out));
    carat_status status = as_matrix(call, grad, cols, &a.grad, &a.grad_stride, &copy);
    a.out = carat_data(&out.view);
    choose_groups(&a);
    const int64_t groups = (rows + a.group_rows - 1) / a.group_rows * a.groups_across;
    const int64_t work = (rows + tokens) * cols / (groups ? groups : 1) + 1;
    carat_key key = { .family = CARAT_FAMILY_embedding };
    key.dtypes[0] = (uint8_t)carat_dtype_of(grad);
    if (status == CARAT_OK)
        status = carat_run_kernel(call, &key, &a, sizeof a, groups, work < THREAD_ELEMENTS ? THREAD_ELEMENTS / work : 1);
    carat_free(copy);
    return status;
}

static carat_status run(carat_frame *call)
{
    const carat_tensor *grad = carat_tensor_arg(call, 0), *indices = carat_tensor_arg(call, 1);
    const int64_t rows = carat_int_arg(call, 2, -1), padding = carat_int_arg(call, 3, -1);
    if (!grad || !indices || rows < 0 || grad->ndim != indices->ndim + 1 || grad->ndim < 1) return carat_step_aside("arguments");
    if (carat_int_arg(call, 4, 0)) return carat_step_aside("scale_grad_by_freq");
    if (!carat_dtype_in(carat_dtype_of(grad), CARAT_FLOATS)) return carat_step_aside("dtype");
    if (carat_dtype_of(indices) != CARAT_i64 && carat_dtype_of(indices) != CARAT_i32) return carat_step_aside("index dtype");
    for (int d = 0; d < indices->ndim; ++d)
        if (indices->shape[d] != grad->shape[d]) return carat_step_aside("shapes differ");
    const int64_t tokens = carat_numel(indices), cols = grad->shape[grad->ndim - 1];
    if (tokens > INT32_MAX || rows > INT32_MAX) return carat_step_aside("more than 2^31 tokens or rows");
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(grad), 2, (const int64_t[]){ rows, cols }));
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && !carat_is_contiguous(given)) return carat_step_aside("layout of out");
    if (given && (carat_overlap_of(given, grad) != CARAT_DISJOINT || carat_overlap_of(given, indices) != CARAT_DISJOINT))
        return carat_step_aside("output overlaps an input");
    if (carat_has_lanes(call)) return carat_embedding_run_lanes(call, grad, indices, rows, padding);

    int32_t small[STACK_LINKS];
    int32_t *const links = rows + tokens <= STACK_LINKS ? small : carat_alloc(sizeof *links * (size_t)(rows + tokens));
    if (!links) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld links", (long long)(rows + tokens));
    const bool in_range = link_tokens(indices, tokens, rows, padding, links, links + rows);
    const carat_status status = in_range ? launch(call, grad, links, links + rows, rows, cols) : carat_step_aside("index out of range");
    if (links != small) carat_free(links);
    return status;
}

static const carat_row rows_[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, function },
#include "embedding.def"
#undef ROW
};

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    if (target->lanes > 1) {
        carat_embedding_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_embedding_enumerate_lanes(emit, arg);
        return;
    }
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        carat_key key = { .family = CARAT_FAMILY_embedding };
        key.dtypes[0] = (uint8_t)dtype;
        if (carat_dtype_in(dtype, CARAT_FLOATS)) emit(arg, &key);
    }
}

const carat_family carat_family_embedding = {
    .name = "embedding",
    .source = "embedding.k.c",
    .lanes_source = "embedding_lanes.k.c",
    .rows = rows_,
    .row_size = sizeof *rows_,
    .row_count = sizeof rows_ / sizeof *rows_,
    .describe = describe,
    .enumerate = enumerate,
};

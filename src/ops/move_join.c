// SPDX-License-Identifier: Apache-2.0
// Stretches joined along one dimension: the plan (see kernels/move.k.c), cat, stack and roll. The operators that join a tensor with zeros
// are in move_part.c.
#include "ops/move.h"

#include <string.h>

enum {
    GROUP_WORDS = 8192,
    THREAD_WORDS = 32768,
    LONG_ROW_BYTES = 16384, // from here on a part of a row is worth a launch of its own
    STACK_STRETCHES = 32,
    FEW_LAUNCHES = 3,          // on a device: ATen joins strided stretches with one
    LAUNCH_ELEMENTS = 1 << 18, // fewer aren't worth a second
    FEW_ON_DEVICE = 8,         // ATen joins more of them faster: 0.73 to 0.94 of its time
};

// ---- one launch

// The outer dimensions of a part, innermost first, in elements.
static void outer_strides(const carat_tensor *view, int dim, int64_t *stride)
{
    for (int d = 0; d < dim; ++d) stride[dim - 1 - d] = view->strides[d];
}

// Whether all that lies at or inside `dim` is consecutive.
static bool row_is_consecutive(const carat_tensor *view, int dim)
{
    int64_t expected = 1;
    for (int d = view->ndim; d-- > dim;) {
        if (view->shape[d] == 1) continue;
        if (view->strides[d] != expected) return false;
        expected *= view->shape[d];
    }
    return true;
}

static bool mergeable(const move_args *a, int d)
{
    for (int p = 0; p < a->parts; ++p)
        if (a->part[p].data && a->part[p].stride[d + 1] != a->size[d] * a->part[p].stride[d]) return false;
    return true;
}

static void drop_dim(move_args *a, int d)
{
    --a->rank;
    for (int e = d; e < a->rank; ++e) {
        a->size[e] = a->size[e + 1];
        for (int p = 0; p < a->parts; ++p) a->part[p].stride[e] = a->part[p].stride[e + 1];
    }
}

// Sizes of the outer dimensions and the parts' strides in them, merged. False: too many are left.
static bool fill_outer(move_args *a, const carat_tensor *out, int dim, const carat_stretch *stretches)
{
    int64_t strides[MOVE_PARTS][CARAT_MAX_DIMS];
    for (int p = 0; p < a->parts; ++p)
        if (a->part[p].data) outer_strides(stretches[p].view, dim, strides[p]);
    a->rank = 0;
    for (int d = 0; d < dim; ++d) {
        if (out->shape[dim - 1 - d] == 1) continue;
        if (a->rank == MOVE_RANK) return false;
        a->size[a->rank] = out->shape[dim - 1 - d];
        for (int p = 0; p < a->parts; ++p) a->part[p].stride[a->rank] = a->part[p].data ? strides[p][d] : 0;
        if (++a->rank < 2 || !mergeable(a, (int)a->rank - 2)) continue;
        a->size[a->rank - 1] *= a->size[a->rank - 2];
        for (int p = 0; p < a->parts; ++p) a->part[p].stride[a->rank - 1] = a->part[p].stride[a->rank - 2];
        drop_dim(a, (int)a->rank - 2);
    }
    return true;
}

// The longest word, of up to `most` bytes, of which all addresses are multiples.
static int64_t widest_word(const move_args *a, size_t size, size_t most)
{
    uintptr_t bits = (uintptr_t)a->out | (uintptr_t)a->row_width * size | most;
    for (int p = 0; p < a->parts; ++p) {
        bits |= (uintptr_t)a->part[p].data | (uintptr_t)a->part[p].at * size | (uintptr_t)a->part[p].width * size;
        for (int d = 0; d < a->rank; ++d) bits |= (uintptr_t)a->part[p].stride[d] * size;
    }
    return (int64_t)(bits & -bits);
}

// From elements of `size` bytes to words.
static carat_dtype to_words(move_args *a, size_t size, size_t most)
{
    const int64_t word = widest_word(a, size, most), element = (int64_t)size;
    a->row_width = a->row_width * element / word;
    for (int p = 0; p < a->parts; ++p) {
        a->part[p].at = a->part[p].at * element / word;
        a->part[p].width = a->part[p].width * element / word;
        for (int d = 0; d < a->rank; ++d) a->part[p].stride[d] = a->part[p].stride[d] * element / word;
    }
    return carat_raw_of_size((size_t)word);
}

// The fill's element, repeated to eight bytes. A complex128 is two words, so only 0 will do.
static bool fill_word(carat_scalar fill, carat_dtype dtype, u64 *word)
{
    uint64_t element[2] = { 0, 0 };
    const size_t size = carat_dtype_size(dtype);
    carat_scalar_store(fill, dtype, element);
    if (size > 8) {
        *word = 0;
        return element[0] == 0 && element[1] == 0;
    }
    for (size_t filled = size; filled < 8; filled *= 2) memcpy((char *)element + filled, element, filled);
    *word = element[0];
    return true;
}

// Up to MOVE_PARTS stretches whose first lies `at` elements into the row.
static carat_status launch(const carat_frame *call, const carat_tensor *out, int dim, const carat_stretch *stretches, int count, int64_t at,
                           int64_t inner, u64 fill)
{
    move_args a;
    a.out = carat_data(out);
    a.row_width = out->shape[dim] * inner;
    a.fill = fill;
    a.parts = count;
    a.rows = 1;
    int64_t width = 0;
    for (int p = 0; p < count; ++p) {
        a.part[p].data = stretches[p].view ? carat_data(stretches[p].view) : NULL;
        a.part[p].at = at + width;
        a.part[p].width = stretches[p].length * inner;
        width += a.part[p].width;
    }
    for (int d = 0; d < dim; ++d) a.rows *= out->shape[d];
    if (!fill_outer(&a, out, dim, stretches)) return carat_step_aside("rank");
    const size_t size = carat_dtype_size(carat_dtype_of(out));
    if (carat_has_lanes(call)) return carat_move_launch_lanes(call, &a, to_words(&a, size, 16));
    carat_key key = { .family = CARAT_FAMILY_move };
    key.dtypes[0] = (uint8_t)to_words(&a, size, 8);
    const int64_t row_words = width * (int64_t)size / (int64_t)carat_dtype_size((carat_dtype)key.dtypes[0]) + 4 * count;
    a.group_rows = GROUP_WORDS / row_words > 1 ? GROUP_WORDS / row_words : 1;
    const int64_t groups = (a.rows + a.group_rows - 1) / a.group_rows, work = a.group_rows * row_words;
    return carat_run_kernel(call, &key, &a, sizeof a, groups, work < THREAD_WORDS ? THREAD_WORDS / work : 1);
}

// ---- joining

// Stretches by launches of their own: for long ones, and for those whose elements aren't consecutive or of out's dtype.
static carat_status copy_stretch(const carat_frame *call, const carat_tensor *out, int dim, const carat_stretch *stretch, int64_t start,
                                 carat_scalar fill)
{
    int64_t shape[CARAT_MAX_DIMS];
    carat_tensor part = *out;
    memcpy(shape, out->shape, sizeof *shape * (size_t)out->ndim);
    shape[dim] = stretch->length;
    part.shape = shape;
    part.data = (char *)carat_data(out) + start * out->strides[dim] * (int64_t)carat_dtype_size(carat_dtype_of(out));
    part.byte_offset = 0;
    return stretch->view ? carat_move(call, &part, stretch->view) : carat_fill(call, &part, fill);
}

static bool by_rows(const carat_frame *call, const carat_tensor *out, int dim, const carat_stretch *stretches, int64_t count, int64_t inner)
{
    const int64_t size = (int64_t)carat_dtype_size(carat_dtype_of(out));
    const int64_t longest = carat_has_lanes(call) ? INT64_MAX : LONG_ROW_BYTES;
    if (!carat_is_contiguous(out)) return false;
    for (int64_t i = 0; i < count; ++i) {
        const carat_tensor *view = stretches[i].view;
        if (stretches[i].length * inner * size > longest) return false;
        if (view && (carat_dtype_of(view) != carat_dtype_of(out) || !row_is_consecutive(view, dim))) return false;
    }
    return true;
}

carat_status carat_join_check(const carat_frame *call, carat_dtype dtype, int ndim, const int64_t *shape, int dim, int64_t count)
{
    enum { MANY_ROWS = 512, SHORT_BYTES = 48 };
    int64_t rows = 1, bytes = (int64_t)carat_dtype_size(dtype);
    if (carat_has_lanes(call)) return CARAT_OK;
    for (int d = 0; d < dim; ++d) rows *= shape[d];
    for (int d = dim; d < ndim; ++d) bytes *= shape[d];
    return rows >= MANY_ROWS && bytes < SHORT_BYTES * count ? carat_step_aside("many rows of short stretches") : CARAT_OK;
}

carat_status carat_join(const carat_frame *call, const carat_tensor *out, int dim, const carat_stretch *stretches, int64_t count,
                        carat_scalar fill)
{
    int64_t inner = 1, start = 0;
    u64 word;
    if (carat_numel(out) == 0) return CARAT_OK;
    for (int d = dim + 1; d < out->ndim; ++d) inner *= out->shape[d];
    if (!by_rows(call, out, dim, stretches, count, inner) || !fill_word(fill, carat_dtype_of(out), &word)) {
        for (int64_t i = 0; i < count; ++i) {
            if (stretches[i].length) CARAT_TRY(copy_stretch(call, out, dim, &stretches[i], start, fill));
            start += stretches[i].length;
        }
        return CARAT_OK;
    }
    for (int64_t i = 0; i < count; i += MOVE_PARTS) {
        const int parts = (int)(count - i < MOVE_PARTS ? count - i : MOVE_PARTS);
        CARAT_TRY(launch(call, out, dim, stretches + i, parts, start * inner, inner, word));
        for (int p = 0; p < parts; ++p) start += stretches[i + p].length;
    }
    return CARAT_OK;
}

// ---- cat and stack

static carat_status common_dtype(const carat_frame *call, const carat_tensor *tensors, int64_t count, carat_dtype *dtype)
{
    bool same = true;
    *dtype = carat_dtype_of(&tensors[0]);
    for (int64_t i = 1; i < count; ++i) same = same && carat_dtype_of(&tensors[i]) == *dtype;
    if (same) return CARAT_OK;
    carat_promotion promotion = CARAT_PROMOTION_START;
    for (int64_t i = 0; i < count; ++i) {
        const carat_arg arg = { .kind = CARAT_ARG_TENSOR, .tensor = tensors[i] };
        CARAT_TRY(carat_promotion_add(&promotion, &arg, call->context->default_dtype));
    }
    *dtype = carat_promotion_result(&promotion);
    return CARAT_OK;
}

// Where ATen joins faster on a device.
static carat_status check_lanes(int ndim, const int64_t *shape, int64_t count, bool one_launch)
{
    int64_t numel = 1;
    for (int d = 0; d < ndim; ++d) numel *= shape[d];
    if (!one_launch && (count > FEW_LAUNCHES || numel < LAUNCH_ELEMENTS)) return carat_step_aside("several strided stretches");
    return count > FEW_ON_DEVICE ? carat_step_aside("many stretches") : CARAT_OK;
}

// Joins views of equal shape but for `dim`. The result has `shape`.
static carat_status join_views(carat_frame *call, const carat_tensor *views, int64_t count, int dim, carat_dtype dtype, const int64_t *shape)
{
    const int ndim = views[0].ndim;
    const carat_tensor *given = carat_output_given(call, 0);
    bool all_last = count > 0, one_launch = !given || carat_is_contiguous(given);
    for (int64_t i = 0; i < count; ++i) {
        all_last = all_last && carat_is_channels_last(&views[i]);
        one_launch = one_launch && carat_dtype_of(&views[i]) == dtype && row_is_consecutive(&views[i], dim);
        CARAT_TRY(carat_copy_check(dtype, carat_dtype_of(&views[i])));
        if (given && carat_overlap_of(given, &views[i]) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    }
    if (all_last && !given) return carat_step_aside("channels last");
    if (carat_has_lanes(call)) CARAT_TRY(check_lanes(ndim, shape, count, one_launch));
    CARAT_TRY(carat_join_check(call, dtype, ndim, shape, dim, count));
    carat_output out;
    carat_stretch small[STACK_STRETCHES];
    carat_stretch *const stretches = count <= STACK_STRETCHES ? small : carat_alloc(sizeof *stretches * (size_t)count);
    if (!stretches) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld stretches", (long long)count);
    for (int64_t i = 0; i < count; ++i) stretches[i] = (carat_stretch){ &views[i], views[i].shape[dim] };
    carat_status status = carat_output_make(call, 0, dtype, ndim, shape, NULL, &out);
    if (status == CARAT_OK) status = carat_join(call, &out.view, dim, stretches, count, (carat_scalar){ .kind = CARAT_SCALAR_INT });
    if (stretches != small) carat_free(stretches);
    return status;
}

static bool is_legacy_empty(const carat_tensor *tensor)
{
    return tensor->ndim == 1 && tensor->shape[0] == 0;
}

// Leaves out the 1-d empty tensors, which fit anything, and adds up the sizes.
static carat_status cat_shape(const carat_tensor *tensors, int64_t count, int64_t dim_arg, carat_tensor *views, int64_t *kept, int *dim, int64_t *shape)
{
    *kept = 0;
    for (int64_t i = 0; i < count; ++i)
        if (!is_legacy_empty(&tensors[i])) views[(*kept)++] = tensors[i];
    if (*kept == 0 || views[0].ndim == 0) return carat_step_aside("nothing to join");
    const int ndim = views[0].ndim;
    *dim = carat_wrap_dim(dim_arg, ndim);
    if (*dim < 0) return carat_step_aside("dim");
    memcpy(shape, views[0].shape, sizeof *shape * (size_t)ndim);
    for (int64_t i = 1; i < *kept; ++i) {
        if (views[i].ndim != ndim) return carat_step_aside("shapes");
        for (int d = 0; d < ndim; ++d)
            if (d != *dim && views[i].shape[d] != shape[d]) return carat_step_aside("shapes");
        shape[*dim] += views[i].shape[*dim];
    }
    return CARAT_OK;
}

carat_status carat_run_cat(carat_frame *call)
{
    if (call->nargs < 1 || call->args[0].kind != CARAT_ARG_TENSORS || call->args[0].tensors.count < 1) return carat_step_aside("arguments");
    const int64_t count = call->args[0].tensors.count;
    const carat_tensor *tensors = call->args[0].tensors.items;
    carat_tensor small[STACK_STRETCHES];
    carat_dtype dtype;
    int64_t kept, shape[CARAT_MAX_DIMS];
    int dim;
    CARAT_TRY(common_dtype(call, tensors, count, &dtype));
    carat_tensor *const views = count <= STACK_STRETCHES ? small : carat_alloc(sizeof *views * (size_t)count);
    if (!views) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld views", (long long)count);
    carat_status status = cat_shape(tensors, count, carat_int_arg(call, 1, 0), views, &kept, &dim, shape);
    if (status == CARAT_OK) status = join_views(call, views, kept, dim, dtype, shape);
    if (views != small) carat_free(views);
    return status;
}

// A view with a new dimension of size 1 at `dim`; its shape and strides go to store[2 * CARAT_MAX_DIMS].
static carat_tensor unsqueezed(const carat_tensor *tensor, int dim, int64_t *store)
{
    carat_tensor view = *tensor;
    view.shape = store;
    view.strides = store + CARAT_MAX_DIMS;
    view.ndim = tensor->ndim + 1;
    for (int d = 0, from = 0; d < view.ndim; ++d) {
        const bool new = d == dim;
        view.shape[d] = new ? 1 : tensor->shape[from];
        // As ATen's unsqueeze has it: the stride of what follows times its size.
        view.strides[d] = !new ? tensor->strides[from] : from < tensor->ndim ? tensor->shape[from] * tensor->strides[from] : 1;
        from += !new;
    }
    return view;
}

carat_status carat_run_stack(carat_frame *call)
{
    if (call->nargs < 1 || call->args[0].kind != CARAT_ARG_TENSORS || call->args[0].tensors.count < 1) return carat_step_aside("arguments");
    const int64_t count = call->args[0].tensors.count;
    const carat_tensor *tensors = call->args[0].tensors.items;
    const int ndim = tensors[0].ndim + 1, dim = carat_wrap_dim(carat_int_arg(call, 1, 0), ndim);
    carat_dtype dtype;
    if (dim < 0 || ndim > CARAT_MAX_DIMS) return carat_step_aside("dim");
    for (int64_t i = 1; i < count; ++i)
        if (!carat_same_shape(&tensors[0], &tensors[i])) return carat_step_aside("shapes");
    CARAT_TRY(common_dtype(call, tensors, count, &dtype));
    // Views and their shapes in one block.
    enum { STACK_VIEWS = 8 };
    carat_tensor small[STACK_VIEWS];
    int64_t small_store[STACK_VIEWS][2 * CARAT_MAX_DIMS];
    carat_tensor *views = small;
    int64_t(*stores)[2 * CARAT_MAX_DIMS] = small_store;
    if (count > STACK_VIEWS) {
        views = carat_alloc((size_t)count * (sizeof *views + sizeof *stores));
        if (!views) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld views", (long long)count);
        stores = (void *)(views + count);
    }
    for (int64_t i = 0; i < count; ++i) views[i] = unsqueezed(&tensors[i], dim, stores[i]);
    int64_t shape[CARAT_MAX_DIMS];
    memcpy(shape, views[0].shape, sizeof *shape * (size_t)ndim);
    shape[dim] = count;
    const carat_status status = join_views(call, views, count, dim, dtype, shape);
    if (views != small) carat_free(views);
    return status;
}

// ---- roll along one dimension: its end, then its beginning

carat_status carat_run_roll(carat_frame *call)
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    if (!self || call->nargs < 3 || call->args[1].kind != CARAT_ARG_INTS || call->args[2].kind != CARAT_ARG_INTS) return carat_step_aside("arguments");
    if (call->args[1].ints.count != 1 || call->args[2].ints.count != 1 || self->ndim == 0) return carat_step_aside("several shifts");
    const int dim = carat_wrap_dim(call->args[2].ints.items[0], self->ndim);
    if (dim < 0 || carat_numel(self) == 0) return carat_step_aside("dim");
    const int64_t size = self->shape[dim], shift = (call->args[1].ints.items[0] % size + size) % size;
    int64_t shapes[2][CARAT_MAX_DIMS];
    carat_tensor views[2] = { *self, *self };
    for (int i = 0; i < 2; ++i) {
        memcpy(shapes[i], self->shape, sizeof *shapes[i] * (size_t)self->ndim);
        shapes[i][dim] = i ? size - shift : shift;
        views[i].shape = shapes[i];
    }
    views[0].data = (char *)carat_data(self) + (size - shift) * self->strides[dim] * (int64_t)carat_dtype_size(carat_dtype_of(self));
    views[0].byte_offset = 0;
    if (shift == 0) return carat_step_aside("shift by nothing");
    return join_views(call, views, 2, dim, carat_dtype_of(self), self->shape);
}

// SPDX-License-Identifier: Apache-2.0
// The batch norm family: rows, kernels, checks, and what forward (batch_norm_forward.c) and backward pass share.
#include "ops/batch_norm.h"

#include "jit/jit.h"
#include "ops/batch_norm_lanes.h"

#include <string.h>

static const carat_row rows[] = {
#define BATCH_NORM(id, overloads, run) { #id, overloads, CARAT_FLOATS, carat_batch_norm_##run },
#include "batch_norm.def"
#undef BATCH_NORM
};

// ---- kernels: key.row is the part; key.dtypes: x, parameters

static carat_key make_key(carat_norm_dtypes dtypes, carat_batch_norm_part part)
{
    carat_key key = { .family = CARAT_FAMILY_batch_norm, .row = (uint16_t)part };
    key.dtypes[0] = (uint8_t)dtypes.x;
    key.dtypes[1] = (uint8_t)dtypes.param;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    if (target->lanes > 1) {
        carat_channel_norm_describe(key, defines);
        return;
    }
    static const char *const parts[CARAT_BATCH_NORM_PART_COUNT] = {
#define PART(name) #name,
        CARAT_BATCH_NORM_PARTS(PART)
#undef PART
    };
    const carat_dtype x = (carat_dtype)key->dtypes[0], acc = carat_compute_dtype(x);
    carat_define(defines, "T_IN", "%s", carat_dtype_name(x));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    carat_define(defines, "P", "%s", carat_dtype_name((carat_dtype)key->dtypes[1]));
    carat_define(defines, "PART", "%s", parts[key->row]);
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(acc));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_channel_norm_enumerate(emit, arg);
        return;
    }
    for (carat_dtype x = 0; x < CARAT_DTYPE_COUNT; ++x)
        for (int mixed = 0; carat_is_float(x) && mixed <= carat_dtype_in(x, CARAT_HALVES); ++mixed)
            for (carat_batch_norm_part part = 0; part < CARAT_BATCH_NORM_PART_COUNT; ++part) {
                const carat_key key = make_key((carat_norm_dtypes){ x, mixed ? CARAT_f32 : x }, part);
                emit(arg, &key);
            }
}

static carat_status find_kernels(const carat_frame *call, carat_norm_dtypes dtypes, uint32_t parts)
{
    for (carat_batch_norm_part part = 0; part < CARAT_BATCH_NORM_PART_COUNT; ++part) {
        if (!(parts >> part & 1)) continue;
        const carat_key key = make_key(dtypes, part);
        carat_kernel kernel;
        CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    }
    return CARAT_OK;
}

carat_status carat_batch_norm_launch(const carat_frame *call, carat_norm_dtypes dtypes, carat_batch_norm_part part,
                                     const batch_norm_args *a, int64_t groups)
{
    enum { THREAD_ELEMENTS = 16384 }; // below this a second thread costs more than it brings
    const carat_key key = make_key(dtypes, part);
    const int64_t elements = (int64_t)a->count * a->channels / groups;
    return carat_run_kernel(call, &key, a, sizeof *a, groups, 1 + THREAD_ELEMENTS / (elements + 1));
}

// ---- checks

// The parameters' dtype is that of the first one there; f32 beside halves, else x's own. All are vectors of a channel each.
static carat_status settle(const carat_tensor *x, const carat_tensor *const *params, int count, carat_norm_dtypes *dtypes)
{
    dtypes->x = dtypes->param = carat_dtype_of(x);
    if (!carat_is_float(dtypes->x)) return carat_step_aside("dtype");
    bool first = true;
    for (int i = 0; i < count; ++i) {
        if (!params[i]) continue;
        if (first) dtypes->param = carat_dtype_of(params[i]);
        first = false;
        if (carat_dtype_of(params[i]) != dtypes->param) return carat_step_aside("dtype of the parameters");
        if (params[i]->ndim != 1 || params[i]->shape[0] != x->shape[1]) return carat_step_aside("shape of the parameters");
        if (!carat_is_contiguous(params[i])) return carat_step_aside("strided parameters");
    }
    const bool mixed = dtypes->param == CARAT_f32 && carat_dtype_in(dtypes->x, CARAT_HALVES);
    return dtypes->param == dtypes->x || mixed ? CARAT_OK : carat_step_aside("dtype of the parameters");
}

static bool has_strides(const carat_tensor *tensor, const int64_t *strides)
{
    return !memcmp(tensor->strides, strides, sizeof *strides * (size_t)tensor->ndim);
}

static void channels_last_strides(const carat_tensor *x, int64_t *strides)
{
    int64_t step = x->shape[1];
    for (int d = x->ndim; d-- > 2; step *= x->shape[d]) strides[d] = step;
    strides[1] = 1;
    strides[0] = step;
}

// Results are laid out like x, contiguous or channels last; where the strides of dimensions of size 1 leave that open, ATen
// decides.
static carat_status settle_layout(const carat_tensor *x, carat_batch_norm *b)
{
    if (x->ndim < 2 || carat_numel(x) == 0) return carat_step_aside("empty");
    const int64_t channels = x->shape[1];
    int64_t plane = 1;
    for (int d = 2; d < x->ndim; ++d) plane *= x->shape[d];
    carat_contiguous_strides(x->ndim, x->shape, b->strides);
    const bool contiguous = x->ndim < 4 ? carat_is_contiguous(x) : has_strides(x, b->strides);
    if (!contiguous) {
        channels_last_strides(x, b->strides);
        if (x->ndim < 4 || x->ndim > 5 || carat_is_contiguous(x) || !has_strides(x, b->strides)) return carat_step_aside("memory format");
    }
    b->args = (batch_norm_args){ .images = x->shape[0], .channels = channels, .plane = plane, .count = (double)(x->shape[0] * plane) };
    b->by_planes = contiguous && plane >= CARAT_BATCH_NORM_LONG_PLANE;
    b->args.span = contiguous && !b->by_planes ? plane : 1;
    return CARAT_OK;
}

// By shape alone: folds narrow rows to about FOLDED columns and cuts them into parts.
static void cut_rows(carat_batch_norm *b)
{
    enum { FOLDED = 128, GROUPS = 32, BLOCK = 64, GROUP_ELEMENTS = 16384 };
    batch_norm_args *a = &b->args;
    a->fold = 1;
    if (b->by_planes) {
        a->width = a->channels;
        a->group_rows = GROUP_ELEMENTS / a->plane + 1;
        return;
    }
    const int64_t columns = a->channels * a->span, all = a->images * a->plane / a->span;
    while (2 * a->fold * columns <= FOLDED && 2 * a->fold <= all) a->fold *= 2;
    a->width = a->fold * columns;
    a->rows = all / a->fold;
    a->ragged = all % a->fold * columns;
    a->tiles = (a->width + BATCH_NORM_TILE - 1) / BATCH_NORM_TILE;
    const int64_t parts = a->tiles < GROUPS ? GROUPS / a->tiles : 1, share = (a->rows + parts - 1) / parts;
    a->part_rows = (share + BLOCK - 1) / BLOCK * BLOCK;
    a->parts = (a->rows + a->part_rows - 1) / a->part_rows;
    a->group_rows = GROUP_ELEMENTS / a->width + 1;
}

carat_status carat_batch_norm_settle(const carat_frame *call, const carat_tensor *x, const carat_tensor *const *params, int count,
                                     bool training, uint32_t parts, carat_batch_norm *b)
{
    enum { FEW = 8 }; // of them the overhead of a channel decides
    if (!x) return carat_step_aside("argument kind");
    CARAT_TRY(settle_layout(x, b));
    CARAT_TRY(settle(x, params, count, &b->dtypes));
    cut_rows(b);
    if (training && b->args.count < FEW) return carat_step_aside("few elements a channel");
    if (carat_has_lanes(call) && carat_numel(x) > CARAT_CHANNEL_NORM_MOST) return carat_step_aside("more than 2^31 elements");
    b->result_dtype = b->dtypes.param;
    return carat_has_lanes(call) ? CARAT_OK : find_kernels(call, b->dtypes, parts); // those of lanes: the launch finds out
}

carat_status carat_batch_norm_check_output(const carat_frame *call, int index, const carat_batch_norm *b, const carat_tensor *x,
                                           const carat_tensor *const *inputs, int count)
{
    const int64_t channels = index ? b->result_channels : 0;
    CARAT_TRY(carat_output_check(call, index, index ? b->result_dtype : b->dtypes.x, index ? 1 : x->ndim, index ? &channels : x->shape));
    const carat_tensor *given = carat_output_given(call, index);
    if (!given) return CARAT_OK;
    if (index ? !carat_is_contiguous(given) : !has_strides(given, b->strides)) return carat_step_aside("strides of the output");
    for (int i = 0; i < count; ++i)
        if (inputs[i] && carat_overlap_of(given, inputs[i]) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    for (int i = 0; i < index; ++i) {
        const carat_tensor *other = carat_output_given(call, i);
        if (other && carat_overlap_of(given, other) != CARAT_DISJOINT) return carat_step_aside("outputs overlap");
    }
    return CARAT_OK;
}

carat_status carat_batch_norm_make_output(carat_frame *call, int index, const carat_batch_norm *b, const carat_tensor *x, void **data)
{
    carat_output out;
    CARAT_TRY(carat_output_make(call, index, index ? b->result_dtype : b->dtypes.x, index ? 1 : x->ndim,
                                index ? &b->result_channels : x->shape, index ? NULL : b->strides, &out));
    *data = carat_data(&out.view);
    return CARAT_OK;
}

// ---- scratch

carat_status carat_batch_norm_alloc(carat_batch_norm *b)
{
    batch_norm_args *a = &b->args;
    const int64_t partials = (a->parts + (a->ragged > 0)) * a->width;
    const size_t number = carat_dtype_size(carat_compute_dtype(b->dtypes.x));
    char *block = b->scratch = carat_alloc((size_t)partials * 2 * sizeof(double) + (size_t)a->width * 4 * number);
    if (!block) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for the moments of %lld columns", (long long)a->width);
    a->first = (double *)block;
    a->second = a->first + partials;
    void **const tables[4] = { &a->center, &a->scale, &a->shift, &a->slope };
    block = (char *)(a->second + partials);
    for (int i = 0; i < 4; ++i, block += (size_t)a->width * number) *tables[i] = block;
    return CARAT_OK;
}

int64_t carat_batch_norm_table_groups(const carat_batch_norm *b)
{
    return (b->args.channels + BATCH_NORM_CHANNELS - 1) / BATCH_NORM_CHANNELS;
}

int64_t carat_batch_norm_part_groups(const carat_batch_norm *b)
{
    return b->args.tiles * b->args.parts + (b->args.ragged + BATCH_NORM_TILE - 1) / BATCH_NORM_TILE;
}

int64_t carat_batch_norm_write_groups(const carat_batch_norm *b)
{
    const int64_t count = b->by_planes ? b->args.images * b->args.channels : b->args.rows + (b->args.ragged > 0);
    return (count + b->args.group_rows - 1) / b->args.group_rows;
}

const carat_family carat_family_batch_norm = {
    .name = "batch_norm",
    .source = "batch_norm.k.c",
    .lanes_source = "batch_norm_lanes.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

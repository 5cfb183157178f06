// SPDX-License-Identifier: Apache-2.0
// Batch norm and group norm in groups of many lanes: kernels and launches (see kernels/batch_norm_lanes.k.c for the steps).
#include "ops/batch_norm_lanes.h"

#include "core/integer.h"
#include "jit/jit.h"
#include "ops/lanes.h"
#include "ops/moments.h"
#include "ops/sums.h"

#include <string.h>

enum { LANES_LOG = 7, ROW_LANES_LOG = 5 }; // of a row's tables

// key.row: the part; key.dtypes: x, parameters, saved moments; key.params: keep and vec, as logarithms, and planes.
static carat_key make_key(const carat_channel_norm *n, carat_channel_norm_part part)
{
    carat_key key = { .family = CARAT_FAMILY_batch_norm, .row = (uint16_t)part };
    key.dtypes[0] = (uint8_t)n->x;
    key.dtypes[1] = (uint8_t)n->param;
    key.dtypes[2] = (uint8_t)n->moment;
    if (part < CARAT_CHANNEL_NORM_write) return key;
    key.params[0] = n->vec ? 1 : 3; // of vectors, 32 bytes of an input are under way
    key.params[1] = (uint8_t)n->vec;
    key.params[2] = n->planes;
    return key;
}

void carat_channel_norm_describe(const carat_key *key, carat_defines *defines)
{
    static const char *const parts[CARAT_CHANNEL_NORM_PART_COUNT] = {
#define PART(name) #name,
        CARAT_CHANNEL_NORM_PARTS(PART)
#undef PART
    };
    const int lanes = key->row == CARAT_CHANNEL_NORM_group_tables_backward ? ROW_LANES_LOG : LANES_LOG;
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "P", "%s", carat_dtype_name((carat_dtype)key->dtypes[1]));
    carat_define(defines, "M", "%s", carat_dtype_name((carat_dtype)key->dtypes[2]));
    carat_define(defines, "PART", "%s", parts[key->row]);
    carat_define(defines, "PLANES", "%d", key->params[2]);
    carat_lanes_define((carat_lanes){ .lanes = (uint8_t)lanes, .keep = key->params[0], .vec = key->params[1] }, defines);
}

// Contiguous and channels-last images of the usual dtypes.
void carat_channel_norm_enumerate(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype x = 0; x < CARAT_DTYPE_COUNT; ++x)
        for (int variant = 0; carat_is_float(x) && variant < 4; ++variant)
            for (carat_channel_norm_part part = 0; part < CARAT_CHANNEL_NORM_PART_COUNT; ++part) {
                const bool vectors = variant & 1, planes = variant >> 1;
                const bool of_group = part >= CARAT_CHANNEL_NORM_group_tables && part <= CARAT_CHANNEL_NORM_group_parameters;
                const carat_dtype acc = carat_compute_dtype(x);
                const carat_channel_norm n = { .x = x, .param = of_group ? x : acc, .moment = of_group ? x : acc, .planes = planes,
                                               .vec = vectors ? log2_ceil(16 / (int64_t)carat_dtype_size(x)) : 0 };
                if (part < CARAT_CHANNEL_NORM_write && variant) continue;
                const carat_key key = make_key(&n, part);
                emit(arg, &key);
            }
}

void carat_channel_norm_lay_out(carat_channel_norm *n, int64_t numel, int64_t cols, int64_t period)
{
    batch_norm_lanes_args *const a = &n->args;
    const size_t bytes = carat_dtype_size(n->x);
    const void *const tensors[3] = { a->x, a->grad, a->out };
    int64_t vec = cols % (16 / (int64_t)bytes) ? 1 : 16 / (int64_t)bytes;
    for (int i = 0; i < 3; ++i)
        while (tensors[i] && vec > 1 && !carat_lanes_aligned(tensors[i], 0, bytes, vec)) vec /= 2;
    n->vec = log2_ceil(vec);
    a->units = (uint32_t)(numel / vec);
    a->cols = (uint32_t)(cols / vec);
    a->period = (uint32_t)period;
    carat_lanes_divisor(a->cols, &a->cols_magic, &a->cols_shift);
    carat_lanes_divisor(a->period, &a->period_magic, &a->period_shift);
}

carat_status carat_channel_norm_alloc(const carat_frame *call, carat_channel_norm *n, int64_t numbers)
{
    enum { ARRAYS = 6, ALIGNMENT = 64 };
    batch_norm_lanes_args *const a = &n->args;
    const int64_t bytes = round_up(numbers * (int64_t)carat_dtype_size(carat_compute_dtype(n->x)), ALIGNMENT);
    char *const block = n->scratch = carat_scratch_alloc(call, (size_t)(ARRAYS * bytes));
    if (!block) return carat_step_aside("no memory for the numbers of channels");
    a->first = block;
    a->second = block + bytes;
    void **const tables[4] = { &a->center, &a->scale, &a->shift, &a->slope };
    for (int i = 0; i < 4; ++i) *tables[i] = block + (2 + i) * bytes;
    return CARAT_OK;
}

// A view of numbers in the arithmetic type, one for each of what a reduction leaves.
static carat_tensor view_numbers(const carat_tensor *in, void *data, int64_t *count, const int64_t *one)
{
    carat_tensor view = *in;
    view.data = data;
    view.byte_offset = 0;
    view.dl_dtype = carat_dtype_to_dl(carat_compute_dtype(carat_dtype_of(in)));
    view.ndim = 1;
    view.shape = count;
    view.strides = (int64_t *)one;
    return view;
}

static const int64_t one = 1;

carat_status carat_channel_norm_moments(const carat_frame *call, const carat_channel_norm *n, const carat_tensor *in, uint32_t dims)
{
    const carat_reduction space = { .in = in, .dims = dims };
    int64_t count = carat_numel(in) / carat_reduction_count(&space);
    const carat_tensor variance = view_numbers(in, (void *)n->args.second, &count, &one);
    return carat_moments_split(call, &space, &variance, (void *)n->args.first);
}

carat_status carat_channel_norm_sums(const carat_frame *call, const carat_channel_norm *n, const carat_tensor *grad, const carat_tensor *x,
                                     uint32_t dims, const void *center, carat_dtype center_dtype, int64_t center_outputs)
{
    const carat_reduction space = { .in = grad, .dims = dims };
    int64_t count = carat_numel(grad) / carat_reduction_count(&space);
    const carat_tensor sum = view_numbers(grad, (void *)n->args.first, &count, &one);
    const carat_sums sums = { .space = space, .other = x, .out = &sum, .second = (void *)n->args.second, .center = center,
                              .center_dtype = center_dtype, .center_outputs = center_outputs };
    return carat_sums_run(call, CARAT_SUMS_slopes, &sums);
}

carat_status carat_channel_norm_launch(const carat_frame *call, const carat_channel_norm *n, carat_channel_norm_part part, int64_t count)
{
    const carat_key key = make_key(n, part);
    const int64_t groups = part == CARAT_CHANNEL_NORM_group_tables_backward ? count : pieces(count, INT64_C(1) << LANES_LOG);
    return carat_run_kernel_after(call, &key, &n->args, sizeof n->args, groups, 1);
}

carat_status carat_channel_norm_write(const carat_frame *call, const carat_channel_norm *n, carat_channel_norm_part part)
{
    const carat_key key = make_key(n, part);
    return carat_run_kernel_after(call, &key, &n->args, sizeof n->args, pieces(n->args.units, INT64_C(1) << (LANES_LOG + key.params[0])), 1);
}

// Whether a kernel can be had, for steps after which a call can't step aside any more.
static carat_status find(const carat_frame *call, const carat_channel_norm *n, carat_channel_norm_part part)
{
    const carat_key key = make_key(n, part);
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

// ---- batch norm

static carat_channel_norm begin(const carat_batch_norm *b)
{
    const batch_norm_args *const from = &b->args;
    return (carat_channel_norm){
        .x = b->dtypes.x, .param = b->dtypes.param, .moment = carat_compute_dtype(b->dtypes.x), .planes = b->by_planes || from->span > 1,
        .args = { .x = from->x, .grad = from->grad, .weight = from->weight, .bias = from->bias, .out = from->out, .mean = from->mean, .rstd = from->rstd,
                  .running_mean = from->running_mean, .running_var = from->running_var, .grad_weight = from->grad_weight,
                  .grad_bias = from->grad_bias, .training = from->training, .channels = from->channels, .count = from->count,
                  .eps = from->eps, .momentum = from->momentum },
    };
}

static void lay_out(const carat_batch_norm *b, carat_channel_norm *n)
{
    const int64_t places = b->args.images * b->args.plane;
    if (n->planes) carat_channel_norm_lay_out(n, places * b->args.channels, b->args.plane, b->args.channels);
    else carat_channel_norm_lay_out(n, places * b->args.channels, b->args.channels, places);
}

// All dimensions but that of channels.
static uint32_t all_but_channels(const carat_tensor *x) { return ((1u << x->ndim) - 1) & ~2u; }

// `tables` moves the running statistics: before it, the call is known to end well.
carat_status carat_batch_norm_forward_lanes(const carat_frame *call, const carat_tensor *x, const carat_batch_norm *b)
{
    carat_channel_norm n = begin(b);
    lay_out(b, &n);
    CARAT_TRY(find(call, &n, CARAT_CHANNEL_NORM_tables));
    CARAT_TRY(find(call, &n, CARAT_CHANNEL_NORM_write));
    CARAT_TRY(carat_channel_norm_alloc(call, &n, n.args.channels));
    carat_status status = n.args.training ? carat_channel_norm_moments(call, &n, x, all_but_channels(x)) : CARAT_OK;
    if (status == CARAT_OK) status = carat_channel_norm_launch(call, &n, CARAT_CHANNEL_NORM_tables, n.args.channels);
    if (status == CARAT_OK) status = carat_channel_norm_write(call, &n, CARAT_CHANNEL_NORM_write);
    carat_scratch_free(call, n.scratch);
    return status;
}

carat_status carat_batch_norm_backward_lanes(const carat_frame *call, const carat_tensor *x, const carat_tensor *grad, const carat_batch_norm *b)
{
    carat_channel_norm n = begin(b);
    batch_norm_lanes_args *const a = &n.args;
    const void *const center = a->training ? a->mean : a->running_mean;
    lay_out(b, &n);
    CARAT_TRY(carat_channel_norm_alloc(call, &n, a->channels));
    carat_status status = CARAT_OK;
    if (a->training || a->grad_weight || a->grad_bias)
        status = carat_channel_norm_sums(call, &n, grad, x, all_but_channels(x), center, a->training ? n.moment : n.param, 1);
    else a->first = NULL;
    if (status == CARAT_OK) status = carat_channel_norm_launch(call, &n, CARAT_CHANNEL_NORM_tables_backward, a->channels);
    if (status == CARAT_OK && a->out) status = carat_channel_norm_write(call, &n, CARAT_CHANNEL_NORM_write_backward);
    carat_scratch_free(call, n.scratch);
    return status;
}

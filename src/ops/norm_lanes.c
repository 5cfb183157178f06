// SPDX-License-Identifier: Apache-2.0
// Layer norm and RMS norm in groups of many lanes (kernels/norm_lanes.k.c): kernels, and the forward passes.
#include "ops/norm_lanes.h"

#include "jit/jit.h"

// key.row: the part, and whether it is RMS norm's; key.dtypes[0]: x and parameters; key.params: the group's shape, flags.
static carat_key make_key(carat_norm_lanes_part part, bool rms, int flags, carat_dtype dtype, carat_lanes shape)
{
    carat_key key = { .family = CARAT_FAMILY_norm, .row = (uint16_t)(2 * part + rms) };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[0] = shape.lanes;
    key.params[1] = shape.keep;
    key.params[2] = shape.vec;
    key.params[3] = shape.part;
    key.params[4] = (uint8_t)flags;
    return key;
}

void carat_norm_describe_lanes(const carat_key *key, carat_defines *defines)
{
    static const char *const parts[CARAT_NORM_LANES_COUNT] = {
#define PART(name) #name,
        CARAT_NORM_LANES_PARTS(PART)
#undef PART
    };
    static const int resident[CARAT_NORM_LANES_COUNT] = { 1024, 1024, 1024, 512, 512 }; // lanes: 64 registers each, or 128
    const carat_norm_lanes_part part = (carat_norm_lanes_part)(key->row / 2);
    const carat_lanes shape = { key->params[0], key->params[1], key->params[2], key->params[3] };
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "PART", "%s", parts[part]);
    carat_define(defines, "RMS", "%d", key->row % 2);
    carat_define(defines, "WEIGHT", "%d", (key->params[4] & CARAT_NORM_WEIGHT) != 0);
    carat_define(defines, "BIAS", "%d", (key->params[4] & CARAT_NORM_BIAS) != 0);
    carat_lanes_define(shape, defines);
    carat_lanes_define_resident(shape, resident[part], defines);
}

carat_status carat_norm_find_lanes(const carat_frame *call, const carat_norm_lanes *n, carat_norm_lanes_part part, int flags)
{
    const carat_key key = make_key(part, n->rms, flags, n->dtype, n->shape);
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

carat_status carat_norm_launch_lanes(const carat_frame *call, const carat_norm_lanes *n, carat_norm_lanes_part part, int flags, int64_t groups)
{
    const carat_key key = make_key(part, n->rms, flags, n->dtype, n->shape);
    return carat_run_kernel(call, &key, &n->args, sizeof n->args, groups, 1);
}

// Elements that a lane's registers hold of a row: of two tensors half as many, beside sums of columns fewer still.
static int held_by_lane(carat_norm_lanes_part part, carat_dtype dtype, bool aligned)
{
    const int size = (int)carat_dtype_size(dtype), bytes = part == CARAT_NORM_LANES_forward ? 128 : part == CARAT_NORM_LANES_rows ? 64 : 32;
    return bytes / (aligned || size > 4 ? size : 4);
}

// The shape of a kernel's groups; false if none holds the row.
static bool choose(const carat_target *target, carat_norm_lanes_part part, int64_t cols, carat_dtype dtype, bool aligned, carat_lanes *shape)
{
    enum { FULLER = 16, USUAL_PART = 9 }; // of larger parts, registers don't hold that much
    const size_t bytes = carat_dtype_size(dtype);
    if (!carat_lanes_choose(target, cols, bytes, aligned, held_by_lane(part, dtype, aligned), shape)) return false;
    if (part != CARAT_NORM_LANES_backward || shape->lanes <= shape->part) return true;
    // fuller lanes before several parts
    return aligned && dtype != CARAT_f64 && carat_lanes_choose(target, cols, bytes, true, FULLER, shape)
           && (shape->lanes <= shape->part || shape->part <= USUAL_PART);
}

static bool is_aligned(const carat_tensor *const *tensors, int count, int64_t cols, int64_t x_row, size_t bytes)
{
    const int64_t vector = 16 / (int64_t)bytes;
    if (cols % vector != 0 || x_row % vector != 0) return false;
    for (int i = 0; i < count; ++i)
        if (tensors[i] && !carat_lanes_aligned(carat_data(tensors[i]), cols, bytes, vector)) return false;
    return true;
}

carat_status carat_norm_shape_lanes(carat_norm_lanes *n, int outer, const carat_tensor *const *tensors, int count, bool *aligned)
{
    for (int i = 1; i < count; ++i)
        if (tensors[i] && (carat_dtype_of(tensors[i]) != n->dtype || !carat_is_contiguous(tensors[i])))
            return carat_step_aside("parameters of another kind");
    if (carat_numel(tensors[0]) == 0) return carat_step_aside("empty");
    if (!carat_lanes_rows(tensors[0], outer, &n->args.rows, &n->args.cols, &n->args.x_row)) return carat_step_aside("strided operand");
    *aligned = is_aligned(tensors, count, n->args.cols, n->args.x_row, carat_dtype_size(n->dtype));
    return CARAT_OK;
}

carat_status carat_norm_choose_lanes(const carat_frame *call, carat_norm_lanes *n, carat_norm_lanes_part part, bool aligned)
{
    if (!choose(call->backend->target(call->device), part, n->args.cols, n->dtype, aligned, &n->shape)) return carat_step_aside("long rows");
    const size_t bytes = carat_dtype_size(n->dtype);
    n->args.ahead = carat_lanes_ahead(n->args.cols * (int64_t)bytes * (part == CARAT_NORM_LANES_forward ? 1 : 2));
    return CARAT_OK;
}

// ---- forward

// inputs: x and, or NULL, weight and bias. The results are y, the mean (not of an RMS norm) and rstd.
static carat_status run_forward(carat_frame *call, bool rms, const carat_tensor *const *inputs, int outer, const int64_t *moments, double eps)
{
    const carat_tensor *const x = inputs[0];
    const int results = rms ? 2 : 3;
    carat_norm_lanes n = { .rms = rms, .dtype = carat_dtype_of(x) };
    const carat_dtype moment = carat_compute_dtype(n.dtype);
    carat_output out[3];
    bool aligned;
    for (int i = 0; i < results; ++i)
        CARAT_TRY(carat_norm_check_output(call, i, i ? moment : n.dtype, x->ndim, i ? moments : x->shape, inputs, 3));
    const carat_tensor *const tensors[4] = { x, inputs[1], inputs[2], carat_output_given(call, 0) };
    CARAT_TRY(carat_norm_shape_lanes(&n, outer, tensors, 4, &aligned));
    CARAT_TRY(carat_norm_choose_lanes(call, &n, CARAT_NORM_LANES_forward, aligned));
    const int flags = (inputs[1] ? CARAT_NORM_WEIGHT : 0) | (inputs[2] ? CARAT_NORM_BIAS : 0);
    CARAT_TRY(carat_norm_find_lanes(call, &n, CARAT_NORM_LANES_forward, flags));
    for (int i = 0; i < results; ++i)
        CARAT_TRY(carat_output_make(call, i, i ? moment : n.dtype, x->ndim, i ? moments : x->shape, NULL, &out[i]));
    n.args.x = carat_data(x);
    n.args.weight = inputs[1] ? carat_data(inputs[1]) : NULL;
    n.args.bias = inputs[2] ? carat_data(inputs[2]) : NULL;
    n.args.out = carat_data(&out[0].view);
    n.args.mean = rms ? NULL : carat_data(&out[1].view);
    n.args.rstd = carat_data(&out[results - 1].view);
    n.args.eps = eps;
    return carat_norm_launch_lanes(call, &n, CARAT_NORM_LANES_forward, flags, n.args.rows);
}

carat_status carat_norm_run_layer_lanes(carat_frame *call, const carat_tensor *const *inputs, int outer, const int64_t *moments)
{
    return run_forward(call, false, inputs, outer, moments, carat_float_arg(call, 4, 1e-5));
}

// _fused_rms_norm(input, normalized_shape, weight, eps) -> (y, rstd)
carat_status carat_norm_run_rms(carat_frame *call)
{
    const carat_tensor *const inputs[3] = { carat_tensor_arg(call, 0), carat_tensor_arg(call, 2), NULL };
    carat_norm_dtypes dtypes;
    carat_norm_shape s;
    CARAT_TRY(carat_norm_settle(inputs[0], inputs[1], NULL, &dtypes));
    CARAT_TRY(carat_norm_shape_call(call, inputs[0], 1, inputs[1], NULL, &s));
    return run_forward(call, true, inputs, s.outer, s.moments, carat_float_arg(call, 3, dtypes.x == CARAT_f64 ? 0x1p-52 : 0x1p-23));
}

// Rows of usual lengths, in vectors and not, with all parameters and none.
void carat_norm_enumerate_lanes(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (int64_t cols = 64; carat_is_float(dtype) && cols <= INT64_C(1) << 18; cols *= 4)
            for (int variant = 0; variant < 8 * CARAT_NORM_LANES_columns; ++variant) {
                carat_lanes shape;
                const bool aligned = variant & 1, params = variant >> 1 & 1, rms = variant >> 2 & 1;
                const carat_norm_lanes_part part = (carat_norm_lanes_part)(variant >> 3);
                const int flags = !params ? 0 : part == CARAT_NORM_LANES_forward && !rms ? CARAT_NORM_WEIGHT | CARAT_NORM_BIAS : CARAT_NORM_WEIGHT;
                if (part == CARAT_NORM_LANES_sums && (params || cols > 64)) continue;
                if (!choose(target, part, cols, dtype, aligned, &shape)) continue;
                const carat_key key = make_key(part, rms, flags, dtype, part == CARAT_NORM_LANES_sums ? carat_norm_sums_shape(dtype, aligned) : shape);
                emit(arg, &key);
            }
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        const carat_key key = make_key(CARAT_NORM_LANES_columns, false, 0, dtype, carat_norm_columns_shape);
        if (carat_is_float(dtype)) emit(arg, &key);
    }
}

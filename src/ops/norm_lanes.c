// SPDX-License-Identifier: Apache-2.0
// Layer norm in groups of many lanes (kernels/norm_lanes.k.c): rows that one group holds.
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "jit/jit.h"
#include "norm_lanes_args.h"
#include "ops/lanes.h"
#include "ops/norm.h"

// key.dtypes[0]: x and parameters; key.params: the group's shape, which parameters there are.
static carat_key make_key(carat_dtype dtype, carat_lanes shape, bool weight, bool bias)
{
    carat_key key = { .family = CARAT_FAMILY_norm };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[0] = shape.lanes;
    key.params[1] = shape.keep;
    key.params[2] = shape.vec;
    key.params[3] = (uint8_t)(weight | bias << 1);
    return key;
}

void carat_norm_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "WEIGHT", "%d", key->params[3] & 1);
    carat_define(defines, "BIAS", "%d", key->params[3] >> 1);
    carat_lanes_define((carat_lanes){ key->params[0], key->params[1], key->params[2] }, defines);
}

// Elements that a lane's registers hold of a row, beside its parameters.
static int held_by_lane(carat_dtype dtype)
{
    return dtype == CARAT_f64 ? 8 : 16;
}

static bool is_aligned(const carat_tensor *const *inputs, const carat_tensor *given, int64_t cols, int64_t stride, size_t bytes)
{
    const int64_t vector = 16 / (int64_t)bytes;
    if (cols % vector != 0 || (given && !carat_lanes_aligned(carat_data(given), cols, bytes, vector))) return false;
    for (int i = 0; i < 3; ++i)
        if (inputs[i] && !carat_lanes_aligned(carat_data(inputs[i]), i ? cols : stride, bytes, vector)) return false;
    return true;
}

carat_status carat_norm_run_layer_lanes(carat_frame *call, const carat_tensor *const *inputs, int outer, const int64_t *moments)
{
    const carat_tensor *const x = inputs[0];
    const carat_dtype dtype = carat_dtype_of(x), moment = carat_compute_dtype(dtype);
    int64_t rows, cols, stride;
    carat_lanes shape;
    for (int i = 1; i < 3; ++i)
        if (inputs[i] && (carat_dtype_of(inputs[i]) != dtype || !carat_is_contiguous(inputs[i])))
            return carat_step_aside("parameters of another kind");
    for (int i = 0; i < 3; ++i)
        CARAT_TRY(carat_norm_check_output(call, i, i ? moment : dtype, x->ndim, i ? moments : x->shape, inputs, 3));
    if (carat_numel(x) == 0) return carat_step_aside("empty");
    if (!carat_lanes_rows(x, outer, &rows, &cols, &stride)) return carat_step_aside("strided operand");
    const size_t bytes = carat_dtype_size(dtype);
    const bool aligned = is_aligned(inputs, carat_output_given(call, 0), cols, stride, bytes);
    if (!carat_lanes_choose(call->backend->target(call->device), cols, bytes, aligned, held_by_lane(dtype), &shape))
        return carat_step_aside("long rows");
    carat_output out[3];
    for (int i = 0; i < 3; ++i)
        CARAT_TRY(carat_output_make(call, i, i ? moment : dtype, x->ndim, i ? moments : x->shape, NULL, &out[i]));
    const carat_key key = make_key(dtype, shape, inputs[1], inputs[2]);
    const norm_lanes_args a = {
        .x = carat_data(x), .weight = inputs[1] ? carat_data(inputs[1]) : NULL, .bias = inputs[2] ? carat_data(inputs[2]) : NULL,
        .out = carat_data(&out[0].view), .mean = carat_data(&out[1].view), .rstd = carat_data(&out[2].view),
        .cols = cols, .x_row = stride, .eps = carat_float_arg(call, 4, 1e-5),
    };
    return carat_run_kernel(call, &key, &a, sizeof a, rows, 1);
}

// Rows of usual lengths, with all parameters and none.
void carat_norm_enumerate_lanes(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (int64_t cols = 64; carat_is_float(dtype) && cols <= INT64_C(1) << 16; cols *= 4)
            for (int variant = 0; variant < 4; ++variant) {
                carat_lanes shape;
                const bool aligned = variant & 1, params = variant >> 1;
                if (!carat_lanes_choose(target, cols, carat_dtype_size(dtype), aligned, held_by_lane(dtype), &shape)) continue;
                const carat_key key = make_key(dtype, shape, params, params);
                emit(arg, &key);
            }
}

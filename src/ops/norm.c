// SPDX-License-Identifier: Apache-2.0
// The norm family: rows, kernels, and the checks that its operators share.
#include "ops/norm.h"

#include "jit/jit.h"

static const carat_row rows[] = {
#define NORM(id, overloads, run) { #id, overloads, CARAT_FLOATS, carat_norm_##run },
#include "norm.def"
#undef NORM
};

// ---- kernels: key.row is the part; key.dtypes: x, parameters

static carat_key make_key(carat_norm_dtypes dtypes, carat_norm_part part)
{
    carat_key key = { .family = CARAT_FAMILY_norm, .row = (uint16_t)part };
    key.dtypes[0] = (uint8_t)dtypes.x;
    key.dtypes[1] = (uint8_t)dtypes.param;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    if (target->lanes > 1) {
        carat_norm_describe_lanes(key, defines);
        return;
    }
    static const char *const parts[CARAT_NORM_PART_COUNT] = {
#define PART(name) #name,
        CARAT_NORM_PARTS(PART)
#undef PART
    };
    const carat_dtype x = (carat_dtype)key->dtypes[0];
    carat_define(defines, "T", "%s", carat_dtype_name(x));
    carat_define(defines, "P", "%s", carat_dtype_name((carat_dtype)key->dtypes[1]));
    carat_define(defines, "PART", "%s", parts[key->row]);
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(carat_compute_dtype(x)));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_norm_enumerate_lanes(target, emit, arg);
        return;
    }
    for (carat_dtype x = 0; x < CARAT_DTYPE_COUNT; ++x)
        for (int mixed = 0; carat_is_float(x) && mixed <= carat_dtype_in(x, CARAT_HALVES); ++mixed)
            for (carat_norm_part part = 0; part < CARAT_NORM_PART_COUNT; ++part) {
                const carat_key key = make_key((carat_norm_dtypes){ x, mixed ? CARAT_f32 : x }, part);
                emit(arg, &key);
            }
}

carat_status carat_norm_find(const carat_frame *call, carat_norm_dtypes dtypes, carat_norm_part first, carat_norm_part second)
{
    carat_kernel kernel;
    carat_key key = make_key(dtypes, first);
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    key = make_key(dtypes, second);
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

carat_status carat_norm_launch(const carat_frame *call, carat_norm_dtypes dtypes, carat_norm_part part, const norm_args *a, int64_t groups)
{
    enum { THREAD_ELEMENTS = 16384 }; // below this a second thread costs more than it brings
    const carat_key key = make_key(dtypes, part);
    const int64_t rows_of_group = part == CARAT_NORM_parameters ? a->parts * NORM_TILE : a->group_rows * a->size;
    return carat_run_kernel(call, &key, a, sizeof *a, groups, 1 + THREAD_ELEMENTS / (rows_of_group + 1));
}

// ---- checks

carat_status carat_norm_settle(const carat_tensor *x, const carat_tensor *weight, const carat_tensor *bias, carat_norm_dtypes *dtypes)
{
    if (!x || !carat_is_float(carat_dtype_of(x))) return carat_step_aside("dtype");
    dtypes->x = dtypes->param = carat_dtype_of(x);
    const carat_tensor *first = weight ? weight : bias;
    if (!first) return CARAT_OK;
    dtypes->param = carat_dtype_of(first);
    if (dtypes->param != dtypes->x && !(carat_dtype_in(dtypes->x, CARAT_HALVES) && dtypes->param == CARAT_f32))
        return carat_step_aside("dtype of the parameters");
    return bias && carat_dtype_of(bias) != dtypes->param ? carat_step_aside("dtype of the parameters") : CARAT_OK;
}

carat_status carat_norm_check_param(const carat_tensor *param, int64_t count)
{
    return param && carat_numel(param) != count ? carat_step_aside("shape of the parameters") : CARAT_OK;
}

carat_status carat_norm_check_output(const carat_frame *call, int index, carat_dtype dtype, int ndim, const int64_t *shape,
                                     const carat_tensor *const *inputs, int input_count)
{
    CARAT_TRY(carat_output_check(call, index, dtype, ndim, shape));
    const carat_tensor *given = carat_output_given(call, index);
    if (!given) return CARAT_OK;
    if (!carat_is_contiguous(given)) return carat_step_aside("strides of the output");
    for (int i = 0; i < input_count; ++i)
        if (inputs[i] && carat_overlap_of(given, inputs[i]) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

// On a CPU, RMS norm is made of other operators.
static bool is_for_devices(int index)
{
    return rows[index].run == carat_norm_run_rms || rows[index].run == carat_norm_run_rms_backward;
}

// All but weight norm.
static bool has_lanes(int index)
{
    return rows[index].run != carat_norm_run_weight && rows[index].run != carat_norm_run_weight_backward;
}

const carat_family carat_family_norm = {
    .name = "norm",
    .source = "norm.k.c",
    .lanes_source = "norm_lanes.k.c",
    .row_has_lanes = has_lanes,
    .row_for_devices = is_for_devices,
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

// SPDX-License-Identifier: Apache-2.0
// The sums family: rows without overloads, whose kernels other families run.
#include "ops/sums.h"

#include "ops/reduce_lanes.h"

static const carat_row rows[] = {
#define SUMS(id) { #id, "", CARAT_FLOATS, NULL },
#include "sums.def"
#undef SUMS
};

static carat_key make_key(carat_sums_id id, carat_dtype in, carat_dtype center, bool alike)
{
    carat_key key = { .family = CARAT_FAMILY_sums, .row = (uint16_t)id };
    key.dtypes[0] = (uint8_t)in;
    key.dtypes[1] = (uint8_t)center;
    key.dtypes[2] = alike;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_dtype in = (carat_dtype)key->dtypes[0];
    (void)target;
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(carat_compute_dtype(in)));
    carat_define(defines, "T_CENTER", "%s", carat_dtype_name((carat_dtype)key->dtypes[1]));
    carat_define(defines, "ALIKE", "%d", key->dtypes[2]);
    carat_define(defines, "PAIRED", "%d", key->row != CARAT_SUMS_values);
    carat_define(defines, "CENTERED", "%d", key->row == CARAT_SUMS_slopes);
    carat_reduce_lanes_define(key, carat_dtype_size(in), defines);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_sums_id id = 0; target->lanes > 1 && id < CARAT_SUMS_COUNT; ++id)
        for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
            if (carat_is_float(in)) carat_reduce_lanes_enumerate(make_key(id, in, carat_compute_dtype(in), true), carat_dtype_size(in), emit, arg);
}

static bool are_aligned_alike(const carat_tensor *a, const carat_tensor *b)
{
    return ((uintptr_t)carat_data(a) - (uintptr_t)carat_data(b)) % 16 == 0;
}

carat_status carat_sums_run(const carat_frame *call, carat_sums_id id, const carat_sums *sums)
{
    const carat_dtype dtype = carat_dtype_of(sums->space.in);
    carat_reduce_lanes plan;
    const bool alike = !sums->other || are_aligned_alike(sums->space.in, sums->other);
    CARAT_TRY(carat_reduce_lanes_plan(&sums->space, sums->out, false, &plan));
    plan.args.other = sums->other ? carat_data(sums->other) : NULL;
    plan.args.second = sums->second;
    plan.args.center = sums->center;
    plan.args.center_outputs = sums->center_outputs;
    const carat_dtype center = sums->center ? sums->center_dtype : carat_compute_dtype(dtype);
    return carat_reduce_lanes_run(call, make_key(id, dtype, center, alike), &plan, 2 * carat_dtype_size(carat_compute_dtype(dtype)));
}

const carat_family carat_family_sums = {
    .name = "sums",
    .lanes_source = "sums_lanes.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = CARAT_SUMS_COUNT,
    .describe = describe,
    .enumerate = enumerate,
};

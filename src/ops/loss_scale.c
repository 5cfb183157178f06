// SPDX-License-Identifier: Apache-2.0
// The loss_scale family: the scale of losses from step to step.
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "loss_scale_args.h"

enum { LANES = 32 };

static const carat_row rows[] = {
#define ROW(id, overloads) { #id, overloads, CARAT_BIT(f32), NULL },
#include "loss_scale.def"
#undef ROW
};

// One element of a dtype on the call's device, or NULL.
static void *place_of(const carat_frame *call, int i, carat_dtype dtype)
{
    const carat_tensor *tensor = carat_tensor_arg(call, i);
    const bool fits = tensor && carat_numel(tensor) == 1 && carat_dtype_of(tensor) == dtype && tensor->device.type == call->device.type;
    return fits ? carat_data(tensor) : NULL;
}

static carat_status run(carat_frame *call) // self, growth_tracker, found_inf, scale_growth_factor, scale_backoff_factor, growth_interval
{
    const carat_key key = { .family = CARAT_FAMILY_loss_scale };
    const loss_scale_args a = { .scale = place_of(call, 0, CARAT_f32), .tracker = place_of(call, 1, CARAT_i32), .found_inf = place_of(call, 2, CARAT_f32),
                                .growth = carat_float_arg(call, 3, 2), .backoff = carat_float_arg(call, 4, 0.5), .interval = carat_int_arg(call, 5, 0) };
    if (call->nouts || !a.scale || !a.tracker || !a.found_inf) return carat_step_aside("argument kind");
    return carat_run_kernel(call, &key, &a, sizeof a, 1, 1);
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    (void)key;
    if (target->lanes > 1) carat_define(defines, "LANES", "%d", LANES);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    const carat_key key = { .family = CARAT_FAMILY_loss_scale };
    (void)target;
    emit(arg, &key);
}

const carat_family carat_family_loss_scale = {
    .name = "loss_scale",
    .source = "loss_scale.k.c",
    .lanes_source = "loss_scale.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

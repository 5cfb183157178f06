// SPDX-License-Identifier: Apache-2.0
// Fused Adam and AdamW: checks the lists, works out each parameter's bias corrections, launches once.
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "optimizer_args.h"

#include <math.h>
#include <string.h>

typedef struct optimizer_row {
    carat_row base;
    uint8_t decoupled;
} optimizer_row;

static const optimizer_row rows[] = {
#define OPTIMIZER(id, overloads, decoupled) { { #id, overloads, CARAT_FLOATS, NULL }, decoupled },
#include "optimizer.def"
#undef OPTIMIZER
};

// The schema: self, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, lr, beta1, beta2, weight_decay, eps,
// amsgrad, maximize, grad_scale, found_inf.
enum { SELF, GRADS, EXP_AVGS, EXP_AVG_SQS, MAX_EXP_AVG_SQS, STEPS, LR, BETA1, BETA2, WEIGHT_DECAY, EPS, AMSGRAD, MAXIMIZE, GRAD_SCALE, FOUND_INF, ARGS };

enum { GROUP_ELEMENTS = 8192, THREAD_ELEMENTS = 2 * GROUP_ELEMENTS };

static const carat_tensor *item(const carat_frame *call, int list, int64_t i)
{
    return &call->args[list].tensors.items[i];
}

static bool same_layout(const carat_tensor *a, const carat_tensor *b)
{
    return carat_same_shape(a, b) && carat_dtype_of(a) == carat_dtype_of(b) && carat_is_dense(a)
           && (!memcmp(a->strides, b->strides, sizeof *a->strides * (size_t)a->ndim)
               || (carat_is_contiguous(a) && carat_is_contiguous(b)));
}

// All tensors of a parameter must be walked with one index; all parameters have one dtype.
static carat_status check_parameter(const carat_frame *call, int64_t i)
{
    const carat_tensor *self = item(call, SELF, i);
    if (carat_dtype_of(self) != carat_dtype_of(item(call, SELF, 0)) || !carat_is_float(carat_dtype_of(self)))
        return carat_step_aside("dtype");
    for (int list = GRADS; list <= EXP_AVG_SQS; ++list) {
        if (!same_layout(self, item(call, list, i))) return carat_step_aside("layouts differ");
        if (carat_overlap_of(self, item(call, list, i)) != CARAT_DISJOINT) return carat_step_aside("parameters overlap");
    }
    const carat_tensor *step = item(call, STEPS, i);
    if (carat_numel(step) != 1 || !carat_is_float(carat_dtype_of(step)) || step->device.type != CARAT_CPU)
        return carat_step_aside("step is no number");
    return CARAT_OK;
}

static carat_status check(const carat_frame *call)
{
    if (call->nargs != ARGS || call->nouts) return carat_step_aside("schema");
    for (int list = SELF; list <= STEPS; ++list) {
        if (call->args[list].kind != CARAT_ARG_TENSORS) return carat_step_aside("argument kind");
        if (list != MAX_EXP_AVG_SQS && call->args[list].tensors.count != call->args[SELF].tensors.count)
            return carat_step_aside("lists of different lengths");
    }
    if (call->args[LR].kind != CARAT_ARG_FLOAT) return carat_step_aside("lr is a tensor");
    if (carat_int_arg(call, AMSGRAD, 0)) return carat_step_aside("amsgrad");
    if (call->args[GRAD_SCALE].kind != CARAT_ARG_NONE || call->args[FOUND_INF].kind != CARAT_ARG_NONE)
        return carat_step_aside("gradient scaling");
    for (int64_t i = 0; i < call->args[SELF].tensors.count; ++i) CARAT_TRY(check_parameter(call, i));
    return CARAT_OK;
}

// Describes every parameter; returns the number of groups.
static int64_t describe_parameters(const carat_frame *call, const optimizer_args *a, optimizer_parameter *parameters)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < a->count; ++i) {
        const carat_tensor *step_tensor = item(call, STEPS, i);
        const double step = carat_scalar_load(carat_dtype_of(step_tensor), carat_data(step_tensor)).re;
        parameters[i] = (optimizer_parameter){
            .param = carat_data(item(call, SELF, i)),
            .grad = carat_data(item(call, GRADS, i)),
            .exp_avg = carat_data(item(call, EXP_AVGS, i)),
            .exp_avg_sq = carat_data(item(call, EXP_AVG_SQS, i)),
            .numel = carat_numel(item(call, SELF, i)),
            .first_group = groups,
            .step_size = a->lr / (1 - pow(a->beta1, step)),
            .second_correction = sqrt(1 - pow(a->beta2, step)),
        };
        groups += (parameters[i].numel + a->group_elements - 1) / a->group_elements;
    }
    return groups;
}

// Bisection needs distinct first groups: parameters without elements go.
static int64_t drop_empty(optimizer_parameter *parameters, int64_t count)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i)
        if (parameters[i].numel) parameters[kept++] = parameters[i];
    return kept;
}

// Groups that are worth a thread: many where parameters are small.
static int64_t groups_of_a_thread(const optimizer_args *a, int64_t groups)
{
    int64_t elements = 0;
    for (int64_t i = 0; i < a->count; ++i) elements += a->parameters[i].numel;
    return elements ? (THREAD_ELEMENTS * groups + elements - 1) / elements : 1;
}

static carat_status run(carat_frame *call)
{
    CARAT_TRY(check(call));
    optimizer_args a = {
        .count = call->args[SELF].tensors.count,
        .group_elements = GROUP_ELEMENTS,
        .lr = call->args[LR].f,
        .beta1 = carat_float_arg(call, BETA1, 0.9),
        .beta2 = carat_float_arg(call, BETA2, 0.999),
        .weight_decay = carat_float_arg(call, WEIGHT_DECAY, 0),
        .eps = carat_float_arg(call, EPS, 1e-8),
        .maximize = carat_int_arg(call, MAXIMIZE, 0),
    };
    if (a.count == 0) return CARAT_OK;
    optimizer_parameter *parameters = carat_alloc(sizeof *parameters * (size_t)a.count);
    if (!parameters) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for the list of %lld parameters", (long long)a.count);
    const int64_t groups = describe_parameters(call, &a, parameters);
    a.count = drop_empty(parameters, a.count);
    a.parameters = parameters;
    const carat_key key = { .family = CARAT_FAMILY_optimizer, .row = call->op->row_index,
                            .dtypes = { (uint8_t)carat_dtype_of(item(call, SELF, 0)) } };
    const carat_status status = carat_run_kernel(call, &key, &a, sizeof a, groups, groups_of_a_thread(&a, groups));
    carat_free(parameters);
    return status;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    (void)target;
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "DECOUPLED", "%d", rows[key->row].decoupled);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    for (int row = 0; row < (int)(sizeof rows / sizeof *rows); ++row)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            if (!carat_is_float(dtype)) continue;
            const carat_key key = { .family = CARAT_FAMILY_optimizer, .row = (uint16_t)row, .dtypes = { (uint8_t)dtype } };
            emit(arg, &key);
        }
}

const carat_family carat_family_optimizer = {
    .name = "optimizer",
    .source = "optimizer.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

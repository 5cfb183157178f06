// SPDX-License-Identifier: Apache-2.0
// Fused optimizers: what a call's arguments say, checks of the lists, one launch.
#include "ops/optimizer.h"

#include "jit/jit.h"
#include "ops/list_lanes.h"

typedef struct optimizer_row {
    carat_row base;
    const char *rule;
    uint8_t decoupled;
    carat_status (*read)(const carat_frame *call, carat_optimizer_call *to);
    uint8_t least, most; // lists that it may have
    bool stepped;
    uint32_t not_on_cpus, not_on_devices; // dtypes: of which ATen is faster there, or its own results are others than the rule's, or errors
    bool no_scale_on_devices;             // the same of gradients with a scale
} optimizer_row;

enum { GROUP_ELEMENTS = 8192, THREAD_ELEMENTS = 2 * GROUP_ELEMENTS };

// ---- arguments

// Argument i as the next list, if it has tensors: where one may be missing, it is empty.
static carat_status read_list(const carat_frame *call, int i, carat_optimizer_call *to)
{
    const carat_arg *arg = &call->args[i];
    if (i >= call->nargs || arg->kind != CARAT_ARG_TENSORS) return carat_step_aside("argument kind");
    if (i && arg->tensors.count != call->args[0].tensors.count) return carat_step_aside("lists of different lengths");
    to->list[to->lists++] = arg;
    return CARAT_OK;
}

static carat_status read_steps(const carat_frame *call, int i, carat_optimizer_call *to)
{
    CARAT_TRY(read_list(call, i, to));
    to->steps = to->list[--to->lists];
    return CARAT_OK;
}

// One number of f32 in memory, where it is known to be on the call's device.
static carat_status read_place(const carat_frame *call, int i, f32 **place)
{
    if (i >= call->nargs || call->args[i].kind == CARAT_ARG_NONE) return CARAT_OK;
    const carat_tensor *tensor = carat_tensor_arg(call, i);
    if (!tensor || carat_numel(tensor) != 1 || carat_dtype_of(tensor) != CARAT_f32 || tensor->device.type != call->device.type)
        return carat_step_aside("number in memory");
    *place = carat_data(tensor);
    return CARAT_OK;
}

// A learning rate: a number, or a tensor of one. The host's own tensor is read here.
static carat_status read_lr(const carat_frame *call, int i, optimizer_numbers *numbers)
{
    const carat_tensor *tensor = carat_tensor_arg(call, i);
    f32 *place = NULL;
    numbers->lr = carat_float_arg(call, i, 0);
    if (!tensor) return CARAT_OK;
    if (tensor->device.type == CARAT_CPU && carat_numel(tensor) == 1) {
        numbers->lr = carat_scalar_load(carat_dtype_of(tensor), carat_data(tensor)).re;
        return carat_is_float(carat_dtype_of(tensor)) ? CARAT_OK : carat_step_aside("lr is a whole number");
    }
    CARAT_TRY(read_place(call, i, &place));
    numbers->lr_tensor = place;
    return CARAT_OK;
}

// grad_scale and found_inf, from argument i on.
static carat_status read_scaling(const carat_frame *call, int i, optimizer_numbers *numbers)
{
    f32 *scale = NULL;
    CARAT_TRY(read_place(call, i, &scale));
    numbers->scale = scale;
    return read_place(call, i + 1, &numbers->found_inf);
}

// self, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, lr, beta1, beta2, weight_decay, eps, amsgrad, maximize, ...
static carat_status read_adam(const carat_frame *call, carat_optimizer_call *to)
{
    for (int i = 0; i < (carat_int_arg(call, 11, 0) ? 5 : 4); ++i) CARAT_TRY(read_list(call, i, to));
    CARAT_TRY(read_steps(call, 5, to));
    CARAT_TRY(read_lr(call, 6, &to->numbers));
    to->numbers.first = carat_float_arg(call, 7, 0.9);
    to->numbers.second = carat_float_arg(call, 8, 0.999);
    to->numbers.weight_decay = carat_float_arg(call, 9, 0);
    to->numbers.eps = carat_float_arg(call, 10, 1e-8);
    to->numbers.maximize = carat_int_arg(call, 12, 0) != 0;
    return read_scaling(call, 13, &to->numbers);
}

// self, grads, momentum_buffer_list, weight_decay, momentum, lr, dampening, nesterov, maximize, is_first_step, ...
static carat_status read_sgd(const carat_frame *call, carat_optimizer_call *to)
{
    const bool momentum = call->nargs > 2 && call->args[2].kind == CARAT_ARG_TENSORS && call->args[2].tensors.count;
    for (int i = 0; i < (momentum ? 3 : 2); ++i) CARAT_TRY(read_list(call, i, to));
    to->numbers.weight_decay = carat_float_arg(call, 3, 0);
    to->numbers.first = carat_float_arg(call, 4, 0);
    if ((to->numbers.first != 0) != momentum) return carat_step_aside("momentum without its buffers");
    CARAT_TRY(read_lr(call, 5, &to->numbers));
    to->numbers.second = carat_float_arg(call, 6, 0);
    to->numbers.nesterov = carat_int_arg(call, 7, 0) != 0;
    to->numbers.maximize = carat_int_arg(call, 8, 0) != 0;
    to->numbers.first_step = carat_int_arg(call, 9, 0) != 0;
    return read_scaling(call, 10, &to->numbers);
}

// self, grads, state_sums, state_steps, lr, lr_decay, weight_decay, eps, maximize, ...
static carat_status read_adagrad(const carat_frame *call, carat_optimizer_call *to)
{
    for (int i = 0; i < 3; ++i) CARAT_TRY(read_list(call, i, to));
    CARAT_TRY(read_steps(call, 3, to));
    CARAT_TRY(read_lr(call, 4, &to->numbers));
    to->numbers.first = carat_float_arg(call, 5, 0);
    to->numbers.weight_decay = carat_float_arg(call, 6, 0);
    to->numbers.eps = carat_float_arg(call, 7, 1e-10);
    to->numbers.maximize = carat_int_arg(call, 8, 0) != 0;
    return read_scaling(call, 9, &to->numbers);
}

// self, found_inf, inv_scale
static carat_status read_unscale(const carat_frame *call, carat_optimizer_call *to)
{
    f32 *scale = NULL;
    CARAT_TRY(read_list(call, 0, to));
    CARAT_TRY(read_place(call, 1, &to->numbers.found_inf));
    CARAT_TRY(read_place(call, 2, &scale));
    to->numbers.scale = scale;
    return scale && to->numbers.found_inf ? CARAT_OK : carat_step_aside("argument kind");
}

// What the rules have, by their names in optimizer.def.
#define RULE_adam .read = read_adam, .least = 4, .most = 5, .stepped = true, .not_on_devices = CARAT_HALVES // 0.55 of ATen's speed, as last timed
#define RULE_sgd .read = read_sgd, .least = 2, .most = 3, .not_on_cpus = CARAT_HALVES
#define RULE_adagrad .read = read_adagrad, .least = 3, .most = 3, .stepped = true, .no_scale_on_devices = true
#define RULE_unscale .read = read_unscale, .least = 1, .most = 1, .not_on_devices = CARAT_BIT(bf16)
static const optimizer_row rows[] = {
#define OPTIMIZER(id, overloads, name, decouples) { { #id, overloads, CARAT_FLOATS, NULL }, .rule = #name, .decoupled = decouples, RULE_##name },
#include "optimizer.def"
#undef OPTIMIZER
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

// ---- checks

// All tensors of a parameter must be walked with one index; all parameters have one dtype.
static carat_status check_parameter(const carat_frame *call, const carat_optimizer_call *optimizer, int64_t i)
{
    const carat_tensor *self = carat_optimizer_tensor(optimizer->list[0], i);
    for (int j = 0; j < optimizer->lists; ++j) {
        const carat_tensor *tensor = carat_optimizer_tensor(optimizer->list[j], i);
        if (carat_dtype_of(tensor) != optimizer->dtype) return carat_step_aside("dtype");
        if (tensor->device.type != call->device.type) return carat_step_aside("tensors on several devices");
        if (!carat_list_alike(self, tensor)) return carat_step_aside("layouts differ");
        if (j && carat_overlap_of(self, tensor) != CARAT_DISJOINT) return carat_step_aside("parameters overlap");
    }
    return CARAT_OK;
}

static carat_status check_step(const carat_frame *call, const carat_tensor *step, carat_dtype dtype)
{
    if (carat_numel(step) != 1 || carat_dtype_of(step) != dtype || step->device.type != call->device.type)
        return carat_step_aside("step is no number");
    return CARAT_OK;
}

static carat_status check(const carat_frame *call, carat_optimizer_call *optimizer)
{
    const int64_t count = optimizer->list[0]->tensors.count;
    for (int64_t i = 0; i < count; ++i) CARAT_TRY(check_parameter(call, optimizer, i));
    if (!optimizer->steps) return CARAT_OK;
    const carat_dtype dtype = carat_dtype_of(carat_optimizer_tensor(optimizer->steps, 0));
    if (dtype != CARAT_f32 && dtype != CARAT_f64) return carat_step_aside("step is no number");
    optimizer->numbers.wide_steps = dtype == CARAT_f64;
    for (int64_t i = 0; i < count; ++i) CARAT_TRY(check_step(call, carat_optimizer_tensor(optimizer->steps, i), dtype));
    return CARAT_OK;
}

// ---- one lane

// Describes every parameter that has elements, as bisection needs distinct first groups; returns the number of groups.
static int64_t describe_parameters(const carat_optimizer_call *optimizer, optimizer_args *a, optimizer_parameter *parameters)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < optimizer->list[0]->tensors.count; ++i) {
        optimizer_parameter *p = &parameters[a->count];
        *p = (optimizer_parameter){ .numel = carat_numel(carat_optimizer_tensor(optimizer->list[0], i)), .first_group = groups };
        if (!p->numel) continue;
        for (int j = 0; j < optimizer->lists; ++j) p->list[j] = carat_data(carat_optimizer_tensor(optimizer->list[j], i));
        if (optimizer->steps) p->step = carat_data(carat_optimizer_tensor(optimizer->steps, i));
        groups += (p->numel + a->group_elements - 1) / a->group_elements;
        ++a->count;
    }
    return groups;
}

// Groups that are worth a thread: many where parameters are small.
static int64_t groups_of_a_thread(const optimizer_args *a, int64_t groups)
{
    int64_t elements = 0;
    for (int64_t i = 0; i < a->count; ++i) elements += a->parameters[i].numel;
    return elements ? (THREAD_ELEMENTS * groups + elements - 1) / elements : 1;
}

static carat_status launch(const carat_frame *call, const carat_optimizer_call *optimizer, const carat_key *key)
{
    const size_t count = (size_t)optimizer->list[0]->tensors.count;
    optimizer_args a = { .numbers = optimizer->numbers, .group_elements = GROUP_ELEMENTS };
    optimizer_parameter *parameters = carat_alloc(sizeof *parameters * count);
    if (!parameters) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for the list of %zu parameters", count);
    const int64_t groups = describe_parameters(optimizer, &a, parameters);
    a.parameters = parameters;
    const carat_status status = carat_run_kernel(call, key, &a, sizeof a, groups, groups_of_a_thread(&a, groups));
    carat_free(parameters);
    return status;
}

// ---- the family

static carat_key make_key(int row, carat_dtype dtype, int lists, bool scaled)
{
    carat_key key = { .family = CARAT_FAMILY_optimizer, .row = (uint16_t)row, .dtypes = { (uint8_t)dtype } };
    key.params[CARAT_OPTIMIZER_KEY_LISTS] = (uint8_t)lists;
    key.params[CARAT_OPTIMIZER_KEY_SCALED] = scaled;
    key.params[CARAT_OPTIMIZER_KEY_STEPPED] = rows[row].stepped;
    return key;
}

static carat_status run(carat_frame *call)
{
    const optimizer_row *row = &rows[call->op->row_index];
    carat_optimizer_call optimizer = { .lists = 0 };
    if (call->nouts) return carat_step_aside("schema");
    CARAT_TRY(row->read(call, &optimizer));
    if (!optimizer.list[0]->tensors.count) return carat_step_aside("empty list");
    optimizer.dtype = carat_dtype_of(carat_optimizer_tensor(optimizer.list[0], 0));
    if (!carat_is_float(optimizer.dtype)) return carat_step_aside("dtype");
    if (carat_dtype_in(optimizer.dtype, carat_has_lanes(call) ? row->not_on_devices : row->not_on_cpus)) return carat_step_aside("dtype");
    if (carat_has_lanes(call) && row->no_scale_on_devices && optimizer.numbers.scale) return carat_step_aside("scale");
    CARAT_TRY(check(call, &optimizer));
    const carat_key key = make_key(call->op->row_index, optimizer.dtype, optimizer.lists, optimizer.lists > 1 && optimizer.numbers.scale);
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    return carat_has_lanes(call) ? carat_optimizer_launch_lanes(call, &optimizer, &key) : launch(call, &optimizer, &key);
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "RULE", "%s", rows[key->row].rule);
    carat_define(defines, "DECOUPLED", "%d", rows[key->row].decoupled);
    carat_define(defines, "LISTS", "%d", key->params[CARAT_OPTIMIZER_KEY_LISTS]);
    carat_define(defines, "SCALED", "%d", key->params[CARAT_OPTIMIZER_KEY_SCALED]);
    if (target->lanes > 1) carat_optimizer_describe_lanes(key, defines);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < ROW_COUNT; ++row)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            const bool none = carat_dtype_in(dtype, target->lanes > 1 ? rows[row].not_on_devices : rows[row].not_on_cpus);
            for (int lists = rows[row].least; carat_is_float(dtype) && !none && lists <= rows[row].most; ++lists)
                for (int scaled = 0; scaled <= (lists > 1); ++scaled) {
                    const carat_key key = make_key(row, dtype, lists, scaled);
                    emit(arg, &key);
                }
        }
}

// The learning rate; whatever else must lie on the device is looked at.
static bool takes_number(int row, int argument)
{
    (void)row;
    return argument > 0;
}

const carat_family carat_family_optimizer = {
    .name = "optimizer",
    .source = "optimizer.k.c",
    .lanes_source = "optimizer_lanes.k.c",
    .takes_number = takes_number,
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROW_COUNT,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

// SPDX-License-Identifier: Apache-2.0
// The operators of all families by overload name, gathered from the table on first use, and the generic call.
#include "core/tensor.h"
#include "jit/jit.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const carat_family *const families[] = {
#define FAMILY(name) &carat_family_##name,
#include "families.def"
#undef FAMILY
};

enum { MAX_OPS = 4096, NAME_BYTES = 128 * 1024 };

static struct {
    carat_op ops[MAX_OPS]; // sorted by name
    size_t count;
    char names[NAME_BYTES];
    size_t names_used;
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const carat_family *carat_family_at(int id)
{
    return id >= 0 && id < CARAT_FAMILY_COUNT ? families[id] : NULL;
}

// "add_.Tensor" and "exp_" write their first argument; "__iand__" doesn't end its name in a single underscore.
static bool is_in_place(const char *name)
{
    const size_t base = strcspn(name, ".");
    return base > 1 && name[base - 1] == '_' && name[base - 2] != '_';
}

static void add_op(const char *name, size_t length, const carat_family *family, const carat_row *row, int index)
{
    if (table.count == MAX_OPS || table.names_used + length + 1 > NAME_BYTES) return; // a test checks that all fit
    char *copy = table.names + table.names_used;
    memcpy(copy, name, length);
    copy[length] = 0;
    table.names_used += length + 1;
    table.ops[table.count++] = (carat_op){ copy, family, row, (uint16_t)index, is_in_place(copy) };
}

static int compare_ops(const void *a, const void *b)
{
    return strcmp(((const carat_op *)a)->name, ((const carat_op *)b)->name);
}

static void gather(void)
{
    for (int f = 0; f < CARAT_FAMILY_COUNT; ++f)
        for (int r = 0; r < families[f]->row_count; ++r) {
            const carat_row *row = carat_family_row(families[f], r);
            for (const char *name = row->overloads; *name;) {
                const size_t length = strcspn(name, " ");
                if (length) add_op(name, length, families[f], row, r);
                name += length + (name[length] == ' ');
            }
        }
    qsort(table.ops, table.count, sizeof *table.ops, compare_ops);
}

size_t carat_op_count(void)
{
    pthread_once(&once, gather);
    return table.count;
}

const carat_op *carat_op_at(size_t index)
{
    return index < carat_op_count() ? &table.ops[index] : NULL;
}

// ---- operators made at run time: a list that grows at its head, so that readers take no lock

static _Atomic(carat_op *) made;

static const carat_op *find_made(const carat_op *first, const char *name)
{
    while (first && strcmp(first->name, name)) first = first->next;
    return first;
}

const carat_op *carat_op_publish(carat_op *op)
{
    op->next = atomic_load_explicit(&made, memory_order_acquire);
    do {
        const carat_op *const other = find_made(op->next, op->name);
        if (other) return other;
    } while (!atomic_compare_exchange_weak_explicit(&made, &op->next, op, memory_order_acq_rel, memory_order_acquire));
    return op;
}

const carat_op *carat_op_find(const char *name)
{
    if (!name) return NULL;
    const carat_op wanted = { .name = name };
    const carat_op *const found = bsearch(&wanted, table.ops, carat_op_count(), sizeof *table.ops, compare_ops);
    return found ? found : find_made(atomic_load_explicit(&made, memory_order_acquire), name);
}

const char *carat_op_name(const carat_op *op) { return op->name; }
const char *carat_op_family(const carat_op *op) { return op->family->name; }
uint32_t carat_op_dtypes(const carat_op *op) { return op->row->dtypes; }

int carat_op_runs_on(const carat_op *op, int32_t device_type)
{
    if (device_type == CARAT_CPU) return carat_family_has_cpu(op->family, op->row_index);
    return carat_family_has_lanes(op->family, op->row_index) && carat_backend_built(device_type);
}

// ---- calls

// The tensor that says the call's device: the first one with dimensions, else the first one.
static const carat_tensor *leading_tensor(const carat_arg *args, int nargs, const carat_tensor *outs, int nouts)
{
    const carat_tensor *first = NULL; // a number of the host beside tensors of a device is not the first
    for (int i = 0; i < nargs; ++i) {
        const carat_tensor *tensor = args[i].kind == CARAT_ARG_TENSOR ? &args[i].tensor
                                     : args[i].kind == CARAT_ARG_TENSORS && args[i].tensors.count ? args[i].tensors.items
                                                                                                   : NULL;
        if (!tensor) continue;
        if (tensor->ndim > 0) return tensor;
        if (!first || first->device.type == CARAT_CPU) first = tensor;
    }
    return first ? first : nouts ? outs : NULL;
}

static carat_status validate_list(const carat_arg *arg, int place)
{
    if (arg->ints.count < 0 || (arg->ints.count && !arg->ints.items)) // the lists' members are laid out alike
        return carat_fail(CARAT_INVALID_ARGUMENT, "argument %d: a list of %lld items at %p", place, (long long)arg->ints.count,
                          (const void *)arg->ints.items);
    for (int64_t t = 0; arg->kind == CARAT_ARG_TENSORS && t < arg->tensors.count; ++t)
        if (arg->tensors.items[t].dl_dtype.bits) CARAT_TRY(carat_tensor_validate(&arg->tensors.items[t]));
    return CARAT_OK;
}

static carat_status validate_argument(const carat_arg *arg, int place)
{
    switch (arg->kind) {
    case CARAT_ARG_TENSOR: return carat_tensor_validate(&arg->tensor);
    case CARAT_ARG_INTS: case CARAT_ARG_FLOATS: case CARAT_ARG_SCALARS: case CARAT_ARG_TENSORS: return validate_list(arg, place);
    case CARAT_ARG_SCALAR:
        if ((unsigned)arg->scalar.kind > CARAT_SCALAR_COMPLEX)
            return carat_fail(CARAT_INVALID_ARGUMENT, "argument %d: a number of kind %d", place, (int)arg->scalar.kind);
        return CARAT_OK;
    case CARAT_ARG_STRING:
        return arg->string ? CARAT_OK : carat_fail(CARAT_INVALID_ARGUMENT, "argument %d: a null string", place);
    default:
        return (unsigned)arg->kind <= CARAT_ARG_OPAQUE ? CARAT_OK
               : carat_fail(CARAT_INVALID_ARGUMENT, "argument %d: kind %d", place, (int)arg->kind);
    }
}

static carat_status validate(const carat_arg *args, int nargs, const carat_tensor *outs, int nouts)
{
    for (int i = 0; i < nargs; ++i) CARAT_TRY(validate_argument(&args[i], i));
    for (int i = 0; i < nouts; ++i) CARAT_TRY(carat_tensor_validate(&outs[i]));
    return CARAT_OK;
}

// A number of the host may stand beside tensors of a device; nothing else may lie elsewhere.
static bool lies_on(const carat_frame *call, const carat_tensor *tensor, int argument)
{
    if (tensor->dl_dtype.bits == 0) return true; // absent from a list
    if (tensor->device.type == call->device.type && tensor->device.index == call->device.index) return true;
    const carat_family *family = call->op->family;
    return tensor->device.type == CARAT_CPU && tensor->ndim == 0 && family->takes_number && family->takes_number(call->op->row_index, argument);
}

static bool on_one_device(const carat_frame *call)
{
    for (int i = 0; i < call->nargs; ++i) {
        const carat_arg *arg = &call->args[i];
        if (arg->kind == CARAT_ARG_TENSOR && !lies_on(call, &arg->tensor, i)) return false;
        for (int64_t t = 0; arg->kind == CARAT_ARG_TENSORS && t < arg->tensors.count; ++t)
            if (!lies_on(call, &arg->tensors.items[t], i)) return false;
    }
    for (int i = 0; i < call->nouts; ++i)
        if (!lies_on(call, &call->outs[i], call->nargs + i)) return false;
    return true;
}

// A call on its device; other than for a CPU, the thread is made ready for it.
static carat_status enter_device(const carat_frame *call)
{
    if (!carat_op_runs_on(call->op, call->device.type)) return carat_step_aside("no kernels for this device");
    if (call->device.type == CARAT_CPU) return CARAT_OK;
    if (call->backend->begin && call->backend->begin(call->context, call->device) != CARAT_OK)
        return carat_step_aside("the device can't be used");
    return CARAT_OK;
}

carat_status carat_call(const carat_context *context, const carat_op *op, const carat_arg *args, int nargs,
                           const carat_tensor *outs, int nouts)
{
    if (!context || !op || nargs < 0 || nouts < 0 || nouts > CARAT_MAX_OUTPUTS || (nargs && !args) || (nouts && !outs))
        return carat_fail(CARAT_INVALID_ARGUMENT, "a call with a null context, operator or arguments, or %d arguments and %d outputs",
                          nargs, nouts);
    if (op->in_place && (nargs < 1 || (args[0].kind != CARAT_ARG_TENSOR && args[0].kind != CARAT_ARG_TENSORS)))
        return carat_fail(CARAT_INVALID_ARGUMENT, "%s: the first argument is no tensor", op->name);
    CARAT_TRY(validate(args, nargs, outs, nouts));
    carat_frame call = { .context = context, .op = op, .args = args, .nargs = nargs, .outs = outs, .nouts = nouts };
    const carat_tensor *leading = context->device.type ? NULL : leading_tensor(args, nargs, outs, nouts);
    call.device = context->device.type ? context->device : leading ? leading->device : (carat_device){ CARAT_CPU, 0 };
    call.backend = carat_backend_for(call.device.type);
    if (!call.backend) return carat_step_aside("no backend for the device");
    if (!on_one_device(&call)) return carat_step_aside("tensors on several devices");
    CARAT_TRY(enter_device(&call));
    return op->row->run ? op->row->run(&call) : op->family->run(&call);
}

carat_status carat_run_kernel(const carat_frame *call, const carat_key *key, const void *args, size_t args_size,
                              int64_t groups, int64_t grain)
{
    if (groups <= 0) return CARAT_OK;
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, key, &kernel));
    return call->backend->launch(call->context, call->device, kernel, args, args_size, groups, grain);
}

carat_status carat_run_kernel_after(const carat_frame *call, const carat_key *key, const void *args, size_t args_size,
                                    int64_t groups, int64_t grain)
{
    if (groups <= 0 || !call->backend->launch_after) return carat_run_kernel(call, key, args, args_size, groups, grain);
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, key, &kernel));
    return call->backend->launch_after(call->context, call->device, kernel, args, args_size, groups, grain);
}

void *carat_scratch_alloc(const carat_frame *call, size_t bytes)
{
    if (call->device.type == CARAT_CPU) return carat_alloc(bytes);
    return call->context->allocate ? call->context->allocate(call->context->host, call->device, bytes) : NULL;
}

void carat_scratch_free(const carat_frame *call, void *block)
{
    if (call->device.type == CARAT_CPU) carat_free(block);
    else if (block) call->context->release(call->context->host, call->device, block);
}

double carat_float_arg(const carat_frame *call, int i, double missing)
{
    if (i >= call->nargs) return missing;
    const carat_arg *arg = &call->args[i];
    switch (arg->kind) {
    case CARAT_ARG_FLOAT: return arg->f;
    case CARAT_ARG_INT: return (double)arg->i;
    case CARAT_ARG_SCALAR: return arg->scalar.kind <= CARAT_SCALAR_INT ? (double)arg->scalar.i : arg->scalar.re;
    default: return missing;
    }
}

void carat_define(carat_defines *defines, const char *name, const char *format, ...)
{
    char *const text = defines->text;
    const size_t room = sizeof defines->text;
    int written = snprintf(text + defines->length, room - defines->length, "-D%s=", name);
    if (written > 0) defines->length += (size_t)written;
    va_list values;
    va_start(values, format);
    if (defines->length < room) {
        written = vsnprintf(text + defines->length, room - defines->length, format, values);
        if (written > 0) defines->length += (size_t)written;
    }
    va_end(values);
    if (defines->length + 1 < room) {
        text[defines->length++] = '\n';
        text[defines->length] = 0;
    } else {
        defines->length = room; // truncated: the hash of such a text would not tell kernels apart, so jit refuses it
    }
}

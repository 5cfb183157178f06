// SPDX-License-Identifier: Apache-2.0
// The CPU backend: kernels are functions in shared objects, and a launch is a call on a range of groups.
#include "backends/cpu/cpu.h"

#include <stddef.h>
#include <string.h>

typedef void kernel_function(const void *args, int64_t group_begin, int64_t group_end);

typedef struct piece {
    kernel_function *function;
    const void *args;
} piece;

static void run_piece(void *arg, int64_t begin, int64_t end)
{
    const piece *work = arg;
    work->function(work->args, begin, end);
}

// A handle is an object pointer that holds a function's address: POSIX makes them convertible.
static kernel_function *function_of(carat_kernel kernel)
{
    union {
        void *object;
        kernel_function *function;
    } handle = {.object = kernel.handle};
    return handle.function;
}

static carat_status launch(const carat_context *context, carat_device device, carat_kernel kernel, const void *args,
                           size_t args_size, int64_t groups, int64_t grain)
{
    (void)device;
    (void)args_size;
    kernel_function *function = function_of(kernel);
    if (groups <= 0) return CARAT_OK;
    if (groups <= grain || !context || !context->parallel_for) {
        function(args, 0, groups);
        return CARAT_OK;
    }
    piece work = {function, args};
    context->parallel_for(context->host, groups, grain, run_piece, &work);
    return CARAT_OK;
}

static carat_status probe(const char **why)
{
    carat_cpu_level(why);
    return CARAT_OK;
}

static const carat_target *target(carat_device device)
{
    (void)device;
    return carat_cpu_level(NULL);
}

// The pack of each level, in the order of the levels.
static const char *const *packs(void)
{
    static const char *const lists[][2] = {{"carat-cpu-baseline.so"}, {"carat-cpu-x86-64-v3.so"}, {"carat-cpu-x86-64-v4.so"}};
    for (int i = 1; i < carat_cpu_level_count(); ++i)
        if (strcmp(carat_cpu_level_at(i)->name, carat_cpu_level(NULL)->name) == 0) return lists[i];
    return lists[0];
}

static uint32_t native_products(carat_device device)
{
    (void)device;
    return carat_cpu_native_products();
}

extern const carat_backend carat_backend_cpu;
const carat_backend carat_backend_cpu = {
    .abi = CARAT_BACKEND_ABI,
    .name = "cpu",
    .device_type = CARAT_CPU,
    .probe = probe,
    .target = target,
    .target_named = carat_cpu_level_find,
    .compiler = carat_cpu_compiler,
    .compile = carat_cpu_compile,
    .load = carat_cpu_load,
    .launch = launch,
    .packs = packs,
    .native_products = native_products,
};

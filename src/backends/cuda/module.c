// SPDX-License-Identifier: Apache-2.0
// Cubins in a context, and their launch. A kernel is launched in blocks of whole groups; how many threads a block and lanes
// a group has was decided when it was compiled, and is read from the loaded module (see KERNEL in kernels/dialect/cuda.h).
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct loaded {
    cuda_function function;
    unsigned block;  // threads
    unsigned groups; // of a block
    unsigned blocks; // of a group: a cluster if more than one
} loaded;

enum { MAX_GRID_X = 1 << 30 }; // blocks; more go into rows of the grid

// The size in bytes of the module's array `<symbol>_lanes`: a number that can be read without copying from the device.
static size_t lanes_of(const cuda_driver *driver, cuda_module module, const char *symbol)
{
    char name[96];
    unsigned long long address;
    size_t bytes = 0;
    snprintf(name, sizeof name, "%s_lanes", symbol);
    return driver->module_global(&address, &bytes, module, name) == 0 ? bytes : 0;
}

static bool find_kernel(const cuda_driver *driver, cuda_module module, const char *symbol, loaded *kernel)
{
    int threads = 0;
    const size_t lanes = lanes_of(driver, module, symbol);
    if (driver->module_function(&kernel->function, module, symbol)) return false;
    if (driver->function_attribute(&threads, CUDA_FUNCTION_MAX_THREADS, kernel->function)) return false;
    if (lanes == 0 || threads <= 0 || ((size_t)threads % lanes != 0 && lanes % (size_t)threads != 0)) return false;
    kernel->block = (unsigned)threads;
    kernel->groups = (size_t)threads > lanes ? (unsigned)((size_t)threads / lanes) : 1;
    kernel->blocks = lanes > (size_t)threads ? (unsigned)(lanes / (size_t)threads) : 1;
    return true;
}

carat_status carat_cuda_load(carat_device device, const carat_binary *binary, const char *symbol, carat_kernel *kernel)
{
    (void)device;
    const cuda_driver *driver = carat_cuda_driver(NULL);
    cuda_module module;
    if (!driver || !binary->bytes || driver->module_load(&module, binary->bytes)) return CARAT_IO_ERROR;
    loaded *const found = malloc(sizeof *found);
    if (found && find_kernel(driver, module, symbol, found)) {
        kernel->handle = found;
        return CARAT_OK;
    }
    free(found);
    driver->module_unload(module);
    return CARAT_NOT_FOUND;
}

carat_status carat_cuda_launch_on(cuda_stream stream, carat_kernel kernel, const void *args, int64_t groups, bool overlapping)
{
    const cuda_driver *driver = carat_cuda_driver(NULL);
    const loaded *const k = kernel.handle;
    const int64_t blocks = (groups + k->groups - 1) / k->groups * k->blocks;
    const unsigned across = blocks < MAX_GRID_X ? (unsigned)blocks : MAX_GRID_X;
    const unsigned down = (unsigned)((blocks + across - 1) / across);
    void *parameters[] = {(void *)(uintptr_t)args, &groups};
    cuda_attribute overlap = {.id = CUDA_LAUNCH_OVERLAPPING, .value.on = 1};
    const cuda_shape shape = {.grid = {across, down, 1}, .block = {k->block, 1, 1}, .stream = stream,
                              .attributes = &overlap, .attribute_count = overlapping};
    return driver->launch(&shape, k->function, parameters, NULL) ? CARAT_INTERNAL_ERROR : CARAT_OK;
}

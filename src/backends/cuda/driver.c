// SPDX-License-Identifier: Apache-2.0
// The CUDA driver, libcuda.so.1, by dlopen.
#include "backends/cuda/cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static struct {
    bool ready;
    cuda_driver calls;
    char why[256]; // "" if it can be used
} driver; // made under Carat's lock, constant afterwards

static bool find_calls(void *library)
{
#define CALL(name, symbol, ...)                                                   \
    {                                                                             \
        void *const address = dlsym(library, symbol);                             \
        if (!address) {                                                           \
            snprintf(driver.why, sizeof driver.why, "the driver has no " symbol); \
            return false;                                                         \
        }                                                                         \
        memcpy(&driver.calls.name, &address, sizeof address);                     \
    }
    CUDA_DRIVER_CALLS(CALL)
#undef CALL
    return true;
}

static void open_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(driver.why, sizeof driver.why, "no CUDA driver: libcuda.so.1 can't be opened");
        return;
    }
    if (!find_calls(library)) return;
    const cuda_result result = driver.calls.init(0);
    if (result) snprintf(driver.why, sizeof driver.why, "the CUDA driver can't be initialised: %s", carat_cuda_error(result));
}

const cuda_driver *carat_cuda_driver(const char **why)
{
    if (!driver.ready) {
        open_driver();
        driver.ready = true;
    }
    if (!*driver.why) return &driver.calls;
    if (why) *why = driver.why;
    return NULL;
}

const char *carat_cuda_error(cuda_result result)
{
    const char *name = NULL;
    if (driver.calls.error_name) driver.calls.error_name(result, &name);
    return name ? name : "unknown error";
}

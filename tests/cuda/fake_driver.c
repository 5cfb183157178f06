// SPDX-License-Identifier: Apache-2.0
// libcuda.so.1 without a GPU: the entry points that src/backends/cuda looks up. Devices have the compute capabilities that
// CARAT_FAKE_CUDA lists ("9.0" by default, "9.0,8.0" for two), their memory is the program's, launches run at once. A module is a
// shared object that the fake NVRTC made.
#include "fake_lanes.h"

#include "backends/cuda/cuda.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { INVALID_VALUE = 1, NOT_FOUND = 500, LAUNCH_FAILED = 719, MOST_DEVICES = 8 };

struct CUctx_st { int device; };
struct CUfunc_st { const fake_kernel *kernel; char name[48]; };

static pthread_mutex_t one_launch = PTHREAD_MUTEX_INITIALIZER;
static struct CUctx_st contexts[MOST_DEVICES];
static _Thread_local cuda_context current;
static int capturing; // the streams', all of them

// A module is what dlopen answers.
#define EXPORT __attribute__((visibility("default")))
#define CALL(name, symbol, ...) EXPORT cuda_result fake_##name(__VA_ARGS__) __asm__(symbol);
CUDA_DRIVER_CALLS(CALL)
#undef CALL
EXPORT void fake_cuda_capture(int on);
void fake_cuda_capture(int on) { capturing = on; }

// ---- devices

// The n-th capability of the list, major * 10 + minor; 0 past its end.
static int capability(int n)
{
    const char *at = getenv("CARAT_FAKE_CUDA");
    if (!at || !*at) at = "9.0";
    while (at && n-- > 0) at = (at = strchr(at, ',')) ? at + 1 : NULL;
    int major = 0, minor = 0;
    return at && sscanf(at, "%d.%d", &major, &minor) == 2 ? major * 10 + minor : 0;
}

// Each module takes a file.
cuda_result fake_init(unsigned flags)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return flags ? INVALID_VALUE : 0;
}
cuda_result fake_driver_version(int *version) { return *version = 13000, 0; }

cuda_result fake_device_count(int *count)
{
    for (*count = 0; *count < MOST_DEVICES && capability(*count);) ++*count;
    return 0;
}

cuda_result fake_device_get(cuda_device *device, int index)
{
    *device = index;
    return index >= 0 && index < MOST_DEVICES && capability(index) ? 0 : INVALID_VALUE;
}

cuda_result fake_device_attribute(int *value, int attribute, cuda_device device)
{
    switch (attribute) {
    case CUDA_ATTRIBUTE_MULTIPROCESSORS: return *value = 132, 0;
    case CUDA_ATTRIBUTE_RESIDENT_THREADS: return *value = 2048, 0;
    case CUDA_ATTRIBUTE_CAPABILITY_MAJOR: return *value = capability(device) / 10, 0;
    case CUDA_ATTRIBUTE_CAPABILITY_MINOR: return *value = capability(device) % 10, 0;
    default: return INVALID_VALUE;
    }
}

cuda_result fake_primary_context(cuda_context *context, cuda_device device)
{
    contexts[device].device = device;
    return *context = &contexts[device], 0;
}
cuda_result fake_context_get(cuda_context *context) { return *context = current, 0; }
cuda_result fake_context_set(cuda_context context) { return current = context, 0; }
cuda_result fake_stream_capturing(cuda_stream stream, int *status) { return (void)stream, *status = capturing, 0; }
cuda_result fake_error_name(cuda_result result, const char **name)
{
    *name = result == LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : result == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR_INVALID_VALUE";
    return 0;
}

// ---- modules

// A module's image says how long it is: its table of sections comes last.
static size_t image_size(const void *image)
{
    const ElfW(Ehdr) *const head = image;
    return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 ? head->e_shoff + (size_t)head->e_shnum * head->e_shentsize : 0;
}

cuda_result fake_module_load(cuda_module *module, const void *image)
{
    char path[64];
    const size_t size = image_size(image);
    const int file = size ? memfd_create("fake-module", 0) : -1; // stays open: its name is the library's
    if (!current || file < 0 || write(file, image, size) != (ssize_t)size) return INVALID_VALUE;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), file);
    *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*module) fprintf(stderr, "fake device: %s\n", dlerror());
    return *module ? 0 : INVALID_VALUE;
}

cuda_result fake_module_unload(cuda_module module)
{
    return dlclose(module) ? INVALID_VALUE : 0;
}

static const fake_kernel *kernel_of(cuda_module module, const char *symbol)
{
    char name[72];
    snprintf(name, sizeof name, "%.64s_fake", symbol);
    return dlsym(module, name);
}

cuda_result fake_module_function(cuda_function *function, cuda_module module, const char *name)
{
    struct CUfunc_st *const made = calloc(1, sizeof *made);
    made->kernel = kernel_of(module, name);
    snprintf(made->name, sizeof made->name, "%s", name);
    *function = made;
    return made->kernel ? 0 : NOT_FOUND;
}

// Of <kernel>_lanes, which has as many bytes as a group has lanes.
cuda_result fake_module_global(unsigned long long *address, size_t *bytes, cuda_module module, const char *name)
{
    char kernel_name[64];
    const char *const end = strrchr(name, '_');
    if (!end || strcmp(end, "_lanes") != 0) return NOT_FOUND;
    snprintf(kernel_name, sizeof kernel_name, "%.*s", (int)(end - name), name);
    const fake_kernel *const kernel = kernel_of(module, kernel_name);
    if (!kernel) return NOT_FOUND;
    *address = (unsigned long long)(uintptr_t)dlsym(module, name);
    *bytes = kernel->lanes;
    return 0;
}

cuda_result fake_function_attribute(int *value, int attribute, cuda_function function)
{
    *value = (int)function->kernel->threads;
    return attribute == CUDA_FUNCTION_MAX_THREADS ? 0 : INVALID_VALUE;
}

// ---- launches

static bool shape_fits(const cuda_shape *shape, const fake_kernel *kernel)
{
    return current && shape->grid[0] && shape->grid[1] && shape->grid[1] <= 65535 && shape->grid[2] == 1 && shape->block[0] == kernel->threads
           && kernel->threads <= FAKE_MOST_THREADS && shape->block[1] == 1 && shape->block[2] == 1 && kernel->blocks <= FAKE_MOST_BLOCKS
           && shape->grid[0] % kernel->blocks == 0 && (kernel->blocks == 1 || capability(current->device) >= 90);
}

cuda_result fake_launch(const cuda_shape *shape, cuda_function function, void **parameters, void **extra)
{
    bool overlapping = false;
    if (extra || !shape_fits(shape, function->kernel)) {
        fprintf(stderr, "fake device: %s can't be launched with grid (%u, %u, %u) and block (%u, %u, %u)\n", function->name, shape->grid[0],
                shape->grid[1], shape->grid[2], shape->block[0], shape->block[1], shape->block[2]);
        return INVALID_VALUE;
    }
    for (unsigned i = 0; i < shape->attribute_count; ++i) overlapping |= shape->attributes[i].id == CUDA_LAUNCH_OVERLAPPING && shape->attributes[i].value.on;
    pthread_mutex_lock(&one_launch);
    const bool ran = fake_run(function->kernel, function->name, shape->grid, parameters, overlapping);
    pthread_mutex_unlock(&one_launch);
    return ran ? 0 : LAUNCH_FAILED;
}

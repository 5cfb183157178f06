// SPDX-License-Identifier: Apache-2.0
// The CUDA backend's parts: the driver and NVRTC, found at run time, devices, modules. Nothing here is linked or included
// from a CUDA toolkit: the few types and constants that are needed stand below, as the driver's ABI fixes them.
#ifndef CARAT_BACKENDS_CUDA_H
#define CARAT_BACKENDS_CUDA_H

#include <carat/carat_backend.h>
#include <stdbool.h>

// ---- the driver (driver.c)

typedef int cuda_result; // 0 is success
typedef int cuda_device;
typedef struct CUctx_st *cuda_context;
typedef struct CUmod_st *cuda_module;
typedef struct CUfunc_st *cuda_function;
typedef struct CUstream_st *cuda_stream;

// How a launch may differ from the plain one, and its shape (CUlaunchAttribute, CUlaunchConfig).
typedef struct cuda_attribute {
    int id;
    _Alignas(8) union {
        int on;
        char bytes[64];
    } value;
} cuda_attribute;
typedef struct cuda_shape {
    unsigned grid[3], block[3], shared_bytes;
    cuda_stream stream;
    cuda_attribute *attributes;
    unsigned attribute_count;
} cuda_shape;
_Static_assert(sizeof(cuda_attribute) == 72 && sizeof(cuda_shape) == 56, "as the driver lays them out");

enum {
    CUDA_ATTRIBUTE_MULTIPROCESSORS = 16, // of a device
    CUDA_ATTRIBUTE_RESIDENT_THREADS = 39, // of a multiprocessor
    CUDA_ATTRIBUTE_CAPABILITY_MAJOR = 75,
    CUDA_ATTRIBUTE_CAPABILITY_MINOR = 76,
    CUDA_FUNCTION_MAX_THREADS = 0,       // of a function
    CUDA_CAPTURE_NONE = 0,
    CUDA_LAUNCH_OVERLAPPING = 6,         // an attribute: programmatic stream serialisation
};

// The driver's entry points that the backend uses: result type, name, the exported symbol, parameters.
#define CUDA_DRIVER_CALLS(CALL)                                                                                        \
    CALL(init, "cuInit", unsigned)                                                                                     \
    CALL(driver_version, "cuDriverGetVersion", int *)                                                                  \
    CALL(device_count, "cuDeviceGetCount", int *)                                                                      \
    CALL(device_get, "cuDeviceGet", cuda_device *, int)                                                                \
    CALL(device_attribute, "cuDeviceGetAttribute", int *, int, cuda_device)                                            \
    CALL(primary_context, "cuDevicePrimaryCtxRetain", cuda_context *, cuda_device)                                     \
    CALL(context_get, "cuCtxGetCurrent", cuda_context *)                                                               \
    CALL(context_set, "cuCtxSetCurrent", cuda_context)                                                                 \
    CALL(module_load, "cuModuleLoadData", cuda_module *, const void *)                                                 \
    CALL(module_unload, "cuModuleUnload", cuda_module)                                                                 \
    CALL(module_function, "cuModuleGetFunction", cuda_function *, cuda_module, const char *)                           \
    CALL(module_global, "cuModuleGetGlobal_v2", unsigned long long *, size_t *, cuda_module, const char *)             \
    CALL(function_attribute, "cuFuncGetAttribute", int *, int, cuda_function)                                          \
    CALL(stream_capturing, "cuStreamIsCapturing", cuda_stream, int *)                                                  \
    CALL(launch, "cuLaunchKernelEx", const cuda_shape *, cuda_function, void **, void **)                              \
    CALL(error_name, "cuGetErrorName", cuda_result, const char **)

typedef struct cuda_driver {
#define CALL(name, symbol, ...) cuda_result (*name)(__VA_ARGS__);
    CUDA_DRIVER_CALLS(CALL)
#undef CALL
} cuda_driver;

// Opens and initialises the driver on first use, under Carat's lock. NULL with *why if that can't be done.
const cuda_driver *carat_cuda_driver(const char **why);
// "CUDA_ERROR_INVALID_VALUE"; never NULL.
const char *carat_cuda_error(cuda_result result);

// ---- targets (target.c)

// The target of a compute capability, major * 10 + minor; NULL if kernels can't be compiled for it.
const carat_target *carat_cuda_target_of(int capability);
// By its name, "sm_90a", for compiling without a device.
const carat_target *carat_cuda_target_find(const char *name);

// ---- compiling (compile.c): NVRTC

// See carat_backend.compiler and .compile.
const char *carat_cuda_compiler(const char **why);
carat_status carat_cuda_compile(const carat_target *target, const char *source, const char *output, char *log, size_t log_size);

// Opens a library that NVIDIA's wheels or a toolkit bring (libraries.c): `names` are tried in turn, each in the process's own
// search path and then in the folders where PyTorch's wheels put them. NULL if there is none. The handle is never closed.
void *carat_cuda_open(const char *const *names, const char *environment);

// ---- kernels (module.c)

// See carat_backend.load. The device's context is current.
carat_status carat_cuda_load(carat_device device, const carat_binary *binary, const char *symbol, carat_kernel *kernel);
// `overlapping`: the kernel waits for the launch before it by itself.
carat_status carat_cuda_launch_on(cuda_stream stream, carat_kernel kernel, const void *args, int64_t groups, bool overlapping);

#endif

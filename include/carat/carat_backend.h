// SPDX-License-Identifier: Apache-2.0
// What a backend gives to Carat: one const struct of function pointers. A vendor's folder needs this header only.
#ifndef CARAT_BACKEND_H
#define CARAT_BACKEND_H

#include <carat/carat.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CARAT_BACKEND_ABI 4

// A kernel ready to launch: a function pointer on a CPU, a driver's handle on a device.
typedef struct carat_kernel {
    void *handle;
} carat_kernel;

// What the shape-independent part of a kernel may know of its target, as -D constants and for the host's choices.
typedef struct carat_target {
    const char *name;      // goes into cache keys: "x86-64-v3", "sm_90a"
    const char *dialect;   // dialect header of kernels/dialect/, "cpu.h"
    const char *flags;     // compiler flags that select it, "-march=x86-64-v3"
    int vector_bytes;      // natural SIMD or per-lane access width
    int vector_registers;  // of that width; 0 where the notion does not apply
    int lanes;             // most lanes that a group can have; 1 on a CPU
    int half_tiles;        // 1: has a matrix unit for bf16, which the dialect's tile words use
} carat_target;

// A binary made of a kernel source, in the form that `load` takes (a shared object on a CPU, a cubin on CUDA).
typedef struct carat_binary {
    const char *path; // of a file, or NULL
    const void *bytes;
    size_t size;
} carat_binary;

typedef struct carat_backend {
    uint32_t abi; // CARAT_BACKEND_ABI
    const char *name;
    int32_t device_type; // carat_device_type

    // Whether the backend can run here; if not, *why says what is missing (static or kept by the backend). Called once,
    // before anything else, on first use: never at import.
    carat_status (*probe)(const char **why);

    // The target of a device. Owned by the backend, valid for the life of the process.
    const carat_target *(*target)(carat_device device);

    // The target of a name, whatever is present here: for compiling ahead of time. NULL if the backend has none of that name.
    const carat_target *(*target_named)(const char *name);

    // Prepares the calling thread for a call on a device: its stream is context->stream's. NULL: nothing to prepare.
    carat_status (*begin)(const carat_context *context, carat_device device);

    // Whether code may be loaded now, in the call that began last on this thread: not while its stream is captured. NULL: always.
    bool (*may_load)(carat_device device);

    // The compiler's identity for cache keys ("gcc 12.2.0"), or NULL with *why if there is none here.
    const char *(*compiler)(const char **why);

    // Compiles one translation unit for the target into a file at `output`. On failure the compiler's words are in log.
    carat_status (*compile)(const carat_target *target, const char *source, const char *output, char *log, size_t log_size);

    // Loads a binary and finds a kernel in it. Loaded code stays until the process ends.
    carat_status (*load)(carat_device device, const carat_binary *binary, const char *symbol, carat_kernel *kernel);

    // Runs `groups` groups, without waiting for a device to finish, in pieces of at least `grain` groups a thread where the backend has threads.
    carat_status (*launch)(const carat_context *context, carat_device device, carat_kernel kernel, const void *args,
                           size_t args_size, int64_t groups, int64_t grain);

    // The same for a kernel that begins with the dialect's word AWAIT_EARLIER: its groups may be brought in while those of the
    // launch just before on the stream, which said MAY_FOLLOW, are still at work. NULL: `launch` is as good.
    carat_status (*launch_after)(const carat_context *context, carat_device device, carat_kernel kernel, const void *args,
                                 size_t args_size, int64_t groups, int64_t grain);

    // Packs of kernels compiled when the package was built, best first, NULL-terminated; paths relative to the
    // library's own folder. May be NULL.
    const char *const *(*packs)(void);

    // Dtypes, 1u << carat_dtype each, whose products the device has instructions for that kernel C has no words for: large
    // ones are better left to the host's own operators. NULL: none.
    uint32_t (*native_products)(carat_device device);

    // Lanes that the device can have at work at a time, of all groups: hosts deal random numbers out by it. NULL on a CPU.
    int64_t (*resident_lanes)(carat_device device);
} carat_backend;

#ifdef __cplusplus
}
#endif
#endif

// SPDX-License-Identifier: Apache-2.0
// NVRTC, NVIDIA's compiler as a library: from a source without headers to a cubin. Needs no device.
#include "backends/cuda/cuda.h"

#include "core/op.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct nvrtc_program *nvrtc_program;

#define NVRTC_CALLS(CALL)                                                                                              \
    CALL(version, "nvrtcVersion", int *, int *)                                                                        \
    CALL(create, "nvrtcCreateProgram", nvrtc_program *, const char *, const char *, int, const char *const *,          \
         const char *const *)                                                                                          \
    CALL(compile, "nvrtcCompileProgram", nvrtc_program, int, const char *const *)                                      \
    CALL(log_size, "nvrtcGetProgramLogSize", nvrtc_program, size_t *)                                                  \
    CALL(log, "nvrtcGetProgramLog", nvrtc_program, char *)                                                             \
    CALL(cubin_size, "nvrtcGetCUBINSize", nvrtc_program, size_t *)                                                     \
    CALL(cubin, "nvrtcGetCUBIN", nvrtc_program, char *)                                                                \
    CALL(destroy, "nvrtcDestroyProgram", nvrtc_program *)

static struct {
    bool ready;
#define CALL(name, symbol, ...) int (*name)(__VA_ARGS__);
    NVRTC_CALLS(CALL)
#undef CALL
    int major;
    char identity[64];
    char why[256]; // "" if it can be used
} nvrtc; // made under Carat's lock by carat_cuda_compiler, constant afterwards

enum {
    OLDEST_MAJOR = 12,  // older ones can't make cubins, or don't know __grid_constant__
    MINIMAL_MAJOR = 13, // from here on it can do without textures and the runtime's declarations: 6 ms less for a kernel
};

static bool find_calls(void *library)
{
#define CALL(name, symbol, ...)                                              \
    {                                                                        \
        void *const address = dlsym(library, symbol);                        \
        if (!address) {                                                      \
            snprintf(nvrtc.why, sizeof nvrtc.why, "NVRTC has no " symbol);   \
            return false;                                                    \
        }                                                                    \
        memcpy(&nvrtc.name, &address, sizeof address);                       \
    }
    NVRTC_CALLS(CALL)
#undef CALL
    return true;
}

static void open_nvrtc(void)
{
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL};
    int minor = 0;
    void *const library = carat_cuda_open(names, "CARAT_NVRTC_DIR");
    if (!library) {
        snprintf(nvrtc.why, sizeof nvrtc.why, "no NVRTC: libnvrtc.so is neither in the search path nor among the nvidia wheels; "
                                              "CARAT_NVRTC_DIR may name its folder");
        return;
    }
    if (!find_calls(library)) return;
    nvrtc.version(&nvrtc.major, &minor);
    snprintf(nvrtc.identity, sizeof nvrtc.identity, "nvrtc %d.%d", nvrtc.major, minor);
    if (nvrtc.major < OLDEST_MAJOR) snprintf(nvrtc.why, sizeof nvrtc.why, "NVRTC %d.%d is older than %d.0", nvrtc.major, minor, OLDEST_MAJOR);
}

const char *carat_cuda_compiler(const char **why)
{
    if (!nvrtc.ready) {
        open_nvrtc();
        nvrtc.ready = true;
    }
    if (!*nvrtc.why) return nvrtc.identity;
    if (why) *why = nvrtc.why;
    return NULL;
}

static void take_log(nvrtc_program program, char *log, size_t log_size)
{
    size_t size = 0;
    if (log_size == 0 || nvrtc.log_size(program, &size) || size < 2) return;
    char *const text = malloc(size);
    if (text && nvrtc.log(program, text) == 0) snprintf(log, log_size, "%.*s", (int)(size < log_size ? size : log_size - 1), text);
    free(text);
}

static carat_status write_cubin(nvrtc_program program, const char *output, char *log, size_t log_size)
{
    size_t size = 0;
    char *const bytes = nvrtc.cubin_size(program, &size) == 0 && size > 0 ? malloc(size) : NULL;
    FILE *const file = bytes && nvrtc.cubin(program, bytes) == 0 ? fopen(output, "wbe") : NULL;
    bool written = file && fwrite(bytes, 1, size, file) == size;
    if (file) written &= fclose(file) == 0;
    free(bytes);
    if (!written) snprintf(log, log_size, "can't write %s", output);
    return written ? CARAT_OK : CARAT_IO_ERROR;
}

carat_status carat_cuda_compile(const carat_target *target, const char *source, const char *output, char *log, size_t log_size)
{
    // The default of one device function for each __device__ constant table, C++17, and no warnings that a macro's unused
    // parts would cause. Division, square roots and denormals stay IEEE: there is no --use_fast_math.
    const char *const options[] = {target->flags, "--std=c++17", "--device-as-default-execution-space", "-w",
                                   strstr(source, "#define " CARAT_NO_CONTRACTION " ") ? "--fmad=false" : "--fmad=true", "--minimal"};
    const int count = (int)(sizeof options / sizeof *options) - (nvrtc.major < MINIMAL_MAJOR);
    nvrtc_program program = NULL;
    if (nvrtc.create(&program, source, "kernel.cu", 0, NULL, NULL)) {
        snprintf(log, log_size, "NVRTC can't create a program");
        return CARAT_OUT_OF_MEMORY;
    }
    const int result = nvrtc.compile(program, count, options);
    take_log(program, log, log_size);
    const carat_status status = result ? CARAT_COMPILE_ERROR : write_cubin(program, output, log, log_size);
    nvrtc.destroy(&program);
    return status;
}

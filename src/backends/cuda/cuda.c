// SPDX-License-Identifier: Apache-2.0
// The CUDA backend: kernels are cubins that NVRTC makes, launched by the driver on the caller's stream. Nothing here waits for
// a device, and nothing is touched before the first call that has a CUDA tensor.
#include "backends/cuda/cuda.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

enum { MAX_DEVICES = 64 };

// A device's target and primary context: the one that CUDA's runtime, and with it every framework, uses.
typedef struct device_state {
    const carat_target *target;
    cuda_device number;
    bool overlaps; // launches may (from compute capability 9.0 on)
    int64_t resident_lanes;
    _Atomic(cuda_context) context; // NULL until the first call
} device_state;

static device_state devices[MAX_DEVICES];
static int device_count; // constant after the probe
static char remark[256];

// The stream of the calling thread's current call.
static _Thread_local cuda_stream current_stream;

static bool probe_device(const cuda_driver *driver, int index)
{
    device_state *const d = &devices[index];
    int major = 0, minor = 0, multiprocessors = 0, threads = 0;
    if (driver->device_get(&d->number, index)) return false;
    if (driver->device_attribute(&major, CUDA_ATTRIBUTE_CAPABILITY_MAJOR, d->number)) return false;
    if (driver->device_attribute(&minor, CUDA_ATTRIBUTE_CAPABILITY_MINOR, d->number)) return false;
    if (driver->device_attribute(&multiprocessors, CUDA_ATTRIBUTE_MULTIPROCESSORS, d->number)) return false;
    if (driver->device_attribute(&threads, CUDA_ATTRIBUTE_RESIDENT_THREADS, d->number)) return false;
    d->resident_lanes = (int64_t)multiprocessors * threads;
    d->target = carat_cuda_target_of(major * 10 + minor);
    d->overlaps = major >= 9;
    if (!d->target) snprintf(remark, sizeof remark, "device %d of compute capability %d.%d is too old", index, major, minor);
    return d->target != NULL;
}

static carat_status probe(const char **why)
{
    const cuda_driver *driver = carat_cuda_driver(why);
    if (!driver) return CARAT_UNSUPPORTED;
    const char *missing = NULL;
    *why = remark;
    if (!carat_cuda_compiler(&missing)) {
        snprintf(remark, sizeof remark, "%s", missing);
        return CARAT_UNSUPPORTED;
    }
    int count = 0, usable = 0;
    const cuda_result result = driver->device_count(&count);
    if (result || count == 0) {
        snprintf(remark, sizeof remark, "no CUDA device%s%s", result ? ": " : "", result ? carat_cuda_error(result) : "");
        return CARAT_UNSUPPORTED;
    }
    device_count = count < MAX_DEVICES ? count : MAX_DEVICES;
    for (int i = 0; i < device_count; ++i) usable += probe_device(driver, i);
    if (!*remark) *why = NULL;
    return usable ? CARAT_OK : CARAT_UNSUPPORTED;
}

static device_state *state_of(carat_device device)
{
    return device.index >= 0 && device.index < device_count ? &devices[device.index] : NULL;
}

static const carat_target *target(carat_device device)
{
    const device_state *const d = state_of(device);
    return d ? d->target : NULL;
}

static cuda_context context_of(const cuda_driver *driver, device_state *d)
{
    cuda_context context = atomic_load_explicit(&d->context, memory_order_acquire);
    // Two threads may both retain it: it is the same one, and stays to the end of the process.
    if (!context && driver->primary_context(&context, d->number) == 0) atomic_store_explicit(&d->context, context, memory_order_release);
    return context;
}

static carat_status begin(const carat_context *context, carat_device device)
{
    const cuda_driver *driver = carat_cuda_driver(NULL);
    device_state *const d = state_of(device);
    const cuda_context wanted = d && d->target ? context_of(driver, d) : NULL;
    cuda_context now = NULL;
    if (!wanted) return CARAT_NOT_FOUND;
    if (driver->context_get(&now) || (now != wanted && driver->context_set(wanted))) return CARAT_INTERNAL_ERROR;
    current_stream = context->stream ? context->stream(context->host, device) : NULL;
    return CARAT_OK;
}

// Loading a module while the stream is captured into a graph would break the capture.
static bool may_load(carat_device device)
{
    (void)device;
    int status = CUDA_CAPTURE_NONE;
    return carat_cuda_driver(NULL)->stream_capturing(current_stream, &status) == 0 && status == CUDA_CAPTURE_NONE;
}

static carat_status launch(const carat_context *context, carat_device device, carat_kernel kernel, const void *args,
                           size_t args_size, int64_t groups, int64_t grain)
{
    (void)context, (void)device, (void)args_size, (void)grain;
    return groups > 0 ? carat_cuda_launch_on(current_stream, kernel, args, groups, false) : CARAT_OK;
}

static carat_status launch_after(const carat_context *context, carat_device device, carat_kernel kernel, const void *args,
                                 size_t args_size, int64_t groups, int64_t grain)
{
    (void)context, (void)args_size, (void)grain;
    return groups > 0 ? carat_cuda_launch_on(current_stream, kernel, args, groups, state_of(device)->overlaps) : CARAT_OK;
}

static int64_t resident_lanes(carat_device device)
{
    const device_state *const d = state_of(device);
    return d ? d->resident_lanes : 0;
}

extern const carat_backend carat_backend_cuda;
const carat_backend carat_backend_cuda = {
    .abi = CARAT_BACKEND_ABI,
    .name = "cuda",
    .device_type = CARAT_CUDA,
    .probe = probe,
    .target_named = carat_cuda_target_find,
    .target = target,
    .begin = begin,
    .may_load = may_load,
    .compiler = carat_cuda_compiler,
    .compile = carat_cuda_compile,
    .load = carat_cuda_load,
    .launch = launch,
    .launch_after = launch_after,
    .resident_lanes = resident_lanes,
};

// SPDX-License-Identifier: Apache-2.0
#include "cuda_call.h"

#include <ATen/Context.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>

namespace carat {
namespace {

// Of AOTInductor's C shim, the way to the current stream that keeps its name from version to version.
using GetStream = int32_t (*)(int32_t device, void** stream);

GetStream find_get_stream() noexcept
{
    void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
    return library != nullptr ? reinterpret_cast<GetStream>(dlsym(library, "aoti_torch_get_current_cuda_stream")) : nullptr;
}

GetStream get_stream() noexcept
{
    static const GetStream found = find_get_stream();
    return found;
}

c10::Allocator* allocator() { return c10::GetAllocator(c10::DeviceType::CUDA); }

// ---- hooks: nothing may be thrown through them

void* current_stream(void*, carat_device device) noexcept
{
    void* stream = nullptr;
    get_stream()(device.index, &stream);
    return stream;
}

void* allocate(void*, carat_device, size_t bytes) noexcept
{
    try {
        return allocator()->raw_allocate(bytes);
    } catch (...) {
        return nullptr;
    }
}

void release(void*, carat_device, void* block) noexcept
{
    try {
        allocator()->raw_deallocate(block);
    } catch (...) {
    }
}

// The device of the first tensor that lies on one.
std::optional<c10::DeviceIndex> device_of(const carat_arg* args, int count) noexcept
{
    for (int i = 0; i < count; i++) {
        const bool list = args[i].kind == CARAT_ARG_TENSORS;
        if (!list && args[i].kind != CARAT_ARG_TENSOR) continue;
        const carat_tensor* tensors = list ? args[i].tensors.items : &args[i].tensor;
        for (int64_t t = 0; t < (list ? args[i].tensors.count : 1); t++)
            if (tensors[t].dl_dtype.bits != 0 && tensors[t].device.type == CARAT_CUDA) return static_cast<c10::DeviceIndex>(tensors[t].device.index);
    }
    return std::nullopt;
}

}  // namespace

bool torch_has_cuda() noexcept
{
    return get_stream() != nullptr;
}

c10::DeviceIndex current_cuda_device()
{
    return c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).getDevice().index();
}

CudaCall::CudaCall(const carat_arg* args, int count, std::optional<c10::DeviceIndex> argument)
{
    const std::optional<c10::DeviceIndex> tensors = device_of(args, count);
    agrees_ = !tensors || !argument || *tensors == *argument;
    index_ = tensors ? *tensors : argument ? *argument : current_cuda_device();
    guard_.reset_device(c10::Device(c10::DeviceType::CUDA, index_));
}

void CudaCall::lend(carat_context& context) const noexcept
{
    context.device = {CARAT_CUDA, index_};
    context.deterministic = at::globalContext().deterministicAlgorithms();
    context.stream = current_stream;
    context.allocate = allocate;
    context.release = release;
}

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
#include "cuda_call.h"

#include <c10/core/Allocator.h>

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

}  // namespace

bool torch_has_cuda() noexcept
{
    return get_stream() != nullptr;
}

CudaCall::CudaCall(const carat_arg* args, int count)
{
    for (int i = 0; i < count; i++) {
        const carat_tensor* tensor = nullptr;
        if (args[i].kind == CARAT_ARG_TENSOR) tensor = &args[i].tensor;
        else if (args[i].kind == CARAT_ARG_TENSORS && args[i].tensors.count > 0) tensor = args[i].tensors.items; // all on one device
        if (tensor == nullptr || tensor->device.type != CARAT_CUDA) continue;
        guard_.reset_device(c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(tensor->device.index)));
        return;
    }
}

void CudaCall::lend(carat_context& context) noexcept
{
    context.stream = current_stream;
    context.allocate = allocate;
    context.release = release;
}

}  // namespace carat

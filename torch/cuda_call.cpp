// SPDX-License-Identifier: Apache-2.0
#include "cuda_call.h"

#include <ATen/Context.h>
#include <ATen/cuda/PhiloxCudaState.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/headeronly/version.h>

#include <dlfcn.h>

#include <mutex>

namespace carat {
namespace {

template <class Function>
Function find(const char* symbol) noexcept
{
    void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
    return library != nullptr ? reinterpret_cast<Function>(dlsym(library, symbol)) : nullptr;
}

// Of AOTInductor's C shim, the way to the current stream that keeps its name from version to version.
using GetStream = int32_t (*)(int32_t device, void** stream);

GetStream get_stream() noexcept
{
    static const GetStream found = find<GetStream>("aoti_torch_get_current_cuda_stream");
    return found;
}

// at::CUDAGeneratorImpl::philox_cuda_state(uint64_t), a member function: the object comes first.
using TakePhilox = at::PhiloxCudaState (*)(c10::GeneratorImpl* generator, uint64_t increment);

TakePhilox philox_state() noexcept
{
#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 11
    return nullptr;  // older ones deal the same numbers out to elements in another order
#endif
    static const TakePhilox found = find<TakePhilox>("_ZN2at17CUDAGeneratorImpl17philox_cuda_stateEm");
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

carat_status take_philox(void*, void* generator, carat_device device, uint64_t count, carat_philox* taken) noexcept
{
    if (philox_state() == nullptr) return CARAT_NOT_FOUND;
    try {
        const c10::Device place(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device.index));
        auto* source = generator != nullptr ? static_cast<c10::GeneratorImpl*>(generator)
                                            : at::globalContext().defaultGenerator(place).unsafeGetGeneratorImpl();
        const std::lock_guard<std::mutex> lock(source->mutex_);
        const at::PhiloxCudaState state = philox_state()(source, count);
        if (state.captured_) return CARAT_INTERNAL_ERROR;
        *taken = {state.seed_.val, state.offset_.val};
        return CARAT_OK;
    } catch (...) {
        return CARAT_INTERNAL_ERROR;
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
    context.take_philox = take_philox;
}

}  // namespace carat

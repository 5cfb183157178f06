// SPDX-License-Identifier: Apache-2.0
// Tensors for Carat's results. Their memory comes from Carat's block pool: most of ATen's time on middle-sized results is
// page faults on memory that the last result has just given back to the system.
#include "memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/StorageImpl.h>
#include <c10/core/TensorImpl.h>

namespace carat {
namespace {

void free_block(void* block)
{
    carat_free(block);
}

class PoolAllocator final : public c10::Allocator {
 public:
    c10::DataPtr allocate(size_t bytes) override
    {
        void* block = bytes != 0 ? carat_alloc(bytes) : nullptr;
        TORCH_CHECK(block != nullptr || bytes == 0, "[enforce fail] Carat could not allocate ", bytes, " bytes of memory");
        return {block, block, &free_block, c10::Device(c10::DeviceType::CPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
    void copy_data(void* dest, const void* src, size_t count) const override { default_copy_data(dest, src, count); }
};

// Storages point to it for resizing, so it is never destroyed.
PoolAllocator& pool_allocator()
{
    static PoolAllocator* allocator = new PoolAllocator;
    return *allocator;
}

constexpr c10::ScalarType kScalarTypeOf[] = {
#define DTYPE(name, bytes, dlpack, torch) static_cast<c10::ScalarType>(torch),
    CARAT_DTYPES(DTYPE)
#undef DTYPE
};

constexpr size_t kBytesOf[] = {
#define DTYPE(name, bytes, dlpack, torch) bytes,
    CARAT_DTYPES(DTYPE)
#undef DTYPE
};

// Bytes from the first to past the last element. Carat has checked that the sizes don't overflow.
size_t storage_bytes(size_t itemsize, c10::IntArrayRef sizes, c10::IntArrayRef strides)
{
    size_t last = 0;
    for (size_t i = 0; i < sizes.size(); i++) {
        if (sizes[i] == 0) return 0;
        last += static_cast<size_t>(sizes[i] - 1) * static_cast<size_t>(strides[i]);
    }
    return (last + 1) * itemsize;
}

}  // namespace

at::Tensor new_tensor(carat_device device, carat_dtype dtype, c10::IntArrayRef sizes, c10::IntArrayRef strides, void** data)
{
    const size_t bytes = storage_bytes(kBytesOf[dtype], sizes, strides);
    const bool on_cpu = device.type == CARAT_CPU;
    c10::Allocator& allocator = on_cpu ? pool_allocator() : *c10::GetAllocator(c10::DeviceType::CUDA);
    c10::DataPtr block = allocator.allocate(bytes);
    *data = block.get();
    auto storage = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), static_cast<int64_t>(bytes),
                                                         std::move(block), &allocator, true);
    at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
        c10::Storage(std::move(storage)), c10::DispatchKeySet(on_cpu ? c10::DispatchKey::CPU : c10::DispatchKey::CUDA),
        c10::scalarTypeToTypeMeta(kScalarTypeOf[dtype]));
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
    return tensor;
}

}  // namespace carat

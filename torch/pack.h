// SPDX-License-Identifier: Apache-2.0
// From PyTorch's values to carat_arg, without copying what can be borrowed. A false answer means that Carat can't have
// the value, with call.reason saying why.
#pragma once

#include "adapter.h"

namespace carat {

constexpr int kScalarTypes = static_cast<int>(c10::ScalarType::NumOptions);

// PyTorch's ScalarType to Carat's; dl.bits is 0 where Carat has no such type.
struct DtypeTable {
    carat_dl_dtype dl[kScalarTypes];
    carat_dtype dtype[kScalarTypes];
};

constexpr DtypeTable make_dtype_table()
{
    DtypeTable table{};
    for (carat_dtype& dtype : table.dtype) dtype = CARAT_DTYPE_NONE;
#define DTYPE(name, bytes, dlpack, torch)                          \
    table.dl[torch] = {dlpack, static_cast<uint8_t>((bytes) * 8), 1}; \
    table.dtype[torch] = CARAT_##name;
    CARAT_DTYPES(DTYPE)
#undef DTYPE
    return table;
}

inline constexpr DtypeTable kDtypeTable = make_dtype_table();

inline carat_dtype carat_dtype_of(c10::ScalarType type) noexcept
{
    const int index = static_cast<int>(type);
    return index >= 0 && index < kScalarTypes ? kDtypeTable.dtype[index] : CARAT_DTYPE_NONE;
}

inline bool refuse(Call& call, const char* reason)
{
    call.reason = reason;
    return false;
}

// A 0-d tensor of the CPU among a device's tensors is a number, for which it fills the view. Any other tensor that isn't plain
// is refused.
bool pack_unusual_tensor(Call& call, carat_tensor& view, const at::Tensor& tensor);

inline void fill_view(carat_tensor& view, c10::TensorImpl* impl, void* data, carat_device device)
{
    const c10::IntArrayRef sizes = impl->sizes();
    view.data = data;
    view.device = device;
    view.ndim = static_cast<int32_t>(sizes.size());
    view.dl_dtype = kDtypeTable.dl[static_cast<int>(c10::typeMetaToScalarType(impl->dtype()))];
    view.shape = const_cast<int64_t*>(sizes.data());
    view.strides = const_cast<int64_t*>(impl->strides().data());
    view.byte_offset = 0;
}

template <bool Written>
inline bool pack_view(Call& call, carat_tensor& view, const at::Tensor& tensor)
{
    c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
    const uint64_t further_keys = impl->key_set().raw_repr() & ~call.override.plain_keys;
    if (C10_UNLIKELY(further_keys != 0 || !tensor.defined() || impl->has_symbolic_sizes_strides()))
        return pack_unusual_tensor(call, view, tensor);
    const bool on_cpu = call.override.device == CARAT_CPU;
    fill_view(view, impl, Written ? impl->mutable_data() : const_cast<void*>(impl->data()),
              {call.override.device, on_cpu ? 0 : impl->device().index()});
    if (C10_UNLIKELY(view.dl_dtype.bits == 0)) return refuse(call, "dtype");
    if (C10_UNLIKELY(view.ndim > CARAT_MAX_DIMS)) return refuse(call, "too many dimensions");
    if (C10_UNLIKELY(view.data == nullptr && impl->numel() != 0)) return refuse(call, "tensor without memory");
    return true;
}

template <bool Written>
inline bool pack_tensor(Call& call, carat_arg& arg, const at::Tensor& tensor)
{
    arg.kind = CARAT_ARG_TENSOR;
    arg.flags = tensor.unsafeGetTensorImpl()->is_wrapped_number() ? CARAT_TENSOR_WRAPPED_NUMBER : 0;
    return pack_view<Written>(call, arg.tensor, tensor);
}

inline bool pack_none(carat_arg& arg)
{
    arg.kind = CARAT_ARG_NONE;
    arg.flags = 0;
    return true;
}

inline bool pack_int(carat_arg& arg, int64_t value)
{
    arg.kind = CARAT_ARG_INT;
    arg.flags = 0;
    arg.i = value;
    return true;
}

inline bool pack_float(carat_arg& arg, double value)
{
    arg.kind = CARAT_ARG_FLOAT;
    arg.flags = 0;
    arg.f = value;
    return true;
}

bool pack_unusual_scalar(Call& call, carat_scalar& scalar, const c10::Scalar& value);

inline bool pack_number(Call& call, carat_scalar& scalar, const c10::Scalar& value)
{
    // Scalar::type() of a plain number is one of four; the rest (symbolic, unsigned 64-bit) is rare.
    if (value.isFloatingPoint() && !value.isSymbolic()) {
        scalar = {CARAT_SCALAR_FLOAT, 0, value.toDouble(), 0};
        return true;
    }
    return pack_unusual_scalar(call, scalar, value);
}

inline bool pack_scalar(Call& call, carat_arg& arg, const c10::Scalar& value)
{
    arg.kind = CARAT_ARG_SCALAR;
    arg.flags = 0;
    return pack_number(call, arg.scalar, value);
}

bool pack_dtype(Call& call, carat_arg& arg, c10::ScalarType dtype);
bool pack_generator(Call& call, carat_arg& arg, const at::Generator& generator);
// Absent, or what every plain tensor of the call's kind of device has; else refused.
bool pack_layout(Call& call, carat_arg& arg, c10::Layout layout);
bool pack_pin_memory(Call& call, carat_arg& arg, bool pinned);
bool pack_device(Call& call, carat_arg& arg, c10::Device device);

inline bool pack_ints(carat_arg& arg, c10::ArrayRef<int64_t> values)
{
    arg.kind = CARAT_ARG_INTS;
    arg.flags = 0;
    arg.ints.items = values.data();
    arg.ints.count = static_cast<int64_t>(values.size());
    return true;
}

inline carat_tensor* pack_list(Call& call, carat_arg& arg, size_t count)
{
    carat_tensor* views = call.arena.take<carat_tensor>(count);
    arg.kind = CARAT_ARG_TENSORS;
    arg.flags = 0;
    arg.tensors.items = views;
    arg.tensors.count = static_cast<int64_t>(count);
    return views;
}

inline bool pack_absent(carat_tensor& view)
{
    view = {};
    return true;
}

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// The rarer values on their way to carat_arg.
#include "pack.h"

#include "cuda_call.h"

#include <ATen/core/Generator.h>

namespace carat {

bool pack_unusual_tensor(Call& call, carat_tensor& view, const at::Tensor& tensor)
{
    if (!tensor.defined()) return refuse(call, "undefined tensor");
    c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
    const uint64_t further_keys = impl->key_set().raw_repr() & ~plain_keys_of(c10::DispatchKey::CPU);
    if (call.override.device != CARAT_CPU && further_keys == 0 && impl->dim() == 0) {
        fill_view(view, impl, const_cast<void*>(impl->data()), {CARAT_CPU, 0});
        return view.dl_dtype.bits != 0 || refuse(call, "dtype");
    }
    if (tensor.unsafeGetTensorImpl()->has_symbolic_sizes_strides()) return refuse(call, "symbolic sizes");
    if (tensor.device().is_cpu() != (call.override.device == CARAT_CPU)) return refuse(call, "tensors on several devices");
    return refuse(call, "not a plain strided tensor");
}

bool pack_unusual_scalar(Call& call, carat_scalar& scalar, const c10::Scalar& value)
{
    if (value.isSymbolic()) return refuse(call, "symbolic number");
    if (value.type() == c10::ScalarType::UInt64) return refuse(call, "number beyond 64-bit integers");
    if (value.isBoolean()) {
        scalar = {CARAT_SCALAR_BOOL, value.toBool(), 0, 0};
    } else if (value.isIntegral(false)) {
        scalar = {CARAT_SCALAR_INT, value.toLong(), 0, 0};
    } else if (value.isComplex()) {
        const c10::complex<double> number = value.toComplexDouble();
        scalar = {CARAT_SCALAR_COMPLEX, 0, number.real(), number.imag()};
    } else {
        return refuse(call, "unknown kind of number");
    }
    return true;
}

bool pack_dtype(Call& call, carat_arg& arg, c10::ScalarType dtype)
{
    arg.kind = CARAT_ARG_DTYPE;
    arg.flags = 0;
    arg.i = carat_dtype_of(dtype);
    if (arg.i == CARAT_DTYPE_NONE) return refuse(call, "dtype");
    return true;
}

bool pack_generator(Call& call, carat_arg& arg, const at::Generator& generator)
{
    if (!generator.defined()) return pack_none(arg);
    if (!generator.device().is_cpu()) return refuse(call, "generator of another device");
    arg.kind = CARAT_ARG_OPAQUE;
    arg.flags = 0;
    arg.opaque = generator.unsafeGetGeneratorImpl();
    return true;
}

bool pack_layout(Call& call, carat_arg& arg, c10::Layout layout)
{
    return layout == c10::Layout::Strided ? pack_none(arg) : refuse(call, "layout");
}

bool pack_pin_memory(Call& call, carat_arg& arg, bool pinned)
{
    return !pinned ? pack_none(arg) : refuse(call, "pinned memory");
}

bool pack_device(Call& call, carat_arg& arg, c10::Device device)
{
    if (call.override.device == CARAT_CPU) return device.is_cpu() ? pack_none(arg) : refuse(call, "another device");
    if (!device.is_cuda()) return refuse(call, "another device");
    call.device_index = device.has_index() ? device.index() : current_cuda_device();
    return pack_none(arg);
}

}  // namespace carat

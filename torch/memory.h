// SPDX-License-Identifier: Apache-2.0
// Tensors for Carat's results.
#pragma once

#include <ATen/core/Tensor.h>
#include <carat/carat.h>

namespace carat {

// A strided tensor with uninitialised elements; its data pointer goes to *data. On the CPU its memory comes from Carat's block
// pool, on a device from PyTorch's allocator for it.
at::Tensor new_tensor(carat_device device, carat_dtype dtype, c10::IntArrayRef sizes, c10::IntArrayRef strides, void** data);

}  // namespace carat

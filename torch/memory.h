// SPDX-License-Identifier: Apache-2.0
// Tensors for Carat's results.
#pragma once

#include <ATen/core/Tensor.h>
#include <carat/carat.h>

namespace carat {

// A strided CPU tensor with uninitialised elements from Carat's block pool; its data pointer goes to *data.
at::Tensor new_tensor(carat_dtype dtype, c10::IntArrayRef sizes, c10::IntArrayRef strides, void** data);

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// What PyTorch lends to calls on CUDA tensors: the current device and stream, and its caching allocator. Nothing of CUDA is
// linked: what libtorch_cuda has is looked up, and only if PyTorch has loaded it.
#pragma once

#include <c10/core/DeviceGuard.h>
#include <carat/carat.h>

namespace carat {

// Whether the PyTorch in this process was built with CUDA, whatever devices there are. Touches no driver.
bool torch_has_cuda() noexcept;

// For the length of a call its tensors' device is the current one.
class CudaCall {
 public:
    CudaCall(const carat_arg* args, int count);
    // Adds the hooks for a device to a context.
    static void lend(carat_context& context) noexcept;

 private:
    c10::OptionalDeviceGuard guard_;
};

}  // namespace carat

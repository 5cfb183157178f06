// SPDX-License-Identifier: Apache-2.0
// What PyTorch lends to calls on CUDA tensors: the current device and stream, and its caching allocator. Nothing of CUDA is
// linked: what libtorch_cuda has is looked up, and only if PyTorch has loaded it.
#pragma once

#include <c10/core/DeviceGuard.h>
#include <carat/carat.h>

#include <optional>

namespace carat {

// Whether the PyTorch in this process was built with CUDA, whatever devices there are. Touches no driver.
bool torch_has_cuda() noexcept;

c10::DeviceIndex current_cuda_device();

// For the length of a call its tensors' device, or that of its device argument, is the current one.
class CudaCall {
 public:
    CudaCall(const carat_arg* args, int count, std::optional<c10::DeviceIndex> argument);
    // Whether the device argument names the tensors' device.
    bool agrees() const noexcept { return agrees_; }
    // Adds the device and the hooks for it to a context.
    void lend(carat_context& context) const noexcept;

 private:
    c10::DeviceIndex index_;
    bool agrees_;
    c10::OptionalDeviceGuard guard_;
};

}  // namespace carat

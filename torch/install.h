// SPDX-License-Identifier: Apache-2.0
// Carat's operators as the adapter sees them, one entry per row of Carat's table, and their registration.
#pragma once

#include "adapter.h"

#include <memory>

namespace carat {

struct Entry {
    const carat_op* op = nullptr;
    std::atomic<bool> selected{false};  // by enable()
    Counters counters;
    bool examined = false;              // the fields below are known
    bool examined_cuda = false;
    const char* refused = nullptr;      // why PyTorch's operator of that name can't be replaced
    bool typed = false;
    std::string signature;
    std::vector<c10::RegistrationHandleRAII> registrations;
};

// Carat's table; entries live as long as the process.
std::vector<std::unique_ptr<Entry>>& entries();

// Overrides the operator, at the CPU key and where PyTorch and Carat have CUDA kernels for it at that key, if it can be overridden
// and isn't yet. Slow and serialised: not for the call path. Touches no device.
void install(size_t index);

// Lets scopes work: their bit in the dispatch key set must route nothing by itself.
void install_scope_key();

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// A scope on one thread in which Carat takes a choice of operators, whatever the process-wide choice is.
#pragma once

#include "adapter.h"

#include <c10/util/ThreadLocalDebugInfo.h>

namespace carat {

class Scope {
 public:
    // takes[i] for operator i of Carat's table; nullptr takes all of them.
    Scope(const uint8_t* takes, size_t count);
    ~Scope();
    Scope(const Scope&) = delete;

 private:
    bool was_in_scope_;
    bool has_choice_ = false;
};

}  // namespace carat

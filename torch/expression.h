// SPDX-License-Identifier: Apache-2.0
// Users' expressions as PyTorch operators: carat::<name> returns new tensors, carat::<name>.out writes to those that it is given.
#pragma once

#include "adapter.h"

#include <atomic>
#include <memory>
#include <mutex>

namespace carat {

struct Gradients;

// An operator as PyTorch knows it; lives as long as the process.
struct Expression {
    const carat_op* op = nullptr;
    std::string name;
    int inputs = 0, scalars = 0, outputs = 0;
    std::optional<c10::OperatorHandle> functional;
    Counters counters;
    std::vector<c10::RegistrationHandleRAII> registrations;
    std::atomic<bool> told{false}; // Defined has returned

    // How gradients are computed, by which inputs want one and dtypes (expression_autograd.cpp).
    std::mutex mutex;
    std::vector<std::pair<std::string, std::unique_ptr<Gradients>>> gradients;
    Expression();
    ~Expression();
};

// Tells Python of an operator; several threads may tell it of one, and go on when it is there.
using Defined = void (*)(const carat_op*, const char* name);

// Registers it with the dispatcher, unless it is there already; throws where it can't.
Expression& define_expression(const carat_op* op, carat_dtype autocast, Defined defined);

// Number `index`, 0, 1 ... in the order in which they came to be; NULL past the last.
Expression* expression_at(size_t index);

// The functors at the autograd keys: records what backward needs, and refuses out= of tensors that want a gradient.
c10::KernelFunction make_autograd(Expression& expression);
c10::KernelFunction make_autograd_out(Expression& expression);

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// PyTorch's CPU generator, lent to Carat, and the proof that Carat draws from it what ATen would.
#pragma once

#include "adapter.h"

namespace carat {

// The hook of carat_context: the generator's Mersenne twister under the generator's lock.
carat_status with_generator(void* host, void* generator, carat_status (*draw)(void* arg, uint32_t* words, int32_t* taken),
                            void* arg) noexcept;

// Whether Carat draws the same numbers as the original kernel and leaves the generator in the same state. ATen's stream is
// not the same everywhere: it differs by version, by instruction set, and (bernoulli_ by MKL) by the processor's vendor. So the
// first call for a dtype tries both on generators of their own. False: call.reason says why.
bool draws_alike(Call& call, const carat_context& context, const carat_arg* args, int count);

}  // namespace carat

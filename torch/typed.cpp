// SPDX-License-Identifier: Apache-2.0
// The signatures that have a typed functor: the most frequent among ATen's operators, and those of the hot ones.
#include "typed.h"

#include <string_view>

namespace carat {
namespace {

using Make = Functor (*)(const Override&);

template <char R, char... K>
Functor make(const Override& override)
{
    using Kernel = Typed<R, K...>;
    return {c10::KernelFunction::makeFromUnboxedFunctor<false, Kernel>(std::make_unique<Kernel>(override)),
            c10::impl::CppSignature::make<Kernel>()};
}

template <char... C>
constexpr char kText[] = {C..., '\0'};

struct Row {
    std::string_view signature;
    Make make;
};

template <char... C>
constexpr Row row() { return {kText<C...>, &make<C...>}; }

const Row kRows[] = {
#define SIGNATURE(...) row<__VA_ARGS__>(),
#include "signatures.def"
#undef SIGNATURE
};

}  // namespace

std::optional<Functor> make_typed(const Override& override)
{
    for (const Row& row : kRows)
        if (row.signature == override.plan.signature) return row.make(override);
    return std::nullopt;
}

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// Scopes: which operators Carat takes on the calling thread, and on the autograd threads that work for it.
#include "select.h"

#include <string_view>

namespace carat {
namespace {

// A scope's choice travels in ThreadLocalDebugInfo, which PyTorch hands to autograd threads with the dispatch key set.
struct Choice final : c10::DebugInfoBase {
    std::vector<bool> takes;
};

#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 13
constexpr c10::DebugInfoKind kChoiceInfo = c10::DebugInfoKind::TEST_INFO_2; // an enum: no value of our own possible
#else
constexpr std::string_view kChoiceName = "CARAT_CHOICE";
constexpr c10::DebugInfoKind kChoiceInfo(&kChoiceName);
#endif

}  // namespace

bool scope_selects(int index) noexcept
{
    const auto* choice = static_cast<const Choice*>(c10::ThreadLocalDebugInfo::get(kChoiceInfo));
    return choice == nullptr || choice->takes[index];
}

Scope::Scope(const uint8_t* takes, size_t count) : was_in_scope_(c10::impl::tls_is_dispatch_key_included(kScopeKey))
{
    const bool outer_choice = c10::ThreadLocalDebugInfo::get(kChoiceInfo) != nullptr;
    if (takes != nullptr || outer_choice) {
        auto choice = std::make_shared<Choice>();
        for (size_t i = 0; i < count; i++) choice->takes.push_back(takes == nullptr || takes[i] != 0);
        c10::ThreadLocalDebugInfo::_push(kChoiceInfo, std::move(choice));
        has_choice_ = true;
    }
    c10::impl::tls_set_dispatch_key_included(kScopeKey, true);
}

Scope::~Scope()
{
    c10::impl::tls_set_dispatch_key_included(kScopeKey, was_in_scope_);
    if (!has_choice_) return;
    try {
        c10::ThreadLocalDebugInfo::_pop(kChoiceInfo);
    } catch (const c10::Error&) {
        // Something that began inside the scope (a profiler) still goes on above our entry; its end will drop both.
    }
}

}  // namespace carat

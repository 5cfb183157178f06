// SPDX-License-Identifier: Apache-2.0
// The adapter's C functions, which Python calls through ctypes. Operators are numbers in Carat's table.
#include "expression.h"
#include "install.h"
#include "select.h"

#include <torch/headeronly/version.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

thread_local std::string last_failure;

// Runs a body that may throw; returns 0, or -1 with the text in carat_torch_failure().
template <class Body>
int guarded(Body body) noexcept
{
    try {
        body();
        return 0;
    } catch (const std::exception& failure) {
        last_failure = failure.what();
        return -1;
    }
}

}  // namespace

EXPORT const char* carat_torch_failure() { return last_failure.c_str(); }
EXPORT const char* carat_torch_version() { return TORCH_VERSION; }

// takes[i] != 0: operator i is served process-wide from now on. Returns 0 or -1.
EXPORT int carat_torch_select(const uint8_t* takes, size_t count)
{
    return guarded([&] {
        for (size_t i = 0; i < count; i++)
            if (takes[i] != 0) carat::install(i);
        for (size_t i = 0; i < count; i++)
            carat::entries()[i]->selected.store(takes[i] != 0, std::memory_order_relaxed);
    });
}

// Opens a scope on the calling thread (takes NULL: every operator); NULL on failure. Close it on the same thread.
EXPORT void* carat_torch_scope_open(const uint8_t* takes, size_t count)
{
    carat::Scope* scope = nullptr;
    guarded([&] {
        carat::install_scope_key();
        for (size_t i = 0; i < count; i++)
            if (takes == nullptr || takes[i] != 0) carat::install(i);
        scope = new carat::Scope(takes, count);
    });
    return scope;
}

EXPORT void carat_torch_scope_close(void* scope) { delete static_cast<carat::Scope*>(scope); }

// Makes an operator that carat_expression_op answered known to PyTorch; returns the name that it has there, after "carat::", NULL on
// failure. autocast: the carat_dtype that its floating inputs become under autocast, CARAT_DTYPE_NONE for none. `defined` is called
// with the name of every operator that comes to be, gradients when they are first needed included, and is kept.
EXPORT const char* carat_torch_expression(const carat_op* op, int autocast, void (*defined)(const carat_op*, const char*))
{
    const char* name = nullptr;
    guarded([&] { name = carat::define_expression(op, static_cast<carat_dtype>(autocast), defined).name.c_str(); });
    return name;
}

// The name of expression `index` (0, 1, ...) and the number of its calls since the last reset; NULL past the last.
EXPORT const char* carat_torch_expression_calls(size_t index, int reset, uint64_t* calls)
{
    carat::Expression* expression = carat::expression_at(index);
    if (expression == nullptr) return nullptr;
    std::atomic<uint64_t>& served = expression->counters.served;
    *calls = reset != 0 ? served.exchange(0, std::memory_order_relaxed) : served.load(std::memory_order_relaxed);
    return expression->name.c_str();
}

// Whether a call of any operator on this thread may be served.
EXPORT int carat_torch_enabled()
{
    if (c10::impl::tls_is_dispatch_key_included(carat::kScopeKey)) return 1;
    for (const auto& entry : carat::entries())
        if (entry->selected.load(std::memory_order_relaxed)) return 1;
    return 0;
}

// Why an operator can't be overridden, NULL if it can; installs it.
EXPORT const char* carat_torch_refused(size_t index)
{
    if (guarded([&] { carat::install(index); }) != 0) return last_failure.c_str();
    return carat::entries()[index]->refused;
}

// How calls reach an operator: its signature, with *typed saying whether a typed functor serves it.
EXPORT const char* carat_torch_signature(size_t index, int* typed)
{
    *typed = carat::entries()[index]->typed;
    return carat::entries()[index]->signature.c_str();
}

// The first operator from `index` on that has been called since the last reset; the table's size if there is none.
EXPORT size_t carat_torch_next_called(size_t index)
{
    const auto& entries = carat::entries();
    while (index < entries.size() && !entries[index]->counters.any()) index++;
    return index;
}

// Counts of an operator: served calls, and the reasons and counts of those that went to PyTorch. Returns how many
// reasons were filled in (of at most `room`). With `reset` the counts start again from 0.
EXPORT int carat_torch_counts(size_t index, int reset, uint64_t* served, const char** reasons, uint64_t* counts, int room)
{
    auto read = [reset](std::atomic<uint64_t>& counter) {
        return reset != 0 ? counter.exchange(0, std::memory_order_relaxed) : counter.load(std::memory_order_relaxed);
    };
    carat::Counters& counters = carat::entries()[index]->counters;
    *served = read(counters.served);
    int found = 0;
    for (auto& slot : counters.aside) {
        const char* reason = slot.reason.load(std::memory_order_acquire);
        if (reason == nullptr || found == room) break;
        reasons[found] = reason;
        counts[found++] = read(slot.count);
    }
    return found;
}

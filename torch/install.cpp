// SPDX-License-Identifier: Apache-2.0
// Overriding PyTorch's operators. Registered once and never taken back: readers of the dispatch table take no lock, so
// on and off are flags that the functors read.
#include "install.h"

#include "cuda_call.h"

#include <mutex>

namespace carat {
namespace {

std::mutex install_mutex;

// The name split as PyTorch does: "add.Tensor" is overload "Tensor" of "aten::add". Carat's own bring their namespace.
c10::OperatorName operator_name(const carat_op* op)
{
    const std::string text = (is_own(op) ? "" : "aten::") + std::string(carat_op_name(op));
    const size_t dot = text.find('.');
    return {text.substr(0, dot), dot == std::string::npos ? "" : text.substr(dot + 1)};
}

bool has_formula(const c10::OperatorHandle& handle)
{
    if (!handle.hasKernelForDispatchKey(c10::DispatchKey::Autograd)) return false;
    // The formula calls the backward operator, which most backends lack: it must be ours too.
    const std::string backward = handle.operator_name().name.substr(sizeof("aten::") - 1) + "_backward";
    return carat_op_find(backward.c_str()) != nullptr;
}

// A kernel at a backend key hides a composite kernel from autograd, and with it the gradient; where PyTorch has a kernel at
// that key itself (silu_backward), it is hidden already.
bool loses_gradient(const c10::OperatorHandle& handle, c10::DispatchKey key)
{
    return handle.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd) && !handle.hasKernelForDispatchKey(key)
        && !has_formula(handle);
}

// SafeKernelFunction only calls boxed, which costs a typed functor 60 ns each time it steps aside. An explicit
// instantiation may name a private member: this is the way to it that the language allows.
template <auto Member>
struct Opened {
    friend const c10::KernelFunction& kernel_of(const c10::SafeKernelFunction& safe) { return safe.*Member; }
};
const c10::KernelFunction& kernel_of(const c10::SafeKernelFunction& safe);
template struct Opened<&c10::SafeKernelFunction::kernel_>;

const char* examine(const Entry& entry, c10::DispatchKey key, std::optional<c10::OperatorHandle>& handle, Plan& plan)
{
    handle = c10::Dispatcher::singleton().findSchema(operator_name(entry.op));
    if (!handle.has_value()) return "this PyTorch has no such operator";
    if (loses_gradient(*handle, key)) return "composite: would lose its gradient";
    if (!handle->hasComputedKernelForDispatchKey(key)) return "PyTorch has no kernel to step aside to";
    return plan_schema(handle->schema(), plan);
}

c10::RegistrationHandleRAII register_functor(const c10::OperatorHandle& handle, c10::DispatchKey key, Functor functor)
{
    return c10::Dispatcher::singleton().registerImpl(handle.operator_name(), key, std::move(functor.kernel),
                                                     std::move(functor.signature), nullptr, "registered by Carat");
}

// A signature that isn't what the schema makes us expect is refused by the dispatcher: then boxed.
void override_operator(Entry& entry, c10::DispatchKey key, const Override& override)
{
    if (std::optional<Functor> typed = make_typed(override)) {
        try {
            entry.registrations.push_back(register_functor(override.handle, key, std::move(*typed)));
            entry.typed = true;
            return;
        } catch (const c10::Error&) {
        }
    }
    entry.registrations.push_back(register_functor(override.handle, key, make_boxed(override)));
}

// PyTorch warns, once a process, that a kernel is overridden. Here that is the purpose.
class Silence final : public c10::WarningHandler {
    void process(const c10::Warning&) override {}
};

// Registers Carat's functor at the key; returns nullptr, or why it can't. The plan is filled in as far as it got.
const char* install_at(Entry& entry, size_t index, c10::DispatchKey key, Plan& plan)
{
    std::optional<c10::OperatorHandle> handle;
    if (const char* why = examine(entry, key, handle, plan)) return why;
    Silence silence;
    const c10::WarningUtils::WarningHandlerGuard guard(&silence);
    const c10::SafeKernelFunction original = handle->getComputedKernelForDispatchKey(key);
    override_operator(entry, key, Override(entry.op, static_cast<int>(index), key, *handle, kernel_of(original), plan, &entry.counters,
                                           &entry.selected));
    return nullptr;
}

}  // namespace

std::vector<std::unique_ptr<Entry>>& entries()
{
    static auto& all = *new std::vector<std::unique_ptr<Entry>>([] {
        std::vector<std::unique_ptr<Entry>> made;
        for (size_t i = 0; i < carat_op_count(); i++) {
            made.push_back(std::make_unique<Entry>());
            made.back()->op = carat_op_at(i);
        }
        return made;
    }());
    return all;
}

void install(size_t index)
{
    const std::lock_guard<std::mutex> lock(install_mutex);
    Entry& entry = *entries()[index];
    if (!entry.examined) {
        Plan plan;
        if (carat_op_runs_on(entry.op, CARAT_CPU)) entry.refused = install_at(entry, index, c10::DispatchKey::CPU, plan);
        entry.signature = plan.signature;
        entry.examined = true;
    }
    if (!entry.examined_cuda && carat_op_runs_on(entry.op, CARAT_CUDA) && torch_has_cuda()) {
        Plan plan;
        install_at(entry, index, c10::DispatchKey::CUDA, plan);
        entry.examined_cuda = true;
    }
}

void install_scope_key()
{
    static c10::RegistrationHandleRAII* registration = new c10::RegistrationHandleRAII(
        c10::Dispatcher::singleton().registerFallback(kScopeKey, c10::KernelFunction::makeFallthrough(), "registered by Carat"));
    (void)registration;
}

}  // namespace carat

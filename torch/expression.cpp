// SPDX-License-Identifier: Apache-2.0
// Registration of users' expressions: schemas, and the functors at the device keys, below autograd and above it.
#include "expression.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/enum_tag.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace carat {
namespace {

std::mutex define_mutex;
Defined tell_defined = nullptr;

// In the order in which they came to be; under the lock.
std::vector<std::unique_ptr<Expression>>& all()
{
    static auto& expressions = *new std::vector<std::unique_ptr<Expression>>;
    return expressions;
}

// ---- schemas

c10::IValue scalar_default(const carat_scalar& value)
{
    if (value.kind == CARAT_SCALAR_FLOAT) return value.re;
    if (value.kind == CARAT_SCALAR_INT) return value.i;
    return value.i != 0;
}

c10::TypePtr scalar_type(const carat_scalar& value)
{
    if (value.kind == CARAT_SCALAR_FLOAT) return c10::FloatType::get();
    if (value.kind == CARAT_SCALAR_INT) return c10::IntType::get();
    return c10::BoolType::get();
}

std::vector<c10::Argument> schema_arguments(const carat_op* op)
{
    std::vector<c10::Argument> arguments;
    for (int j = 0; j < carat_expression_inputs(op); j++)
        arguments.emplace_back(carat_expression_input(op, j), c10::TensorType::get());
    for (int s = 0; s < carat_expression_scalars(op); s++) {
        carat_scalar value;
        const char* name = carat_expression_scalar(op, s, &value);
        arguments.emplace_back(name, scalar_type(value), std::nullopt, scalar_default(value), true);
    }
    return arguments;
}

c10::FunctionSchema functional_schema(const carat_op* op, const std::string& name)
{
    const std::vector<c10::Argument> results(carat_expression_outputs(op), c10::Argument("", c10::TensorType::get()));
    return {"carat::" + name, "", schema_arguments(op), results};
}

// It returns nothing, as PyTorch asks of operators that write to their arguments.
c10::FunctionSchema out_schema(const carat_op* op, const std::string& name)
{
    std::vector<c10::Argument> arguments = schema_arguments(op);
    for (int k = 0; k < carat_expression_outputs(op); k++) {
        const auto set = c10::Symbol::fromQualString("alias::" + std::string(1, static_cast<char>('a' + k)));
        c10::AliasInfo written;
        written.setIsWrite(true);
        written.addBeforeSet(set);
        written.addAfterSet(set);
        arguments.emplace_back("out" + std::to_string(k), c10::TensorType::get(), std::nullopt, std::nullopt, true, std::move(written));
    }
    return {"carat::" + name, "out", std::move(arguments), {}};
}

// ---- functors

// On a device: there is no other operator to go on to, so what can't be served is an error.
struct OnDevice final : Override {
    using Override::Override;
    void operator()(const c10::OperatorHandle&, c10::DispatchKeySet, torch::jit::Stack* stack)
    {
        Call call(*this);
        if (serve_stack(call, stack)) return;
        const bool worded = call.status != CARAT_OK && call.status != CARAT_UNSUPPORTED;
        const char* words = worded ? carat_last_error() : call.reason;
        TORCH_CHECK_TYPE(call.status != CARAT_INVALID_DTYPE, words);
        TORCH_CHECK(false, words);
    }
};

// Counts a write to the out= tensors, by which autograd finds out that a saved tensor has changed.
struct CountWrites final : c10::OperatorKernel {
    explicit CountWrites(int outputs) : outputs(outputs) {}
    void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack)
    {
        std::vector<at::Tensor> outs;
        for (int k = 0; k < outputs; k++) outs.push_back(torch::jit::peek(*stack, k, outputs).toTensor());
        {
            at::AutoDispatchBelowADInplaceOrView guard;
            handle.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
        }
        for (at::Tensor& out : outs)
            if (!out.is_inference()) out.unsafeGetTensorImpl()->bump_version();
    }
    int outputs;
};

at::ScalarType scalar_type_of(carat_dtype dtype)
{
    switch (dtype) {
    case CARAT_f16: return at::kHalf;
    case CARAT_bf16: return at::kBFloat16;
    case CARAT_f32: return at::kFloat;
    default: TORCH_CHECK_TYPE(false, "autocast to ", carat_dtype_name(dtype));
    }
}

struct Autocast final : c10::OperatorKernel {
    Autocast(c10::DispatchKey key, int inputs, at::ScalarType to) : key(key), inputs(inputs), to(to) {}
    void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet, torch::jit::Stack* stack)
    {
        const c10::impl::ExcludeDispatchKeyGuard guard(key);
        const auto device = key == c10::DispatchKey::AutocastCPU ? c10::DeviceType::CPU : c10::DeviceType::CUDA;
        const size_t first = stack->size() - handle.schema().arguments().size();
        for (size_t j = first; j < first + inputs; j++)
            (*stack)[j] = at::autocast::cached_cast(to, (*stack)[j].toTensor(), device);
        handle.callBoxed(stack);
    }
    c10::DispatchKey key;
    int inputs;
    at::ScalarType to;
};

template <class Kernel, class... Arguments>
c10::KernelFunction boxed(Arguments&&... arguments)
{
    return c10::KernelFunction::makeFromBoxedFunctor(std::make_unique<Kernel>(std::forward<Arguments>(arguments)...));
}

// ---- registration

c10::OperatorHandle define(Expression& expression, c10::FunctionSchema schema)
{
    const c10::OperatorName name = schema.operator_name();
    expression.registrations.push_back(c10::Dispatcher::singleton().registerDef(
        std::move(schema), "registered by Carat", {at::Tag::pt2_compliant_tag, at::Tag::pointwise}));
    return c10::Dispatcher::singleton().findSchemaOrThrow(name.name.c_str(), name.overload_name.c_str());
}

void implement(Expression& expression, const c10::OperatorHandle& handle, c10::DispatchKey key, c10::KernelFunction kernel)
{
    expression.registrations.push_back(c10::Dispatcher::singleton().registerImpl(handle.operator_name(), key, std::move(kernel),
                                                                                 std::nullopt, nullptr, "registered by Carat"));
}

void implement_on_devices(Expression& expression, const c10::OperatorHandle& handle)
{
    Plan plan;
    const char* why = plan_schema(handle.schema(), plan);
    TORCH_CHECK(why == nullptr, why);
    for (const c10::DispatchKey key : {c10::DispatchKey::CPU, c10::DispatchKey::CUDA})
        implement(expression, handle, key,
                  boxed<OnDevice>(expression.op, -1, key, handle, c10::KernelFunction(), plan, &expression.counters, nullptr));
}

std::unique_ptr<Expression> make_expression(const carat_op* op, const std::string& name, carat_dtype autocast)
{
    auto expression = std::make_unique<Expression>();
    expression->op = op;
    expression->name = name;
    expression->inputs = carat_expression_inputs(op);
    expression->scalars = carat_expression_scalars(op);
    expression->outputs = carat_expression_outputs(op);
    TORCH_CHECK(expression->inputs > 0, "this operator is not made of an expression");
    const c10::OperatorHandle functional = define(*expression, functional_schema(op, name)), out = define(*expression, out_schema(op, name));
    expression->functional = functional;
    for (const c10::OperatorHandle& handle : {functional, out}) {
        implement_on_devices(*expression, handle);
        if (autocast == CARAT_DTYPE_NONE) continue;
        for (const c10::DispatchKey key : {c10::DispatchKey::AutocastCPU, c10::DispatchKey::AutocastCUDA})
            implement(*expression, handle, key, boxed<Autocast>(key, expression->inputs, scalar_type_of(autocast)));
    }
    implement(*expression, functional, c10::DispatchKey::Autograd, make_autograd(*expression));
    implement(*expression, out, c10::DispatchKey::Autograd, make_autograd_out(*expression));
    implement(*expression, out, c10::DispatchKey::ADInplaceOrView, boxed<CountWrites>(expression->outputs));
    return expression;
}

}  // namespace

Expression* expression_at(size_t index)
{
    const std::lock_guard<std::mutex> lock(define_mutex);
    return index < all().size() ? all()[index].get() : nullptr;
}

Expression& define_expression(const carat_op* op, carat_dtype autocast, Defined defined)
{
    std::string name = carat_op_name(op);
    if (autocast != CARAT_DTYPE_NONE) name = name + "_autocast_" + carat_dtype_name(autocast);
    Defined tell;
    Expression* made = nullptr;
    {
        const std::lock_guard<std::mutex> lock(define_mutex);
        if (defined != nullptr) tell_defined = defined;
        tell = tell_defined;
        for (const auto& known : all())
            if (known->name == name) made = known.get();
        if (made == nullptr) made = all().emplace_back(make_expression(op, name, autocast)).get();
    }
    if (tell == nullptr || made->told) return *made;
    tell(op, name.c_str()); // takes Python's lock, so ours must be free
    made->told = true;
    return *made;
}

}  // namespace carat

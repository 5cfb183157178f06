// SPDX-License-Identifier: Apache-2.0
// The boxed functor: serves any operator from the dispatcher's stack of IValues, by the operator's plan.
#include "adapter.h"
#include "pack.h"

#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

namespace carat {
namespace {

template <bool Written>
bool pack_tensors(Call& call, carat_arg& arg, const c10::IValue& value)
{
    const c10::ArrayRef<c10::IValue> items = value.toListRef();
    carat_tensor* views = pack_list(call, arg, items.size());
    for (size_t i = 0; i < items.size(); i++) {
        if (items[i].isNone() || !items[i].toTensor().defined()) {
            pack_absent(views[i]);
        } else if (!pack_view<Written>(call, views[i], items[i].toTensor())) {
            return false;
        }
    }
    return true;
}

bool pack_int_list(Call& call, carat_arg& arg, const c10::IValue& value)
{
    const c10::ArrayRef<c10::IValue> items = value.toListRef();
    int64_t* numbers = call.arena.take<int64_t>(items.size());
    for (size_t i = 0; i < items.size(); i++) {
        if (items[i].isInt()) numbers[i] = items[i].toInt();
        else if (items[i].isBool()) numbers[i] = items[i].toBool();
        else return refuse(call, "symbolic number");
    }
    return pack_ints(arg, {numbers, items.size()});
}

bool pack_float_list(Call& call, carat_arg& arg, const c10::IValue& value)
{
    const c10::ArrayRef<c10::IValue> items = value.toListRef();
    double* numbers = call.arena.take<double>(items.size());
    for (size_t i = 0; i < items.size(); i++) numbers[i] = items[i].toDouble();
    arg.kind = CARAT_ARG_FLOATS;
    arg.flags = 0;
    arg.floats.items = numbers;
    arg.floats.count = static_cast<int64_t>(items.size());
    return true;
}

bool pack_scalar_list(Call& call, carat_arg& arg, const c10::IValue& value)
{
    const c10::ArrayRef<c10::IValue> items = value.toListRef();
    carat_scalar* numbers = call.arena.take<carat_scalar>(items.size());
    for (size_t i = 0; i < items.size(); i++)
        if (!pack_number(call, numbers[i], items[i].toScalar())) return false;
    arg.kind = CARAT_ARG_SCALARS;
    arg.flags = 0;
    arg.scalars.items = numbers;
    arg.scalars.count = static_cast<int64_t>(items.size());
    return true;
}

bool pack_string(carat_arg& arg, const c10::IValue& value)
{
    arg.kind = CARAT_ARG_STRING;
    arg.flags = 0;
    arg.string = value.toStringRef().c_str();
    return true;
}

bool pack_value(Call& call, carat_arg& arg, char kind, const c10::IValue& value)
{
    if (value.isNone()) return pack_none(arg);
    switch (kind) {
    case kTensorOpt:
        if (!value.toTensor().defined()) return pack_none(arg);
        [[fallthrough]];
    case kTensor: return pack_tensor<false>(call, arg, value.toTensor());
    case kWritten: return pack_tensor<true>(call, arg, value.toTensor());
    case kTensors:
    case kTensorsOpt: return pack_tensors<false>(call, arg, value);
    case kTensorsWritten: return pack_tensors<true>(call, arg, value);
    case kScalar:
    case kScalarOpt: return pack_scalar(call, arg, value.toScalar());
    case kScalars: return pack_scalar_list(call, arg, value);
    case kSymInt:
    case kSymIntOpt:
        if (!value.isInt()) return refuse(call, "symbolic number");
        [[fallthrough]];
    case kInt:
    case kIntOpt: return pack_int(arg, value.toInt());
    case kBool:
    case kBoolOpt: return pack_int(arg, value.toBool());
    case kPinMemory: return pack_pin_memory(call, arg, value.toBool());
    case kInts:
    case kIntsOpt:
    case kSymInts:
    case kSymIntsOpt:
    case kBools: return pack_int_list(call, arg, value);
    case kFloat:
    case kFloatOpt: return pack_float(arg, value.toDouble());
    case kFloats:
    case kFloatsOpt: return pack_float_list(call, arg, value);
    case kDtype:
    case kDtypeOpt: return pack_dtype(call, arg, value.toScalarType());
    case kString:
    case kStringOpt: return pack_string(arg, value);
    case kGenerator:
    case kGeneratorOpt: return pack_generator(call, arg, value.toGenerator());
    case kMemoryFormat:
    case kMemoryFormatOpt: return pack_int(arg, static_cast<int64_t>(value.toMemoryFormat()));
    case kLayoutOpt: return pack_layout(call, arg, value.toLayout());
    case kDeviceOpt: return pack_device(call, arg, value.toDevice());
    default: return refuse(call, "unknown argument type");
    }
}

bool pack_stack(Call& call, carat_arg* args, const torch::jit::Stack& stack)
{
    const std::string& kinds = call.override.plan.kinds;
    const c10::IValue* values = stack.data() + (stack.size() - kinds.size());
    for (size_t i = 0; i < kinds.size(); i++)
        if (!pack_value(call, args[i], kinds[i], values[i])) return false;
    return true;
}

void push_arguments(const Plan& plan, torch::jit::Stack* stack)
{
    const size_t base = stack->size() - plan.kinds.size();
    c10::SmallVector<c10::IValue, CARAT_MAX_OUTPUTS> results;
    for (const int argument : plan.returned) results.push_back(std::move((*stack)[base + argument]));
    stack->resize(base);
    for (c10::IValue& result : results) stack->push_back(std::move(result));
}

void push_results(Call& call, torch::jit::Stack* stack)
{
    const Plan& plan = call.override.plan;
    if (plan.result == Result::kArguments) return push_arguments(plan, stack);
    torch::jit::drop(*stack, plan.kinds.size());
    if (plan.result == Result::kFreshList) {
        torch::jit::push(*stack, std::move(call.fresh_list));
        return;
    }
    for (int i = 0; i < plan.fresh; i++) stack->emplace_back(std::move(call.fresh[i]));
}

}  // namespace

bool serve_stack(Call& call, torch::jit::Stack* stack)
{
    const Override& override = call.override;
    carat_arg* args = static_cast<carat_arg*>(alloca(sizeof(carat_arg) * override.plan.kinds.size()));
    if (!pack_stack(call, args, *stack)) {
        turn_away(call);
        return false;
    }
    if (!serve(call, args, static_cast<int>(override.plan.kinds.size()))) return false;
    push_results(call, stack);
    return true;
}

namespace {

struct Boxed final : Override {
    explicit Boxed(const Override& override) : Override(override) {}
    void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack)
    {
        call_boxed(*this, handle, keys, stack);
    }
};

}  // namespace

void call_boxed(const Override& override, const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack)
{
    if (takes(override)) {
        Call call(override);
        if (serve_stack(call, stack)) return;
    }
    override.original.callBoxed(handle, keys, stack);
}

Functor make_boxed(const Override& override)
{
    return {c10::KernelFunction::makeFromBoxedFunctor(std::make_unique<Boxed>(override)), std::nullopt};
}

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// Typed functors: one template over an operator's C++ signature, which packs arguments without boxing them first. Worth
// about 25 ns a call over the boxed functor, and more when the call goes on to the original.
#pragma once

#include "adapter.h"
#include "pack.h"

#include <ATen/core/Generator.h>
#include <ATen/core/List.h>

#include <array>
#include <tuple>

namespace carat {

// ---- the C++ type that PyTorch passes for a Kind, and the one it returns for a result letter

template <char> struct ArgumentType;
template <char> struct ResultType;
#define ARGUMENT(letter, ...) template <> struct ArgumentType<letter> { using type = __VA_ARGS__; };
#define RESULT(letter, ...) template <> struct ResultType<letter> { using type = __VA_ARGS__; };
ARGUMENT(kTensor, const at::Tensor&)
ARGUMENT(kWritten, at::Tensor&)
ARGUMENT(kTensorOpt, const std::optional<at::Tensor>&)
ARGUMENT(kTensors, c10::ArrayRef<at::Tensor>)
ARGUMENT(kTensorsWritten, c10::ArrayRef<at::Tensor>)
ARGUMENT(kTensorsOpt, const c10::List<std::optional<at::Tensor>>&)
ARGUMENT(kScalar, const c10::Scalar&)
ARGUMENT(kScalarOpt, const std::optional<c10::Scalar>&)
ARGUMENT(kScalars, c10::ArrayRef<c10::Scalar>)
ARGUMENT(kInt, int64_t)
ARGUMENT(kIntOpt, std::optional<int64_t>)
ARGUMENT(kSymInt, c10::SymInt)
ARGUMENT(kSymIntOpt, std::optional<c10::SymInt>)
ARGUMENT(kInts, c10::IntArrayRef)
ARGUMENT(kIntsOpt, c10::OptionalArrayRef<int64_t>)
ARGUMENT(kSymInts, c10::SymIntArrayRef)
ARGUMENT(kSymIntsOpt, c10::OptionalArrayRef<c10::SymInt>)
ARGUMENT(kBool, bool)
ARGUMENT(kBoolOpt, std::optional<bool>)
ARGUMENT(kBools, std::array<bool, 3>)
ARGUMENT(kPinMemory, std::optional<bool>)
ARGUMENT(kFloat, double)
ARGUMENT(kFloatOpt, std::optional<double>)
ARGUMENT(kDtype, c10::ScalarType)
ARGUMENT(kDtypeOpt, std::optional<c10::ScalarType>)
ARGUMENT(kString, std::string_view)
ARGUMENT(kStringOpt, std::optional<std::string_view>)
ARGUMENT(kGeneratorOpt, std::optional<at::Generator>)
ARGUMENT(kMemoryFormatOpt, std::optional<c10::MemoryFormat>)
ARGUMENT(kLayoutOpt, std::optional<c10::Layout>)
ARGUMENT(kDeviceOpt, std::optional<c10::Device>)
RESULT('0', void)
RESULT('t', at::Tensor)
RESULT('2', std::tuple<at::Tensor, at::Tensor>)
RESULT('3', std::tuple<at::Tensor, at::Tensor, at::Tensor>)
RESULT('4', std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>)
RESULT('l', std::vector<at::Tensor>)
RESULT('T', at::Tensor&)
RESULT('U', std::tuple<at::Tensor&, at::Tensor&>)
RESULT('V', std::tuple<at::Tensor&, at::Tensor&, at::Tensor&>)
RESULT('W', std::tuple<at::Tensor&, at::Tensor&, at::Tensor&, at::Tensor&>)
#undef ARGUMENT
#undef RESULT

// ---- one value to carat_arg, by Kind

template <bool Written>
inline bool pack_tensors(Call& call, carat_arg& arg, c10::ArrayRef<at::Tensor> tensors)
{
    carat_tensor* views = pack_list(call, arg, tensors.size());
    for (size_t i = 0; i < tensors.size(); i++)
        if (!pack_view<Written>(call, views[i], tensors[i])) return false;
    return true;
}

inline bool pack_optional_tensors(Call& call, carat_arg& arg, const c10::List<std::optional<at::Tensor>>& list)
{
    carat_tensor* views = pack_list(call, arg, list.size());
    for (size_t i = 0; i < list.size(); i++) {
        const std::optional<at::Tensor> tensor = list.get(i); // the list keeps it alive
        if (!tensor.has_value() || !tensor->defined()) pack_absent(views[i]);
        else if (!pack_view<false>(call, views[i], *tensor)) return false;
    }
    return true;
}

inline bool pack_symints(Call& call, carat_arg& arg, c10::SymIntArrayRef values)
{
    const auto numbers = c10::asIntArrayRefSlowOpt(values);
    return numbers.has_value() ? pack_ints(arg, *numbers) : refuse(call, "symbolic number");
}

inline bool pack_bools(Call& call, carat_arg& arg, std::array<bool, 3> values)
{
    int64_t* numbers = call.arena.take<int64_t>(values.size());
    for (size_t i = 0; i < values.size(); i++) numbers[i] = values[i];
    return pack_ints(arg, {numbers, values.size()});
}

inline bool pack_scalars(Call& call, carat_arg& arg, c10::ArrayRef<c10::Scalar> values)
{
    carat_scalar* numbers = call.arena.take<carat_scalar>(values.size());
    for (size_t i = 0; i < values.size(); i++)
        if (!pack_number(call, numbers[i], values[i])) return false;
    arg.kind = CARAT_ARG_SCALARS;
    arg.flags = 0;
    arg.scalars.items = numbers;
    arg.scalars.count = static_cast<int64_t>(values.size());
    return true;
}

inline bool pack_text(Call& call, carat_arg& arg, std::string_view text)
{
    char* copy = call.arena.take<char>(text.size() + 1);
    copy[text.copy(copy, text.size())] = '\0';
    arg.kind = CARAT_ARG_STRING;
    arg.flags = 0;
    arg.string = copy;
    return true;
}

template <char K, class T>
C10_ALWAYS_INLINE bool pack(Call& call, carat_arg& arg, const T& value)
{
    if constexpr (K == kTensor) return pack_tensor<false>(call, arg, value);
    else if constexpr (K == kWritten) return pack_tensor<true>(call, arg, value);
    else if constexpr (K == kTensors) return pack_tensors<false>(call, arg, value);
    else if constexpr (K == kTensorsWritten) return pack_tensors<true>(call, arg, value);
    else if constexpr (K == kTensorsOpt) return pack_optional_tensors(call, arg, value);
    else if constexpr (K == kScalar) return pack_scalar(call, arg, value);
    else if constexpr (K == kScalars) return pack_scalars(call, arg, value);
    else if constexpr (K == kInt || K == kBool) return pack_int(arg, value);
    else if constexpr (K == kSymInt)
        return value.is_heap_allocated() ? refuse(call, "symbolic number") : pack_int(arg, value.as_int_unchecked());
    else if constexpr (K == kInts) return pack_ints(arg, value);
    else if constexpr (K == kSymInts) return pack_symints(call, arg, value);
    else if constexpr (K == kBools) return pack_bools(call, arg, value);
    else if constexpr (K == kFloat) return pack_float(arg, value);
    else if constexpr (K == kDtype) return pack_dtype(call, arg, value);
    else if constexpr (K == kString) return pack_text(call, arg, value);
    else if constexpr (K == kTensorOpt)
        return value.has_value() && value->defined() ? pack_tensor<false>(call, arg, *value) : pack_none(arg);
    else if constexpr (K == kGeneratorOpt) return value.has_value() ? pack_generator(call, arg, *value) : pack_none(arg);
    else if constexpr (K == kMemoryFormatOpt)
        return value.has_value() ? pack_int(arg, static_cast<int64_t>(*value)) : pack_none(arg);
    else if constexpr (K == kPinMemory) return value.has_value() ? pack_pin_memory(call, arg, *value) : pack_none(arg);
    else if constexpr (K == kLayoutOpt) return value.has_value() ? pack_layout(call, arg, *value) : pack_none(arg);
    else if constexpr (K == kDeviceOpt) return value.has_value() ? pack_device(call, arg, *value) : pack_none(arg);
    else {
        constexpr char required = K == kScalarOpt ? kScalar : K == kIntOpt ? kInt : K == kSymIntOpt ? kSymInt
            : K == kIntsOpt ? kInts : K == kSymIntsOpt ? kSymInts : K == kBoolOpt ? kBool : K == kFloatOpt ? kFloat
            : K == kStringOpt ? kString : kDtype;
        static_assert(K == kDtypeOpt || required != kDtype, "a Kind without a way to pack it");
        return value.has_value() ? pack<required>(call, arg, *value) : pack_none(arg);
    }
}

// ---- results

// The tensors that an in-place or out= call was given to write, in order.
template <class... A>
auto written_of(A&... args)
{
    return std::tuple_cat([](auto& arg) {
        if constexpr (std::is_same_v<decltype(arg), at::Tensor&>) return std::tuple<at::Tensor&>(arg);
        else return std::tuple<>();
    }(args)...);
}

template <class R, size_t... I>
R fresh_tuple(Call& call, std::index_sequence<I...>)
{
    return R(std::move(call.fresh[I])...);
}

template <class R, class... A>
R result_of(Call& call, A&... args)
{
    if constexpr (std::is_void_v<R>) return;
    else if constexpr (std::is_same_v<R, at::Tensor>) return std::move(call.fresh[0]);
    else if constexpr (std::is_same_v<R, std::vector<at::Tensor>>) return std::move(call.fresh_list);
    else if constexpr (std::is_same_v<R, at::Tensor&>) return std::get<0>(written_of(args...));
    else if constexpr (std::is_reference_v<std::tuple_element_t<0, R>>) return written_of(args...);
    else return fresh_tuple<R>(call, std::make_index_sequence<std::tuple_size_v<R>>());
}

// ---- the functor

template <char R, char... K>
struct Typed final : Override {
    using Return = typename ResultType<R>::type;
    explicit Typed(const Override& override) : Override(override) {}

    Return operator()(c10::DispatchKeySet keys, typename ArgumentType<K>::type... args)
    {
        if (takes(*this)) {
            Call call(*this);
            carat_arg packed[sizeof...(K)];
            carat_arg* next = packed;
            if (!(pack<K>(call, *next++, args) && ...)) turn_away(call);
            else if (serve(call, packed, sizeof...(K))) return result_of<Return>(call, args...);
        }
        return original.call<Return, typename ArgumentType<K>::type...>(
            handle, keys, std::forward<typename ArgumentType<K>::type>(args)...);
    }
};

}  // namespace carat

// A boxed call of a typed functor takes the boxed way: unboxing first would only cost time, here and in compiling.
template <char R, char... K>
struct c10::impl::make_boxed_from_unboxed_functor<carat::Typed<R, K...>, false> {
    static void call(c10::OperatorKernel* functor, const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack)
    {
        carat::call_boxed(*static_cast<carat::Typed<R, K...>*>(functor), handle, keys, stack);
    }
};

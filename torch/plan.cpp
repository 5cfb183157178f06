// SPDX-License-Identifier: Apache-2.0
// From an operator's schema to a plan: what each argument is, which ones are written, what comes back.
#include "adapter.h"

#include <string_view>

namespace carat {
namespace {

struct KindOfType {
    std::string_view type;
    Kind kind;
};

constexpr KindOfType kKinds[] = {
    {"Tensor", kTensor}, {"Tensor?", kTensorOpt}, {"Tensor[]", kTensors}, {"Tensor?[]", kTensorsOpt},
    {"Scalar", kScalar}, {"Scalar?", kScalarOpt}, {"Scalar[]", kScalars},
    {"int", kInt}, {"int?", kIntOpt}, {"SymInt", kSymInt}, {"SymInt?", kSymIntOpt},
    {"int[]", kInts}, {"int[]?", kIntsOpt}, {"SymInt[]", kSymInts}, {"SymInt[]?", kSymIntsOpt},
    {"bool", kBool}, {"bool?", kBoolOpt}, {"bool[]", kBools},
    {"float", kFloat}, {"float?", kFloatOpt}, {"float[]", kFloats}, {"float[]?", kFloatsOpt},
    {"ScalarType", kDtype}, {"ScalarType?", kDtypeOpt}, {"str", kString}, {"str?", kStringOpt},
    {"Generator", kGenerator}, {"Generator?", kGeneratorOpt},
    {"MemoryFormat", kMemoryFormat}, {"MemoryFormat?", kMemoryFormatOpt},
    {"Layout?", kLayoutOpt}, {"Device?", kDeviceOpt},
};

bool written(const c10::Argument& argument)
{
    return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
}

// '\0' if the adapter can't pass such an argument.
char kind_of(const c10::Argument& argument)
{
    const std::string type = argument.real_type()->str();
    for (const KindOfType& row : kKinds) {
        if (row.type != type) continue;
        if (row.kind == kBoolOpt && argument.name() == "pin_memory") return kPinMemory;
        if (!written(argument)) return row.kind;
        if (row.kind == kTensor) return kWritten;
        if (row.kind == kTensors) return kTensorsWritten;
    }
    return '\0';
}

const char* plan_arguments(const c10::FunctionSchema& schema, Plan& plan)
{
    const auto& arguments = schema.arguments();
    if (arguments.size() > kMaxArguments) return "schema: too many arguments";
    plan.first_out = static_cast<int>(arguments.size());
    for (size_t i = 0; i < arguments.size(); i++) {
        const char kind = kind_of(arguments[i]);
        if (kind == '\0') return "schema: unknown argument type";
        plan.kinds.push_back(kind);
        if (kind == kGenerator || kind == kGeneratorOpt) plan.generator = static_cast<int>(i);
        if (!arguments[i].is_out()) {
            if (plan.first_out < static_cast<int>(i)) return "schema: out= arguments are not the last";
        } else if (plan.first_out == static_cast<int>(arguments.size())) {
            plan.first_out = static_cast<int>(i);
        }
    }
    return nullptr;
}

// The argument that a result is, by their common alias set; -1 if it is none.
int returned_argument(const c10::FunctionSchema& schema, const c10::Argument& result)
{
    const auto& arguments = schema.arguments();
    for (size_t i = 0; i < arguments.size(); i++) {
        if (written(arguments[i]) && arguments[i].alias_info()->afterSets() == result.alias_info()->afterSets())
            return static_cast<int>(i);
    }
    return -1;
}

const char* plan_results(const c10::FunctionSchema& schema, Plan& plan)
{
    const auto& results = schema.returns();
    for (const c10::Argument& result : results) {
        const std::string type = result.real_type()->str();
        if (result.alias_info() != nullptr) {
            const int argument = returned_argument(schema, result);
            if (argument < 0) return "schema: returns a view";
            plan.result = Result::kArguments;
            plan.returned.push_back(argument);
        } else if (type == "Tensor") {
            plan.result = Result::kFresh;
            plan.fresh++;
        } else if (type == "Tensor[]" && results.size() == 1) {
            plan.result = Result::kFreshList;
        } else {
            return "schema: returns something else than tensors";
        }
    }
    if (plan.fresh > CARAT_MAX_OUTPUTS) return "schema: too many results";
    if (plan.fresh > 0 && !plan.returned.empty()) return "schema: returns both new and given tensors";
    return nullptr;
}

// What the C++ function returns, as one letter: typed.h turns it back into a type.
char result_letter(const Plan& plan)
{
    switch (plan.result) {
    case Result::kFresh: return plan.fresh == 1 ? 't' : static_cast<char>('0' + plan.fresh);
    case Result::kFreshList: return 'l';
    case Result::kArguments: return "?TUVW????"[plan.returned.size() & 7];
    default: return '0';
    }
}

}  // namespace

const char* plan_schema(const c10::FunctionSchema& schema, Plan& plan)
{
    if (schema.is_vararg() || schema.is_varret()) return "schema: variable arguments";
    if (const char* why = plan_arguments(schema, plan)) return why;
    if (const char* why = plan_results(schema, plan)) return why;
    plan.signature = result_letter(plan) + plan.kinds;
    return nullptr;
}

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include "memory.h"
#include "pack.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/linspace.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

namespace carat {
namespace {

constexpr int kWords = at::MERSENNE_STATE_N;
constexpr int64_t kTried = 16 * 1024 + 7; // elements of the trial: blocks, groups, a rest
constexpr uint64_t kTrialSeed = 2027;
constexpr double kTrialNumbers[] = {0.1, 0.9}; // a probability, bounds, mean and deviation alike

static_assert(kWords == CARAT_GENERATOR_WORDS);

// An engine is its state and nothing else: the state can be read and written in place, without a copy to and fro.
static_assert(std::is_standard_layout_v<at::mt19937> && sizeof(at::mt19937) == sizeof(at::mt19937_data_pod));

at::mt19937_data_pod& state_of(at::mt19937& engine)
{
    return reinterpret_cast<at::mt19937_data_pod&>(engine);
}

// What carat_generator calls `taken`; -1 for a state that no sequence of calls leads to. `left_` counts down to the word at which
// a block is made, and is 1 before the first.
int32_t taken_of(const at::mt19937_data_pod& state)
{
    if (!state.seeded_) return -1;
    if (state.left_ == 1 && (state.next_ == 0 || state.next_ == kWords)) return kWords;
    const bool regular = state.next_ >= 1 && state.next_ <= kWords && state.left_ == kWords + 1 - static_cast<int>(state.next_);
    return regular ? static_cast<int32_t>(state.next_) : -1;
}

bool same_state(at::CPUGeneratorImpl& a, at::CPUGeneratorImpl& b)
{
    const at::mt19937_data_pod x = a.engine().data(), y = b.engine().data();
    return x.left_ == y.left_ && x.next_ == y.next_ && x.state_ == y.state_;
}

// What the calling thread's trial draws from instead of the default generator, by operators that take no other.
thread_local at::CPUGeneratorImpl* stand_in = nullptr;

at::CPUGeneratorImpl& default_generator()
{
    return *at::detail::getDefaultCPUGenerator().get<at::CPUGeneratorImpl>();
}

// ---- the trial

// One side's generator, the tensors that it writes to, and what it has made of them.
struct Trial {
    at::Generator generator = at::detail::createCPUGenerator(kTrialSeed);
    std::vector<at::Tensor> written, results;
    at::CPUGeneratorImpl& state() { return *generator.get<at::CPUGeneratorImpl>(); }
};

// Lends the default generator a trial's state; other threads that draw meanwhile get other numbers, and the trial may fail.
class LentState {
 public:
    explicit LentState(at::CPUGeneratorImpl& trial) : trial_(trial)
    {
        const std::lock_guard<std::mutex> lock(default_generator().mutex_);
        kept_ = default_generator().get_state();
        default_generator().set_state(*trial_.get_state());
    }
    ~LentState()
    {
        const std::lock_guard<std::mutex> lock(default_generator().mutex_);
        trial_.set_engine(default_generator().engine());
        default_generator().set_state(*kept_);
    }

 private:
    at::CPUGeneratorImpl& trial_;
    c10::intrusive_ptr<c10::TensorImpl> kept_;
};

// The arguments of a trial as the original takes them. The last integer is an upper bound. Nothing if an argument is of a kind
// that no operator here has.
std::optional<torch::jit::Stack> trial_stack(const std::string& kinds, carat_dtype dtype, const at::Tensor& operand, Trial& trial)
{
    const int64_t bound = dtype == CARAT_b8 ? 2 : 97;
    int numbers = 0;
    void* data;
    torch::jit::Stack stack;
    for (size_t i = 0; i < kinds.size(); i++) {
        switch (kinds[i]) {
        case kWritten:
            trial.written.push_back(new_tensor({CARAT_CPU, 0}, dtype, {kTried}, {int64_t{1}}, &data));
            stack.emplace_back(trial.written.back());
            break;
        case kTensor: stack.emplace_back(operand); break;
        case kGenerator:
        case kGeneratorOpt: stack.emplace_back(trial.generator); break;
        case kSymInt: stack.emplace_back(kTried); break;
        case kFloat: stack.emplace_back(kTrialNumbers[numbers++ & 1]); break;
        case kBoolOpt: stack.emplace_back(true); break;
        case kInt:
        case kIntOpt: stack.emplace_back(kinds.find_first_of("iI", i + 1) == std::string::npos ? bound : int64_t{0}); break;
        default: return {};
        }
    }
    return stack;
}

bool run_ours(Call& call, const carat_context& context, const torch::jit::Stack& stack, Trial& trial)
{
    const Override& override = call.override;
    std::vector<carat_arg> args(stack.size());
    for (size_t i = 0; i < stack.size(); i++) {
        const bool written = override.plan.kinds[i] == kWritten;
        if (stack[i].isTensor()) written ? pack_tensor<true>(call, args[i], stack[i].toTensor()) : pack_tensor<false>(call, args[i], stack[i].toTensor());
        else if (stack[i].isGenerator()) pack_generator(call, args[i], trial.generator);
        else if (stack[i].isDouble()) pack_float(args[i], stack[i].toDouble());
        else pack_int(args[i], stack[i].isBool() ? stack[i].toBool() : stack[i].toInt());
    }
    std::vector<carat_tensor> outs;
    for (size_t i = override.first_out; i < args.size(); i++) outs.push_back(args[i].tensor);
    stand_in = &trial.state();
    const carat_status status = carat_call(&context, override.op, args.data(), override.first_out, outs.data(), static_cast<int>(outs.size()));
    stand_in = nullptr;
    trial.results = trial.written;
    for (at::Tensor& made : call.fresh)
        if (made.defined()) trial.results.push_back(std::exchange(made, at::Tensor()));
    return status == CARAT_OK;
}

void run_theirs(const Override& override, torch::jit::Stack& stack, Trial& trial)
{
    std::optional<LentState> lent;
    if (override.generator < 0) lent.emplace(trial.state());
    override.original.callBoxed(override.handle, c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
    trial.results = trial.written;
    for (const c10::IValue& made : stack)
        if (trial.written.empty()) trial.results.push_back(made.toTensor());
}

bool same_bits(const at::Tensor& a, const at::Tensor& b)
{
    return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.is_contiguous() && b.is_contiguous()
           && std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

enum class Verdict { kAlike, kOther, kUnserved };

Verdict try_both(Call& call, const carat_context& context, carat_dtype dtype)
{
    const std::string& kinds = call.override.plan.kinds;
    at::Tensor operand;
    if (kinds.find(kTensor) != std::string::npos) {
        void* data;
        if (dtype != CARAT_f16 && dtype != CARAT_bf16 && dtype != CARAT_f32 && dtype != CARAT_f64) return Verdict::kUnserved;
        operand = new_tensor({CARAT_CPU, 0}, dtype, {kTried}, {int64_t{1}}, &data);
        at::linspace_out(operand, kTrialNumbers[0], kTrialNumbers[1], kTried);
    }
    Trial ours, theirs;
    std::optional<torch::jit::Stack> our_stack = trial_stack(kinds, dtype, operand, ours), their_stack = trial_stack(kinds, dtype, operand, theirs);
    if (!our_stack || !run_ours(call, context, *our_stack, ours)) return Verdict::kUnserved;
    run_theirs(call.override, *their_stack, theirs);
    const bool alike = std::equal(ours.results.begin(), ours.results.end(), theirs.results.begin(), theirs.results.end(), same_bits);
    return alike && same_state(theirs.state(), ours.state()) ? Verdict::kAlike : Verdict::kOther;
}

// The tensor whose dtype decides: the one that is written, else the first.
const carat_tensor* leading_tensor(const Override& override, const carat_arg* args, int count)
{
    const carat_tensor* first = nullptr;
    for (int i = 0; i < count; i++) {
        if (override.plan.kinds[i] == kWritten) return &args[i].tensor;
        if (first == nullptr && args[i].kind == CARAT_ARG_TENSOR) first = &args[i].tensor;
    }
    return first;
}

}  // namespace

carat_status with_generator(void*, void* generator, carat_status (*draw)(void* arg, uint32_t* words, int32_t* taken),
                            void* arg) noexcept
{
    try {
        auto* source = generator != nullptr ? static_cast<at::CPUGeneratorImpl*>(generator)
                       : stand_in != nullptr ? stand_in : &default_generator();
        const std::lock_guard<std::mutex> lock(source->mutex_);
        at::mt19937 engine = source->engine();
        at::mt19937_data_pod& state = state_of(engine);
        int32_t taken = taken_of(state);
        if (taken < 0) return CARAT_INTERNAL_ERROR;
        const carat_status status = draw(arg, state.state_.data(), &taken);
        if (status != CARAT_OK) return status;
        state.next_ = static_cast<uint32_t>(taken);
        state.left_ = kWords + 1 - taken;
        source->set_engine(engine);
        return CARAT_OK;
    } catch (...) {
        return CARAT_INTERNAL_ERROR;
    }
}

bool draws_alike(Call& call, const carat_context& context, const carat_arg* args, int count)
{
    const carat_tensor* leading = leading_tensor(call.override, args, count);
    const carat_dtype dtype = leading != nullptr ? carat_dtype_from_dl(leading->dl_dtype) : CARAT_DTYPE_NONE;
    if (dtype == CARAT_DTYPE_NONE) return refuse(call, "dtype");
    Streams& streams = call.override.counters->streams;
    const uint32_t bit = 1u << dtype;
    if (C10_LIKELY(streams.alike.load(std::memory_order_relaxed) & bit)) return true;
    if (streams.unserved.load(std::memory_order_relaxed) & bit) return refuse(call, "dtype");
    if (streams.other.load(std::memory_order_relaxed) & bit) return refuse(call, "this ATen draws other random numbers");
    const Verdict verdict = try_both(call, context, dtype);
    std::atomic<uint32_t>& seen = verdict == Verdict::kAlike ? streams.alike : verdict == Verdict::kOther ? streams.other : streams.unserved;
    seen.fetch_or(bit, std::memory_order_relaxed);
    return draws_alike(call, context, args, count);
}

}  // namespace carat

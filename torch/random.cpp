// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include "memory.h"
#include "pack.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <cstring>
#include <type_traits>

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

// ---- the trial

struct Trial {
    void* data = nullptr;
    at::Tensor tensor;
    at::Generator generator = at::detail::createCPUGenerator(kTrialSeed);
    explicit Trial(carat_dtype dtype) : tensor(new_tensor({CARAT_CPU, 0}, dtype, {kTried}, {int64_t{1}}, &data)) {}
    at::CPUGeneratorImpl& state() { return *generator.get<at::CPUGeneratorImpl>(); }
};

// The arguments of a trial; false if one is of a kind that no operator here has. The last integer is an upper bound.
bool trial_args(Call& call, carat_dtype dtype, Trial& trial, std::vector<carat_arg>& args)
{
    const std::string& kinds = call.override.plan.kinds;
    const int64_t bound = dtype == CARAT_b8 ? 2 : 97;
    int numbers = 0;
    for (size_t i = 0; i < kinds.size(); i++) {
        carat_arg& arg = args.emplace_back();
        switch (kinds[i]) {
        case kWritten: pack_tensor<true>(call, arg, trial.tensor); break;
        case kGenerator:
        case kGeneratorOpt: pack_generator(call, arg, trial.generator); break;
        case kSymInt: pack_int(arg, kTried); break;
        case kFloat: pack_float(arg, kTrialNumbers[numbers++ & 1]); break;
        case kInt:
        case kIntOpt: pack_int(arg, kinds.find_first_of("iI", i + 1) == std::string::npos ? bound : 0); break;
        default: return false;
        }
    }
    return true;
}

// The same for the original kernel.
torch::jit::Stack trial_stack(const std::vector<carat_arg>& args, const Trial& trial)
{
    torch::jit::Stack stack;
    for (size_t i = 0; i < args.size(); i++) {
        switch (args[i].kind) {
        case CARAT_ARG_TENSOR: stack.emplace_back(trial.tensor); break;
        case CARAT_ARG_OPAQUE: stack.emplace_back(trial.generator); break;
        case CARAT_ARG_FLOAT: stack.emplace_back(args[i].f); break;
        default: stack.emplace_back(args[i].i); break;
        }
    }
    return stack;
}

enum class Verdict { kAlike, kOther, kUnserved };

Verdict try_both(Call& call, const carat_context& context, carat_dtype dtype)
{
    const Override& override = call.override;
    Trial theirs(dtype), ours(dtype);
    std::vector<carat_arg> args;
    if (!trial_args(call, dtype, ours, args)) return Verdict::kUnserved;
    const int nouts = static_cast<int>(args.size()) - override.first_out;
    const carat_tensor* outs = nouts != 0 ? &args[override.first_out].tensor : nullptr;
    if (carat_call(&context, override.op, args.data(), override.first_out, outs, nouts) != CARAT_OK) return Verdict::kUnserved;
    torch::jit::Stack stack = trial_stack(args, theirs);
    override.original.callBoxed(override.handle, c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
    const bool values_agree = std::memcmp(theirs.data, ours.data, kTried * carat_dtype_size(dtype)) == 0;
    return values_agree && same_state(theirs.state(), ours.state()) ? Verdict::kAlike : Verdict::kOther;
}

const carat_tensor* written_tensor(const Override& override, const carat_arg* args, int count)
{
    for (int i = 0; i < count; i++)
        if (override.plan.kinds[i] == kWritten) return &args[i].tensor;
    return nullptr;
}

}  // namespace

carat_status with_generator(void*, void* generator, carat_status (*draw)(void* arg, uint32_t* words, int32_t* taken),
                            void* arg) noexcept
{
    try {
        auto* source = generator != nullptr ? static_cast<at::CPUGeneratorImpl*>(generator)
                                            : at::detail::getDefaultCPUGenerator().get<at::CPUGeneratorImpl>();
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
    const carat_tensor* written = written_tensor(call.override, args, count);
    const carat_dtype dtype = written != nullptr ? carat_dtype_from_dl(written->dl_dtype) : CARAT_DTYPE_NONE;
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

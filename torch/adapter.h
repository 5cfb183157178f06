// SPDX-License-Identifier: Apache-2.0
// The PyTorch adapter: overridden operators, the plan of a schema, and one call in flight.
//
// A call's way: dispatcher -> boxed.cpp or typed.h (arguments to carat_arg) -> call.cpp (serve) -> carat_call. Whatever
// can't be served runs on the original kernel with its arguments untouched, so values and error texts stay ATen's own.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <carat/carat.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace carat {

// What one argument is. The letters of an operator's arguments make its signature, by which typed functors are chosen.
enum Kind : char {
    kTensor = 't', kWritten = 'T', kTensorOpt = 'q', kTensors = 'l', kTensorsWritten = 'L', kTensorsOpt = 'o',
    kScalar = 's', kScalarOpt = 'S', kScalars = 'v',
    kInt = 'i', kIntOpt = 'I', kSymInt = 'y', kSymIntOpt = 'Y',
    kInts = 'a', kIntsOpt = 'A', kSymInts = 'z', kSymIntsOpt = 'Z',
    kBool = 'b', kBoolOpt = 'B', kBools = 'm', kPinMemory = 'w', // a bool? that must not be true
    kFloat = 'f', kFloatOpt = 'F', kFloats = 'g', kFloatsOpt = 'G',
    kDtype = 'd', kDtypeOpt = 'D', kString = 'n', kStringOpt = 'N',
    kGenerator = 'r', kGeneratorOpt = 'R', kMemoryFormat = 'h', kMemoryFormatOpt = 'H',
    kLayoutOpt = 'P', kDeviceOpt = 'E',
};

enum class Result : char { kNothing, kFresh, kFreshList, kArguments };

constexpr int kMaxArguments = 40; // of a schema; the longest in ATen has 32
constexpr int kMaxReasons = 8;

// What a schema asks for, worked out once.
struct Plan {
    std::string kinds;  // one Kind per argument
    int first_out = 0;  // arguments from here on are out=
    Result result = Result::kNothing;
    std::vector<int> returned;  // kArguments: which argument each result is
    int fresh = 0;              // kFresh: how many results
    int generator = -1;         // which argument is a random generator
    std::string signature;      // a letter for the results, then the kinds
};

// Fills the plan; returns nullptr, or why the operator can't be taken over (a string literal).
const char* plan_schema(const c10::FunctionSchema& schema, Plan& plan);

// Dtypes, a bit each, for which an operator that draws random numbers was seen to draw ATen's own, others, or none (random.h).
struct Streams {
    std::atomic<uint32_t> alike{0}, other{0}, unserved{0};
};

// How often an operator was served, and how often not and why. Reasons are string literals: compared by address.
struct Counters {
    std::atomic<uint64_t> served{0};
    struct {
        std::atomic<const char*> reason{nullptr};
        std::atomic<uint64_t> count{0};
    } aside[kMaxReasons];
    Streams streams;
    void count_aside(const char* reason) noexcept;
    bool any() const noexcept;
};

// A plain tensor's keys: strided and dense on the device, whatever its autograd. Anything else (conjugate or negative views,
// sparse, quantized, mkldnn, zero tensors, wrappers of functorch or Python) carries a further key.
inline uint64_t plain_keys_of(c10::DispatchKey key)
{
    using c10::DispatchKey;
    const bool cuda = key == DispatchKey::CUDA;
    return (c10::DispatchKeySet(key) | c10::DispatchKeySet(DispatchKey::ADInplaceOrView) |
            c10::DispatchKeySet(cuda ? DispatchKey::AutogradCUDA : DispatchKey::AutogradCPU) |
            c10::DispatchKeySet(cuda ? DispatchKey::AutocastCUDA : DispatchKey::AutocastCPU)).raw_repr();
}

// Whether an operator is one of Carat's own, defined in python/carat/_operators.py, rather than ATen's.
inline bool is_own(const carat_op* op) { return std::strstr(carat_op_name(op), "::") != nullptr; }

// One overridden operator at one dispatch key. Both functors derive from it; it lives as long as its registration,
// which is as long as the process.
struct Override : c10::OperatorKernel {
    Override(const carat_op* op, int index, c10::DispatchKey key, c10::OperatorHandle handle, c10::KernelFunction original, Plan plan,
             Counters* counters, const std::atomic<bool>* selected)
        : op(op), index(index), device(key == c10::DispatchKey::CUDA ? CARAT_CUDA : CARAT_CPU), plain_keys(plain_keys_of(key)),
          first_out(plan.first_out), generator(plan.generator),
          draws(std::strcmp(carat_op_family(op), "random") == 0), own(is_own(op)), result(plan.result), selected(selected), counters(counters),
          handle(handle), original(std::move(original)), plan(std::move(plan)) {}

    const carat_op* op;
    int index;                          // in Carat's table
    carat_device_type device;           // whose calls it takes
    uint64_t plain_keys;                // dispatch keys that its tensors may have
    int first_out;
    int generator;
    bool draws;                         // random numbers
    bool own;                           // Carat's, which was called by name: enable() has no say in it
    Result result;
    const std::atomic<bool>* selected;  // by enable()
    Counters* counters;
    c10::OperatorHandle handle;
    c10::KernelFunction original;       // what the dispatcher would have run without us
    Plan plan;
};

// ---- which calls Carat takes (select.cpp)

// Whether the scope that the calling thread is in takes the operator.
bool scope_selects(int index) noexcept;

// The thread's scope is a bit in its dispatch key set, which PyTorch hands on to its autograd threads.
constexpr c10::DispatchKey kScopeKey = c10::DispatchKey::TESTING_ONLY_GenericMode;

inline bool takes(const Override& override) noexcept
{
    if (C10_UNLIKELY(c10::impl::tls_local_dispatch_key_set().included_.has(kScopeKey)))
        return scope_selects(override.index);
    return override.own || override.selected->load(std::memory_order_relaxed);
}

// ---- one call (call.cpp)

// Short-lived memory of a call: a piece of the stack, then the heap.
class Arena {
 public:
    Arena() noexcept {}
    Arena(const Arena&) = delete;
    ~Arena() { if (C10_UNLIKELY(heap_ != nullptr)) release(); }
    template <class T>
    T* take(size_t count)
    {
        const size_t bytes = (count * sizeof(T) + 7) & ~size_t{7};
        if (C10_UNLIKELY(bytes > sizeof(buffer_) - used_)) return static_cast<T*>(take_heap(bytes));
        used_ += bytes;
        return reinterpret_cast<T*>(buffer_ + used_ - bytes);
    }

 private:
    void* take_heap(size_t bytes);
    void release() noexcept;
    void* heap_ = nullptr;
    size_t used_ = 0;
    alignas(8) unsigned char buffer_[3072];
};

struct Call {
    explicit Call(const Override& override) : override(override) {}
    const Override& override;
    const char* reason = nullptr;      // why it can't be served
    carat_status status = CARAT_OK;    // of carat_call, once it was called
    at::Tensor fresh[CARAT_MAX_OUTPUTS];
    std::vector<at::Tensor> fresh_list;
    std::optional<c10::DeviceIndex> device_index; // of the device argument, where there is one on a device
    Arena arena;
};

// Calls Carat. False, with the reason counted: nothing was touched and the original must run.
bool serve(Call& call, const carat_arg* args, int count);
// Counts a call whose arguments could not be packed.
void turn_away(const Call& call) noexcept;

// ---- registration

// A functor that does what `override` says, with its C++ signature; a typed one only if the schema's is compiled in.
struct Functor {
    c10::KernelFunction kernel;
    std::optional<c10::impl::CppSignature> signature;
};
std::optional<Functor> make_typed(const Override& override);
Functor make_boxed(const Override& override);

// Serves the arguments on the stack and leaves the results there (boxed.cpp). False: as serve().
bool serve_stack(Call& call, torch::jit::Stack* stack);
// The boxed call of every functor.
void call_boxed(const Override& override, const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack);

}  // namespace carat

// SPDX-License-Identifier: Apache-2.0
// One call into Carat: what PyTorch lends to it (memory for results, threads, random numbers), and the count of it.
#include "adapter.h"
#include "cuda_call.h"
#include "memory.h"
#include "pack.h"
#include "random.h"

#include <ATen/Parallel.h>

#include <cstdlib>

namespace carat {
namespace {

// The hooks stand between C frames: nothing may be thrown through them.

carat_status make_output(void* host, int index, carat_device device, carat_dtype dtype, int ndim, const int64_t* shape,
                         const int64_t* strides, void** data) noexcept
{
    Call& call = *static_cast<Call*>(host);
    try {
        at::Tensor tensor = new_tensor(device, dtype, {shape, static_cast<size_t>(ndim)}, {strides, static_cast<size_t>(ndim)}, data);
        if (call.override.result == Result::kFreshList) {
            if (call.fresh_list.size() <= static_cast<size_t>(index)) call.fresh_list.resize(index + 1);
            call.fresh_list[index] = std::move(tensor);
        } else {
            if (index < 0 || index >= call.override.plan.fresh) return CARAT_INTERNAL_ERROR;
            call.fresh[index] = std::move(tensor);
        }
        return CARAT_OK;
    } catch (...) {
        return CARAT_OUT_OF_MEMORY;
    }
}

void parallel_for(void*, int64_t count, int64_t grain, void (*task)(void*, int64_t, int64_t), void* arg) noexcept
{
    at::parallel_for(0, count, grain, [=](int64_t begin, int64_t end) { task(arg, begin, end); });
}

int thread_count(void*) noexcept
{
    return at::in_parallel_region() ? 1 : at::get_num_threads();
}

carat_dtype default_dtype() noexcept
{
    return carat_dtype_of(c10::typeMetaToScalarType(c10::get_default_dtype()));
}

// The out= tensors follow the other arguments; a list of them stands for its tensors.
const carat_tensor* find_outs(Call& call, const carat_arg* args, int count, int* nouts)
{
    const int first = call.override.first_out;
    *nouts = count - first;
    if (first == count) return nullptr;
    if (args[first].kind == CARAT_ARG_TENSORS) {
        *nouts = static_cast<int>(args[first].tensors.count);
        return args[first].tensors.items;
    }
    carat_tensor* outs = call.arena.take<carat_tensor>(*nouts);
    for (int i = 0; i < *nouts; i++) outs[i] = args[first + i].tensor;
    return outs;
}

// A call that failed half-way may have made some of its results: the original makes its own.
void drop_results(Call& call)
{
    for (at::Tensor& tensor : call.fresh) tensor.reset();
    call.fresh_list.clear();
}

}  // namespace

bool serve(Call& call, const carat_arg* args, int count)
{
    int nouts;
    const carat_tensor* outs = find_outs(call, args, count, &nouts);
    carat_context context = {};
    context.host = &call;
    context.default_dtype = default_dtype();
    context.make_output = make_output;
    std::optional<CudaCall> cuda;
    if (call.override.device == CARAT_CUDA) {
        cuda.emplace(args, count, call.device_index);
        if (!cuda->agrees()) {
            call.reason = "another device";
            turn_away(call);
            return false;
        }
        cuda->lend(context);
    } else {
        context.parallel_for = parallel_for;
        context.thread_count = thread_count;
        context.with_generator = with_generator;
        if (C10_UNLIKELY(call.override.draws) && !draws_alike(call, context, args, count)) {
            turn_away(call);
            return false;
        }
    }
    const carat_status status = call.status = carat_call(&context, call.override.op, args, call.override.first_out, outs, nouts);
    if (C10_LIKELY(status == CARAT_OK)) {
        call.override.counters->served.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    drop_results(call);
    call.reason = status == CARAT_UNSUPPORTED ? carat_last_reason() : carat_status_name(status);
    turn_away(call);
    return false;
}

void turn_away(const Call& call) noexcept
{
    call.override.counters->count_aside(call.reason);
}

void Counters::count_aside(const char* reason) noexcept
{
    for (auto& slot : aside) {
        const char* seen = slot.reason.load(std::memory_order_acquire);
        if (seen == nullptr && slot.reason.compare_exchange_strong(seen, reason)) seen = reason;
        // The last slot takes whatever has no slot of its own.
        if (seen == reason || &slot == &aside[kMaxReasons - 1]) {
            slot.count.fetch_add(1, std::memory_order_relaxed);
            return;
        }
    }
}

bool Counters::any() const noexcept
{
    if (served.load(std::memory_order_relaxed) != 0) return true;
    for (const auto& slot : aside)
        if (slot.count.load(std::memory_order_relaxed) != 0) return true;
    return false;
}

void* Arena::take_heap(size_t bytes)
{
    void** block = static_cast<void**>(std::malloc(sizeof(void*) * 2 + bytes));
    if (block == nullptr) throw std::bad_alloc();
    block[0] = heap_;
    heap_ = block;
    return block + 2;
}

void Arena::release() noexcept
{
    while (heap_ != nullptr) {
        void* next = *static_cast<void**>(heap_);
        std::free(heap_);
        heap_ = next;
    }
}

}  // namespace carat

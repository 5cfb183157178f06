// SPDX-License-Identifier: Apache-2.0
// CUDA's own words for a C++ compiler on a CPU: qualifiers, built-in variables, intrinsics and maths, as far as the dialect uses
// them. fake_ptx.h has its inline PTX.
#ifndef CARAT_TESTS_FAKE_WORDS_H
#define CARAT_TESTS_FAKE_WORDS_H

#include "fake_device.h"

#define __device__
#define __host__
#define __constant__
#define __global__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __shared__ static

#define threadIdx (fake_here->thread)
#define blockIdx (fake_here->block)
#define gridDim (fake_here->grid)

// ---- bits
template <class To, class From> static inline To fake_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
static inline float __uint_as_float(unsigned x) { return fake_bits<float>(x); }
static inline float __int_as_float(int x) { return fake_bits<float>(x); }
static inline unsigned __float_as_uint(float x) { return fake_bits<unsigned>(x); }
static inline int __float_as_int(float x) { return fake_bits<int>(x); }
static inline double __longlong_as_double(long long x) { return fake_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return fake_bits<long long>(x); }
static inline double __hiloint2double(int high, int low) { return fake_bits<double>((long long)high << 32 | (unsigned)low); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
static inline unsigned long long __cvta_generic_to_global(const void *p) { return (unsigned long long)p; }

// ---- lanes of a warp
struct fake_exchange {
    unsigned long long given, taken;
    unsigned source; // a lane of the warp
};
static inline void fake_perform_exchange(void **of_lane)
{
    for (int i = 0; i < 32; ++i) {
        fake_exchange *const mine = (fake_exchange *)of_lane[i];
        if (!mine) continue;
        const fake_exchange *const other = (const fake_exchange *)of_lane[mine->source];
        if (!other) fake_fail("a shuffle reads lane %u of the warp, which takes no part in it", mine->source);
        mine->taken = other->given;
    }
}
template <class T> static inline T fake_shuffle(unsigned mask, const char *what, T value, unsigned source)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "what a shuffle takes");
    fake_exchange mine = { 0, 0, source };
    __builtin_memcpy(&mine.given, &value, sizeof value);
    fake_meet(mask, what, fake_perform_exchange, &mine);
    __builtin_memcpy(&value, &mine.taken, sizeof value);
    return value;
}
#define FAKE_WARP_LANE (threadIdx.x % 32)
template <class T> static inline T __shfl_sync(unsigned mask, T value, unsigned source) { return fake_shuffle(mask, "__shfl_sync", value, source % 32); }
template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, unsigned bits)
{
    return fake_shuffle(mask, "__shfl_xor_sync", value, FAKE_WARP_LANE ^ bits);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T value, unsigned below)
{
    const unsigned lane = FAKE_WARP_LANE, source = lane >= below ? lane - below : lane;
    return fake_shuffle(mask, "__shfl_up_sync", value, mask >> source & 1 ? source : lane);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T value, unsigned above)
{
    const unsigned lane = FAKE_WARP_LANE, source = lane + above < 32 ? lane + above : lane;
    return fake_shuffle(mask, "__shfl_down_sync", value, mask >> source & 1 ? source : lane);
}

struct fake_vote {
    unsigned yes, all; // one lane's, all lanes' by their bits
};
static inline void fake_perform_vote(void **of_lane)
{
    unsigned all = 0;
    for (int i = 0; i < 32; ++i)
        if (of_lane[i] && ((fake_vote *)of_lane[i])->yes) all |= 1u << i;
    for (int i = 0; i < 32; ++i)
        if (of_lane[i]) ((fake_vote *)of_lane[i])->all = all;
}
static inline unsigned __ballot_sync(unsigned mask, int yes)
{
    fake_vote mine = { yes != 0, 0 };
    fake_meet(mask, "__ballot_sync", fake_perform_vote, &mine);
    return mine.all;
}
static inline int __any_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) != 0; }
static inline int __all_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) == mask; }

static inline void fake_perform_nothing(void **) {}
static inline void __syncwarp(unsigned mask = ~0u) { fake_meet(mask, "__syncwarp", fake_perform_nothing, nullptr); }
static inline void __syncthreads() { fake_block_wait(); }

// ---- atomics: one lane runs at a time
template <class T, class V> static inline T atomicAdd(T *p, V v) { const T old = *p; *p = old + (T)v; return old; }
template <class T, class V> static inline T atomicMax(T *p, V v) { const T old = *p; if ((T)v > old) *p = (T)v; return old; }
template <class T, class V> static inline T atomicMin(T *p, V v) { const T old = *p; if ((T)v < old) *p = (T)v; return old; }
template <class T, class V> static inline T atomicExch(T *p, V v) { const T old = *p; *p = (T)v; return old; }
template <class T, class V, class W> static inline T atomicCAS(T *p, V expected, W v) { const T old = *p; if (old == (T)expected) *p = (T)v; return old; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// ---- the C library's, by their names in CUDA, and what it lacks
extern "C" {
void *memcpy(void *, const void *, unsigned long);
#define FAKE_MATHS(name) double name(double); float name##f(float);
FAKE_MATHS(fabs) FAKE_MATHS(floor) FAKE_MATHS(ceil) FAKE_MATHS(trunc) FAKE_MATHS(rint) FAKE_MATHS(sqrt) FAKE_MATHS(exp) FAKE_MATHS(exp2)
FAKE_MATHS(expm1) FAKE_MATHS(log) FAKE_MATHS(log2) FAKE_MATHS(log10) FAKE_MATHS(log1p) FAKE_MATHS(sin) FAKE_MATHS(cos) FAKE_MATHS(tan)
FAKE_MATHS(asin) FAKE_MATHS(acos) FAKE_MATHS(atan) FAKE_MATHS(sinh) FAKE_MATHS(cosh) FAKE_MATHS(tanh) FAKE_MATHS(asinh)
FAKE_MATHS(acosh) FAKE_MATHS(atanh) FAKE_MATHS(erf) FAKE_MATHS(erfc) FAKE_MATHS(lgamma) FAKE_MATHS(tgamma)
#undef FAKE_MATHS
#define FAKE_MATHS(name) double name(double, double); float name##f(float, float);
FAKE_MATHS(copysign) FAKE_MATHS(atan2) FAKE_MATHS(pow) FAKE_MATHS(fmod) FAKE_MATHS(hypot) FAKE_MATHS(fmax) FAKE_MATHS(fmin)
#undef FAKE_MATHS
double fma(double, double, double);
float fmaf(float, float, float);
}
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }

#include "fake_ptx.h"

#endif

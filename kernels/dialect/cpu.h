// SPDX-License-Identifier: Apache-2.0
// The words of kernel C on a CPU. A group has one lane: lane loops are whole loops, barriers vanish and group
// reductions are the identity. Compile with -fwrapv (integers wrap, as in ATen) and without fast-math.
#ifndef CARAT_DIALECT_CPU_H
#define CARAT_DIALECT_CPU_H

#include <stdint.h>
#include <string.h>

// ---- element types, by their names in Carat
typedef uint8_t b8;
typedef uint8_t u8;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef struct { u16 bits; } f16;
typedef struct { u16 bits; } bf16;
typedef float f32;
typedef double f64;
typedef float _Complex c64;
typedef double _Complex c128;

// ---- declaring
#define WORD static inline __attribute__((always_inline, unused))
// A function that the kernels of a translation unit share: one copy of its code, at the price of a call.
#define SHARED static __attribute__((noinline, unused))
#define MAY_ALIAS __attribute__((may_alias)) // of a type: its accesses may reach objects of any type
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define GLOBAL                     // a pointer into device memory
#define LOCAL(T, name, n) T name[n] // an array that the group shares
#define ALIGNED __attribute__((aligned(64))) // of an array: as whole vectors and cache lines want it
#define SYNC()                     // waits for the group's lanes
#define LANES 1
#define lane() 0

// KERNEL(args_type, a) { ... group_id() ... } defines the kernel KERNEL_NAME over struct args_type *a.
#define KERNEL(args_type, a)                                                                                         \
    WORD void CAT(KERNEL_NAME, _group)(const args_type *a, i64 group_id_);                                           \
    void KERNEL_NAME(const void *args, i64 first, i64 last);                                                         \
    void KERNEL_NAME(const void *args, i64 first, i64 last)                                                          \
    {                                                                                                                \
        for (i64 g = first; g < last; ++g) CAT(KERNEL_NAME, _group)((const args_type *)args, g);                     \
    }                                                                                                                \
    WORD void CAT(KERNEL_NAME, _group)(const args_type *a, i64 group_id_)
#define group_id() group_id_
// Prefixes a kernel file's own functions, so that many specialisations fit in one translation unit.
#define LOCAL_NAME(name) CAT(CAT(KERNEL_NAME, _), name)

// ---- loops
// Over [0, n), shared by the lanes, whose iterations don't depend on each other.
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define SCALAR_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#define SCALAR_LOOP
#endif
// The same over a constant number of elements that fill a few SIMD registers: kept as a loop until the vectoriser has seen
// it, which then needs no loop for a rest.
#ifdef __clang__
#define FOR_BLOCK(i, n) _Pragma("clang loop vectorize(assume_safety)") for (int i = 0; i < (n); ++i)
#else
#define FOR_BLOCK(i, n) INDEPENDENT _Pragma("GCC unroll 1") for (int i = 0; i < (n); ++i)
#endif
#define FOR_LANES(i, n) INDEPENDENT for (i64 i = 0; i < (n); ++i)
// `bytes` consecutive bytes, a constant.
#define copy_block(to, from, bytes) memcpy(to, from, bytes)
// Over the VEC elements of small fixed arrays, which stay in SIMD registers.
#define FOR_VEC(k) for (int k = 0; k < VEC; ++k)
// The same where VEC is one SIMD register: kept as a loop until the vectoriser has seen it. Unrolled earlier, it is left
// to pattern matching on straight-line code, which loses it around conversions and maxima.
#ifdef __clang__
#define FOR_SIMD(k) _Pragma("clang loop vectorize(assume_safety) interleave_count(1) unroll(disable)") for (int k = 0; k < VEC; ++k)
#else
#define FOR_SIMD(k) _Pragma("GCC unroll 1") for (int k = 0; k < VEC; ++k)
#endif

// ---- group reductions: one lane has already seen everything
#define group_sum(v) (v)
#define group_max(v) (v)
#define group_min(v) (v)

// Where the steps of a kernel aren't to be contracted, the words still are by clang; gcc wouldn't inline them.
#if defined NO_CONTRACTION && defined __clang__
#pragma clang fp contract(fast)
#endif
#include "math.h" // also f32_to_bits and its like
#if defined NO_CONTRACTION && defined __clang__
#pragma clang fp contract(off)
#endif

#include "elements.h"

// Shifting the 15 low bits up makes a float whose exponent is 112 too small; multiplying by 2^112 mends that and
// subnormals alike. Infinity and NaN get the exponent they need by a select.
WORD f32 load_f16(f16 x)
{
    const u32 magnitude = (u32)(x.bits & 0x7fff) << 13;
    const u32 finite = f32_to_bits(f32_from_bits(magnitude) * 0x1p112f);
    const u32 special = magnitude | 0x7f800000;
    return f32_from_bits((magnitude >= 0x0f800000 ? special : finite) | (u32)(x.bits & 0x8000) << 16);
}

// ---- the rest of store_<T> (elements.h)
#define store_c64(x) ((c64)(x))
#define store_c128(x) ((c128)(x))
#define real_part(x) __real__(x)
#define k_complex(re, im) ((__typeof__((re) + (im) * 1.0iF))__builtin_complex((re), (im)))

// Round to nearest even in integers; NaN would carry into infinity, so it is selected apart.
WORD bf16 bf16_from_f32(f32 x)
{
    const u32 u = f32_to_bits(x);
    const u32 rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (bf16){ (u16)(x != x ? 0x7fc0 : rounded) };
}
// Normal results round in integers after the exponent is moved by 112; subnormal ones by adding 0.5, whose unit in the
// last place is the half's smallest step.
WORD f16 f16_from_f32(f32 x)
{
    const u32 u = f32_to_bits(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
    const u32 normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    const u32 subnormal = f32_to_bits(f32_from_bits(magnitude) + 0.5f) - 0x3f000000;
    const u32 finite = magnitude < 0x38800000 ? subnormal : normal;
    const u32 limited = magnitude >= 0x477ff000 ? 0x7c00 : finite;
    return (f16){ (u16)(sign | (magnitude > 0x7f800000 ? 0x7e00 : limited)) };
}

#include "arithmetic.h"
#include "cpu_vector.h"
#include "cpu_block.h"

#endif

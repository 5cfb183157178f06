// SPDX-License-Identifier: Apache-2.0
// The maths of kernel C for targets without intrinsics: branch-free C, so that a FOR_VEC loop over it becomes SIMD.
//
// The dialect gives WORD and the types f32, f64, i32, i64, u32, u64 before this file is included. Needed flags:
// -fno-math-errno -fno-trapping-math; -ffp-contract=fast is welcome; nothing here survives -fassociative-math.
// No libc and no branches (k_fmod_f64 alone loops); one table (k_sin_f64 and its like gather from it). The polynomials
// are our own, from tests/maths/remez.py.
//
// Largest error found, in ULP, f32 then f64, over all bit patterns (the larger of an FMA and a plain x86-64 build);
// floor stands for all four roundings, sin and cos also for their near forms; of f32 samples: tan near 1.5, atanh. Limits:
// tests/maths/maths_list.def.
//     floor 0 0           sqrt 0.5 0.5        rsqrt 1.5 1.5       exp 1.1 1.0         exp2 1.1 1.1
//     expm1 1.6 1.8       sigmoid 1.8 2.1     sinh 1.6 1.6        cosh 1.5 1.4        tanh 1.4 2.3
//     log 0.9 0.8         log2 1.3 0.7        log10 1.1 0.7       log1p 1.5 1.1       asinh 0.5 1.6
//     acosh 0.5 2.2       atanh 1.1 1.9       sin 1.6 0.8         cos 1.6 0.8         tan 0.5 2.0
//     asin 1.2 1.2        acos 1.2 1.2        atan 1.4 1.8        erf 1.2 1.2         erfc 0.5 3.6
//     atan2 1.5 1.5       hypot 0.5 1.2       pow 0.5 1.2         fmod 0 0
//     lgamma 0.7          digamma 0.5 (f32 only)
//
// gcc needs -fno-tree-loop-distribute-patterns, or it copies a vector's array through the stack by memcpy (10 times the cost
// of a cheap kernel), and --param max-completely-peel-times=4, or it unrolls a VEC loop of 16 or less before it could
// become SIMD. It also threads jumps through comparisons with constants and then gives up: where code below prefers
// integers or sums to a plain comparison, that is why.
//
// A kernel uses the generic words k_exp(x), ... of math_words.h.
#ifndef CARAT_MATH_H
#define CARAT_MATH_H

#define MATH_INF_F32  __builtin_inff()
#define MATH_INF_F64  __builtin_inf()
#define MATH_NAN_F32  __builtin_nanf("")
#define MATH_NAN_F64  __builtin_nan("")

// Targets on which round, fma and friends are one instruction.
#if defined(__SSE4_1__) || defined(__aarch64__) || defined(__ARM_FEATURE_DIRECTED_ROUNDING)
#define MATH_HAS_ROUND 1
#else
#define MATH_HAS_ROUND 0
#endif
#if defined(__FMA__) || defined(__aarch64__) || defined(__FP_FAST_FMA)
#define MATH_HAS_FMA 1
#else
#define MATH_HAS_FMA 0
#endif

// A table in the memory that the target reads constants from.
#ifndef MATH_TABLE
#define MATH_TABLE static const
#endif

WORD u32 f32_to_bits(f32 x)   { u32 b; __builtin_memcpy(&b, &x, sizeof b); return b; }
WORD f32 f32_from_bits(u32 b) { f32 x; __builtin_memcpy(&x, &b, sizeof x); return x; }
WORD u64 f64_to_bits(f64 x)   { u64 b; __builtin_memcpy(&b, &x, sizeof b); return b; }
WORD f64 f64_from_bits(u64 b) { f64 x; __builtin_memcpy(&x, &b, sizeof x); return x; }

WORD f32 k_abs_f32(f32 x) { return __builtin_fabsf(x); }
WORD f64 k_abs_f64(f64 x) { return __builtin_fabs(x); }
WORD f32 k_copysign_f32(f32 x, f32 sign) { return __builtin_copysignf(x, sign); }
WORD f64 k_copysign_f64(f64 x, f64 sign) { return __builtin_copysign(x, sign); }

// Adding and taking away 1.5 * 2^23 (2^52) rounds to the nearest even integer, for |x| < 2^22 (2^51). The low bits of
// the sum are that integer, which is how an integer leaves the FP domain where no vector conversion exists (AVX2, f64).
#define MATH_ROUND_F32 0x1.8p23f
#define MATH_ROUND_F64 0x1.8p52

#include "math_f32.h"
#include "math_f64.h"

WORD f64 log_positive_f64(f64 x) // of a positive normal x
{
    f64 e;
    const f64 f = log_split_f64(x, &e);
    return log_join_f64(e, f);
}

#include "math_gamma.h"

#include "math_words.h"

#endif

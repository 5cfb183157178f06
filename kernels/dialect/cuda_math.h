// SPDX-License-Identifier: Apache-2.0
// The maths words on an NVIDIA GPU: the functions that its compiler brings (libdevice), which are those that ATen calls, so
// that values agree. They stand here by the names that math.h gives on other targets.
#ifndef CARAT_DIALECT_CUDA_MATH_H
#define CARAT_DIALECT_CUDA_MATH_H

#define MATH_INF_F32 __int_as_float(0x7f800000)
#define MATH_INF_F64 __longlong_as_double(0x7ff0000000000000)
#define MATH_NAN_F32 __int_as_float(0x7fc00000)
#define MATH_NAN_F64 __longlong_as_double(0x7ff8000000000000)

WORD u32 f32_to_bits(f32 x) { return __float_as_uint(x); }
WORD f32 f32_from_bits(u32 b) { return __uint_as_float(b); }
WORD u64 f64_to_bits(f64 x) { return (u64)__double_as_longlong(x); }
WORD f64 f64_from_bits(u64 b) { return __longlong_as_double((i64)b); }

WORD f32 k_abs_f32(f32 x) { return fabsf(x); }
WORD f64 k_abs_f64(f64 x) { return fabs(x); }
WORD f32 k_floor_f32(f32 x) { return floorf(x); }
WORD f64 k_floor_f64(f64 x) { return floor(x); }
WORD f32 k_ceil_f32(f32 x) { return ceilf(x); }
WORD f64 k_ceil_f64(f64 x) { return ceil(x); }
WORD f32 k_trunc_f32(f32 x) { return truncf(x); }
WORD f64 k_trunc_f64(f64 x) { return trunc(x); }
WORD f32 k_rint_f32(f32 x) { return rintf(x); }
WORD f64 k_rint_f64(f64 x) { return rint(x); }
WORD f32 k_sqrt_f32(f32 x) { return sqrtf(x); }
WORD f64 k_sqrt_f64(f64 x) { return sqrt(x); }
WORD f32 k_rsqrt_f32(f32 x) { return rsqrtf(x); }
WORD f64 k_rsqrt_f64(f64 x) { return rsqrt(x); }
WORD f32 k_exp_f32(f32 x) { return expf(x); }
WORD f64 k_exp_f64(f64 x) { return exp(x); }
// For results that are rounded to halves: relative error 2^-21 and |x| 2^-23, three instructions.
WORD f32 k_exp_half(f32 x) { return ptx_exp2_near(x * 1.44269504088896340736f); }
WORD f32 k_exp2_f32(f32 x) { return exp2f(x); }
WORD f64 k_exp2_f64(f64 x) { return exp2(x); }
WORD f32 k_expm1_f32(f32 x) { return expm1f(x); }
WORD f64 k_expm1_f64(f64 x) { return expm1(x); }
WORD f32 k_log_f32(f32 x) { return logf(x); }
WORD f64 k_log_f64(f64 x) { return log(x); }
WORD f32 k_log2_f32(f32 x) { return log2f(x); }
WORD f64 k_log2_f64(f64 x) { return log2(x); }
WORD f32 k_log10_f32(f32 x) { return log10f(x); }
WORD f64 k_log10_f64(f64 x) { return log10(x); }
WORD f32 k_log1p_f32(f32 x) { return log1pf(x); }
WORD f64 k_log1p_f64(f64 x) { return log1p(x); }
WORD f32 k_sin_f32(f32 x) { return sinf(x); }
WORD f64 k_sin_f64(f64 x) { return sin(x); }
WORD f32 k_cos_f32(f32 x) { return cosf(x); }
WORD f64 k_cos_f64(f64 x) { return cos(x); }
WORD f32 k_tan_f32(f32 x) { return tanf(x); }
WORD f64 k_tan_f64(f64 x) { return tan(x); }
WORD f32 k_asin_f32(f32 x) { return asinf(x); }
WORD f64 k_asin_f64(f64 x) { return asin(x); }
WORD f32 k_acos_f32(f32 x) { return acosf(x); }
WORD f64 k_acos_f64(f64 x) { return acos(x); }
WORD f32 k_atan_f32(f32 x) { return atanf(x); }
WORD f64 k_atan_f64(f64 x) { return atan(x); }
WORD f32 k_sinh_f32(f32 x) { return sinhf(x); }
WORD f64 k_sinh_f64(f64 x) { return sinh(x); }
WORD f32 k_cosh_f32(f32 x) { return coshf(x); }
WORD f64 k_cosh_f64(f64 x) { return cosh(x); }
WORD f32 k_tanh_f32(f32 x) { return tanhf(x); }
WORD f64 k_tanh_f64(f64 x) { return tanh(x); }
WORD f32 k_asinh_f32(f32 x) { return asinhf(x); }
WORD f64 k_asinh_f64(f64 x) { return asinh(x); }
WORD f32 k_acosh_f32(f32 x) { return acoshf(x); }
WORD f64 k_acosh_f64(f64 x) { return acosh(x); }
WORD f32 k_atanh_f32(f32 x) { return atanhf(x); }
WORD f64 k_atanh_f64(f64 x) { return atanh(x); }
WORD f32 k_erf_f32(f32 x) { return erff(x); }
WORD f64 k_erf_f64(f64 x) { return erf(x); }
WORD f32 k_erfc_f32(f32 x) { return erfcf(x); }
WORD f64 k_erfc_f64(f64 x) { return erfc(x); }
WORD f32 k_copysign_f32(f32 x, f32 y) { return copysignf(x, y); }
WORD f64 k_copysign_f64(f64 x, f64 y) { return copysign(x, y); }
WORD f32 k_atan2_f32(f32 x, f32 y) { return atan2f(x, y); }
WORD f64 k_atan2_f64(f64 x, f64 y) { return atan2(x, y); }
WORD f32 k_pow_f32(f32 x, f32 y) { return powf(x, y); }
WORD f64 k_pow_f64(f64 x, f64 y) { return pow(x, y); }
WORD f32 k_fmod_f32(f32 x, f32 y) { return fmodf(x, y); }
WORD f64 k_fmod_f64(f64 x, f64 y) { return fmod(x, y); }
WORD f32 k_hypot_f32(f32 x, f32 y) { return hypotf(x, y); }
WORD f64 k_hypot_f64(f64 x, f64 y) { return hypot(x, y); }
WORD f32 k_sigmoid_f32(f32 x) { return 1 / (1 + expf(-x)); }
WORD f64 k_sigmoid_f64(f64 x) { return 1 / (1 + exp(-x)); }

WORD f32 k_gelu_f32(f32 x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f)); }
WORD f32 k_gelu_derivative_f32(f32 x)
{
    const f32 cdf = 0.5f * (1.0f + erff(x * 0.70710678118654752440f));
    return cdf + x * 0.39894228040143267794f * expf(-0.5f * x * x);
}

WORD f64 log_positive_f64(f64 x) { return log(x); }
#include "math_gamma.h"

// These functions choose for themselves where a cheaper form will do.
#define MATH_NEAR(name)                                                \
    WORD f32 k_##name##_near_f32(f32 x) { return k_##name##_f32(x); }  \
    WORD f64 k_##name##_near_f64(f64 x) { return k_##name##_f64(x); }
MATH_NEAR(exp)
MATH_NEAR(expm1)
MATH_NEAR(sigmoid)
MATH_NEAR(log)
MATH_NEAR(log2)
MATH_NEAR(log10)
MATH_NEAR(sin)
MATH_NEAR(cos)
MATH_NEAR(tan)
#undef MATH_NEAR
WORD int k_exp_is_near_f32(f32) { return 1; }
WORD int k_exp_is_near_f64(f64) { return 1; }
WORD int k_log_is_near_f32(f32) { return 1; }
WORD int k_log_is_near_f64(f64) { return 1; }
WORD int k_is_near_f32(f32) { return 1; }
WORD int k_is_near_f64(f64) { return 1; }
WORD int k_fmod_is_near_f32(f32, f32) { return 1; }
WORD int k_fmod_is_near_f64(f64, f64) { return 1; }
WORD f32 k_fmod_near_f32(f32 x, f32 y) { return fmodf(x, y); }
WORD f64 k_fmod_near_f64(f64 x, f64 y) { return fmod(x, y); }

// ---- overloads by type, as _Generic makes them in C: a tag of the type chooses among functions
template <class T> struct float_tag { typedef f32 type; };
template <> struct float_tag<f64> { typedef f64 type; };
template <class T> struct number_tag { typedef i64 type; };
template <> struct number_tag<f32> { typedef f32 type; };
template <> struct number_tag<f64> { typedef f64 type; };
template <class A, class B> WORD A pick(f32, A a, B) { return a; }
template <class A, class B> WORD B pick(f64, A, B b) { return b; }
template <class A, class B, class C> WORD A pick(f32, A a, B, C) { return a; }
template <class A, class B, class C> WORD B pick(f64, A, B b, C) { return b; }
template <class A, class B, class C> WORD C pick(i64, A, B, C c) { return c; }
#define FLOAT_TAG(x) (float_tag<decltype((x) + 0)>::type)0
#define NUMBER_TAG(x) (number_tag<decltype((x) + 0)>::type)0
#define MATH_PICK(x, name)      pick(FLOAT_TAG(x), name##_f32, name##_f64)
#define MATH_PICK2(x, y, name)  pick(FLOAT_TAG((x) + (y)), name##_f32, name##_f64)
#define K_PICK(x, name)         pick(NUMBER_TAG(x), name##_f32, name##_f64, name##_i64)
#define K_PICK3(x, y, name)     pick(NUMBER_TAG((x) + (y)), name##_f32, name##_f64, name##_i64)
#define K_PICK_NEAR(x, y, name) pick(NUMBER_TAG((x) + (y)), name##_near_f32, name##_near_f64, name##_i64)
#include "math_words.h"

#endif

// SPDX-License-Identifier: Apache-2.0
// The maths words of kernel C, k_exp(x) and its like, as overloads by type of the functions k_exp_f32, k_exp_f64, ... that a
// target has: those of math.h, or its own. In a language without _Generic the dialect gives the PICKs before.
#ifndef CARAT_DIALECT_MATH_WORDS_H
#define CARAT_DIALECT_MATH_WORDS_H

#ifndef MATH_PICK
#define MATH_PICK(x, name)        _Generic((x), f64: name##_f64, default: name##_f32)
#define MATH_PICK2(x, y, name)    _Generic((x) + (y), f64: name##_f64, default: name##_f32)
// Of three: floats and integers. The near forms of integers are the plain ones.
#define K_PICK(x, name)           _Generic((x), f32: name##_f32, f64: name##_f64, default: name##_i64)
#define K_PICK3(x, y, name)       _Generic((x) + (y), f32: name##_f32, f64: name##_f64, default: name##_i64)
#define K_PICK_NEAR(x, y, name)   _Generic((x) + (y), f32: name##_near_f32, f64: name##_near_f64, default: name##_i64)
#endif

#define k_abs(x)         MATH_PICK(x, k_abs)(x)
#define k_floor(x)       MATH_PICK(x, k_floor)(x)
#define k_ceil(x)        MATH_PICK(x, k_ceil)(x)
#define k_trunc(x)       MATH_PICK(x, k_trunc)(x)
#define k_rint(x)        MATH_PICK(x, k_rint)(x)
#define k_sqrt(x)        MATH_PICK(x, k_sqrt)(x)
#define k_rsqrt(x)       MATH_PICK(x, k_rsqrt)(x)
#define k_exp(x)         MATH_PICK(x, k_exp)(x)
#define k_exp_is_near(x) MATH_PICK(x, k_exp_is_near)(x)
#define k_exp_near(x)    MATH_PICK(x, k_exp_near)(x)
#define k_expm1_near(x)  MATH_PICK(x, k_expm1_near)(x)
#define k_sigmoid_near(x) MATH_PICK(x, k_sigmoid_near)(x)
#define k_exp2(x)        MATH_PICK(x, k_exp2)(x)
#define k_expm1(x)       MATH_PICK(x, k_expm1)(x)
#define k_log(x)         MATH_PICK(x, k_log)(x)
#define k_log2(x)        MATH_PICK(x, k_log2)(x)
#define k_log10(x)       MATH_PICK(x, k_log10)(x)
#define k_log1p(x)       MATH_PICK(x, k_log1p)(x)
#define k_sin(x)         MATH_PICK(x, k_sin)(x)
#define k_cos(x)         MATH_PICK(x, k_cos)(x)
#define k_tan(x)         MATH_PICK(x, k_tan)(x)
#define k_is_near(x)     MATH_PICK(x, k_is_near)(x)
#define k_sin_near(x)    MATH_PICK(x, k_sin_near)(x)
#define k_cos_near(x)    MATH_PICK(x, k_cos_near)(x)
#define k_tan_near(x)    MATH_PICK(x, k_tan_near)(x)
#define k_asin(x)        MATH_PICK(x, k_asin)(x)
#define k_acos(x)        MATH_PICK(x, k_acos)(x)
#define k_atan(x)        MATH_PICK(x, k_atan)(x)
#define k_sinh(x)        MATH_PICK(x, k_sinh)(x)
#define k_cosh(x)        MATH_PICK(x, k_cosh)(x)
#define k_tanh(x)        MATH_PICK(x, k_tanh)(x)
#define k_asinh(x)       MATH_PICK(x, k_asinh)(x)
#define k_acosh(x)       MATH_PICK(x, k_acosh)(x)
#define k_atanh(x)       MATH_PICK(x, k_atanh)(x)
#define k_erf(x)         MATH_PICK(x, k_erf)(x)
#define k_erfc(x)        MATH_PICK(x, k_erfc)(x)
#define k_sigmoid(x)     MATH_PICK(x, k_sigmoid)(x)
#define k_copysign(x, y) MATH_PICK2(x, y, k_copysign)(x, y)
#define k_atan2(y, x)    MATH_PICK2(y, x, k_atan2)(y, x)
#define k_pow(x, y)      MATH_PICK2(x, y, k_pow)(x, y)
#define k_fmod(x, y)     MATH_PICK2(x, y, k_fmod)(x, y)
#define k_fmod_is_near(x, y) MATH_PICK2(x, y, k_fmod_is_near)(x, y)
#define k_fmod_near(x, y)    MATH_PICK2(x, y, k_fmod_near)(x, y)
#define k_hypot(x, y)    MATH_PICK2(x, y, k_hypot)(x, y)

#endif

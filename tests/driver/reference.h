// SPDX-License-Identifier: Apache-2.0
// The maths words as plain double-precision libm: what the driver's reference computes with. Nothing here is shared with
// the kernels but the rows' formulas.
#ifndef CARAT_TESTS_REFERENCE_H
#define CARAT_TESTS_REFERENCE_H

#include <math.h>
#include <stdint.h>

#define REAL(v) ((double)(v))
#define K_INFINITY INFINITY

static inline double ref_sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
// By its recurrence, the reflection, and the asymptotic series.
static inline double ref_digamma(double x)
{
    if (isnan(x) || x == -INFINITY || (x < 0 && x == floor(x))) return NAN;
    if (x == 0) return copysign(INFINITY, -x);
    if (x < 0) return ref_digamma(1 - x) - 3.14159265358979323846 / tan(3.14159265358979323846 * (x - round(x)));
    double steps = 0;
    for (; x < 12; x += 1) steps += 1 / x;
    const double z = 1 / (x * x);
    return log(x) - 0.5 / x - z * (1 / 12.0 - z * (1 / 120.0 - z * (1 / 252.0 - z * (1 / 240.0 - z / 132)))) - steps;
}
static inline double ref_remainder(double x, double y)
{
    const double r = fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
// floor(x / y) as Python has it, from the exact remainder (CPython's float_divmod).
static inline double ref_div_floor(double x, double y)
{
    if (y == 0) return x / y;
    const double mod = fmod(x, y), quotient = (x - mod) / y - (mod != 0 && (y < 0) != (mod < 0));
    return quotient != 0 ? floor(quotient) + (quotient - floor(quotient) > 0.5) : copysign(0, x / y);
}
static inline double ref_maximum(double x, double y) { return isnan(x) || isnan(y) ? NAN : x > y ? x : y; }
static inline double ref_minimum(double x, double y) { return isnan(x) || isnan(y) ? NAN : x < y ? x : y; }
static inline double ref_gelu_slope(double x)
{
    return 0.5 * (1 + erf(x / sqrt(2))) + x * exp(-0.5 * x * x) / sqrt(2 * 3.14159265358979323846);
}
static inline double ref_gelu_inner(double x) { return sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x); }
static inline double ref_gelu_tanh_slope(double x)
{
    const double t = tanh(ref_gelu_inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / 3.14159265358979323846) * (1 + 3 * 0.044715 * x * x);
}

#define k_abs(x) fabs((double)(x))
#define k_exp(x) exp(x)
#define k_exp2(x) exp2(x)
#define k_expm1(x) expm1(x)
#define k_log(x) log(x)
#define k_log2(x) log2(x)
#define k_log10(x) log10(x)
#define k_log1p(x) log1p(x)
#define k_sqrt(x) sqrt(x)
#define k_rsqrt(x) (1 / sqrt(x))
#define k_sin(x) sin(x)
#define k_cos(x) cos(x)
#define k_tan(x) tan(x)
#define k_asin(x) asin(x)
#define k_acos(x) acos(x)
#define k_atan(x) atan(x)
#define k_atan2(x, y) atan2(x, y)
#define k_hypot(x, y) hypot(x, y)
#define k_copysign(x, y) copysign(x, y)
#define k_sinh(x) sinh(x)
#define k_cosh(x) cosh(x)
#define k_tanh(x) tanh(x)
#define k_asinh(x) asinh(x)
#define k_acosh(x) acosh(x)
#define k_atanh(x) atanh(x)
#define k_erf(x) erf(x)
#define k_erfc(x) erfc(x)
#define k_lgamma(x) lgamma(x)
#define k_digamma(x) ref_digamma(x)
#define k_pow(x, y) pow(x, y)
#define k_floor(x) floor(x)
#define k_ceil(x) ceil(x)
#define k_trunc(x) trunc(x)
#define k_rint(x) nearbyint(x)
#define k_sigmoid(x) ref_sigmoid(x)
#define k_sigmoid_derivative(x) (ref_sigmoid(x) * ref_sigmoid(-(x)))
#define k_maximum(x, y) ref_maximum(x, y)
#define k_minimum(x, y) ref_minimum(x, y)
#define k_fmod(x, y) fmod(x, y)
#define k_remainder(x, y) ref_remainder(x, y)
#define k_div_floor(x, y) ref_div_floor(x, y)
#define k_div_trunc(x, y) trunc((x) / (y))
#define k_gelu(x) ((x) * 0.5 * erfc(-(x) / sqrt(2)))
#define k_gelu_tanh(x) (0.5 * (x) * (1 + tanh(ref_gelu_inner(x))))
#define k_gelu_derivative(x) ref_gelu_slope(x)
#define k_gelu_tanh_derivative(x) ref_gelu_tanh_slope(x)
#define k_shift_left(x, y) ((y) < 0 || (y) > 62 ? 0 : (double)(int64_t)((uint64_t)(int64_t)(x) << (int64_t)(y)))
#define k_shift_right(x, y) ((double)((int64_t)(x) >> ((y) < 0 || (y) > 62 ? 62 : (int64_t)(y))))
#define k_complex(re, im) (re)

#endif

// SPDX-License-Identifier: Apache-2.0
// exp(x) for x <= 0, where a softmax needs it: two thirds of k_exp's instructions.
//
// 2^n goes into the exponent field by one shift: the constant that rounds x / ln 2 to an integer has 127 more in its low
// bits. n is at least -127, whose power of two is an encoded 0: so results below 2^-126.5 are 0, that of -inf too.
// At most 1.5 ULP above that. NaN stays NaN.
#ifndef CARAT_KERNELS_SOFTMAX_EXP_H
#define CARAT_KERNELS_SOFTMAX_EXP_H

WORD f32 exp_below_f32(f32 x)
{
    const f32 lowest = -88, rounder = 0x1.8p23f + 127;
    x = lowest > x ? lowest : x;
    const f32 t = x * 0x1.715476p+0f + rounder, k = t - rounder;
    const f32 r = (x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f;
    return (1 + expm1_near_f32(r)) * f32_from_bits(f32_to_bits(t) << 23);
}

WORD f64 exp_below_f64(f64 x) { return k_exp_f64(x); }

#define k_exp_below(x) MATH_PICK(x, exp_below)(x)

#endif

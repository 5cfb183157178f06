// SPDX-License-Identifier: Apache-2.0
// Arithmetic words beyond C's operators, for every arithmetic type: NaN-propagating extrema, division that rounds as in
// PyTorch, shifts defined for any count, and derivatives that several rows share.
#ifndef CARAT_DIALECT_ARITHMETIC_H
#define CARAT_DIALECT_ARITHMETIC_H

#define K_INFINITY MATH_INF_F32

// math.h has the floating forms; these take integers too.
#undef k_abs
#undef k_fmod
#define k_abs(x) K_PICK(x, k_abs)(x)
WORD i64 k_abs_i64(i64 x) { return x < 0 ? -x : x; }

// The larger (smaller) operand, or NaN if either is NaN. A comparison with NaN is false, which gives y; for NaN in x the
// result's bits are made NaN's by integers, as gcc threads jumps through two comparisons in a row and gives up.
#define k_maximum(x, y) K_PICK3(x, y, k_maximum)(x, y)
#define k_minimum(x, y) K_PICK3(x, y, k_minimum)(x, y)
WORD f32 nan_of_f32(f32 x, f32 y) { return f32_from_bits(f32_to_bits(y) | (0x7fc00000u & -(u32)(x != x))); } // NaN if x is, else y
WORD f64 nan_of_f64(f64 x, f64 y) { return f64_from_bits(f64_to_bits(y) | (0x7ff8000000000000u & -(u64)(x != x))); }
WORD f32 k_maximum_f32(f32 x, f32 y) { return nan_of_f32(x, x > y ? x : y); }
WORD f64 k_maximum_f64(f64 x, f64 y) { return nan_of_f64(x, x > y ? x : y); }
WORD i64 k_maximum_i64(i64 x, i64 y) { return x > y ? x : y; }
WORD f32 k_minimum_f32(f32 x, f32 y) { return nan_of_f32(x, x < y ? x : y); }
WORD f64 k_minimum_f64(f64 x, f64 y) { return nan_of_f64(x, x < y ? x : y); }
WORD i64 k_minimum_i64(i64 x, i64 y) { return x < y ? x : y; }

// Integer quotients never trap: a zero divisor (which the host refuses) gives 0, and -1 negates with wrap-around.
WORD i64 k_quotient(i64 x, i64 y) { return y == 0 ? 0 : y == -1 ? -x : x / y; }
WORD i64 k_div_trunc_i64(i64 x, i64 y) { return k_quotient(x, y); }
WORD i64 k_div_floor_i64(i64 x, i64 y)
{
    const i64 q = k_quotient(x, y), r = x - q * y;
    return r != 0 && (r < 0) != (y < 0) ? q - 1 : q;
}
WORD i64 k_fmod_i64(i64 x, i64 y) { return x - k_quotient(x, y) * y; }
WORD i64 k_remainder_i64(i64 x, i64 y)
{
    const i64 r = k_fmod_i64(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

// Floating remainder and floor division as in Python, from the exact fmod, so that x == floor_div * y + remainder.
WORD f32 k_remainder_of_f32(f32 mod, f32 y) { return mod != 0 && (mod < 0) != (y < 0) ? mod + y : mod; }
WORD f64 k_remainder_of_f64(f64 mod, f64 y) { return mod != 0 && (mod < 0) != (y < 0) ? mod + y : mod; }
WORD f32 k_div_floor_of_f32(f32 mod, f32 x, f32 y)
{
    const f32 exact = (x - mod) / y - (mod != 0 && (y < 0) != (mod < 0) ? 1.0f : 0.0f);
    const f32 floor = k_floor_f32(exact);
    const f32 nearest = exact - floor > 0.5f ? floor + 1.0f : floor;
    return y == 0 ? x / y : exact != 0 ? nearest : k_copysign_f32(0.0f, x / y);
}
WORD f64 k_div_floor_of_f64(f64 mod, f64 x, f64 y)
{
    const f64 exact = (x - mod) / y - (mod != 0 && (y < 0) != (mod < 0) ? 1.0 : 0.0);
    const f64 floor = k_floor_f64(exact);
    const f64 nearest = exact - floor > 0.5 ? floor + 1.0 : floor;
    return y == 0 ? x / y : exact != 0 ? nearest : k_copysign_f64(0.0, x / y);
}
WORD f32 k_remainder_f32(f32 x, f32 y) { return k_remainder_of_f32(k_fmod_f32(x, y), y); }
WORD f64 k_remainder_f64(f64 x, f64 y) { return k_remainder_of_f64(k_fmod_f64(x, y), y); }
WORD f32 k_div_floor_f32(f32 x, f32 y) { return k_div_floor_of_f32(k_fmod_f32(x, y), x, y); }
WORD f64 k_div_floor_f64(f64 x, f64 y) { return k_div_floor_of_f64(k_fmod_f64(x, y), x, y); }
WORD f32 k_div_trunc_f32(f32 x, f32 y) { return k_trunc_f32(x / y); }
WORD f64 k_div_trunc_f64(f64 x, f64 y) { return k_trunc_f64(x / y); }

// The same where fmod's near form is right; integers have one form.
WORD f32 k_remainder_near_f32(f32 x, f32 y) { return k_remainder_of_f32(k_fmod_near_f32(x, y), y); }
WORD f64 k_remainder_near_f64(f64 x, f64 y) { return k_remainder_of_f64(k_fmod_near_f64(x, y), y); }
WORD f32 k_div_floor_near_f32(f32 x, f32 y) { return k_div_floor_of_f32(k_fmod_near_f32(x, y), x, y); }
WORD f64 k_div_floor_near_f64(f64 x, f64 y) { return k_div_floor_of_f64(k_fmod_near_f64(x, y), x, y); }
WORD int k_fmod_is_near_i64(i64 x, i64 y) { return (void)x, (void)y, 1; }

#undef k_fmod_is_near
#undef k_fmod_near
#define k_div_floor(x, y)      K_PICK3(x, y, k_div_floor)(x, y)
#define k_div_trunc(x, y)      K_PICK3(x, y, k_div_trunc)(x, y)
#define k_remainder(x, y)      K_PICK3(x, y, k_remainder)(x, y)
#define k_fmod(x, y)           K_PICK3(x, y, k_fmod)(x, y)
#define k_fmod_is_near(x, y)   K_PICK3(x, y, k_fmod_is_near)(x, y)
#define k_fmod_near(x, y)      K_PICK_NEAR(x, y, k_fmod)(x, y)
#define k_remainder_near(x, y) K_PICK_NEAR(x, y, k_remainder)(x, y)
#define k_div_floor_near(x, y) K_PICK_NEAR(x, y, k_div_floor)(x, y)

// Shifts by a count outside [0, bits) shift everything out. Bytes are shifted as ints, so that 8 is a count for them: of unsigned
// ones it leaves 0.
#define K_SHIFT_OUT(x) ((i64)(8 * sizeof(x)) - (sizeof(x) > 1))
#define k_shift_left(x, y) ((y) < 0 || (y) >= (i64)(8 * sizeof(x)) ? 0 : (u64)(x) << (y))
#define k_shift_right(x, y) ((x) >> ((y) < 0 || (y) > K_SHIFT_OUT(x) ? K_SHIFT_OUT(x) : (y)))

// GELU with the tanh approximation (Hendrycks and Gimpel), and the derivatives of both forms.
#define K_GELU_BETA 0.79788456080286535588  // sqrt(2 / pi)
#define K_GELU_KAPPA 0.044715
WORD f32 k_gelu_tanh_f32(f32 x)
{
    return 0.5f * x * (1.0f + k_tanh_f32((f32)K_GELU_BETA * (x + (f32)K_GELU_KAPPA * x * x * x)));
}
WORD f64 k_gelu_tanh_f64(f64 x) { return 0.5 * x * (1.0 + k_tanh_f64(K_GELU_BETA * (x + K_GELU_KAPPA * x * x * x))); }
WORD f32 k_gelu_tanh_derivative_f32(f32 x)
{
    const f32 t = k_tanh_f32((f32)K_GELU_BETA * (x + (f32)K_GELU_KAPPA * x * x * x));
    const f32 slope = (f32)K_GELU_BETA * (1.0f + 3.0f * (f32)K_GELU_KAPPA * x * x);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * slope;
}
WORD f64 k_gelu_tanh_derivative_f64(f64 x)
{
    const f64 t = k_tanh_f64(K_GELU_BETA * (x + K_GELU_KAPPA * x * x * x));
    const f64 slope = K_GELU_BETA * (1.0 + 3.0 * K_GELU_KAPPA * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
}
WORD f64 k_gelu_f64(f64 x) { return 0.5 * x * (1.0 + k_erf_f64(x * 0.70710678118654752440)); }
WORD f64 k_gelu_derivative_f64(f64 x)
{
    const f64 cdf = 0.5 * (1.0 + k_erf_f64(x * 0.70710678118654752440));
    return cdf + x * 0.39894228040143267794 * k_exp_f64(-0.5 * x * x);
}
// sigmoid(x) * sigmoid(-x), without the cancellation of 1 - sigmoid(x).
WORD f32 k_sigmoid_derivative_f32(f32 x)
{
    const f32 e = k_exp_f32(-k_abs_f32(x));
    return e / ((1.0f + e) * (1.0f + e));
}
WORD f64 k_sigmoid_derivative_f64(f64 x)
{
    const f64 e = k_exp_f64(-k_abs_f64(x));
    return e / ((1.0 + e) * (1.0 + e));
}
#define k_sigmoid_derivative(x) MATH_PICK(x, k_sigmoid_derivative)(x)
#define k_gelu(x) MATH_PICK(x, k_gelu)(x)
#define k_gelu_tanh(x) MATH_PICK(x, k_gelu_tanh)(x)
#define k_gelu_tanh_derivative(x) MATH_PICK(x, k_gelu_tanh_derivative)(x)
#define k_gelu_derivative(x) MATH_PICK(x, k_gelu_derivative)(x)

#endif

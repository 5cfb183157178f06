// SPDX-License-Identifier: Apache-2.0
// f32 maths, included by math.h. Most functions stay in f32; those whose result loses too much there (sin, cos, tan,
// erfc, pow, asinh, acosh, hypot, fmod) compute in f64, which halves the vector width but needs no tricks.

// ---- rounding ------------------------------------------------------------------------------------------------------

#if MATH_HAS_ROUND
WORD f32 k_floor_f32(f32 x) { return __builtin_floorf(x); }
WORD f32 k_ceil_f32(f32 x)  { return __builtin_ceilf(x); }
WORD f32 k_trunc_f32(f32 x) { return __builtin_truncf(x); }
WORD f32 k_rint_f32(f32 x)  { return __builtin_rintf(x); }
#else
// From 2^23 on every f32 is an integer; below, adding and subtracting 2^23 rounds to the nearest even.
WORD f32 k_rint_f32(f32 x)
{
    const f32 a = k_abs_f32(x), r = (a + 0x1p23f) - 0x1p23f;
    return k_copysign_f32(a < 0x1p23f ? r : a, x);
}
WORD f32 k_trunc_f32(f32 x)
{
    const f32 a = k_abs_f32(x), r = k_abs_f32(k_rint_f32(x));
    return k_copysign_f32(r > a ? r - 1 : r, x);
}
WORD f32 k_floor_f32(f32 x) { const f32 r = k_rint_f32(x); return k_copysign_f32(r > x ? r - 1 : r, x); }
WORD f32 k_ceil_f32(f32 x)  { const f32 r = k_rint_f32(x); return k_copysign_f32(r < x ? r + 1 : r, x); }
#endif

// ---- roots ---------------------------------------------------------------------------------------------------------

WORD f32 k_sqrt_f32(f32 x)  { return __builtin_sqrtf(x); }
WORD f32 k_rsqrt_f32(f32 x) { return 1 / __builtin_sqrtf(x); }
WORD f32 k_hypot_f32(f32 x, f32 y)
{
    const f64 a = x, b = y;
    const f32 h = (f32)__builtin_sqrt(a * a + b * b);
    const f32 m = k_abs_f32(x), n = k_abs_f32(y);
    return m == MATH_INF_F32 ? m : n == MATH_INF_F32 ? n : h;     // even if the other is NaN
}

// ---- exponentials --------------------------------------------------------------------------------------------------

WORD f32 pow2_f32(i32 n) { return f32_from_bits((u32)(n + 127) << 23); }      // -126 <= n <= 127
// 2^n * y with one rounding for -252 <= n <= 254 and y about 1: overflow and subnormal results come out right.
WORD f32 scale_f32(f32 y, i32 n) { return y * pow2_f32(n >> 1) * pow2_f32(n - (n >> 1)); }
WORD f32 clamp_f32(f32 x, f32 lo, f32 hi)                                     // NaN stays NaN
{
    x = lo > x ? lo : x;
    return hi < x ? hi : x;
}

// exp(r) - 1 for |r| <= ln(2) / 2.
WORD f32 expm1_near_f32(f32 r)
{
    f32 p = 0x1.6c54ecp-10f;
    p = p * r + 0x1.12236ap-7f;
    p = p * r + 0x1.5555bap-5f;
    p = p * r + 0x1.5554b8p-3f;
    p = p * r + 0.5f;
    return p * (r * r) + r;
}

// Cody-Waite: exp(x) = 2^n * (1 + result), with ln 2 in two parts. x - n * head is exact: with FMA, as it is a multiple of
// 2^-25 below 1/2; else, as a short head times n is.
#if MATH_HAS_FMA
#define LN2_HEAD_F32 0x1.62e430p-1f
#define LN2_TAIL_F32 -0x1.05c610p-29f
#else
#define LN2_HEAD_F32 0x1.62e4p-1f
#define LN2_TAIL_F32 0x1.7f7d1cp-20f
#endif
WORD f32 exp_reduced_f32(f32 x, i32 *n)
{
    const f32 t = x * 0x1.715476p+0f + MATH_ROUND_F32;
    const f32 k = t - MATH_ROUND_F32;
    *n = (i32)(f32_to_bits(t) - f32_to_bits(MATH_ROUND_F32));
    return expm1_near_f32((x - k * LN2_HEAD_F32) - k * LN2_TAIL_F32);
}

// exp(x) * 2^shift.
WORD f32 exp_scaled_f32(f32 x, i32 shift)
{
    i32 n;
    const f32 e = exp_reduced_f32(clamp_f32(x, -104, 90), &n);
    return scale_f32(1 + e, n + shift);
}

WORD f32 k_exp_f32(f32 x) { return exp_scaled_f32(x, 0); }

// For a caller that knows, or has asked of the whole block, that k_exp_is_near(x): 2^n is a normal number, so that it is
// added to the exponent or made at once, and nothing is clamped. 0.6 of the cost.
WORD int k_exp_is_near_f32(f32 x) { return k_abs_f32(x) < 86; }
WORD f32 exp_reduced_near_f32(f32 x, u32 *n)         // *n is n * 2^23
{
    const f32 t = x * 0x1.715476p+0f + MATH_ROUND_F32, k = t - MATH_ROUND_F32;
    *n = f32_to_bits(t) << 23;
    return expm1_near_f32((x - k * LN2_HEAD_F32) - k * LN2_TAIL_F32);
}
WORD f32 k_exp_near_f32(f32 x)
{
    u32 n;
    const f32 e = exp_reduced_near_f32(x, &n);
    return f32_from_bits(f32_to_bits(1 + e) + n);
}
WORD f32 k_expm1_near_f32(f32 x)
{
    u32 n;
    const f32 e = exp_reduced_near_f32(x, &n), s = f32_from_bits(n + 0x3f800000u);
    return k_copysign_f32(e * s + (s - 1), x);
}
// (1 + over) / (1 + s * (1 + e)) for s <= 1, where what the denominator's rounding drops comes back.
WORD f32 sigmoid_join_f32(f32 e, f32 s, f32 over)
{
    const f32 one = s + 1, d = e * s + one, drop = e * s + (one - d), y = 1 / d;
    return y + y * (over - y * drop);
}
// As k_sigmoid, below.
WORD f32 k_sigmoid_near_f32(f32 x)
{
    u32 n;
    const f32 e = exp_reduced_near_f32(-k_abs_f32(x), &n), s = f32_from_bits(n + 0x3f800000u);
    return sigmoid_join_f32(e, s, x < 0 ? e : 0) * (x < 0 ? s : 1);
}

WORD f32 k_exp2_f32(f32 x)
{
    x = clamp_f32(x, -151, 129);
    const f32 t = x + MATH_ROUND_F32, r = x - (t - MATH_ROUND_F32);
    const i32 n = (i32)(f32_to_bits(t) - f32_to_bits(MATH_ROUND_F32));
    return scale_f32(1 + expm1_near_f32(r * 0x1.62e430p-1f), n);
}

WORD f32 k_expm1_f32(f32 x)
{
    i32 n;
    const f32 e = exp_reduced_f32(clamp_f32(x, -18, 89), &n), half = pow2_f32(n - 1);   // 2^128 would overflow
    const f32 y = (e * half + (half - 0.5f)) * 2;
    return k_copysign_f32(n == 0 ? e : y, x);
}

// exp(-|x|) = 2^n * (1 + e) never overflows, and subnormal results are rounded once, as 2^n comes last.
WORD f32 k_sigmoid_f32(f32 x)
{
    i32 n;
    const f32 e = exp_reduced_f32(clamp_f32(-k_abs_f32(x), -104, 0), &n);
    const f32 y = sigmoid_join_f32(e, pow2_f32(n < -126 ? -126 : n), x < 0 ? e : 0);
    return x < 0 ? scale_f32(y, n) : y;
}

// exp(|x|) / 2, which is finite wherever sinh and cosh are.
WORD f32 half_exp_f32(f32 x) { return exp_scaled_f32(k_abs_f32(x), -1); }

WORD f32 k_cosh_f32(f32 x) { const f32 e = half_exp_f32(x); return e + 0.25f / e; }

WORD f32 k_sinh_f32(f32 x)
{
    const f32 e = half_exp_f32(x), z = x * x;
    f32 p = 0x1.756c1ep-19f;
    p = p * z + 0x1.a022bcp-13f;
    p = p * z + 0x1.1110e0p-7f;
    p = p * z + 0x1.555556p-3f;
    return k_abs_f32(x) < 1 ? p * z * x + x : k_copysign_f32(e - 0.25f / e, x);
}

// |x| < 0.55: odd polynomial. Beyond: 1 - 2 / (exp(2|x|) + 1), and tanh(10) rounds to 1.
WORD f32 k_tanh_f32(f32 x)
{
    const f32 a = k_abs_f32(x), b = 10 < a ? 10 : a, z = x * x;
    i32 n;
    const f32 e = exp_reduced_f32(b + b, &n), s = pow2_f32(n);
    f32 p = -0x1.99219ep-8f;
    p = p * z + 0x1.58e518p-6f;
    p = p * z - 0x1.b91e7ep-5f;
    p = p * z + 0x1.110ceep-3f;
    p = p * z - 0x1.55554ap-2f;
    return k_copysign_f32(a < 0.55f ? p * (z * a) + a : 1 - 2 / (e * s + (s + 1)), x);
}

// ---- logarithms ----------------------------------------------------------------------------------------------------

// x = 2^e * (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive finite x.
WORD f32 log_split_f32(f32 x, f32 *e)
{
    const int tiny = x < 0x1p-126f;
    const u32 bits = f32_to_bits(tiny ? x * 0x1p23f : x) - 0x3f3504f3u;
    *e = (f32)((i32)bits >> 23) - (tiny ? 23.0f : 0.0f);
    return f32_from_bits((bits & 0x7fffffu) + 0x3f3504f3u) - 1;
}

// log(1 + f) - f for 1 + f as above.
WORD f32 log_rest_f32(f32 f)
{
    f32 p = 0x1.14590ap-4f;
    p = p * f - 0x1.de3c06p-4f;
    p = p * f + 0x1.e6efdcp-4f;
    p = p * f - 0x1.fc2204p-4f;
    p = p * f + 0x1.233770p-3f;
    p = p * f - 0x1.555c4ep-3f;
    p = p * f + 0x1.99a4b4p-3f;
    p = p * f - 0x1.000006p-2f;
    p = p * f + 0x1.555548p-2f;
    return (p * f - 0.5f) * (f * f);
}

// y, unless the logarithm of x is special.
WORD f32 log_special_f32(f32 x, f32 y)
{
    y = x == MATH_INF_F32 ? x : y;
    return x > 0 ? y : x == 0 ? -MATH_INF_F32 : MATH_NAN_F32;
}

WORD f32 log_join_f32(f32 e, f32 f) { return e * 0x1.62e4p-1f + (f + (e * 0x1.7f7d1cp-20f + log_rest_f32(f))); }

WORD f32 k_log_f32(f32 x)
{
    f32 e;
    const f32 f = log_split_f32(x, &e);
    return log_special_f32(x, log_join_f32(e, f));
}

// f * log2(e) as f + 0.4427 f, so that the product's rounding stays small.
WORD f32 log2_join_f32(f32 e, f32 f) { return e + (f + (f * 0x1.c551dap-2f + log_rest_f32(f) * 0x1.715476p+0f)); }

WORD f32 k_log2_f32(f32 x)
{
    f32 e;
    const f32 f = log_split_f32(x, &e);
    return log_special_f32(x, log2_join_f32(e, f));
}

WORD f32 log10_join_f32(f32 e, f32 f)
{
    const f32 low = f * -0x1.0d213ap-4f + (e * 0x1.3509f8p-18f + log_rest_f32(f) * 0x1.bcb7b2p-2f); // log10(e) = 0.5 - 0.0657
    return e * 0x1.344p-2f + (f * 0.5f + low);
}

WORD f32 k_log10_f32(f32 x)
{
    f32 e;
    const f32 f = log_split_f32(x, &e);
    return log_special_f32(x, log10_join_f32(e, f));
}

// For a caller that knows, or has asked of the whole block, that k_log_is_near(x): x is positive, normal and finite.
WORD int k_log_is_near_f32(f32 x) { return f32_to_bits(x) - 0x00800000u < 0x7f000000u; }
WORD f32 log_split_near_f32(f32 x, f32 *e)
{
    const u32 bits = f32_to_bits(x) - 0x3f3504f3u;
    *e = (f32)((i32)bits >> 23);
    return f32_from_bits((bits & 0x7fffffu) + 0x3f3504f3u) - 1;
}
WORD f32 k_log_near_f32(f32 x)
{
    f32 e;
    const f32 f = log_split_near_f32(x, &e);
    return log_join_f32(e, f);
}
WORD f32 k_log2_near_f32(f32 x)
{
    f32 e;
    const f32 f = log_split_near_f32(x, &e);
    return log2_join_f32(e, f);
}
WORD f32 k_log10_near_f32(f32 x)
{
    f32 e;
    const f32 f = log_split_near_f32(x, &e);
    return log10_join_f32(e, f);
}

// 1 + x = 2^e * (1 + f) with f = 2^-e * x + (2^-e - 1), whose only rounding is harmless; 1 + x itself gives e alone.
WORD f32 k_log1p_f32(f32 x)
{
    const u32 bits = f32_to_bits(1 + x) - 0x3f3504f3u;
    const i32 n = (i32)bits >> 23;
    const f32 m = f32_from_bits((bits & 0x7fffffu) + 0x3f3504f3u);
    const f32 s = pow2_f32(n > 126 ? -126 : -n);
    const f32 f = x > 0x1p30f ? m - 1 : x * s + (s - 1);
    f32 y = log_join_f32((f32)n, f);
    y = x == MATH_INF_F32 ? x : y;
    y = x > -1 ? y : x == -1 ? -MATH_INF_F32 : MATH_NAN_F32;
    return x == 0 ? x : y;                              // -0
}

// ---- trigonometry --------------------------------------------------------------------------------------------------

// A product and its rounding error. Without FMA by Dekker's splitting, which holds for |a|, |b| < 2^970.
WORD f64 two_product_f64(f64 a, f64 b, f64 *error)
{
    const f64 p = a * b;
#if MATH_HAS_FMA
    *error = __builtin_fma(a, b, -p);
#else
    const f64 ta = a * 0x1.0000002p27, tb = b * 0x1.0000002p27;
    const f64 ah = ta - (ta - a), al = a - ah, bh = tb - (tb - b), bl = b - bh;
    *error = ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
    return p;
}

// |x| in quarter turns: an integer modulo 4 and the rest, at most 0.6, to 2^-55 of itself, for every f32.
// |x| = s * 2^k with s an integer below 2^49 if k > 0, so 2^k * 2 / pi may be reduced modulo 4 beforehand; four k cover f32.
WORD f64 quarter_turns_f32(f32 x, i32 *quarter)
{
    const f64 a = k_abs_f32(x);
    f64 scale = 1, head = 0x1.45f306dc9c883p-1, tail = -0x1.6b01ec5417056p-55;
    scale = a < 0x1p50 ? scale : 0x1p-27;
    head  = a < 0x1p50 ? head  : -0x1.1b1bbead603d9p-1;
    tail  = a < 0x1p50 ? tail  : 0x1.5f47d4d377037p-55;
    scale = a < 0x1p76 ? scale : 0x1p-53;
    head  = a < 0x1p76 ? head  : -0x1.5ac07b1505c16p+0;
    tail  = a < 0x1p76 ? tail  : 0x1.a6ee06db14acdp-54;
    scale = a < 0x1p102 ? scale : 0x1p-79;
    head  = a < 0x1p102 ? head  : -0x1.505c1596447e5p-2;
    tail  = a < 0x1p102 ? tail  : 0x1.b14acc9e21c82p-56;
    const f64 s = a * scale;
    f64 error;
    const f64 p = two_product_f64(s, head, &error);
    const f64 t = p + MATH_ROUND_F64;
    *quarter = (i32)(u32)f64_to_bits(t);
    return (p - (t - MATH_ROUND_F64)) + (error + s * tail);
}

// The same for |x| < 2^25, where the product with 29 bits of 2 / pi is exact and no window has to be chosen.
WORD f64 quarter_turns_near_f32(f32 x, i32 *quarter)
{
    const f64 a = k_abs_f32(x), p = a * 0x1.45f306ep-1, t = p + MATH_ROUND_F64;
    *quarter = (i32)(u32)f64_to_bits(t);
    return a * -0x1.b1bbead603d8bp-32 + (p - (t - MATH_ROUND_F64));
}

WORD f32 sin_first_f32(f32 r, f32 z)        // |r| < 0.95, z = r * r
{
    f32 p = 0x1.6febe4p-19f;
    p = p * z - 0x1.a02a36p-13f;
    p = p * z + 0x1.11114ap-7f;
    p = p * z - 0x1.555556p-3f;
    return p * (z * r) + r;
}
WORD f32 cos_first_f32(f32 z)
{
    f32 p = 0x1.9710dep-16f;
    p = p * z - 0x1.6c0028p-10f;
    p = p * z + 0x1.555532p-5f;
    return p * (z * z) + (1 - 0.5f * z);
}

// sin of (quarter + turn) * pi / 2, then the sign bit flipped as asked.
WORD f32 sin_turn_f32(f64 turn, i32 quarter, u32 flip)
{
    const f32 r = (f32)(turn * 0x1.921fb54442d18p+0);
    const f32 z = r * r, s = sin_first_f32(r, z), c = cos_first_f32(z);
    const f32 y = (quarter & 1) ? c : s;
    return f32_from_bits(f32_to_bits(y) ^ (((u32)quarter & 2) << 30) ^ flip);
}

// tan by a quotient in f64, as two f32 roundings and a quotient would spend more than 2 ULP.
WORD f32 tan_turn_f32(f64 turn, i32 quarter, u32 flip)
{
    const f64 r = turn * 0x1.921fb54442d18p+0, z = r * r;
    f64 s = 0x1.6a7cbf1ef9e4fp-19, c = -0x1.2258f42732292p-22;
    s = s * z - 0x1.a0037a9832940p-13;
    c = c * z + 0x1.a006365c4aa8dp-16;
    s = s * z + 0x1.1110f5d73177bp-7;
    c = c * z - 0x1.6c16a3c5fe2cap-10;
    s = s * z - 0x1.5555552c3056bp-3;
    c = c * z + 0x1.555555368bb13p-5;
    s = s * (z * r) + r;
    c = c * (z * z) + (1 - 0.5 * z);
    const f64 odd = (f64)(quarter & 1);     // as f64, as a mask of i32 would have to be widened
    const f32 y = (f32)((odd != 0 ? -c : s) / (odd != 0 ? s : c));
    return f32_from_bits(f32_to_bits(y) ^ flip);
}

WORD u32 sign_bit_f32(f32 x) { return f32_to_bits(x) & 0x80000000u; }

WORD f32 k_sin_f32(f32 x)
{
    i32 q;
    const f64 turn = quarter_turns_f32(x, &q);
    return sin_turn_f32(turn, q, sign_bit_f32(x));
}
WORD f32 k_cos_f32(f32 x)
{
    i32 q;
    const f64 turn = quarter_turns_f32(x, &q);
    return sin_turn_f32(turn, q + 1, 0);
}
WORD f32 k_tan_f32(f32 x)
{
    i32 q;
    const f64 turn = quarter_turns_f32(x, &q);
    return tan_turn_f32(turn, q, sign_bit_f32(x));
}

// For a caller that knows, or has asked of the whole block, that k_is_near(x).
#if MATH_HAS_FMA
WORD int k_is_near_f32(f32 x) { return k_abs_f32(x) < 0x1p15f; }

// |x| less the nearest multiple of pi / 2, at most 0.8, as a sum of two f32. The multiple is below 2^15, so that the first
// difference is exact; the second is rounded once, and is exact too below 2^-24, where its digits would be missed. What that
// rounding lost is known where the two are of like size, and matters only there: to the tangent.
WORD f32 turn_rest_f32(f32 x, i32 *quarter, f32 *drop, f32 *lost)
{
    const f32 a = k_abs_f32(x), t = a * 0x1.45f306p-1f + MATH_ROUND_F32, k = t - MATH_ROUND_F32;
    *quarter = (i32)f32_to_bits(t);
    const f32 first = a - k * 0x1.921fb6p+0f, r = first + k * 0x1.777a5cp-25f;
    *drop = k * 0x1.ee59dap-50f;
    const f32 rest = (first - r) + k * 0x1.777a5cp-25f;
    *lost = 2 * k_abs_f32(r) >= k_abs_f32(first) ? rest : 0;
    return r;
}
WORD f32 sin_rest_f32(f32 r, i32 quarter, u32 flip)
{
    const f32 z = r * r, s = sin_first_f32(r, z), c = cos_first_f32(z);
    const f32 y = (quarter & 1) ? c : s;
    return f32_from_bits(f32_to_bits(y) ^ (((u32)quarter & 2) << 30) ^ flip);
}
WORD f32 k_sin_near_f32(f32 x)
{
    i32 q;
    f32 drop, lost;
    const f32 r = turn_rest_f32(x, &q, &drop, &lost);
    return sin_rest_f32(r + drop, q, sign_bit_f32(x));
}
WORD f32 k_cos_near_f32(f32 x)
{
    i32 q;
    f32 drop, lost;
    const f32 r = turn_rest_f32(x, &q, &drop, &lost);
    return sin_rest_f32(r + drop, q + 1, 0);
}
WORD f32 k_tan_near_f32(f32 x)
{
    i32 q;
    f32 drop, lost;
    const f32 r = turn_rest_f32(x, &q, &drop, &lost), z = r * r;
    drop += lost;
    f32 p = 0x1.336462p-7f;
    p = p * z + 0x1.989f98p-9f;
    p = p * z + 0x1.905f0ap-6f;
    p = p * z + 0x1.b58604p-5f;
    p = p * z + 0x1.112de8p-3f;
    p = p * z + 0x1.5554dep-2f;
    const f32 more = p * (z * r) + (drop + drop * z), t = r + more, y = -1 / t;
    return f32_from_bits(f32_to_bits((q & 1) ? y + y * ((t * y + 1) + y * (more - (t - r))) : t) ^ sign_bit_f32(x));
}
#else
WORD int k_is_near_f32(f32 x) { return k_abs_f32(x) < 0x1p25f; }
WORD f32 k_sin_near_f32(f32 x)
{
    i32 q;
    const f64 turn = quarter_turns_near_f32(x, &q);
    return sin_turn_f32(turn, q, sign_bit_f32(x));
}
WORD f32 k_cos_near_f32(f32 x)
{
    i32 q;
    const f64 turn = quarter_turns_near_f32(x, &q);
    return sin_turn_f32(turn, q + 1, 0);
}
WORD f32 k_tan_near_f32(f32 x)
{
    i32 q;
    const f64 turn = quarter_turns_near_f32(x, &q);
    return tan_turn_f32(turn, q, sign_bit_f32(x));
}
#endif

// asin(x) - x for |x| <= 1/2, z = x * x.
WORD f32 asin_rest_f32(f32 x, f32 z)
{
    f32 p = 0x1.595ce8p-5f;
    p = p * z + 0x1.8c3ddcp-6f;
    p = p * z + 0x1.747bbep-5f;
    p = p * z + 0x1.330204p-4f;
    p = p * z + 0x1.5555c8p-3f;
    return p * (z * x);
}

// asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) beyond 1/2, where what pi/2 - 2 sqrt rounds away is kept.
WORD f32 k_asin_f32(f32 x)
{
    const f32 a = k_abs_f32(x);
    const int far = a > 0.5f;
    const f32 z = far ? 0.5f - 0.5f * a : a * a;
    const f32 s = far ? __builtin_sqrtf(z) : a, p = asin_rest_f32(s, z);
    const f32 head = 0x1.921fb6p+0f - 2 * s, drop = (0x1.921fb6p+0f - head) - 2 * s;
    return k_copysign_f32(far ? head - (2 * p + (0x1.777a5cp-25f - drop)) : s + p, x);
}

WORD f32 k_acos_f32(f32 x)
{
    const f32 a = k_abs_f32(x);
    const int far = a > 0.5f;
    const f32 z = far ? 0.5f - 0.5f * a : a * a;
    const f32 s = far ? __builtin_sqrtf(z) : x, p = s + asin_rest_f32(s, z);
    const f32 edge = x < 0 ? 0x1.921fb6p+1f - (2 * p + 0x1.777a5cp-24f) : 2 * p;
    return far ? edge : 0x1.921fb6p+0f - (p + 0x1.777a5cp-25f);
}

WORD f32 atan_near_f32(f32 t)               // 0 <= t <= 1
{
    const f32 z = t * t;
    f32 p = -0x1.d32444p-10f;
    p = p * z + 0x1.641420p-7f;
    p = p * z - 0x1.fd78e8p-6f;
    p = p * z + 0x1.da2b4ap-5f;
    p = p * z - 0x1.580a14p-4f;
    p = p * z + 0x1.c08ca4p-4f;
    p = p * z - 0x1.24208ap-3f;
    p = p * z + 0x1.9991e4p-3f;
    p = p * z - 0x1.55553ep-2f;
    return p * (z * t) + t;
}

WORD f32 k_atan_f32(f32 x)
{
    const f32 a = k_abs_f32(x);
    const int far = a > 1;
    const f32 p = atan_near_f32(far ? 1 / a : a);
    return k_copysign_f32(far ? 0x1.921fb6p+0f - (p + 0x1.777a5cp-25f) : p, x);
}

WORD f32 k_atan2_f32(f32 y, f32 x)
{
    const f32 a = k_abs_f32(x), b = k_abs_f32(y);
    const int steep = b > a;
    const f32 big = steep ? b : a, small = steep ? a : b;
    f32 t = small / big;
    t = big == 0 ? 0 : t;
    t = small == MATH_INF_F32 ? 1 : t;
    f32 p = atan_near_f32(t);
    p = steep ? 0x1.921fb6p+0f - (p + 0x1.777a5cp-25f) : p;
    p = k_copysign_f32(1, x) < 0 ? 0x1.921fb6p+1f - (p + 0x1.777a5cp-24f) : p;    // -0 too
    p = x != x ? x : p;                     // a NaN in y is in t already, one in x may be lost to the comparison
    p = y != y ? y : p;
    return k_copysign_f32(p, y);
}

// ---- through f64 ---------------------------------------------------------------------------------------------------

WORD f64 clamp_f64(f64 x, f64 lo, f64 hi)
{
    x = lo > x ? lo : x;
    return hi < x ? hi : x;
}

// 2^t to 2^-34, |t| <= 1000.
WORD f64 exp2_mid(f64 t)
{
    const f64 m = t + MATH_ROUND_F64, r = t - (m - MATH_ROUND_F64);
    f64 p = 0x1.fde5e068e97aep-17;
    p = p * r + 0x1.445c7b4bde63fp-13;
    p = p * r + 0x1.5d8a85f7a1bc7p-10;
    p = p * r + 0x1.3b29f3a792a59p-7;
    p = p * r + 0x1.c6b08ac09d2adp-5;
    p = p * r + 0x1.ebfbe0777d41ep-3;
    p = p * r + 0x1.62e42ff0e15ecp-1;
    return f64_from_bits(f64_to_bits(p * r + 1) + (f64_to_bits(m) << 52));
}

// x = 2^e * (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive normal x. AVX2 has neither an arithmetic shift nor a
// conversion of i64, hence the logical shift of a biased exponent and the magic number.
WORD f64 log_split_f64(f64 x, f64 *e)
{
    const u64 bits = f64_to_bits(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    *e = f64_from_bits((bits >> 52) | 0x4330000000000000u) - (0x1p52 + 1023);
    return f64_from_bits((bits & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1;
}

// log2(1 + f) to 2^-35.
WORD f64 log2_mid(f64 f)
{
    const f64 w = f * f;                            // even and odd halves: half the latency
    f64 p = 0x1.3ce8314a450b0p-4;
    p = p * w + 0x1.2872430b679a7p-3;
    f64 q = -0x1.2489405af6ec1p-3;
    p = p * w + 0x1.4529052654cebp-3;
    q = q * w - 0x1.252f31a11f22cp-3;
    p = p * w + 0x1.a63f45ef5ee55p-3;
    q = q * w - 0x1.71416fdd3fb9ep-3;
    p = p * w + 0x1.277651f648177p-2;
    q = q * w - 0x1.ec72b5b33c366p-3;
    p = p * w + 0x1.ec709ebba090ep-2;
    q = q * w - 0x1.7154709746247p-2;
    p = p * w + 0x1.71547652a1e93p+0;
    q = q * w - 0x1.715476565d5bbp-1;
    return (q * f + p) * f;
}

// log(1 + u) to 2^-34, for u > -1 whose 1 + u is normal.
WORD f64 log1p_mid(f64 u)
{
    f64 e;
    const f64 f0 = log_split_f64(1 + u, &e);
    const f64 s = f64_from_bits(f64_to_bits(1023 - e + 0x1p52) << 52);      // 2^-e
    const f64 f = u < 0x1p60 ? u * s + (s - 1) : f0;
    return (e + log2_mid(f)) * 0x1.62e42fefa39efp-1;
}

WORD f32 k_asinh_f32(f32 x)
{
    const f64 a = k_abs_f32(x), z = a * a;
    const f32 y = (f32)log1p_mid(a + z / (1 + __builtin_sqrt(1 + z)));
    return k_abs_f32(x) < MATH_INF_F32 ? k_copysign_f32(y, x) : x;
}

WORD f32 k_acosh_f32(f32 x)
{
    const f64 t = (f64)x - 1;
    const f32 y = (f32)log1p_mid(t + __builtin_sqrt(t * (t + 2)));
    return x < 1 ? MATH_NAN_F32 : x < MATH_INF_F32 ? y : x;
}

// |x| < 0.5: odd polynomial. Beyond: log(1 + 2|x| / (1 - |x|)) / 2, whose difference is exact, by log1p's steps.
WORD f32 k_atanh_f32(f32 x)
{
    const f32 a = k_abs_f32(x), z = x * x, q = (a + a) / (1 - a);
    f32 p = 0x1.6939dap-3f;
    p = p * z + 0x1.a6bc36p-5f;
    p = p * z + 0x1.e40002p-4f;
    p = p * z + 0x1.234d98p-3f;
    p = p * z + 0x1.99a676p-3f;
    p = p * z + 0x1.555540p-2f;
    const u32 bits = f32_to_bits(1 + q) - 0x3f3504f3u;
    const i32 n = (i32)bits >> 23;
    const f32 s = pow2_f32(-n), far = 0.5f * log_join_f32((f32)n, q * s + (s - 1));
    const f32 y = k_copysign_f32(a < 0.5f ? p * (z * a) + a : far, x);
    return a < 1 ? y : a == 1 ? k_copysign_f32(MATH_INF_F32, x) : MATH_NAN_F32;
}

// |x| < 1: odd polynomial. Beyond: 1 - exp(P(|x|)), P near log(erfc); the result damps the exponential's error.
WORD f32 k_erf_f32(f32 x)
{
    const f32 a = k_abs_f32(x), b = 4 < a ? 4 : a, z = x * x;
    f32 p = 0x1.4771fcp-14f;
    p = p * z - 0x1.a3515ep-11f;
    p = p * z + 0x1.53f224p-8f;
    p = p * z - 0x1.b7f71ap-6f;
    p = p * z + 0x1.ce2ce6p-4f;
    p = p * z - 0x1.81273ep-2f;
    p = p * z + 0x1.06eba8p-3f;
    f32 q = 0x1.86d418p-13f;
    q = q * b - 0x1.825440p-9f;
    q = q * b + 0x1.65c7bcp-6f;
    q = q * b - 0x1.a6512cp-4f;
    q = q * b - 0x1.46bb3cp-1f;
    q = q * b - 0x1.2088d2p+0f;
    q = q * b - 0x1.667f24p-12f;
    i32 n;
    const f32 e = exp_reduced_f32(q, &n), s = pow2_f32(n);
    return a < 1 ? p * x + x : k_copysign_f32((1 - s) - s * e, x);
}

// The share of a normal distribution beyond a, erfc(a / sqrt 2) / 2, for 0 <= a <= 9, as a power of 2. Its error is about
// 2^-23 of 1, not of itself: as erf's would be in 1 + erf.
WORD f32 normal_tail_f32(f32 a)
{
    f32 p = -0x1.314458p-19f;
    p = p * a + 0x1.1469a6p-15f;
    p = p * a - 0x1.49ac1ap-13f;
    p = p * a - 0x1.a903eep-13f;
    p = p * a + 0x1.d41fe2p-8f;
    p = p * a - 0x1.ae7630p-5f;
    p = p * a - 0x1.d636b2p-2f;
    p = p * a - 0x1.26aef2p+0f;
    p = p * a - 0x1.fffffep-1f;
    const f32 t = p + MATH_ROUND_F32, r = p - (t - MATH_ROUND_F32);
    f32 q = 0x1.5c07eap-10f;
    q = q * r + 0x1.3d0c72p-7f;
    q = q * r + 0x1.c6b6e8p-5f;
    q = q * r + 0x1.ebf916p-3f;
    q = q * r + 0x1.62e428p-1f;
    q = q * r + 0x1.000002p+0f;
    return f32_from_bits(f32_to_bits(q) + (f32_to_bits(t) << 23));
}
// x times the share below x, and that product's derivative. Beyond 9 the tail is nothing; as in ATen, infinities without a
// result are NaN (0 * x).
WORD f32 k_gelu_f32(f32 x)
{
    const f32 b = k_abs_f32(x), a = 9 < b ? 9 : b;
    return (x < 0 ? 0 * x : x) - a * normal_tail_f32(a);
}
WORD f32 k_gelu_derivative_f32(f32 x)
{
    const f32 b = k_abs_f32(x), a = 9 < b ? 9 : b, tail = normal_tail_f32(a);
    const f32 slope = k_copysign_f32(a * 0.39894228040143267794f, x) * k_exp_near_f32(-0.5f * a * a);
    return (x < 0 ? tail : 1 - tail) + (slope + 0 * x);
}

// exp(-x^2) * erfcx(x), erfcx by the polynomial of Shepherd and Laframboise in (a - 4) / (a + 4).
WORD f32 k_erfc_f32(f32 x)
{
    const f64 b = k_abs_f32(x), a = 11 < b ? 11 : b;
    const f64 inv = 1 / ((a + 4) * (1 + 2 * a));
    const f64 t = (a - 4) * (1 + 2 * a) * inv;
    f64 p = 0x1.456ab77e1ec57p-14;
    p = p * t - 0x1.90a759ec47c83p-12;
    p = p * t - 0x1.c16b68e3992d3p-11;
    p = p * t + 0x1.4d0738b50bcb2p-8;
    p = p * t - 0x1.086dc53affeb9p-6;
    p = p * t + 0x1.307e4aa7de20bp-5;
    p = p * t - 0x1.0fbb8d9896a6ap-4;
    p = p * t + 0x1.7fec5dd80fc70p-4;
    p = p * t - 0x1.9dda4c2479a08p-4;
    p = p * t + 0x1.16ed10d9d31e8p-4;
    p = p * t + 0x1.f7f5adff77db8p-7;
    p = p * t - 0x1.1df1ad5eee72cp-3;
    p = p * t + 0x1.3ba5916f21b21p+0;
    const f64 y = p * ((a + 4) * inv) * exp2_mid(a * a * -0x1.71547652b82fep+0);
    return (f32)((f64)x < 0 ? 2 - y : y);
}

// 2^(y * log2|x|) in f64, where no f32 is subnormal and every f32 result is in range; then the cases of C99.
WORD f32 k_pow_f32(f32 x, f32 y)
{
    const f32 ax = k_abs_f32(x), ay = k_abs_f32(y);
    f64 e;
    const f64 f = log_split_f64(ax, &e);
    f64 l = e + log2_mid(f);                            // of f32: -149 to 128; 0 gives -1023, inf 1024
    l = l < -200 ? -MATH_INF_F64 : l;
    l = l > 200 ? MATH_INF_F64 : l;
    f64 t = l == 0 ? 0 : y * l;
    f32 p = (f32)exp2_mid(clamp_f64(t, -160, 160));

    // A negative x: NaN unless y is whole, negative if y is odd. From 2^24 on every f32 is even; below, the sums round to
    // a multiple of 4, then to an integer. All by integers and sums, as gcc branches on comparisons here.
    const u32 by = f32_to_bits(ay);
    const f32 cy = f32_from_bits(by < 0x4b800000u ? by : 0x4b800000u);
    const f32 d = cy - ((cy + 0x1.8p25f) - 0x1.8p25f), m = d + MATH_ROUND_F32;
    const u32 broken = (u32)((i32)-f32_to_bits(k_abs_f32(d - (m - MATH_ROUND_F32))) >> 31);
    const f32 edge = y < 0 ? 0 : MATH_INF_F32;
    p = x < 0 ? p + f32_from_bits(broken & 0x7fc00000u) : p;
    p = ax == MATH_INF_F32 ? edge : p;
    p = f32_from_bits(f32_to_bits(p) ^ (f32_to_bits(x) & ~broken & f32_to_bits(m) << 31));
    p = x != x ? x : p;
    p = y != y ? y : p;
    p = x == 1 ? 1 : p;
    return y == 0 ? 1 : p;
}

// x - y * q for a rounded q of at most 27 bits: exact in f64, as is the next remainder, |r| <= |y| / 2 * (1 + 2^-20).
WORD f64 fmod_step_f32(f64 r, f64 y, f64 inverse, f64 scale)
{
    const f64 q = (r * (inverse / scale) + MATH_ROUND_F64) - MATH_ROUND_F64;
    return r - q * (y * scale);
}

// Exponents of f32 differ by up to 277: eleven steps of 26 bits each take the quotient off, then the sign is put right.
WORD f32 k_fmod_f32(f32 x, f32 y)
{
    const f64 a = k_abs_f32(x), b = k_abs_f32(y), inverse = 1 / b;
    f64 r = a;
    r = fmod_step_f32(r, b, inverse, 0x1p260);
    r = fmod_step_f32(r, b, inverse, 0x1p234);
    r = fmod_step_f32(r, b, inverse, 0x1p208);
    r = fmod_step_f32(r, b, inverse, 0x1p182);
    r = fmod_step_f32(r, b, inverse, 0x1p156);
    r = fmod_step_f32(r, b, inverse, 0x1p130);
    r = fmod_step_f32(r, b, inverse, 0x1p104);
    r = fmod_step_f32(r, b, inverse, 0x1p78);
    r = fmod_step_f32(r, b, inverse, 0x1p52);
    r = fmod_step_f32(r, b, inverse, 0x1p26);
    r = fmod_step_f32(r, b, inverse, 1);
    r = r < 0 ? r + b : r;
    r = r < b ? r : r - b;
    const f32 m = k_abs_f32(x), n = k_abs_f32(y);
    f32 z = (f32)r;
    z = n == MATH_INF_F32 ? m : z;
    z = n > 0 ? z : MATH_NAN_F32;
    z = m < MATH_INF_F32 ? z : MATH_NAN_F32;
    return k_copysign_f32(z, x);
}

// As k_is_near for sin: the common case, in which one step does. With FMA in f32: the quotient's whole part is off by one at
// most, and what is left is a multiple of y's last place, hence exact.
// The condition is |x| < |y| * 2^21 or so and 2^-100 <= |y| < 2^100, by integers' signs, as clang branches on comparisons.
WORD int k_fmod_is_near_f32(f32 x, f32 y)
{
    const u32 a = f32_to_bits(k_abs_f32(x)), b = f32_to_bits(k_abs_f32(y));
    return (int)(((a - b - (21u << 23)) & (b - (227u << 23)) & ~(b - (27u << 23))) >> 31);
}
#if MATH_HAS_FMA
WORD f32 k_fmod_near_f32(f32 x, f32 y)
{
    const f32 a = k_abs_f32(x), b = k_abs_f32(y);
    const f32 r = __builtin_fmaf(-k_trunc_f32(a / b), b, a);
    return k_copysign_f32(r < 0 ? r + b : r, x);
}
#else
WORD f32 k_fmod_near_f32(f32 x, f32 y)
{
    const f64 a = k_abs_f32(x), b = k_abs_f32(y);
    const f64 r = a - ((a / b + MATH_ROUND_F64) - MATH_ROUND_F64) * b;
    return k_copysign_f32((f32)(r < 0 ? r + b : r), x);
}
#endif

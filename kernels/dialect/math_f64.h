// SPDX-License-Identifier: Apache-2.0
// f64 maths, included by math.h after math_f32.h, whose shape it repeats with longer polynomials and, where a
// plain f64 is not enough (pow, erfc, sin, cos, tan), values kept as an unevaluated sum of two.

// ---- rounding ------------------------------------------------------------------------------------------------------

#if MATH_HAS_ROUND
WORD f64 k_floor_f64(f64 x) { return __builtin_floor(x); }
WORD f64 k_ceil_f64(f64 x)  { return __builtin_ceil(x); }
WORD f64 k_trunc_f64(f64 x) { return __builtin_trunc(x); }
WORD f64 k_rint_f64(f64 x)  { return __builtin_rint(x); }
#else
WORD f64 k_rint_f64(f64 x)
{
    const f64 a = k_abs_f64(x), r = (a + 0x1p52) - 0x1p52;
    return k_copysign_f64(a < 0x1p52 ? r : a, x) + (x - x);
}
WORD f64 k_trunc_f64(f64 x)
{
    const f64 a = k_abs_f64(x), r = k_abs_f64(k_rint_f64(x));
    return k_copysign_f64(r > a ? r - 1 : r, x);
}
WORD f64 k_floor_f64(f64 x) { const f64 r = k_rint_f64(x); return k_copysign_f64(r > x ? r - 1 : r, x); }
WORD f64 k_ceil_f64(f64 x)  { const f64 r = k_rint_f64(x); return k_copysign_f64(r < x ? r + 1 : r, x); }
#endif

// ---- roots ---------------------------------------------------------------------------------------------------------

WORD f64 k_sqrt_f64(f64 x)  { return __builtin_sqrt(x); }
WORD f64 k_rsqrt_f64(f64 x) { return 1 / __builtin_sqrt(x); }

// Scaled by a power of two, so that no square leaves the range.
WORD f64 k_hypot_f64(f64 x, f64 y)
{
    const f64 a = k_abs_f64(x), b = k_abs_f64(y), big = a > b ? a : b;
    const f64 scale = big > 0x1p500 ? 0x1p-600 : big < 0x1p-500 ? 0x1p600 : 1;
    const f64 back  = big > 0x1p500 ? 0x1p600 : big < 0x1p-500 ? 0x1p-600 : 1;
    const f64 u = a * scale, v = b * scale;
    const f64 h = __builtin_sqrt(u * u + v * v) * back;
    return a == MATH_INF_F64 ? a : b == MATH_INF_F64 ? b : h;
}

// ---- exponentials --------------------------------------------------------------------------------------------------

// 2^n for an integer n in [-1022, 1023] that comes as f64: its low bits appear beneath the magic number.
WORD f64 pow2_f64(f64 n) { return f64_from_bits(f64_to_bits(n + (MATH_ROUND_F64 + 1023)) << 52); }
WORD f64 round_f64(f64 x) { return (x + MATH_ROUND_F64) - MATH_ROUND_F64; }             // |x| < 2^51
WORD f64 scale_f64(f64 y, f64 n)            // 2^n * y with one rounding, |n| < 2044
{
    const f64 h = round_f64(n * 0.5);
    return y * pow2_f64(h) * pow2_f64(n - h);
}

WORD f64 expm1_near_f64(f64 r)              // |r| <= ln(2) / 2
{
    f64 p = 0x1.1ef5b5c3d1756p-29;
    p = p * r + 0x1.af5d2940babbfp-26;
    p = p * r + 0x1.27e52ad6e6a81p-22;
    p = p * r + 0x1.71ddf94f4b173p-19;
    p = p * r + 0x1.a01a018328d95p-16;
    p = p * r + 0x1.a01a01af7733ap-13;
    p = p * r + 0x1.6c16c16c1cc88p-10;
    p = p * r + 0x1.111111110f7e9p-7;
    p = p * r + 0x1.5555555555549p-5;
    p = p * r + 0x1.5555555555559p-3;
    p = p * r + 0.5;
    return p * (r * r) + r;
}

// exp(x + tail) = 2^n * (1 + result), |x| < 2000.
WORD f64 exp_reduced_f64(f64 x, f64 tail, f64 *n)
{
    const f64 k = round_f64(x * 0x1.71547652b82fep+0);
    *n = k;
    return expm1_near_f64(((x - k * 0x1.62e42fefa4p-1) + k * 0x1.8432a1b0e2634p-43) + tail);
}

WORD f64 exp_scaled_f64(f64 x, f64 shift)   // exp(x) * 2^shift
{
    f64 n;
    const f64 e = exp_reduced_f64(clamp_f64(x, -746, 712), 0, &n);
    return scale_f64(1 + e, n + shift);
}

WORD f64 k_exp_f64(f64 x) { return exp_scaled_f64(x, 0); }

WORD f64 k_exp2_f64(f64 x)
{
    x = clamp_f64(x, -1076, 1025);
    const f64 n = round_f64(x);
    return scale_f64(1 + expm1_near_f64((x - n) * 0x1.62e42fefa39efp-1), n);
}

WORD f64 k_expm1_f64(f64 x)
{
    f64 n;
    const f64 e = exp_reduced_f64(clamp_f64(x, -40, 710), 0, &n), half = pow2_f64(n - 1);
    const f64 y = (e * half + (half - 0.5)) * 2;
    return k_copysign_f64(n == 0 ? e : y, x);
}

WORD f64 k_sigmoid_f64(f64 x)
{
    const f64 e = k_exp_f64(-k_abs_f64(x));
    return (x < 0 ? e : 1) / (1 + e);
}

WORD f64 half_exp_f64(f64 x) { return exp_scaled_f64(k_abs_f64(x), -1); }
WORD f64 k_cosh_f64(f64 x) { const f64 e = half_exp_f64(x); return e + 0.25 / e; }
WORD f64 k_sinh_f64(f64 x)
{
    const f64 e = half_exp_f64(x), z = x * x;
    f64 p = 0x1.b5c873085ad14p-41;
    p = p * z + 0x1.6116f4ff9b6bfp-33;
    p = p * z + 0x1.ae646ff456678p-26;
    p = p * z + 0x1.71de3a3b074f8p-19;
    p = p * z + 0x1.a01a01a037264p-13;
    p = p * z + 0x1.111111111101ep-7;
    p = p * z + 0x1.5555555555556p-3;
    return k_abs_f64(x) < 1 ? p * z * x + x : k_copysign_f64(e - 0.25 / e, x);
}

WORD f64 k_tanh_f64(f64 x)
{
    const f64 a = k_abs_f64(x), b = 20 < a ? 20 : a;
    f64 n;
    const f64 e = exp_reduced_f64(b + b, 0, &n), s = pow2_f64(n);
    const f64 y = s * e + (s - 1);
    return k_copysign_f64(y / (y + 2), x);
}

// ---- logarithms ----------------------------------------------------------------------------------------------------

// As log_split_f64, subnormals included.
WORD f64 log_split_tiny_f64(f64 x, f64 *e)
{
    const int tiny = x < 0x1p-1022;
    const f64 f = log_split_f64(tiny ? x * 0x1p54 : x, e);
    *e -= tiny ? 54.0 : 0.0;
    return f;
}

// log(1 + f) - f + f^2 / 2. With s = f / (2 + f), log(1 + f) = 2s + s^3 R(s^2) = f - f^2/2 + s (f^2/2 + s^2 R).
WORD f64 log_rest_f64(f64 f)
{
    const f64 s = f / (2 + f), z = s * s;
    f64 p = 0x1.2ed28203c9a22p-3;
    p = p * z + 0x1.39a73a4bdad03p-3;
    p = p * z + 0x1.7466029ab1c5ep-3;
    p = p * z + 0x1.c71c53553670ep-3;
    p = p * z + 0x1.2492494015859p-2;
    p = p * z + 0x1.99999999826d8p-2;
    p = p * z + 0x1.5555555555588p-1;
    return s * (0.5 * f * f + p * z);
}

WORD f64 log_special_f64(f64 x, f64 y)
{
    y = x == MATH_INF_F64 ? x : y;
    return x > 0 ? y : x == 0 ? -MATH_INF_F64 : MATH_NAN_F64;
}

WORD f64 log_join_f64(f64 e, f64 f)
{
    const f64 rest = log_rest_f64(f) - e * 0x1.8432a1b0e2634p-43;
    return e * 0x1.62e42fefa4p-1 + (f - (0.5 * f * f - rest));
}

WORD f64 k_log_f64(f64 x)
{
    f64 e;
    const f64 f = log_split_tiny_f64(x, &e);
    return log_special_f64(x, log_join_f64(e, f));
}

// e * unit + log(1 + f) * (head + tail), the products with head being exact: f - f^2/2 is cut to 21 bits for them.
WORD f64 log_base_f64(f64 x, f64 head, f64 tail, f64 unit, f64 unit_tail)
{
    f64 e;
    const f64 f = log_split_tiny_f64(x, &e), half = 0.5 * f * f;
    const f64 hi = f64_from_bits(f64_to_bits(f - half) & 0xffffffff00000000u);
    const f64 lo = ((f - hi) - half) + log_rest_f64(f);
    const f64 big = e * unit, small = hi * head, sum = big + small;
    const f64 rest = ((big - sum) + small) + ((lo + hi) * tail + lo * head + e * unit_tail);
    return log_special_f64(x, sum + rest);
}

WORD f64 k_log2_f64(f64 x)  { return log_base_f64(x, 0x1.71547p+0, 0x1.94ae0bf85ddf4p-22, 1, 0); }
WORD f64 k_log10_f64(f64 x)
{
    return log_base_f64(x, 0x1.bcb7bp-2, 0x1.526e50e32a6abp-26, 0x1.34413509f8p-2, -0x1.80433b83b532ap-44);
}

// log(1 + x + tail), tail below an ULP of x, x > -1; see k_log1p_f32.
WORD f64 log1p_pair_f64(f64 x, f64 tail)
{
    f64 e;
    const f64 f0 = log_split_f64(1 + x, &e);
    const f64 s = pow2_f64(e > 1022 ? -1022 : -e);
    const f64 f = x > 0x1p60 ? f0 : (x * s + (s - 1)) + tail * s;
    return log_join_f64(e, f);
}

WORD f64 k_log1p_f64(f64 x)
{
    f64 y = log1p_pair_f64(x, 0);
    y = x == MATH_INF_F64 ? x : y;
    y = x > -1 ? y : x == -1 ? -MATH_INF_F64 : MATH_NAN_F64;
    return x == 0 ? x : y;
}

// log1p(a + a^2 / (1 + sqrt(1 + a^2))); beyond 2^28 that is log(2a).
WORD f64 k_asinh_f64(f64 x)
{
    const f64 a = k_abs_f64(x), b = a < 0x1p28 ? a : 0x1p28, z = b * b;
    const f64 near = log1p_pair_f64(b + z / (1 + __builtin_sqrt(1 + z)), 0);
    const f64 far = k_log_f64(a) + 0x1.62e42fefa39efp-1;
    return x == 0 ? x : k_copysign_f64(a < 0x1p28 ? near : far, x) + (x - x == 0 ? 0 : x);
}

WORD f64 k_acosh_f64(f64 x)
{
    const f64 t = (x < 0x1p28 ? x : 0x1p28) - 1;
    const f64 near = log1p_pair_f64(t + __builtin_sqrt(t * (t + 2)), 0);
    const f64 far = k_log_f64(x) + 0x1.62e42fefa39efp-1;
    return x < 1 ? MATH_NAN_F64 : x < 0x1p28 ? near : far;
}

WORD f64 k_atanh_f64(f64 x)
{
    const f64 a = k_abs_f64(x), d = 1 - a;
    const f64 y = 0.5 * log1p_pair_f64((a + a) / d, 0);
    return a < 1 ? (a < 0x1p-28 ? x : k_copysign_f64(y, x)) : a == 1 ? k_copysign_f64(MATH_INF_F64, x) : MATH_NAN_F64;
}

// ---- trigonometry --------------------------------------------------------------------------------------------------

// |x| in quarter turns: an integer modulo 4 and the rest as head + tail.
WORD f64 quarter_turns_f64(f64 x, f64 *tail, u64 *quarter)
{
    const f64 a = k_abs_f64(x);
    f64 e1, e2;
    const f64 p1 = two_product_f64(a, 0x1.45f306dc9c883p-1, &e1);
    const f64 p2 = two_product_f64(a, -0x1.6b01ec5417056p-55, &e2);
    const f64 t = p1 + MATH_ROUND_F64, f = p1 - (t - MATH_ROUND_F64);
    const f64 low = e1 + p2, head = f + low;
    *quarter = f64_to_bits(t);
    *tail = ((f - head) + low) + (((e1 - low) + p2) + (e2 + a * 0.0));
    return head;
}

WORD f64 sin_near_f64(f64 r, f64 rl)        // sin(r + rl)
{
    const f64 z = r * r;
    f64 p = 0x1.5d91ce5f980a2p-33;
    p = p * z - 0x1.ae5e627108268p-26;
    p = p * z + 0x1.71de3573a9e28p-19;
    p = p * z - 0x1.a01a019c0e96ap-13;
    p = p * z + 0x1.111111110f87cp-7;
    p = p * z - 0x1.5555555555549p-3;
    return r + (p * (z * r) + rl * (1 - 0.5 * z));
}
WORD f64 cos_near_f64(f64 r, f64 rl)
{
    const f64 z = r * r, h = 0.5 * z, w = 1 - h;
    f64 p = -0x1.8feac4d7c0de5p-37;
    p = p * z + 0x1.1eea6b59a52d8p-29;
    p = p * z - 0x1.27e4f8da54653p-22;
    p = p * z + 0x1.a01a019df7f4ap-16;
    p = p * z - 0x1.6c16c16c1609ap-10;
    p = p * z + 0x1.5555555555554p-5;
    return w + (((1 - w) - h) + (p * (z * z) - r * rl));
}

// Quarter turns to radians, as a pair.
WORD f64 radians_f64(f64 turn, f64 turn_tail, f64 *tail)
{
    f64 e;
    const f64 r = two_product_f64(turn, 0x1.921fb54442d18p+0, &e);
    *tail = e + (turn * 0x1.1a62633145c07p-54 + turn_tail * 0x1.921fb54442d18p+0);
    return r;
}

WORD f64 sin_quarter_f64(f64 r, f64 rl, u64 quarter, u64 flip)
{
    const f64 s = sin_near_f64(r, rl), c = cos_near_f64(r, rl);
    const f64 y = (quarter & 1) ? c : s;
    return f64_from_bits(f64_to_bits(y) ^ ((quarter & 2) << 62) ^ flip);
}

WORD f64 k_sin_f64(f64 x)
{
    u64 q;
    f64 t, rl;
    const f64 turn = quarter_turns_f64(x, &t, &q), r = radians_f64(turn, t, &rl);
    return sin_quarter_f64(r, rl, q, f64_to_bits(x) & 0x8000000000000000u);
}
WORD f64 k_cos_f64(f64 x)
{
    u64 q;
    f64 t, rl;
    const f64 turn = quarter_turns_f64(x, &t, &q), r = radians_f64(turn, t, &rl);
    return sin_quarter_f64(r, rl, q + 1, 0);
}
WORD f64 k_tan_f64(f64 x)
{
    u64 q;
    f64 t, rl;
    const f64 turn = quarter_turns_f64(x, &t, &q), r = radians_f64(turn, t, &rl);
    const f64 s = sin_near_f64(r, rl), c = cos_near_f64(r, rl);
    const f64 y = ((q & 1) ? -c : s) / ((q & 1) ? s : c);
    return f64_from_bits(f64_to_bits(y) ^ (f64_to_bits(x) & 0x8000000000000000u));
}

WORD f64 asin_near_f64(f64 x, f64 z)        // |x| <= 1/2
{
    f64 p = 0x1.019638294aa80p-5;
    p = p * z - 0x1.fbd460e911e13p-7;
    p = p * z + 0x1.37d817c988252p-6;
    p = p * z + 0x1.b890bbcf2d179p-8;
    p = p * z + 0x1.8d2999c347a79p-7;
    p = p * z + 0x1.c74209b66e486p-7;
    p = p * z + 0x1.1c680caa6dd0ap-6;
    p = p * z + 0x1.6e8a3d870ec68p-6;
    p = p * z + 0x1.f1c728b47c83fp-6;
    p = p * z + 0x1.6db6db4f70584p-5;
    p = p * z + 0x1.33333333557b0p-4;
    p = p * z + 0x1.55555555554b5p-3;
    return p * (z * x) + x;
}

WORD f64 k_asin_f64(f64 x)
{
    const f64 a = k_abs_f64(x);
    const int far = a > 0.5;
    const f64 z = far ? 0.5 - 0.5 * a : a * a;
    const f64 p = asin_near_f64(far ? __builtin_sqrt(z) : a, z);
    return k_copysign_f64(far ? 0x1.921fb54442d18p+0 - (2 * p - 0x1.1a62633145c07p-54) : p, x);
}

WORD f64 k_acos_f64(f64 x)
{
    const f64 a = k_abs_f64(x);
    const int far = a > 0.5;
    const f64 z = far ? 0.5 - 0.5 * a : a * a;
    const f64 p = asin_near_f64(far ? __builtin_sqrt(z) : x, z);
    const f64 edge = x < 0 ? 0x1.921fb54442d18p+1 - (2 * p - 0x1.1a62633145c07p-53) : 2 * p;
    return far ? edge : 0x1.921fb54442d18p+0 - (p - 0x1.1a62633145c07p-54);
}

// atan(y / x) for 0 <= y <= x: beyond tan(pi / 8), pi / 4 + atan((y - x) / (y + x)).
WORD f64 atan_first_f64(f64 y, f64 x)
{
    const int far = y > x * 0x1.a827999fcef32p-2;
    const f64 t = (far ? y - x : y) / (far ? y + x : x), z = t * t;
    f64 p = -0x1.28310cfa9aac5p-6;
    p = p * z + 0x1.393070e9a2db5p-5;
    p = p * z - 0x1.9d65884363f70p-5;
    p = p * z + 0x1.df3298617c82cp-5;
    p = p * z - 0x1.10ee5f75afc2fp-4;
    p = p * z + 0x1.3b115b3a91693p-4;
    p = p * z - 0x1.745cfd099251fp-4;
    p = p * z + 0x1.c71c7110b5041p-4;
    p = p * z - 0x1.249249232e5adp-3;
    p = p * z + 0x1.99999999971bfp-3;
    p = p * z - 0x1.555555555554cp-2;
    p = p * (z * t);
    return far ? 0x1.921fb54442d18p-1 + (t + (p + 0x1.1a62633145c07p-55)) : t + p;
}

WORD f64 k_atan_f64(f64 x)
{
    const f64 a = k_abs_f64(x);
    const int steep = a > 1;
    const f64 p = atan_first_f64(steep ? 1 : a, steep ? a : 1);
    f64 y = steep ? 0x1.921fb54442d18p+0 - (p - 0x1.1a62633145c07p-54) : p;
    y = a == MATH_INF_F64 ? 0x1.921fb54442d18p+0 : y;
    return k_copysign_f64(y, x);
}

WORD f64 k_atan2_f64(f64 y, f64 x)
{
    const f64 a = k_abs_f64(x), b = k_abs_f64(y);
    const int steep = b > a;
    const f64 big = steep ? b : a, small = steep ? a : b;
    const f64 down = big > 0x1p1000 ? 0x1p-60 : big < 0x1p-900 ? 0x1p100 : 1;  // the sum of both must not overflow
    f64 p = atan_first_f64(small * down, big * down);
    p = (big == 0) | (small == 0) | ((big == MATH_INF_F64) & (small < big)) ? 0 : p;
    p = small == MATH_INF_F64 ? 0x1.921fb54442d18p-1 : p;
    p = steep ? 0x1.921fb54442d18p+0 - (p - 0x1.1a62633145c07p-54) : p;
    p = k_copysign_f64(1, x) < 0 ? 0x1.921fb54442d18p+1 - (p - 0x1.1a62633145c07p-53) : p;
    p = x != x ? x : p;
    p = y != y ? y : p;
    return k_copysign_f64(p, y);
}

// ---- error function ------------------------------------------------------------------------------------------------

WORD f64 erf_near_f64(f64 x)                // |x| <= 1
{
    const f64 z = x * x;
    f64 p = 0x1.3d7253013461ap-33;
    p = p * z - 0x1.c5f9e6a09e53ap-30;
    p = p * z + 0x1.1350448d177b1p-26;
    p = p * z - 0x1.6398d0f94cd70p-23;
    p = p * z + 0x1.ba69edf5b85d0p-20;
    p = p * z - 0x1.f4dd00361e009p-17;
    p = p * z + 0x1.f9a3b9fc41c2bp-14;
    p = p * z - 0x1.c02db937dc5d5p-11;
    p = p * z + 0x1.565bcd2c77568p-8;
    p = p * z - 0x1.b82ce3135529ep-6;
    p = p * z + 0x1.ce2f21a0458e2p-4;
    p = p * z - 0x1.812746b037a25p-2;
    p = p * z + 0x1.06eba8214db69p-3;
    return p * x + x;
}

// erfc(a) for 0 <= a <= 28: exp(-a^2) with a^2 as a pair, times erfcx after Shepherd and Laframboise.
WORD f64 erfc_far_f64(f64 a)
{
    const f64 inv = 1 / ((a + 4) * (1 + 2 * a));
    const f64 t = (a - 4) * (1 + 2 * a) * inv;
    f64 p = -0x1.3bebf30500bf3p-27;
    p = p * t - 0x1.c77aec6c9d6d9p-26;
    p = p * t + 0x1.1744c7a3d7152p-28;
    p = p * t + 0x1.1c52ebb642ff5p-24;
    p = p * t + 0x1.d0c625d48fe92p-26;
    p = p * t + 0x1.aeba4cadb8293p-27;
    p = p * t - 0x1.6c07dde38f86dp-27;
    p = p * t - 0x1.98d15535b9810p-21;
    p = p * t + 0x1.8c7fda5f91106p-22;
    p = p * t + 0x1.7d9174cb7232cp-18;
    p = p * t - 0x1.79de89ae8b00cp-17;
    p = p * t - 0x1.99458904d4750p-16;
    p = p * t + 0x1.3be75915e7206p-13;
    p = p * t - 0x1.a1df40fec853dp-13;
    p = p * t - 0x1.8d4af98b70d22p-11;
    p = p * t + 0x1.49c6721c48d34p-8;
    p = p * t - 0x1.0962382090c02p-6;
    p = p * t + 0x1.3079edf93db17p-5;
    p = p * t - 0x1.0fb06e00395cbp-4;
    p = p * t + 0x1.7fee004df75fap-4;
    p = p * t - 0x1.9ddb23c3d542cp-4;
    p = p * t + 0x1.16ecefcfa60b9p-4;
    p = p * t + 0x1.f7f5df66faff2p-7;
    p = p * t - 0x1.1df1ad154a29cp-3;
    p = p * t + 0x1.3ba5916e9fd7fp+0;
    f64 n, low;
    const f64 square = two_product_f64(a, a, &low);
    const f64 e = 1 + exp_reduced_f64(-square, -low, &n);
    return scale_f64(p * ((a + 4) * inv) * e, n);
}

WORD f64 k_erf_f64(f64 x)
{
    const f64 a = k_abs_f64(x), far = 1 - erfc_far_f64(6 < a ? 6 : a);
    return a < 1 ? erf_near_f64(x) : k_copysign_f64(far, x);
}

WORD f64 k_erfc_f64(f64 x)
{
    const f64 a = k_abs_f64(x), far = erfc_far_f64(28 < a ? 28 : a);
    return a < 0.5 ? 1 - erf_near_f64(x) : x < 0 ? 2 - far : far;
}

// ---- pow -----------------------------------------------------------------------------------------------------------

// log(x) for positive finite x as a pair good to 2^-66. With s = f / (2 + f): 2s + 2/3 s^3 as pairs, the rest plain.
WORD f64 log_pair_f64(f64 x, f64 *tail)
{
    f64 e, pe, zl, cl, tl;
    const f64 f = log_split_tiny_f64(x, &e);
    const f64 d = 2 + f, dl = f - (d - 2), inv = 1 / d, s = f * inv;
    const f64 sd = two_product_f64(s, d, &pe);
    const f64 sl = (((f - sd) - pe) - s * dl) * inv;
    const f64 z = two_product_f64(s, s, &zl);
    const f64 c = two_product_f64(s, z, &cl);                           // s^3
    cl += s * (zl + 2 * s * sl) + sl * z;
    const f64 t = two_product_f64(c, 0x1.5555555555555p-1, &tl);
    tl += c * 0x1.5555555555555p-55 + cl * 0x1.5555555555555p-1;
    f64 p = 0x1.0c970af20e17fp-3;
    p = p * z + 0x1.0fb14afd83937p-3;
    p = p * z + 0x1.3b1ca19df479dp-3;
    p = p * z + 0x1.745cf7c741bf2p-3;
    p = p * z + 0x1.c71c7200778ccp-3;
    p = p * z + 0x1.249249247c1f5p-2;
    p = p * z + 0x1.99999999999c9p-2;
    const f64 l = 2 * s + t, ll = ((2 * s - l) + t) + (tl + 2 * sl + p * (z * c));
    const f64 big = e * 0x1.62e42fefa4p-1, h = big + l;
    const f64 low = ((big - h) + l) + (ll - e * 0x1.8432a1b0e2634p-43);
    const f64 head = h + low;
    *tail = (h - head) + low;
    return head;
}

WORD f64 k_pow_f64(f64 x, f64 y)
{
    const f64 ax = k_abs_f64(x), ay = k_abs_f64(y);
    const f64 by = clamp_f64(y, -0x1p65, 0x1p65);           // beyond, every x but 1 gives 0 or inf
    f64 ll, pe, n;
    const f64 l = log_pair_f64(ax, &ll);
    const f64 t = two_product_f64(by, l, &pe);
    const f64 tl = k_abs_f64(t) < 760 ? pe + by * ll : 0;
    const f64 e = exp_reduced_f64(clamp_f64(t, -760, 760), tl, &n);
    f64 p = scale_f64(1 + e, n);

    const int grows = (ax > 1) == (y > 0);
    const f64 edge = grows ? MATH_INF_F64 : 0;
    p = (ax == 0) | (ax == MATH_INF_F64) | (ay == MATH_INF_F64) ? edge : p;
    p = ax == 1 ? 1 : p;

    const f64 cy = 0x1p53 < ay ? 0x1p53 : ay;               // from 2^53 on all are even
    const int whole = k_rint_f64(cy) == cy;
    const int odd = whole & (k_rint_f64(cy * 0.5) != cy * 0.5);
    p = (x < 0) & !whole & (ax != MATH_INF_F64) ? MATH_NAN_F64 : p;
    p = f64_from_bits(f64_to_bits(p) ^ (odd ? f64_to_bits(x) & 0x8000000000000000u : 0));
    p = (x != x) | (y != y) ? x + y : p;
    return (x == 1) | (y == 0) ? 1 : p;
}

// ---- fmod ----------------------------------------------------------------------------------------------------------

WORD f64 k_fmod_f64(f64 x, f64 y)
{
    const f64 a = k_abs_f64(x), b = k_abs_f64(y);
    if (!(a < MATH_INF_F64) | !(b > 0)) return MATH_NAN_F64;
    if (a < b) return x;
    const u64 one = 0x10000000000000u;
    u64 m = f64_to_bits(a), d = f64_to_bits(b);
    i32 e = (i32)(m >> 52), g = (i32)(d >> 52);
    m = e ? (m & (one - 1)) | one : m;
    d = g ? (d & (one - 1)) | one : d;
    e += !e;
    g += !g;
    m %= d;
    for (i32 k = e - g; k > 0; k -= 11) m = (m << (k < 11 ? k : 11)) % d;
    const f64 r = (f64)m;                                   // exact; now times 2^(g - 1075), in two exact steps
    const f64 half = g > 600 ? r * f64_from_bits((u64)(g - 1075 + 1023 + 0) << 52) : r * 0x1p-537;
    return k_copysign_f64(g > 600 ? half : half * f64_from_bits((u64)(g - 538 + 1023) << 52), x);
}

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
    return k_copysign_f64(a < 0x1p52 ? r : a, x);
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

// f64 gains nothing by a narrower range.
WORD int k_exp_is_near_f64(f64 x) { return (void)x, 1; }
WORD f64 k_exp_near_f64(f64 x) { return k_exp_f64(x); }
WORD f64 k_expm1_near_f64(f64 x) { return k_expm1_f64(x); }
WORD f64 k_sigmoid_near_f64(f64 x) { return k_sigmoid_f64(x); }

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
    f64 p = 0x1.2f03493134779p-3;
    p = p * z + 0x1.39a1f565cc7c6p-3;
    p = p * z + 0x1.74663c667818dp-3;
    p = p * z + 0x1.c71c5216f129cp-3;
    p = p * z + 0x1.24924941de52fp-2;
    p = p * z + 0x1.999999997ff41p-2;
    p = p * z + 0x1.5555555555592p-1;
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

WORD f64 two_sum_f64(f64 a, f64 b, f64 *error)
{
    const f64 s = a + b, t = s - a;
    *error = (a - (s - t)) + (b - t);
    return s;
}

WORD f64 modulo_4_f64(f64 n) { return n - 4 * k_rint_f64(n * 0.25); }

// 2 / pi times 2^(32 k - 54), modulo 4, as a sum of four f64; row 0 is 2 / pi itself.
MATH_TABLE f64 two_over_pi[33][4] = {
    {0x1.45f306dc9c883p-1, -0x1.6b01ec5417056p-55, -0x1.6447e493ad4cep-109, 0x1.e21c820ff28b2p-163},
    {0x1.45f306dc9c883p-23, -0x1.6b01ec5417056p-77, -0x1.6447e493ad4cep-131, 0x1.e21c820ff28b2p-185},
    {-0x1.9f246c6efab58p-4, -0x1.ec54170565912p-61, 0x1.b6c52b3278872p-119, 0x1.07f9458eaf7afp-176},
    {0x1.1054a7f09d5f4p+0, 0x1.f534ddc0db629p-54, 0x1.664f10e4107f9p-108, 0x1.163abdebbc562p-162},
    {0x1.3abe8fa9a6ee0p-1, 0x1.b6c52b3278872p-55, 0x1.07f9458eaf7afp-112, -0x1.d4f246dc8e2dfp-169},
    {0x1.a6ee06db14acdp-1, -0x1.8778df7c035d4p-55, 0x1.d5ef5de2b0db9p-109, 0x1.1b8e909374b80p-164},
    {0x1.8a5664f10e410p+0, 0x1.fe5163abdebbcp-54, 0x1.586dc91b8e909p-108, 0x1.ba5c00c925dd4p-163},
    {0x1.0e4107f9458ebp+0, -0x1.0a21d4f246dc9p-57, 0x1.d2126e9700325p-113, -0x1.a22bec5cdbc60p-167},
    {0x1.458eaf7aef158p+0, 0x1.b7246e3a424ddp-54, 0x1.700324977504fp-109, -0x1.cdbc603c429c7p-163},
    {-0x1.10ea79236e471p+0, -0x1.bdb22d1ff9b6dp-54, -0x1.15f62e6de301ep-110, -0x1.0a71a76b2c609p-165},
    {0x1.2371d2126e970p-1, 0x1.924bba8274648p-60, 0x1.cfe1deb1cb12ap-114, -0x1.63045df7282b4p-168},
    {0x1.374b801924bbbp+0, -0x1.f62e6de301e21p-54, -0x1.38d3b5963045ep-108, 0x1.1afa975da2427p-165},
    {0x1.24bba82746487p+0, 0x1.fc3bd63962535p-55, -0x1.822efb9415a29p-111, 0x1.a24274ce38136p-165},
    {-0x1.736f180f10a72p-1, 0x1.62534e7dd1047p-55, -0x1.0568a25dbd8b3p-109, -0x1.c7eca5d040df6p-165},
    {0x1.deb1cb129a73fp-2, -0x1.77dca0ad144bbp-58, -0x1.ec598e3f652e8p-112, -0x1.037d8cdc538d0p-167},
    {0x1.4d39f74411afbp-1, -0x1.a28976f62cc72p-55, 0x1.35a2fbf209cc9p-113, -0x1.4e33e566305b2p-169},
    {-0x1.f7282b4512edfp+0, 0x1.d338e04d68bf0p-55, -0x1.bec66e29c67cbp-110, 0x1.9cfa4e422fc5ep-165},
    {-0x1.12edec598e3f6p+0, -0x1.4ba081bec66e3p-54, 0x1.8e60d4ce7d272p-108, 0x1.17e2ef7e4a0ecp-164},
    {-0x1.8e3f652e82070p+0, 0x1.3991d63983534p-54, -0x1.82d8dee81d108p-108, -0x1.b5f13801da001p-164},
    {0x1.7df904e64758ep+0, 0x1.835339f49c846p-54, -0x1.d1081b5f13802p-112, 0x1.2fffbc0b301fep-167},
    {-0x1.b8a719f2b3183p+0, 0x1.3908bf177bf25p-55, 0x1.d8ffc4bffef03p-113, -0x1.9fc04343b9d29p-168},
    {0x1.4ce7d272117e3p+0, -0x1.081b5f13801dap-56, -0x1.0fd33f8086877p-121, -0x1.d297d64b824b2p-176},
    {-0x1.ee81d1081b5f1p+0, -0x1.c00ed00043f4dp-55, 0x1.fde5e2316b415p-115, -0x1.2e092c98130d8p-170},
    {-0x1.b5f13801da001p-4, 0x1.e05980fef2f12p-58, -0x1.d297d64b824b2p-112, -0x1.8130d834f648bp-166},
    {-0x1.da00087e99fc0p-4, -0x1.0d0ee74a5f593p-58, 0x1.f6d367ecf27cbp-114, 0x1.36e9e8c7ecd3dp-171},
    {0x1.6603fbcbc462dp-4, 0x1.a0a6d1f6d367fp-58, -0x1.86c1a7b24585dp-113, 0x1.fb34f2ff516bbp-169},
    {0x1.788c5ad053690p-1, -0x1.25930261b069fp-55, 0x1.b74f463f669e6p-110, -0x1.5d28ad8453814p-170},
    {0x1.4da3eda6cfd9ep-3, 0x1.3e584dba7a320p-57, -0x1.32c3402ba515bp-111, -0x1.14e050683a131p-168},
    {0x1.b3f6793e584dcp-1, -0x1.61738132c3403p-55, 0x1.16ba93dd63f5fp-109, 0x1.7c5ecf41ce7dep-164},
    {-0x1.a7b24585ce04dp-1, 0x1.3cbfd45aea4f7p-55, 0x1.63f5f2f8bd9e8p-109, 0x1.ce7de294a4baap-164},
    {0x1.18fd9a797fa8bp+0, 0x1.7527bac7ebe5fp-54, 0x1.7b3d0739f78a5p-110, 0x1.497535fdafd89p-165},
    {0x1.7fa8b5d49eeb2p+0, -0x1.41a0e84c2f8c6p-58, -0x1.0eb5ada2b2809p-115, -0x1.0277039517bd5p-169},
    {0x1.3dd63f5f2f8bep-1, -0x1.85f18c10eb5aep-55, 0x1.7535fdafd88fcp-109, 0x1.aba10ac06608ep-163},
};

// |x| in quarter turns: an integer modulo 4 and the rest as head + tail, for every f64 (Payne and Hanek). From 2^30 on,
// |x| = s * 2^(32 k - 54) with an integer s below 2^84, so a row of the table may stand for 2 / pi; the products' integer
// parts are taken off one by one.
WORD f64 quarter_turns_f64(f64 x, f64 *tail, u64 *quarter)
{
    const f64 a = k_abs_f64(x);
    const i64 exponent = (i64)(f64_to_bits(a) >> 52) - 1021;
    const u64 k = (u64)(exponent > 0 ? exponent : 0) >> 5;
    const f64 s = a * f64_from_bits(k == 0 ? 0x3ff0000000000000u : (1077 - 32 * k) << 52);
    f64 e1, e2, e3, fl, gl, ql, hl;
    const f64 p1 = two_product_f64(s, two_over_pi[k][0], &e1);
    const f64 p2 = two_product_f64(s, two_over_pi[k][1], &e2);
    const f64 p3 = two_product_f64(s, two_over_pi[k][2], &e3);
    const f64 n1 = k_rint_f64(p1), n2 = k_rint_f64(e1), n3 = k_rint_f64(p2);
    const f64 low = two_sum_f64(e1 - n2, p2 - n3, &fl), n4 = k_rint_f64((p1 - n1) + low);
    const f64 f = two_sum_f64((p1 - n1) - n4, low, &gl);
    const f64 q = two_sum_f64(e2, p3, &ql);
    const f64 head = two_sum_f64(f, q, &hl);
    *quarter = f64_to_bits(modulo_4_f64(n1) + modulo_4_f64(n2) + modulo_4_f64(n3) + n4 + MATH_ROUND_F64);
    *tail = hl + ((fl + gl) + (ql + (e3 + s * two_over_pi[k][3])));
    return head;
}

// The same for |x| < 2^30 without the table.
WORD f64 quarter_turns_near_f64(f64 x, f64 *tail, u64 *quarter)
{
    const f64 a = k_abs_f64(x);
    f64 e1, e2, low_error, error;
    const f64 p1 = two_product_f64(a, 0x1.45f306dc9c883p-1, &e1);
    const f64 p2 = two_product_f64(a, -0x1.6b01ec5417056p-55, &e2);
    const f64 t = p1 + MATH_ROUND_F64;
    *quarter = f64_to_bits(t);
    const f64 low = two_sum_f64(e1, p2, &low_error);
    const f64 head = two_sum_f64(p1 - (t - MATH_ROUND_F64), low, &error);
    *tail = error + (low_error + (e2 - a * 0x1.6447e493ad4cep-109));
    return head;
}

WORD f64 sin_first_f64(f64 r, f64 rl)        // sin(r + rl)
{
    const f64 z = r * r;
    f64 p = 0x1.5d8b66548ab17p-33;
    p = p * z - 0x1.ae5e4bb809e9cp-26;
    p = p * z + 0x1.71de355564bb2p-19;
    p = p * z - 0x1.a01a019be9558p-13;
    p = p * z + 0x1.111111110f731p-7;
    p = p * z - 0x1.5555555555548p-3;
    return r + (p * (z * r) + rl * (1 - 0.5 * z));
}
WORD f64 cos_first_f64(f64 r, f64 rl)
{
    const f64 z = r * r, h = 0.5 * z, w = 1 - h;
    f64 p = -0x1.8fa66c480f88dp-37;
    p = p * z + 0x1.1ee9dba6c73b8p-29;
    p = p * z - 0x1.27e4f7f16198dp-22;
    p = p * z + 0x1.a01a019c8ef61p-16;
    p = p * z - 0x1.6c16c16c15014p-10;
    p = p * z + 0x1.555555555554bp-5;
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

WORD u64 sign_bit_f64(f64 x) { return f64_to_bits(x) & 0x8000000000000000u; }

// sin of (quarter + turn + tail) * pi / 2, then the sign bit flipped as asked.
WORD f64 sin_turn_f64(f64 turn, f64 tail, u64 quarter, u64 flip)
{
    f64 rl;
    const f64 r = radians_f64(turn, tail, &rl), s = sin_first_f64(r, rl), c = cos_first_f64(r, rl);
    const f64 y = (quarter & 1) ? c : s;
    return f64_from_bits(f64_to_bits(y) ^ ((quarter & 2) << 62) ^ flip);
}

WORD f64 tan_turn_f64(f64 turn, f64 tail, u64 quarter, u64 flip)
{
    f64 rl;
    const f64 r = radians_f64(turn, tail, &rl), s = sin_first_f64(r, rl), c = cos_first_f64(r, rl);
    const f64 y = ((quarter & 1) ? -c : s) / ((quarter & 1) ? s : c);
    return f64_from_bits(f64_to_bits(y) ^ flip);
}

WORD f64 k_sin_f64(f64 x)
{
    u64 q;
    f64 tail;
    const f64 turn = quarter_turns_f64(x, &tail, &q);
    const f64 y = sin_turn_f64(turn, tail, q, sign_bit_f64(x));
    return k_abs_f64(x) < 0x1p-30 ? x : y;      // subnormals of the way would round
}
WORD f64 k_cos_f64(f64 x)
{
    u64 q;
    f64 tail;
    const f64 turn = quarter_turns_f64(x, &tail, &q);
    return sin_turn_f64(turn, tail, q + 1, 0);
}
WORD f64 k_tan_f64(f64 x)
{
    u64 q;
    f64 tail;
    const f64 turn = quarter_turns_f64(x, &tail, &q);
    const f64 y = tan_turn_f64(turn, tail, q, sign_bit_f64(x));
    return k_abs_f64(x) < 0x1p-30 ? x : y;
}

// For a caller that knows, or has asked of the whole vector, that k_is_near(x): no table.
WORD int k_is_near_f64(f64 x) { return k_abs_f64(x) < 0x1p30; }
WORD f64 k_sin_near_f64(f64 x)
{
    u64 q;
    f64 tail;
    const f64 turn = quarter_turns_near_f64(x, &tail, &q);
    const f64 y = sin_turn_f64(turn, tail, q, sign_bit_f64(x));
    return k_abs_f64(x) < 0x1p-30 ? x : y;      // subnormals of the way would round
}
WORD f64 k_cos_near_f64(f64 x)
{
    u64 q;
    f64 tail;
    const f64 turn = quarter_turns_near_f64(x, &tail, &q);
    return sin_turn_f64(turn, tail, q + 1, 0);
}
WORD f64 k_tan_near_f64(f64 x)
{
    u64 q;
    f64 tail;
    const f64 turn = quarter_turns_near_f64(x, &tail, &q);
    const f64 y = tan_turn_f64(turn, tail, q, sign_bit_f64(x));
    return k_abs_f64(x) < 0x1p-30 ? x : y;
}

WORD f64 asin_rest_f64(f64 x, f64 z)        // asin(x) - x for |x| <= 1/2
{
    f64 p = 0x1.0568633314c40p-5;
    p = p * z - 0x1.09c4243dbd31ep-6;
    p = p * z + 0x1.3fead932b7890p-6;
    p = p * z + 0x1.abde2629f4821p-8;
    p = p * z + 0x1.8ec1366b907a8p-7;
    p = p * z + 0x1.c6fe0a283b97fp-7;
    p = p * z + 0x1.1c6bddc13d18ep-6;
    p = p * z + 0x1.6e89f48799325p-6;
    p = p * z + 0x1.f1c72c35ac4ebp-6;
    p = p * z + 0x1.6db6db428623fp-5;
    p = p * z + 0x1.333333336e6a9p-4;
    p = p * z + 0x1.5555555555391p-3;
    return p * (z * x);
}

WORD f64 k_asin_f64(f64 x)
{
    const f64 a = k_abs_f64(x);
    const int far = a > 0.5;
    const f64 z = far ? 0.5 - 0.5 * a : a * a;
    const f64 s = far ? __builtin_sqrt(z) : a, p = asin_rest_f64(s, z);
    const f64 head = 0x1.921fb54442d18p+0 - 2 * s, drop = (0x1.921fb54442d18p+0 - head) - 2 * s;
    return k_copysign_f64(far ? head - (2 * p - (0x1.1a62633145c07p-54 + drop)) : s + p, x);
}

WORD f64 k_acos_f64(f64 x)
{
    const f64 a = k_abs_f64(x);
    const int far = a > 0.5;
    const f64 z = far ? 0.5 - 0.5 * a : a * a;
    const f64 s = far ? __builtin_sqrt(z) : x, p = s + asin_rest_f64(s, z);
    const f64 edge = x < 0 ? 0x1.921fb54442d18p+1 - (2 * p - 0x1.1a62633145c07p-53) : 2 * p;
    return far ? edge : 0x1.921fb54442d18p+0 - (p - 0x1.1a62633145c07p-54);
}

// atan(y / x) for 0 <= y <= x: beyond tan(pi / 8), pi / 4 + atan((y - x) / (y + x)).
WORD f64 atan_first_f64(f64 y, f64 x)
{
    const int far = y > x * 0x1.a827999fcef32p-2;
    const f64 t = (far ? y - x : y) / (far ? y + x : x), z = t * t;
    f64 p = -0x1.255fbf1750f48p-6;
    p = p * z + 0x1.37d0db5f934c3p-5;
    p = p * z - 0x1.9cd0e22b023f9p-5;
    p = p * z + 0x1.df0ee42a6a609p-5;
    p = p * z - 0x1.10ebb16d0a1e4p-4;
    p = p * z + 0x1.3b111889b3519p-4;
    p = p * z - 0x1.745cf8d4d42c6p-4;
    p = p * z + 0x1.c71c70e5d48b1p-4;
    p = p * z - 0x1.24924922ace9ap-3;
    p = p * z + 0x1.999999999585fp-3;
    p = p * z - 0x1.555555555553dp-2;
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

// (1 + 2a) * erfcx(a) by t = (a - 4) / (a + 4), after Shepherd and Laframboise (1981).
WORD f64 erfcx_poly_f64(f64 t)
{
    const f64 w = t * t;                            // even and odd halves: half the latency
    f64 p = -0x1.3bebf30500bf3p-27;
    p = p * w + 0x1.1744c7a3d7152p-28;
    f64 q = -0x1.c77aec6c9d6d9p-26;
    p = p * w + 0x1.d0c625d48fe92p-26;
    q = q * w + 0x1.1c52ebb642ff5p-24;
    p = p * w - 0x1.6c07dde38f86dp-27;
    q = q * w + 0x1.aeba4cadb8293p-27;
    p = p * w + 0x1.8c7fda5f91106p-22;
    q = q * w - 0x1.98d15535b9810p-21;
    p = p * w - 0x1.79de89ae8b00cp-17;
    q = q * w + 0x1.7d9174cb7232cp-18;
    p = p * w + 0x1.3be75915e7206p-13;
    q = q * w - 0x1.99458904d4750p-16;
    p = p * w - 0x1.8d4af98b70d22p-11;
    q = q * w - 0x1.a1df40fec853dp-13;
    p = p * w - 0x1.0962382090c02p-6;
    q = q * w + 0x1.49c6721c48d34p-8;
    p = p * w - 0x1.0fb06e00395cbp-4;
    q = q * w + 0x1.3079edf93db17p-5;
    p = p * w - 0x1.9ddb23c3d542cp-4;
    q = q * w + 0x1.7fee004df75fap-4;
    p = p * w + 0x1.f7f5df66faff2p-7;
    q = q * w + 0x1.16ecefcfa60b9p-4;
    p = p * w + 0x1.3ba5916e9fd7fp+0;
    q = q * w - 0x1.1df1ad154a29cp-3;
    return q * t + p;
}

// erfc(a) for 0 <= a <= 28: erfcx times exp(-a^2) with a^2 as a pair.
WORD f64 erfc_far_f64(f64 a)
{
    const f64 p = erfcx_poly_f64((a - 4) / (a + 4));
    f64 n, low;
    const f64 square = two_product_f64(a, a, &low);
    const f64 e = 1 + exp_reduced_f64(-square, -low, &n);
    return scale_f64(p * e / (1 + 2 * a), n);
}

// log(erfc(a)) for 1 <= a <= 6, good enough for 1 - erfc(a).
WORD f64 log_erfc_f64(f64 a)
{
    const f64 w = a * a;                            // even and odd halves: half the latency
    f64 p = 0x1.95ce9a7124c9dp-46;
    p = p * w + 0x1.1f8c9781852fbp-35;
    f64 q = -0x1.5f0b1ad743346p-40;
    p = p * w + 0x1.b0839b3c23d18p-28;
    q = q * w - 0x1.28b05210dba43p-31;
    p = p * w + 0x1.92a54c0b99024p-22;
    q = q * w - 0x1.d94321d813ea2p-25;
    p = p * w + 0x1.24d0ee570d9f0p-17;
    q = q * w - 0x1.0faee84ddfd87p-19;
    p = p * w + 0x1.44ecf8a7d6d1cp-14;
    q = q * w - 0x1.f3c0ab70f725dp-16;
    p = p * w + 0x1.eb9ef0022484fp-15;
    q = q * w - 0x1.1a75aebb5f732p-13;
    p = p * w - 0x1.ab43c84779e1cp-10;
    q = q * w + 0x1.09d02b1b2a32fp-11;
    p = p * w + 0x1.39be96cd2a9cap-6;
    q = q * w + 0x1.5e16ccabdef3fp-13;
    p = p * w - 0x1.45f2c19322eb5p-1;
    q = q * w - 0x1.a4fd1a0b28d7cp-4;
    p = p * w + 0x1.cd3285188331dp-26;
    q = q * w - 0x1.20dd7ac2a6e31p+0;
    return q * a + p;
}

WORD f64 k_erf_f64(f64 x)
{
    const f64 a = k_abs_f64(x);
    f64 n;
    const f64 e = exp_reduced_f64(log_erfc_f64(6 < a ? 6 : a), 0, &n), s = pow2_f64(n);
    return a < 1 ? erf_near_f64(x) : k_copysign_f64((1 - s) - s * e, x);
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
    f64 p = 0x1.0e432536f4aefp-3;
    p = p * z + 0x1.0f7fde2b3ff50p-3;
    p = p * z + 0x1.3b1eec752edc9p-3;
    p = p * z + 0x1.745ce9e1899d3p-3;
    p = p * z + 0x1.c71c722d6a06ep-3;
    p = p * z + 0x1.2492492457d4ap-2;
    p = p * z + 0x1.9999999999b30p-2;
    const f64 l = 2 * s + t, ll = ((2 * s - l) + t) + (tl + 2 * sl + p * (z * c));
    const f64 big = e * 0x1.62e42fefa4p-1, h = big + l;
    const f64 low = ((big - h) + l) + (ll - e * 0x1.8432a1b0e2634p-43);
    const f64 head = h + low;
    *tail = (h - head) + low;
    return head;
}

WORD f64 k_pow_f64(f64 x, f64 y)
{
    const f64 ax = k_abs_f64(x);
    const f64 by = clamp_f64(y, -0x1p65, 0x1p65);           // beyond, every x but 1 gives 0 or inf
    f64 ll, pe, n;
    f64 l = log_pair_f64(ax, &ll);
    l = ax == 0 ? -MATH_INF_F64 : l;
    const f64 t = two_product_f64(by, l, &pe);
    const f64 tl = k_abs_f64(t) < 760 ? pe + by * ll : 0;
    const f64 e = exp_reduced_f64(clamp_f64(t, -760, 760), tl, &n);
    f64 p = scale_f64(1 + e, n);

    const f64 edge = y < 0 ? 0 : MATH_INF_F64;
    const i64 yb = (i64)f64_to_bits(k_abs_f64(y)), cb = yb < 0x4340000000000000 ? yb : 0x4340000000000000;    // 2^53
    const f64 cy = f64_from_bits((u64)cb), d = cy - ((cy + 0x1.8p54) - 0x1.8p54), m = d + MATH_ROUND_F64;   // as in f32
    const u64 broken = -(-f64_to_bits(k_abs_f64(d - (m - MATH_ROUND_F64))) >> 63);
    p = x < 0 ? p + f64_from_bits(broken & 0x7ff8000000000000u) : p;
    p = ax == MATH_INF_F64 ? edge : p;
    p = f64_from_bits(f64_to_bits(p) ^ (f64_to_bits(x) & ~broken & f64_to_bits(m) << 63));
    p = x != x ? x : p;
    p = y != y ? y : p;
    p = x == 1 ? 1 : p;
    return y == 0 ? 1 : p;
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

WORD int k_fmod_is_near_f64(f64 x, f64 y)
{
    const f64 a = k_abs_f64(x), b = k_abs_f64(y);
    return (a < b * 0x1p50) & (b < 0x1p900) & (b > 0x1p-900);
}
WORD f64 k_fmod_near_f64(f64 x, f64 y)      // q * b as a pair, so that the difference is exact
{
    const f64 a = k_abs_f64(x), b = k_abs_f64(y);
    f64 error;
    const f64 p = two_product_f64(round_f64(a / b), b, &error);
    const f64 r = (a - p) - error;
    return k_copysign_f64(r < 0 ? r + b : r, x);
}

// These have one form.
WORD int k_log_is_near_f64(f64 x) { return (void)x, 1; }
WORD f64 k_log_near_f64(f64 x) { return k_log_f64(x); }
WORD f64 k_log2_near_f64(f64 x) { return k_log2_f64(x); }
WORD f64 k_log10_near_f64(f64 x) { return k_log10_f64(x); }

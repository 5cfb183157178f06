// SPDX-License-Identifier: Apache-2.0
// The logarithm of the gamma function and its derivative, f32 computed in f64: near the zeros, above all between the negative
// poles, sums cancel that f32 could not hold. Included after log_positive_f64, the logarithm
// of a positive normal number.
//
//   a >= 3  lgamma(a) = (a - 1/2) log(a) - a + log(2 pi) / 2 + P(1 / a^2) / a     digamma(a) = log(a) - 1 / (2 a) - P(1 / a^2) / a^2
//   a < 3   lgamma(2 + t) = t (1 + t) P(t), -1 <= t <= 1, and lgamma(a) = lgamma(a + 1) - log(a);  digamma by three steps up
//   -a      lgamma = log(pi / (a |sin(pi a)|)) - lgamma(a)                         digamma = digamma(a) + 1 / a + pi / tan(pi a)
#ifndef CARAT_MATH_GAMMA_H
#define CARAT_MATH_GAMMA_H

#ifndef MATH_ROUND_F64
#define MATH_ROUND_F64 0x1.8p52 // added and taken away: rounds to a whole number
#endif

WORD f64 sin_of_turns_mid(f64 r)            // sin(pi r), |r| <= 1/2
{
    const f64 z = r * r;
    f64 p = -0x1.6261098325440p-16;
    p = p * z + 0x1.e89cd7fccd653p-12;
    p = p * z - 0x1.e306236525e19p-8;
    p = p * z + 0x1.50783248dbe39p-4;
    p = p * z - 0x1.32d2cce17aab8p-1;
    p = p * z + 0x1.466bc67750ff1p+1;
    p = p * z - 0x1.4abbce625bd5dp+2;
    p = p * z + 0x1.921fb54442d17p+1;
    return p * r;
}

WORD f64 gamma_near_mid(f64 t)              // lgamma(2 + t) / (t (1 + t))
{
    f64 p = 0x1.6bef5db418d10p-24;
    p = p * t - 0x1.62ba8026d4052p-23;
    p = p * t - 0x1.afc6438ff041cp-24;
    p = p * t + 0x1.43ae1e1554dbdp-23;
    p = p * t + 0x1.740afcfbb7108p-21;
    p = p * t - 0x1.66582986651cfp-20;
    p = p * t + 0x1.9fcdb39018951p-20;
    p = p * t - 0x1.cee81df7fd469p-19;
    p = p * t + 0x1.18c87fa1e6cc5p-17;
    p = p * t - 0x1.2bba493541b90p-16;
    p = p * t + 0x1.3fbf5f49cb572p-15;
    p = p * t - 0x1.5c41a2c668761p-14;
    p = p * t + 0x1.7edd5c78366ecp-13;
    p = p * t - 0x1.a96d819ea6f36p-12;
    p = p * t + 0x1.dfeb9d1b9cd7bp-11;
    p = p * t - 0x1.1451173bb7eb6p-9;
    p = p * t + 0x1.479748bd36b0cp-8;
    p = p * t - 0x1.95ce225afe07ep-7;
    p = p * t + 0x1.0e0c9df23d703p-5;
    p = p * t - 0x1.9ae6509e92b38p-4;
    p = p * t + 0x1.b0ee607209486p-2;
    return p;
}

WORD f64 stirling_mid(f64 z)
{
    f64 p = 0x1.df8b348551ce8p-7;
    p = p * z - 0x1.753697e0eb88bp-7;
    p = p * z + 0x1.3f88b2d1bae86p-8;
    p = p * z - 0x1.df220ff0e2652p-10;
    p = p * z + 0x1.b786e798ea1acp-11;
    p = p * z - 0x1.3808d34bb3522p-11;
    p = p * z + 0x1.a019de6a3475fp-11;
    p = p * z - 0x1.6c16c15ebd3e9p-9;
    p = p * z + 0x1.5555555555259p-4;
    return p;
}

WORD f64 digamma_mid(f64 z)
{
    f64 p = 0x1.6cceb31855e4ap-3;
    p = p * z - 0x1.1bf49b09ec81ep-3;
    p = p * z + 0x1.d5a8eed5e88acp-5;
    p = p * z - 0x1.3f78b23d2f42bp-6;
    p = p * z + 0x1.ec2f557ba50efp-8;
    p = p * z - 0x1.10f46ae23abbbp-8;
    p = p * z + 0x1.040fd23d69851p-8;
    p = p * z - 0x1.111110a688f32p-7;
    p = p * z + 0x1.555555554c725p-4;
    return p;
}

// a > 0.
WORD f64 lgamma_positive_mid(f64 a)
{
    const f64 l = log_positive_f64(a), t = a < 1 ? a - 1 : a - 2, far = a < 3 ? 3 : a, w = 1 / far;
    const f64 near = (a < 1 ? a : a - 1) * t * gamma_near_mid(a < 3 ? t : 0);
    const f64 large = ((far - 0.5) * l - far) + (0x1.d67f1c864beb5p-1 + w * stirling_mid(w * w));
    return a < 1 ? near - l : a < 3 ? near + 0 : large; // + 0: the zeros are positive
}

// What is over from the nearest whole number; whole numbers themselves give 0.
WORD f64 turns_mid(f64 a) { return a < 0x1p51 ? a - ((a + MATH_ROUND_F64) - MATH_ROUND_F64) : 0; }

WORD f32 k_lgamma_f32(f32 x)
{
    const f64 a = k_abs_f32(x), s = k_abs_f64(sin_of_turns_mid(turns_mid(a)));
    const f64 b = x != 0 ? a : 1, y = lgamma_positive_mid(b);
    const f64 reflected = 0x1.250d048e7a1bdp+0 - log_positive_f64(s > 0 ? b * s : 1) - y;
    const f32 finite = (f32)(x < 0 ? reflected : y);
    const f32 value = (x < 0 && !(s > 0)) || x == 0 || a == MATH_INF_F64 ? MATH_INF_F32 : finite;
    return x != x ? x : value;
}
WORD int k_lgamma_is_near_f32(f32 x) { return x > 0 && x < MATH_INF_F32; }
WORD f32 k_lgamma_near_f32(f32 x) { return (f32)lgamma_positive_mid(x); }

WORD f32 k_digamma_f32(f32 x)
{
    const f64 a = k_abs_f32(x), up = a < 3 ? a + 3 : a, w = 1 / up, z = w * w;
    const f64 steps = (3 * a * a + 6 * a + 2) / (a * (a + 1) * (a + 2));
    const f64 positive = log_positive_f64(up) - 0.5 * w - z * digamma_mid(z) - (a < 3 ? steps : 0);
    const f64 r = turns_mid(a), far = k_abs_f64(r), cosine = sin_of_turns_mid(0.5 - far);
    const f64 negative = positive + 1 / a + 0x1.921fb54442d18p+1 * cosine / sin_of_turns_mid(r);
    const f32 value = (f32)(x < 0 ? negative : positive);
    const f32 pole = x == 0 ? k_copysign_f32(MATH_INF_F32, -x) : value;
    const f32 edge = a == MATH_INF_F64 ? (x < 0 ? MATH_NAN_F32 : x) : pole;
    return (f32)(x < 0 ? (r == 0 ? MATH_NAN_F64 : edge) : edge);
}

// f32 only.
#define k_lgamma(x)         k_lgamma_f32(x)
#define k_lgamma_is_near(x) k_lgamma_is_near_f32(x)
#define k_lgamma_near(x)    k_lgamma_near_f32(x)
#define k_digamma(x)        k_digamma_f32(x)

#endif

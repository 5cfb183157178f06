// SPDX-License-Identifier: Apache-2.0
// Random numbers from a Mersenne twister (mt19937), bit for bit the stream of PyTorch's CPU generator.
//
// The generator's words obey x[k + 624] = x[k + 397] ^ f(x[k], x[k + 1]). Written into one long buffer the recurrence has no
// blocks or edges, and 227 words are independent of each other: TWIST makes them in vectors, one group for all of them, since
// nothing else about it is parallel. Then every group of the other kinds takes the words of RANDOM_GROUP_ELEMENTS elements,
// tempers them (y ^= shifted and masked y, four times) into LOCAL memory and makes elements of them.
//   BERNOULLI    a pair of words is a 53-bit number; 1 where it is below p * 2^53
//   BERNOULLI_EACH  a number of 24 bits (53 for f64) in [0, 1); 1 where it is below the element's own p
//   UNIFORM      24 bits (53 for f64) scaled to [from, to)
//   NORMAL       Box and Muller: words i and i + 8 of each 16 become sqrt(-2 log(1 - u)) * (cos, sin)(2 pi v)
//   EXPONENTIAL  -log(1 - u) / lambda in f64, of 53 bits
//   INTEGER      a word or pair modulo the numbers that T holds exactly
//   BELOW        a word modulo `range`, by a multiplication, + `base`
//   PERMUTATION  Fisher and Yates: element i changes places with one behind it. Serial: one group.
// NORMAL follows the single-precision logarithm, sine and cosine of the Cephes library operation by operation, as ATen does, for
// the results to have its very bits; sums of products contract to multiply-adds alike.
//
// Cost: the recurrence and tempering take two cycles a word in 8-lane vectors, the transformation one to five; the result is
// written once. Predicted 0.8 ns for a uniform f32, measured 0.5 (Zen 3, one thread; the buffer stays in the cache), where ATen's
// word-by-word loop takes 8; Bernoulli 1.1 against 28, normal 1.4 against 8, exponential 5.4 against 42.
//
// Defines: T, PAIRS (two words an element), and the kind, set to 1.
#include "random_args.h"

#ifdef TWIST
#define INDEPENDENT_WORDS 208 // at most 227
KERNEL(random_args, a)
{
    u32 *const x = a->words + group_id() * RANDOM_BLOCK;
    for (i64 at = 0; at < a->count * RANDOM_BLOCK; at += INDEPENDENT_WORDS) {
        u32 *const block = x + at;
        FOR_LANES(i, INDEPENDENT_WORDS) {
            const u32 joined = (block[i] & 0x80000000u) | (block[i + 1] & 0x7fffffffu);
            block[i + 624] = block[i + 397] ^ joined >> 1 ^ (-(block[i + 1] & 1) & 0x9908b0dfu);
        }
        SYNC();
    }
}
_Static_assert(RANDOM_BLOCK % INDEPENDENT_WORDS == 0, "a block is made in whole steps");
#undef INDEPENDENT_WORDS
#else

WORD u32 LOCAL_NAME(temper)(u32 y)
{
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

// The first word of a pair is the upper half.
#define PAIR(w, i) ((u64)(w)[2 * (i)] << 32 | (w)[2 * (i) + 1])

// A 53-bit number in [0, 2^53) as f64 * 2^-53: the halves are put under exponents, and those taken off again.
WORD f64 LOCAL_NAME(fraction)(u32 high, u32 low)
{
    const f64 h = f64_from_bits((high & 0x1fffffu) | 0x4530000000000000u), l = f64_from_bits(low | 0x4330000000000000u);
    return ((h - (0x1p84 + 0x1p52)) + l) * 0x1p-53;
}

#if defined BERNOULLI
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    const i64 threshold = a->base;
    FOR_LANES(i, n) out[i] = CAT(store_, T)((i64)(PAIR(w, i) & 0x1fffffffffffffu) < threshold ? 1 : 0);
}

#elif defined BERNOULLI_EACH
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    const T *const p = (const T *)a->p + (out - (const T *)a->out);
#if PAIRS
    FOR_LANES(i, n) out[i] = CAT(store_, T)(LOCAL_NAME(fraction)(w[2 * i], w[2 * i + 1]) < CAT(load_, T)(p[i]) ? 1 : 0);
#else
    FOR_LANES(i, n) out[i] = CAT(store_, T)((f32)(i32)(w[i] & 0xffffffu) * 0x1p-24f < CAT(load_, T)(p[i]) ? 1 : 0);
#endif
}

#elif defined UNIFORM
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    const CAT(acc_, T) from = (CAT(acc_, T))a->first, range = (CAT(acc_, T))a->second - from;
#if PAIRS
    FOR_LANES(i, n) out[i] = LOCAL_NAME(fraction)(w[2 * i], w[2 * i + 1]) * range + from;
#else
    // A half may be rounded up to `to`, which is out of bounds.
    const f32 to = CAT(load_, T)(CAT(store_, T)((f32)a->second));
    const T first = CAT(store_, T)(from);
    FOR_LANES(i, n) {
        const T value = CAT(store_, T)((f32)(i32)(w[i] & 0xffffffu) * 0x1p-24f * range + from);
        out[i] = CAT(load_, T)(value) == to ? first : value;
    }
#endif
}

#elif defined NORMAL
// log(x) for normal x in (0, 1].
WORD f32 LOCAL_NAME(log)(f32 x)
{
    const u32 bits = f32_to_bits(x);
    const f32 fraction = f32_from_bits((bits & 0x807fffffu) | 0x3f000000u);
    const i32 low = fraction < 0.707106781186547524f;
    const f32 e = (f32)((i32)(bits >> 23) - 126) - (f32)low;
    const f32 m = fraction - 1 + (low ? fraction : 0);
    const f32 z = m * m;
    f32 y = 7.0376836292E-2f;
    y = y * m + -1.1514610310E-1f;
    y = y * m + 1.1676998740E-1f;
    y = y * m + -1.2420140846E-1f;
    y = y * m + 1.4249322787E-1f;
    y = y * m + -1.6668057665E-1f;
    y = y * m + 2.0000714765E-1f;
    y = y * m + -2.4999993993E-1f;
    y = y * m + 3.3333331174E-1f;
    y = y * m;
    y = y * z + e * -2.12194440e-4f;
    y = y - z * 0.5f;
    return m + y + e * 0.693359375f;
}

// sin and cos of x >= 0.
WORD f32 LOCAL_NAME(sincos)(f32 x, f32 *cosine)
{
    const i32 octant = ((i32)(x * 1.27323954473516f) + 1) & ~1;
    const f32 y = (f32)octant;
    const u32 sin_sign = (u32)(octant & 4) << 29, cos_sign = (u32)(~(octant - 2) & 4) << 29;
    x = x + y * -0.78515625f;
    x = x + y * -2.4187564849853515625e-4f;
    x = x + y * -3.77489497744594108e-8f;
    const f32 z = x * x;
    f32 c = 2.443315711809948E-005f;
    c = c * z + -1.388731625493765E-003f;
    c = c * z + 4.166664568298827E-002f;
    c = c * z;
    c = c * z - z * 0.5f;
    c = c + 1;
    f32 s = -1.9515295891E-4f;
    s = s * z + 8.3321608736E-3f;
    s = s * z + -1.6666654611E-1f;
    s = s * z;
    s = s * x + x;
    const i32 straight = (octant & 2) == 0;
    *cosine = f32_from_bits(f32_to_bits((straight ? c : s) + 0.0f) ^ cos_sign);
    return f32_from_bits(f32_to_bits((straight ? s : c) + 0.0f) ^ sin_sign);
}

WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    const f32 mean = (f32)a->first, std = (f32)a->second;
    for (i64 at = 0; at < n; at += 16)
        FOR_LANES(i, 8) {
            const f32 u = 1 - (f32)(i32)(w[at + i] & 0xffffffu) * 0x1p-24f, v = (f32)(i32)(w[at + i + 8] & 0xffffffu) * 0x1p-24f;
            const f32 radius = __builtin_sqrtf(-2.0f * LOCAL_NAME(log)(u));
            f32 cosine;
            const f32 sine = LOCAL_NAME(sincos)(6.28318530717958647692f * v, &cosine);
            const f32 c = radius * cosine, s = radius * sine;
            out[at + i] = CAT(store_, T)(c * std + mean);
            out[at + i + 8] = CAT(store_, T)(s * std + mean);
        }
}

#elif defined EXPONENTIAL
// The logarithm is off by an ULP or two of f64, which can only matter where f32 rounds a result that near to the middle between
// two of its numbers, once in 2^24: then the host computes it with the C library's function.
#define NEAR 16
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    const f64 scale = -1.0 / a->first;
    u64 unsure = 0;
    FOR_LANES(i, n) {
        const f64 y = scale * k_log1p(-LOCAL_NAME(fraction)(w[2 * i], w[2 * i + 1]));
        unsure |= (f64_to_bits(y) & 0x1fffffffu) - (0x10000000u - NEAR) <= 2 * NEAR;
        out[i] = CAT(store_, T)((f32)y);
    }
    if (unsure) *a->unsure = 1;
}
#undef NEAR

#elif defined INTEGER
#define INTEGER_b8(x) ((x) & 1)
#define INTEGER_u8(x) ((x) & 0xff)
#define INTEGER_i8(x) ((x) & 0x7f)
#define INTEGER_i16(x) ((x) & 0x7fff)
#define INTEGER_i32(x) ((x) & 0x7fffffff)
#define INTEGER_i64(x) ((i64)((x) & 0x7fffffffffffffff))
#define INTEGER_bf16(x) ((i32)((x) % 0x101))
#define INTEGER_f16(x) ((i32)((x) % 0x801))
#define INTEGER_f32(x) ((i32)((x) % 0x1000001))
// x = high * 2^53 + low = low - high modulo 2^53 + 1
#define INTEGER_f64(x) LOCAL_NAME(wrap)((i64)((x) & 0x1fffffffffffff) - (i64)((x) >> 53))
WORD f64 LOCAL_NAME(wrap)(i64 x) { return (f64)(x < 0 ? x + 0x20000000000001 : x); }
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    (void)a;
#if PAIRS
    FOR_LANES(i, n) out[i] = CAT(store_, T)(CAT(INTEGER_, T)(PAIR(w, i)));
#else
    FOR_LANES(i, n) out[i] = CAT(store_, T)(CAT(INTEGER_, T)(w[i]));
#endif
}

#elif defined BELOW
// Division by a constant as Granlund and Montgomery have it: exact for every word.
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    const u32 range = a->range, magic = a->magic, first = a->shift > 0, rest = a->shift - first;
    const i64 base = a->base;
    FOR_LANES(i, n) {
        const u32 t = (u32)((u64)w[i] * magic >> 32);
        const u32 quotient = (t + ((w[i] - t) >> first)) >> rest;
        out[i] = CAT(store_, T)((i64)(w[i] - quotient * range) + base);
    }
}

#elif defined PERMUTATION
// Quotients of 32-bit numbers, rounded to f64, never reach the next integer. Two elements or more are left: they fit an i32.
WORD void LOCAL_NAME(elements)(const random_args *a, T *out, const u32 *w, i64 n)
{
    LOCAL(u32, other, RANDOM_GROUP_ELEMENTS);
    const f64 left = (f64)(a->length - a->done);
    FOR_LANES(i, n) {
        const f64 behind = left - (f64)(i32)i;
        const f64 word = f64_from_bits(w[i] | 0x4330000000000000u) - 0x1p52;
        other[i] = w[i] - (u32)(i32)(word / behind) * (u32)(i32)behind;
    }
    T *const at = out + a->done;
    SCALAR_LOOP for (i64 i = 0; i < n; ++i) {
        const T kept = at[i];
        at[i] = at[i + other[i]];
        at[i + other[i]] = kept;
    }
}
#endif

KERNEL(random_args, a)
{
    const i64 first = group_id() * RANDOM_GROUP_ELEMENTS, left = a->count - first;
    const i64 n = left < RANDOM_GROUP_ELEMENTS ? left : RANDOM_GROUP_ELEMENTS;
    LOCAL(u32, w, RANDOM_GROUP_ELEMENTS * (1 + PAIRS));
    const u32 *const words = a->words + first * (1 + PAIRS);
    FOR_LANES(i, n * (1 + PAIRS)) w[i] = LOCAL_NAME(temper)(words[i]);
    SYNC();
    LOCAL_NAME(elements)(a, (T *)a->out + first, w, n);
}
#undef PAIR
#endif

// SPDX-License-Identifier: Apache-2.0
// Measures the error of every word of kernels/dialect/math.h in ULP and fails where a limit of maths_list.def is
// exceeded. f32 is held against libm in double, f64 against libquadmath; maths_sample.py holds those against mpmath.
//
//     maths_test [-n samples] [name ...]     random bit patterns, the row's range and special values; a table
//     maths_test --full [name ...]           all 2^32 values of the unary f32 functions (minutes)
//     maths_test --time [name ...]           nanoseconds an element, 16K elements, vector loop
//     maths_test --dump f32|f64 name         300 lines of "x y result reference" in hex, for maths_sample.py
#include <math.h>
#include <quadmath.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef float f32;
typedef double f64;
typedef int32_t i32;
typedef int64_t i64;
typedef uint32_t u32;
typedef uint64_t u64;
#define WORD static inline __attribute__((always_inline, unused))
#include "../../kernels/dialect/math.h"

#ifndef VEC
#define VEC 32
#endif
#define CHUNK 16384     // elements per call, a multiple of VEC

// ---- references ----------------------------------------------------------------------------------------------------

typedef __float128 f128;
static f64 ref_rsqrt(f64 x)    { return 1 / sqrt(x); }
static f64 ref_sigmoid(f64 x)  { return 1 / (1 + exp(-x)); }
static f128 ref_rsqrtq(f128 x)   { return 1 / sqrtq(x); }
static f128 ref_sigmoidq(f128 x) { return x < -5000 ? 0 : 1 / (1 + expq(-x)); }

// The near forms are held to their range only.
#define NEAR(name)                                                                                          \
    static f64 ref_##name##_near(f64 x)    { return name(x); }                                              \
    static f128 ref_##name##_nearq(f128 x) { return name##q(x); }
NEAR(sin) NEAR(cos) NEAR(tan) NEAR(exp) NEAR(expm1)
NEAR(log) NEAR(log2) NEAR(log10)
static f64 ref_sigmoid_near(f64 x)    { return ref_sigmoid(x); }
static f128 ref_sigmoid_nearq(f128 x) { return ref_sigmoidq(x); }
static f64 ref_fmod_near(f64 x, f64 y)     { return fmod(x, y); }
static f128 ref_fmod_nearq(f128 x, f128 y) { return fmodq(x, y); }

// ---- the functions under test, in the loop a kernel has ---------------------------------------------------------------

typedef void (*run_f32)(const f32 *, const f32 *, f32 *);
typedef void (*run_f64)(const f64 *, const f64 *, f64 *);
#define RUN(T, name, call)                                                                              \
    static __attribute__((noinline)) void run_##name##_##T(const T *restrict x, const T *restrict y, T *restrict out)  \
    {                                                                                                   \
        for (int i = 0; i < CHUNK; i += VEC) {                                                          \
            T a[VEC], b[VEC], r[VEC];                                                                   \
            (void)b;                                                                                    \
            for (int k = 0; k < VEC; ++k) a[k] = x[i + k];                                              \
            for (int k = 0; k < VEC; ++k) b[k] = y[i + k];                                              \
            for (int k = 0; k < VEC; ++k) r[k] = call;                                                  \
            for (int k = 0; k < VEC; ++k) out[i + k] = r[k];                                            \
        }                                                                                               \
    }
#define UNARY(name, ref, lo, hi, l32, l64)  RUN(f32, name, k_##name(a[k])) RUN(f64, name, k_##name(a[k]))
#define BINARY(name, ref, lo, hi, l32, l64) RUN(f32, name, k_##name(a[k], b[k])) RUN(f64, name, k_##name(a[k], b[k]))
#include "maths_list.def"
#undef UNARY
#undef BINARY

typedef struct {
    const char *name;
    int binary;
    f64 lo, hi, limit32, limit64;
    run_f32 run32;
    run_f64 run64;
    f64 (*ref1)(f64);
    f64 (*ref2)(f64, f64);
    f128 (*quad1)(f128);
    f128 (*quad2)(f128, f128);
} row;

static const row rows[] = {
#define UNARY(name, ref, lo, hi, l32, l64)  {#name, 0, lo, hi, l32, l64, run_##name##_f32, run_##name##_f64, ref, 0, ref##q, 0},
#define BINARY(name, ref, lo, hi, l32, l64) {#name, 1, lo, hi, l32, l64, run_##name##_f32, run_##name##_f64, 0, ref, 0, ref##q},
#include "maths_list.def"
#undef UNARY
#undef BINARY
};
enum { ROWS = sizeof rows / sizeof *rows };

// ---- error in ULP --------------------------------------------------------------------------------------------------

static int is_negative(f64 x) { return signbit(x) != 0; }

// 1e9 stands for a wrong NaN, infinity or sign of zero.
static f64 ulp_f32(f32 got, f64 want)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : 1e9;
    if (isinf(want)) return got == want ? 0 : 1e9;
    if (want == 0 || (got == 0 && fabs(want) < 1e-40)) {
        if (got == 0 && is_negative(got) != is_negative(want)) return 1e9;
    }
    const f64 g = isinf(got) ? copysign(0x1p128, got) : got;      // overflow begins half an ULP below 2^128
    if (fabs(want) > 0x1p128) want = copysign(0x1p128, want);
    const int e = want == 0 ? -149 : ilogb(want) - 23;
    return fabs(g - want) / ldexp(1, e < -149 ? -149 : e);
}

static f64 ulp_f64(f64 got, f128 want)
{
    if (isnanq(want) || isnan(got)) return isnanq(want) && isnan(got) ? 0 : 1e9;
    if (isinfq(want)) return got == want ? 0 : 1e9;
    if (want == 0 && got == 0 && is_negative(got) != (signbitq(want) != 0)) return 1e9;
    const f128 top = ldexpq(1, 1024), g = isinf(got) ? copysignq(top, got) : got;
    if (fabsq(want) > top) want = copysignq(top, want);
    const int e = want == 0 ? -1074 : ilogbq(want) - 52;
    return (f64)(fabsq(g - want) / ldexpq(1, e < -1074 ? -1074 : e));
}

// ---- inputs --------------------------------------------------------------------------------------------------------

static u64 state = 0x9e3779b97f4a7c15u;
static u64 draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static f64 uniform(f64 lo, f64 hi) { return lo + (hi - lo) * (f64)(draw() >> 11) * 0x1p-53; }

static const f64 special[] = {
    0, 1, 2, 3, 4, 0.5, 1.5, 2.5, 0.25, 10, 100, 1000, 0x1p-149, 0x1p-126, 0x1.fffffcp-127, 0x1.fffffep127, 0x1p23, 0x1p24,
    0x1p22, 0x1p25, 8388607.5, 16777217, 4194303.5, 0x1p-1074, 0x1p-1022, 0x1.fffffffffffffp1023, 0x1p52, 0x1p53, 0x1p31,
    9007199254740991.0, 0x1.fffffep-1, 0x1.000002p0, 0x1.fffffffffffffp-1, 0x1.0000000000001p0, 3.141592653589793,
    1.5707963267948966, 0.7853981633974483, 0x1p100, 0x1p-100, 0x1p1000, 0x1p-1000, 88.72283, 88.72284, -87.33654,
    103.972, 103.973, 709.782712893384, 709.7827128933841, 745.1332191019411, 745.1332191019412, 708.3964185322641, 5.5, 7,
    0x1.6ac5b262ca1ffp849  /* nearest of all f64 to a multiple of pi / 2 */, 0x1.f37f52p95, 33, 1e10, 1e22, 0x1.0p-24, 0x1p-25, 0x1p-54, 0.3465736, 0.7071067811865476, 0.41421356237309503, 2.414213562373095,
    INFINITY, NAN };
enum { SPECIALS = 2 * sizeof special / sizeof *special };
static f64 special_at(int i) { return i & 1 ? -special[i / 2] : special[i / 2]; }

// The j-th pair of inputs: all pairs of special values, then thirds: any bits, the row's range, a finer neighbourhood.
static void inputs_f32(const row *r, i64 j, f32 *x, f32 *y)
{
    if (j < (i64)SPECIALS * SPECIALS) {
        *x = (f32)special_at(j % SPECIALS);
        *y = (f32)special_at(j / SPECIALS);
    } else if (j % 3 == 0) {
        *x = f32_from_bits((u32)(draw() >> 32));
        *y = f32_from_bits((u32)(draw() >> 32));
    } else {
        *x = (f32)uniform(r->lo, r->hi);
        *y = (f32)uniform(r->lo, r->hi);
        if (j % 3 == 1) *x *= f32_from_bits((u32)(127 - draw() % 30) << 23);
    }
}
static void inputs_f64(const row *r, i64 j, f64 *x, f64 *y)
{
    if (j < (i64)SPECIALS * SPECIALS) {
        *x = special_at(j % SPECIALS);
        *y = special_at(j / SPECIALS);
    } else if (j % 3 == 0) {
        *x = f64_from_bits(draw());
        *y = f64_from_bits(draw());
    } else {
        *x = uniform(r->lo, r->hi);
        *y = uniform(r->lo, r->hi);
        if (j % 3 == 1) *x = ldexp(*x, -(int)(draw() % 60));
        else if (j % 2) *x *= 8;                    // exp and its like go on to 745
    }
}

static f64 reference_f32(const row *r, f32 x, f32 y) { return r->binary ? r->ref2(x, y) : r->ref1(x); }
static f128 reference_f64(const row *r, f64 x, f64 y) { return r->binary ? r->quad2(x, y) : r->quad1(x); }

// ---- measuring -----------------------------------------------------------------------------------------------------

typedef struct { f64 ulp, x, y, got; } worst;

// Trigonometric near forms have one range, exponential ones another.
static bool is_trigonometric(const row *r)
{
    return strncmp(r->name, "sin", 3) == 0 || strncmp(r->name, "cos", 3) == 0 || strncmp(r->name, "tan_", 4) == 0;
}

static f32 x32[CHUNK], y32[CHUNK], z32[CHUNK];
static f64 x64[CHUNK], y64[CHUNK], z64[CHUNK];

static bool is_near_f32(const row *r, f32 x, f32 y)
{
    if (r->binary) return k_fmod_is_near(x, y);
    if (strncmp(r->name, "tanh", 4) == 0) return k_exp_is_near(x + x);
    if (strncmp(r->name, "log", 3) == 0) return k_log_is_near(x);
    return is_trigonometric(r) ? k_is_near(x) : k_exp_is_near(x);
}
static void keep_near_f32(const row *r)
{
    if (!strstr(r->name, "_near")) return;
    for (int i = 0; i < CHUNK; ++i)
        if (!is_near_f32(r, x32[i], y32[i])) x32[i] = y32[i] = 1;
}
static bool is_near_f64(const row *r, f64 x, f64 y)
{
    if (r->binary) return k_fmod_is_near(x, y);
    if (strncmp(r->name, "tanh", 4) == 0) return k_exp_is_near(x + x);
    if (strncmp(r->name, "log", 3) == 0) return k_log_is_near(x);
    return is_trigonometric(r) ? k_is_near(x) : k_exp_is_near(x);
}
static void keep_near_f64(const row *r)
{
    if (!strstr(r->name, "_near")) return;
    for (int i = 0; i < CHUNK; ++i)
        if (!is_near_f64(r, x64[i], y64[i])) x64[i] = y64[i] = 1;
}

static void note(worst *w, f64 ulp, f64 x, f64 y, f64 got)
{
    if (ulp > w->ulp) *w = (worst){ulp, x, y, got};
}

static worst measure_f32(const row *r, i64 samples)
{
    worst w = {-1, 0, 0, 0};
    for (i64 j = 0; j < samples; j += CHUNK) {
        for (int i = 0; i < CHUNK; ++i) inputs_f32(r, j + i, x32 + i, y32 + i);
        keep_near_f32(r);
        r->run32(x32, y32, z32);
        for (int i = 0; i < CHUNK; ++i)
            note(&w, ulp_f32(z32[i], reference_f32(r, x32[i], y32[i])), x32[i], y32[i], z32[i]);
    }
    return w;
}

static worst measure_f64(const row *r, i64 samples)
{
    worst w = {-1, 0, 0, 0};
    for (i64 j = 0; j < samples; j += CHUNK) {
        for (int i = 0; i < CHUNK; ++i) inputs_f64(r, j + i, x64 + i, y64 + i);
        keep_near_f64(r);
        r->run64(x64, y64, z64);
        for (int i = 0; i < CHUNK; ++i)
            note(&w, ulp_f64(z64[i], reference_f64(r, x64[i], y64[i])), x64[i], y64[i], z64[i]);
    }
    return w;
}

static worst measure_all_f32(const row *r)
{
    worst w = {-1, 0, 0, 0};
    for (u64 b = 0; b < (u64)1 << 32; b += CHUNK) {
        for (int i = 0; i < CHUNK; ++i) x32[i] = f32_from_bits((u32)b + (u32)i);
        keep_near_f32(r);
        r->run32(x32, y32, z32);
        for (int i = 0; i < CHUNK; ++i) note(&w, ulp_f32(z32[i], r->ref1(x32[i])), x32[i], 0, z32[i]);
    }
    return w;
}

static int report(const char *name, const char *type, worst w, f64 limit)
{
    const int bad = !(w.ulp <= limit);
    printf("%-8s %s %10.4g ULP (limit %.1f) at %a, %a: %a%s\n", name, type, w.ulp, limit, w.x, w.y, w.got,
           bad ? "   <-- FAILED" : "");
    fflush(stdout);
    return bad;
}

// ---- timing --------------------------------------------------------------------------------------------------------

static f64 now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (f64)t.tv_sec * 1e9 + (f64)t.tv_nsec;
}

static void time_row(const row *r)
{
    f64 best32 = 1e30, best64 = 1e30;
    const f64 lo = r->lo < -9 ? -9 : r->lo, hi = r->hi > 9 ? 9 : r->hi;      // no subnormal results, which are slow
    for (int i = 0; i < CHUNK; ++i) {
        x32[i] = (f32)(x64[i] = uniform(lo, hi));
        y32[i] = (f32)(y64[i] = uniform(lo, hi) * 0.25);
    }
    for (int t = 0; t < 60; ++t) {
        const f64 a = now();
        for (int i = 0; i < 4; ++i) r->run32(x32, y32, z32);
        const f64 b = now();
        for (int i = 0; i < 4; ++i) r->run64(x64, y64, z64);
        const f64 c = now();
        best32 = b - a < best32 ? b - a : best32;
        best64 = c - b < best64 ? c - b : best64;
    }
    printf("%-8s f32 %6.2f  f64 %6.2f ns\n", r->name, best32 / (4 * CHUNK), best64 / (4 * CHUNK));
}

// ---- dump ----------------------------------------------------------------------------------------------------------

static void dump(const row *r, const char *type)
{
    const int single = !strcmp(type, "f32");
    for (int i = 0; i < CHUNK; ++i) {
        inputs_f32(r, SPECIALS * SPECIALS + i, x32 + i, y32 + i);
        inputs_f64(r, SPECIALS * SPECIALS + i, x64 + i, y64 + i);
    }
    r->run32(x32, y32, z32);
    r->run64(x64, y64, z64);
    for (int i = 0; i < 300; ++i) {
        char ref[64];
        if (single) snprintf(ref, sizeof ref, "%a", reference_f32(r, x32[i], y32[i]));
        else quadmath_snprintf(ref, sizeof ref, "%Qa", reference_f64(r, x64[i], y64[i]));
        if (single) printf("%a %a %a %s\n", x32[i], y32[i], z32[i], ref);
        else printf("%a %a %a %s\n", x64[i], y64[i], z64[i], ref);
    }
}

static int chosen(const row *r, char **names)
{
    if (!*names) return 1;
    for (; *names; ++names) if (!strcmp(*names, r->name)) return 1;
    return 0;
}

int main(int argc, char **argv)
{
    char **arg = argv + 1;
    const char *mode = argc > 1 && argv[1][0] == '-' ? *arg++ : "";
    i64 samples = 200000;
    int bad = 0;
    if (!strcmp(mode, "-n") && *arg) samples = atoll(*arg++);
    const char *type = !strcmp(mode, "--dump") && *arg ? *arg++ : "";
    for (const row *r = rows; r < rows + ROWS; ++r) {
        if (!chosen(r, arg)) continue;
        if (!strcmp(mode, "--time")) time_row(r);
        else if (!strcmp(mode, "--dump")) dump(r, type);
        else if (!strcmp(mode, "--full")) bad |= !r->binary && report(r->name, "f32", measure_all_f32(r), r->limit32);
        else {
            bad |= report(r->name, "f32", measure_f32(r, samples), r->limit32);
            bad |= report(r->name, "f64", measure_f64(r, samples / 4), r->limit64);
        }
    }
    return bad;
}

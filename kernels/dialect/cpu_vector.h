// SPDX-License-Identifier: Apache-2.0
// Vectors that a kernel holds in registers by name, for tiles that FOR_VEC loops over arrays can't keep there: a matrix
// tile is a dozen of them. `vec` holds VEC elements of the arithmetic type ACC; vec_load and vec_store convert from and to
// elements of type T. T, ACC and VEC are the kernel's constants, and on a CPU VEC is as many as fill the SIMD register.
// A target without such registers gives the same words over arrays of VEC elements.
#ifndef CARAT_DIALECT_CPU_VECTOR_H
#define CARAT_DIALECT_CPU_VECTOR_H

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES_OF(T) (VECTOR_BYTES / (int)sizeof(T))

#define vec CAT(vec_, ACC)
#define vec_zero() ((vec){ 0 })
#define vec_splat(x) CAT(vec_splat_, ACC)(x)
#define vec_fma(x, y, z) CAT(vec_fma_, ACC)(x, y, z) // x * y + z
#define vec_mul(x, y) CAT(vec_mul_, ACC)(x, y)
#define vec_add(x, y) CAT(vec_add_, ACC)(x, y)
#define vec_read(p) CAT(vec_read_, ACC)(p)           // ACC from memory
#define vec_write(p, v) CAT(vec_write_, ACC)(p, v)
#define vec_total(v) CAT(vec_total_, ACC)(v)         // sum of the elements
#define vec_transpose(v) CAT(vec_transpose_, ACC)(v) // of VEC vectors, in place
#define vec_load(p) CAT(CAT(CAT(vec_load_, T), _), ACC)(p)
#define vec_store(p, v) CAT(CAT(CAT(vec_store_, T), _), ACC)(p, v)

// The loop that follows runs at most n times, which the compiler knows, and is to be unrolled whole: n is a literal.
#if defined(__clang__)
#define UNROLL(n) _Pragma("clang loop unroll(full)")
#else
#define UNROLL(n) PRAGMA_(GCC unroll n)
#define PRAGMA_(text) _Pragma(#text)
#endif

// Hints: the cache line at p will soon be read, or written.
#define LINE_BYTES 64
WORD void prefetch_read(const void *p) { __builtin_prefetch(p, 0, 3); }
WORD void prefetch_write(const void *p) { __builtin_prefetch(p, 1, 3); }

// Exchanging blocks of d elements between vectors x and y of so many elements: the lower takes x's even blocks and, in the
// gaps, y's; the higher takes the odd ones.
#define LOW_2_1 0, 2
#define HIGH_2_1 1, 3
#define LOW_4_2 0, 1, 4, 5
#define HIGH_4_2 2, 3, 6, 7
#define LOW_4_1 0, 4, 2, 6
#define HIGH_4_1 1, 5, 3, 7
#define LOW_8_4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH_8_4 4, 5, 6, 7, 12, 13, 14, 15
#define LOW_8_2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH_8_2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW_8_1 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_8_1 1, 9, 3, 11, 5, 13, 7, 15
#define LOW_16_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH_16_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW_16_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH_16_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW_16_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH_16_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW_16_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH_16_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31

#define ELEMENT f32
#define ELEMENT_BYTES 4
#include "cpu_vector.c"
#undef ELEMENT_BYTES
#undef ELEMENT
#define ELEMENT f64
#define ELEMENT_BYTES 8
#include "cpu_vector.c"
#undef ELEMENT_BYTES
#undef ELEMENT
#define ELEMENT i32
#define ELEMENT_BYTES 4
#include "cpu_vector.c"
#undef ELEMENT_BYTES
#undef ELEMENT
#define ELEMENT i64
#define ELEMENT_BYTES 8
#include "cpu_vector.c"
#undef ELEMENT_BYTES
#undef ELEMENT

// ---- elements that are of the arithmetic type, or convert as C does
#define VEC_PLAIN(T, A)                                                                                              \
    typedef T CAT(few_##T##_, A) __attribute__((vector_size(LANES_OF(A) * sizeof(T)), aligned(sizeof(T)), may_alias)); \
    WORD vec_##A vec_load_##T##_##A(const T *p)                                                                      \
    {                                                                                                                \
        return __builtin_convertvector(*(const few_##T##_##A *)p, vec_##A);                                          \
    }                                                                                                                \
    WORD void vec_store_##T##_##A(T *p, vec_##A v)                                                                   \
    {                                                                                                                \
        *(few_##T##_##A *)p = __builtin_convertvector(v, few_##T##_##A);                                             \
    }
VEC_PLAIN(f32, f32)
VEC_PLAIN(f64, f64)
VEC_PLAIN(i64, i64)
VEC_PLAIN(i32, i32)
VEC_PLAIN(i16, i32)
VEC_PLAIN(i8, i32)
VEC_PLAIN(u8, i32)
#undef VEC_PLAIN

// ---- halves
typedef u32 vec_u32 __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef u16 half_bits __attribute__((vector_size(VECTOR_BYTES / 2), aligned(2), may_alias));

// gcc widens in two halves of several steps where one instruction does.
WORD vec_u32 widen_halves(const void *p)
{
#if defined(__AVX2__) && VECTOR_BYTES == 32 && !defined(__clang__)
    typedef short eight __attribute__((vector_size(16)));
    return (vec_u32)__builtin_ia32_pmovzxwd256((eight)*(const half_bits *)p);
#elif defined(__AVX512F__) && VECTOR_BYTES == 64 && !defined(__clang__)
    typedef short sixteen __attribute__((vector_size(32)));
    typedef int words __attribute__((vector_size(64)));
    return (vec_u32)__builtin_ia32_pmovzxwd512_mask((sixteen)*(const half_bits *)p, (words){ 0 }, -1);
#else
    return __builtin_convertvector(*(const half_bits *)p, vec_u32);
#endif
}

WORD vec_f32 vec_load_bf16_f32(const bf16 *p)
{
    return (vec_f32)(widen_halves(p) << 16);
}

// The bits of each half in the low parts of `halves`.
WORD void narrow_halves(void *p, vec_u32 halves)
{
    *(half_bits *)p = __builtin_convertvector(halves, half_bits);
}

WORD void vec_store_bf16_f32(bf16 *p, vec_f32 v)
{
    const vec_u32 u = (vec_u32)v, nan = (vec_u32)(v != v);
    const vec_u32 rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    narrow_halves(p, (rounded & ~nan) | (0x7fc0 & nan));
}

#if defined(__F16C__) && defined(__clang__) && __clang_major__ >= 15
typedef _Float16 vec_half __attribute__((vector_size(VECTOR_BYTES / 2), aligned(2), may_alias));
WORD vec_f32 vec_load_f16_f32(const f16 *p) { return __builtin_convertvector(*(const vec_half *)p, vec_f32); }
WORD void vec_store_f16_f32(f16 *p, vec_f32 v) { *(vec_half *)p = __builtin_convertvector(v, vec_half); }
#elif defined(__F16C__) && VECTOR_BYTES == 32 // older compilers have no vectors of halves, but these
typedef short eight_shorts __attribute__((vector_size(16), aligned(2), may_alias));
WORD vec_f32 vec_load_f16_f32(const f16 *p) { return (vec_f32)__builtin_ia32_vcvtph2ps256(*(const eight_shorts *)p); }
WORD void vec_store_f16_f32(f16 *p, vec_f32 v) { *(eight_shorts *)p = (eight_shorts)__builtin_ia32_vcvtps2ph256(v, 0); }
#else
// The same steps as load_f16 and f16_from_f32, a vector at a time.
WORD vec_f32 vec_load_f16_f32(const f16 *p)
{
    const vec_u32 x = widen_halves(p), magnitude = (x & 0x7fff) << 13;
    const vec_u32 finite = (vec_u32)((vec_f32)magnitude * 0x1p112f), special = (vec_u32)(magnitude >= 0x0f800000);
    return (vec_f32)((finite & ~special) | ((magnitude | 0x7f800000) & special) | (x & 0x8000) << 16);
}
WORD void vec_store_f16_f32(f16 *p, vec_f32 v)
{
    f32 x[LANES_OF(f32)];
    memcpy(x, &v, sizeof x);
    for (int k = 0; k < LANES_OF(f32); ++k) p[k] = f16_from_f32(x[k]);
}
#endif

#endif

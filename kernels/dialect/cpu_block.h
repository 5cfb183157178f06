// SPDX-License-Identifier: Apache-2.0
// Blocks of elements as a loop over their arithmetic type wants them. Halves are converted by whole vectors into a small
// array, so that the loop itself knows f32 only: compilers mix sizes of elements badly, and no loop becomes the hardware's
// conversion of f16. Every other type is read and written where it is.
//   block_of_<T>                    the type that a loop over a block of T sees
//   read_block_<T>(p, buffer, n)    n elements: p itself, or buffer with their conversion
//   open_block_<T>(p, buffer)       where a loop's results go: p itself, or buffer
//   write_block_<T>(p, buffer, n)   brings results from buffer to p, if they went there
//   write_exact_<T>(p, buffer, n)   the same where T holds every result exactly
// n is a constant, a multiple of 32.
#ifndef CARAT_DIALECT_CPU_BLOCK_H
#define CARAT_DIALECT_CPU_BLOCK_H

#define block_of_b8 b8
#define block_of_u8 u8
#define block_of_i8 i8
#define block_of_i16 i16
#define block_of_i32 i32
#define block_of_i64 i64
#define block_of_f16 f32
#define block_of_bf16 f32
#define block_of_f32 f32
#define block_of_f64 f64
#define block_of_c64 c64
#define block_of_c128 c128

#define BLOCK_IN_PLACE(p, buffer) ((void)(buffer), (p))
#define read_block_b8(p, buffer, n)   BLOCK_IN_PLACE(p, buffer)
#define read_block_u8(p, buffer, n)   BLOCK_IN_PLACE(p, buffer)
#define read_block_i8(p, buffer, n)   BLOCK_IN_PLACE(p, buffer)
#define read_block_i16(p, buffer, n)  BLOCK_IN_PLACE(p, buffer)
#define read_block_i32(p, buffer, n)  BLOCK_IN_PLACE(p, buffer)
#define read_block_i64(p, buffer, n)  BLOCK_IN_PLACE(p, buffer)
#define read_block_f32(p, buffer, n)  BLOCK_IN_PLACE(p, buffer)
#define read_block_f64(p, buffer, n)  BLOCK_IN_PLACE(p, buffer)
#define read_block_c64(p, buffer, n)  BLOCK_IN_PLACE(p, buffer)
#define read_block_c128(p, buffer, n) BLOCK_IN_PLACE(p, buffer)
#define open_block_b8(p, buffer)   BLOCK_IN_PLACE(p, buffer)
#define open_block_u8(p, buffer)   BLOCK_IN_PLACE(p, buffer)
#define open_block_i8(p, buffer)   BLOCK_IN_PLACE(p, buffer)
#define open_block_i16(p, buffer)  BLOCK_IN_PLACE(p, buffer)
#define open_block_i32(p, buffer)  BLOCK_IN_PLACE(p, buffer)
#define open_block_i64(p, buffer)  BLOCK_IN_PLACE(p, buffer)
#define open_block_f32(p, buffer)  BLOCK_IN_PLACE(p, buffer)
#define open_block_f64(p, buffer)  BLOCK_IN_PLACE(p, buffer)
#define open_block_c64(p, buffer)  BLOCK_IN_PLACE(p, buffer)
#define open_block_c128(p, buffer) BLOCK_IN_PLACE(p, buffer)
#define open_block_f16(p, buffer)  ((void)(p), (buffer))
#define open_block_bf16(p, buffer) ((void)(p), (buffer))
#define IS_WRITTEN(p, buffer) ((void)(p), (void)(buffer))
#define write_block_b8(p, buffer, n)   IS_WRITTEN(p, buffer)
#define write_block_u8(p, buffer, n)   IS_WRITTEN(p, buffer)
#define write_block_i8(p, buffer, n)   IS_WRITTEN(p, buffer)
#define write_block_i16(p, buffer, n)  IS_WRITTEN(p, buffer)
#define write_block_i32(p, buffer, n)  IS_WRITTEN(p, buffer)
#define write_block_i64(p, buffer, n)  IS_WRITTEN(p, buffer)
#define write_block_f32(p, buffer, n)  IS_WRITTEN(p, buffer)
#define write_block_f64(p, buffer, n)  IS_WRITTEN(p, buffer)
#define write_block_c64(p, buffer, n)  IS_WRITTEN(p, buffer)
#define write_block_c128(p, buffer, n) IS_WRITTEN(p, buffer)
#define write_exact_b8 write_block_b8
#define write_exact_u8 write_block_u8
#define write_exact_i8 write_block_i8
#define write_exact_i16 write_block_i16
#define write_exact_i32 write_block_i32
#define write_exact_i64 write_block_i64
#define write_exact_f16 write_block_f16
#define write_exact_f32 write_block_f32
#define write_exact_f64 write_block_f64
#define write_exact_c64 write_block_c64
#define write_exact_c128 write_block_c128

// Two vectors of f32 become one of halves: the high halves of their bits.
typedef u16 vec_u16 __attribute__((vector_size(VECTOR_BYTES), aligned(2), may_alias));
#if VECTOR_BYTES == 64
#define HIGH_HALVES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63
#elif VECTOR_BYTES == 32
#define HIGH_HALVES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#else
#define HIGH_HALVES 1, 3, 5, 7, 9, 11, 13, 15
#endif
WORD void write_high_halves(bf16 *p, vec_u32 low, vec_u32 high)
{
    *(vec_u16 *)p = __builtin_shufflevector((vec_u16)low, (vec_u16)high, HIGH_HALVES);
}

// As bf16_from_f32, but in the high half.
WORD vec_u32 round_to_high_half(vec_f32 v)
{
    const vec_u32 u = (vec_u32)v, nan = (vec_u32)(v != v);
    return ((u + 0x7fff + (u >> 16 & 1)) & ~nan) | (0x7fc00000 & nan);
}

WORD const f32 *read_block_bf16(const bf16 *p, f32 *buffer, int n)
{
    for (int k = 0; k < n; k += LANES_OF(f32)) vec_write_f32(buffer + k, vec_load_bf16_f32(p + k));
    return buffer;
}
WORD void write_block_bf16(bf16 *p, const f32 *buffer, int n)
{
    for (int k = 0; k < n; k += 2 * LANES_OF(f32))
        write_high_halves(p + k, round_to_high_half(vec_read_f32(buffer + k)), round_to_high_half(vec_read_f32(buffer + k + LANES_OF(f32))));
}
WORD void write_exact_bf16(bf16 *p, const f32 *buffer, int n)
{
    for (int k = 0; k < n; k += 2 * LANES_OF(f32))
        write_high_halves(p + k, (vec_u32)vec_read_f32(buffer + k), (vec_u32)vec_read_f32(buffer + k + LANES_OF(f32)));
}

#if defined(__F16C__) && defined(__AVX512F__) && !defined(__clang__)
typedef float sixteen_floats __attribute__((vector_size(64)));
typedef short sixteen_shorts __attribute__((vector_size(32)));
typedef short sixteen_halves __attribute__((vector_size(32), aligned(2), may_alias));
WORD const f32 *read_block_f16(const f16 *p, f32 *buffer, int n)
{
    for (int k = 0; k < n; k += 16)
        vec_write_f32(buffer + k, (vec_f32)__builtin_ia32_vcvtph2ps512_mask((sixteen_shorts)*(const sixteen_halves *)(p + k), (sixteen_floats){ 0 }, -1, 4));
    return buffer;
}
WORD void write_block_f16(f16 *p, const f32 *buffer, int n)
{
    for (int k = 0; k < n; k += 16)
        *(sixteen_halves *)(p + k) = (sixteen_halves)__builtin_ia32_vcvtps2ph512_mask((sixteen_floats)vec_read_f32(buffer + k), 0, (sixteen_shorts){ 0 }, -1);
}
#elif defined(__F16C__)
WORD const f32 *read_block_f16(const f16 *p, f32 *buffer, int n)
{
    for (int k = 0; k < n; k += LANES_OF(f32)) vec_write_f32(buffer + k, vec_load_f16_f32(p + k));
    return buffer;
}
WORD void write_block_f16(f16 *p, const f32 *buffer, int n)
{
    for (int k = 0; k < n; k += LANES_OF(f32)) vec_store_f16_f32(p + k, vec_read_f32(buffer + k));
}
#else
WORD const f32 *read_block_f16(const f16 *p, f32 *buffer, int n)
{
    FOR_BLOCK(i, n) buffer[i] = load_f16(p[i]);
    return buffer;
}
WORD void write_block_f16(f16 *p, const f32 *buffer, int n)
{
    FOR_BLOCK(i, n) p[i] = f16_from_f32(buffer[i]);
}
#endif

#endif

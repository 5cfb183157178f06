// SPDX-License-Identifier: Apache-2.0
// Elements of every type in memory and in arithmetic, for any dialect. The dialect gives the types, WORD, f32_from_bits before,
// and of its own real_part, store_c64, store_c128, load_f16, bf16_from_f32 and f16_from_f32.
#ifndef CARAT_DIALECT_ELEMENTS_H
#define CARAT_DIALECT_ELEMENTS_H

// ---- arithmetic types: acc_<T> is what an element of T is computed in
typedef u8 acc_b8;
typedef u8 acc_u8;
typedef i8 acc_i8;
typedef i16 acc_i16;
typedef i32 acc_i32;
typedef i64 acc_i64;
typedef f32 acc_f16;
typedef f32 acc_bf16;
typedef f32 acc_f32;
typedef f64 acc_f64;
typedef c64 acc_c64;
typedef c128 acc_c128;

// ---- load_<T>: element to arithmetic type
WORD u8 load_b8(b8 x) { return x != 0; }
WORD u8 load_u8(u8 x) { return x; }
WORD i8 load_i8(i8 x) { return x; }
WORD i16 load_i16(i16 x) { return x; }
WORD i32 load_i32(i32 x) { return x; }
WORD i64 load_i64(i64 x) { return x; }
WORD f32 load_f32(f32 x) { return x; }
WORD f64 load_f64(f64 x) { return x; }
WORD c64 load_c64(c64 x) { return x; }
WORD c128 load_c128(c128 x) { return x; }
WORD f32 load_bf16(bf16 x) { return f32_from_bits((u32)x.bits << 16); }

// ---- store_<T>: arithmetic value of any type to element, as ATen converts; of a complex number the real part
// A float becomes a narrow integer through a wider one, so that those out of range wrap as in ATen: C leaves them undefined.
#define store_b8(x) ((b8)((x) != 0))
#define store_u8(x) ((u8)(i64)real_part(x))
#define store_i8(x) ((i8)(i32)real_part(x))
#define store_i16(x) ((i16)(i32)real_part(x))
#define store_i32(x) ((i32)real_part(x))
#define store_i64(x) ((i64)real_part(x))
#define store_f32(x) ((f32)real_part(x))
#define store_f64(x) ((f64)real_part(x))
#define store_bf16(x) bf16_from_f32((f32)real_part(x))
#define store_f16(x) f16_from_f32((f32)real_part(x))

#endif

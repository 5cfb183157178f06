// SPDX-License-Identifier: Apache-2.0
// Elements in memory that any lane of any group may change at a time, on an NVIDIA GPU: one after the other, in no settled order.
#ifndef CARAT_DIALECT_CUDA_ATOMIC_H
#define CARAT_DIALECT_CUDA_ATOMIC_H

// The word that holds an element, as compare-and-swap takes it.
template <int BYTES> struct atomic_word { typedef u32 type; };
template <> struct atomic_word<8> { typedef u64 type; };

// *p = change(*p), for any element of up to 8 bytes.
template <class T, class F> WORD void change_shared(T *p, F change)
{
    typedef typename atomic_word<(int)sizeof(T)>::type word;
    word *const base = (word *)((u64)p / sizeof(word) * sizeof(word));
    const int shift = (int)((u64)p % sizeof(word)) * 8;
    const word mask = (sizeof(T) == sizeof(word) ? ~(word)0 : (((word)1 << (8 * sizeof(T) % (8 * sizeof(word)))) - 1) << shift);
    word seen = *(volatile word *)base;
    for (;;) {
        union { word bits; T value; } element;
        element.bits = (seen & mask) >> shift;
        element.value = change(element.value);
        const word was = atomicCAS(base, seen, (seen & ~mask) | (element.bits << shift & mask));
        if (was == seen) return;
        seen = was;
    }
}

// *p += v, v of p's type; by the memory's own adders where it has some. They take halves in pairs: beside a single one its neighbour in
// the same 4 bytes gets -0 added, which changes nothing; both must belong to the tensor.
WORD void add_shared(f32 *p, f32 v) { atomicAdd(p, v); }
WORD void add_shared(f64 *p, f64 v) { atomicAdd(p, v); }
WORD void add_shared(i32 *p, i32 v) { atomicAdd(p, v); }
WORD void add_shared(i64 *p, i64 v) { atomicAdd((u64 *)p, (u64)v); }
WORD void add_shared(u8 *p, u8 v) { change_shared(p, [=](u8 x) { return (u8)(x + v); }); }
WORD void add_shared(i8 *p, i8 v) { change_shared(p, [=](i8 x) { return (i8)(x + v); }); }
WORD void add_shared(i16 *p, i16 v) { change_shared(p, [=](i16 x) { return (i16)(x + v); }); }
template <class T> WORD u32 *pair_of(T *p) { return (u32 *)((u64)p & ~(u64)3); }
template <class T> WORD u32 beside_nothing(T *p, u16 bits) { return (u64)p & 2 ? (u32)bits << 16 | 0x8000u : 0x80000000u | bits; }
WORD void add_shared(f16 *p, f16 v) { ptx_add_f16x2(pair_of(p), beside_nothing(p, v.bits)); }
#if __CUDA_ARCH__ >= 900
WORD void add_shared(bf16 *p, bf16 v) { ptx_add_bf16x2(pair_of(p), beside_nothing(p, v.bits)); }
#else
WORD void add_shared(bf16 *p, bf16 v) { change_shared(p, [=](bf16 x) { return bf16_from_f32(load_bf16(x) + load_bf16(v)); }); }
#endif

// The same of VEC elements side by side, aligned to their size together.
template <class T> WORD void add_shared_vec(T *p, const T *v) { FOR_VEC(k) add_shared(p + k, v[k]); }
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ >= 1201
template <class T> WORD u32 pair_at(const T *v) { return (u32)v[0].bits | (u32)v[1].bits << 16; }
#if VEC == 2
WORD void add_shared_vec(f32 *p, const f32 *v) { ptx_add_f32(p, v[0], v[1]); }
WORD void add_shared_vec(f16 *p, const f16 *v) { ptx_add_f16x2((u32 *)p, pair_at(v)); }
WORD void add_shared_vec(bf16 *p, const bf16 *v) { ptx_add_bf16x2((u32 *)p, pair_at(v)); }
#elif VEC == 4
WORD void add_shared_vec(f32 *p, const f32 *v) { ptx_add_f32(p, v[0], v[1], v[2], v[3]); }
WORD void add_shared_vec(f16 *p, const f16 *v) { ptx_add_f16x2((u32 *)p, pair_at(v), pair_at(v + 2)); }
WORD void add_shared_vec(bf16 *p, const bf16 *v) { ptx_add_bf16x2((u32 *)p, pair_at(v), pair_at(v + 2)); }
#elif VEC == 8
WORD void add_shared_vec(f16 *p, const f16 *v) { ptx_add_f16x2((u32 *)p, pair_at(v), pair_at(v + 2), pair_at(v + 4), pair_at(v + 6)); }
WORD void add_shared_vec(bf16 *p, const bf16 *v) { ptx_add_bf16x2((u32 *)p, pair_at(v), pair_at(v + 2), pair_at(v + 4), pair_at(v + 6)); }
#endif
#endif

#endif

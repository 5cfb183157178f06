// SPDX-License-Identifier: Apache-2.0
// The words of kernels/dialect/cuda_ptx.h, which this takes the place of, on a CPU.
#ifndef CARAT_DIALECT_CUDA_PTX_H
#define CARAT_DIALECT_CUDA_PTX_H

static inline void ptx_order_memory() { asm volatile("" ::: "memory"); }
static inline void ptx_forget(unsigned *word) { asm volatile("" : "+r"(*word)); }

static inline unsigned ptx_cluster_rank() { return fake_cluster_rank(); }
static inline void ptx_cluster_arrive() { fake_cluster_arrive(); }
static inline void ptx_cluster_arrive_relaxed() { fake_cluster_arrive(); }
static inline void ptx_cluster_wait() { fake_cluster_wait(); }
// Between sanitized variables of an image lie bytes that another block's shared memory has poisoned in its own place only.
template <class T> static inline void ptx_put_remote(T *p, T v, unsigned block) { *(T *)fake_remote(p, block) = v; }

static inline void ptx_launch_dependents() {}
static inline void ptx_launch_wait() { fake_launch_wait(); }

template <class W, int N> static inline void ptx_read(W (&w)[N], const void *p)
{
    if ((unsigned long)p % sizeof w) fake_fail("reads %d bytes at %p, which isn't a multiple of that", (int)sizeof w, p);
    for (int i = 0; i < N; ++i) w[i] = ((const W *)p)[i];
}

template <class W, int N> static inline void ptx_write(void *p, const W (&w)[N])
{
    if ((unsigned long)p % sizeof w) fake_fail("writes %d bytes at %p, which isn't a multiple of that", (int)sizeof w, p);
    for (int i = 0; i < N; ++i) ((W *)p)[i] = w[i];
}

static inline void ptx_prefetch_l2(unsigned long long address, unsigned bytes)
{
    if (address % 16 || bytes % 16 || !bytes) fake_fail("prefetches %u bytes at %llx: not whole 16 bytes", bytes, address);
}

static inline float ptx_exp2_near(float x)
{
    const float y = exp2f(x);
    return y < 0x1p-126f ? 0 : y;
}

// ---- halves by their bits, rounded to the nearest and to even ones
static inline float ptx_f32_of_f16(unsigned short bits)
{
    const unsigned sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    if (rest >= 0x7c00u) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    if (rest >= 0x400u) return __uint_as_float(sign | (rest + (112u << 10)) << 13);
    return __uint_as_float(sign | __float_as_uint((float)rest * 0x1p-24f));
}
static inline unsigned short ptx_f16_of_f32(float x)
{
    const unsigned bits = __float_as_uint(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return 0x7fff;
    if (rest >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u);
    if (rest < 0x38800000u) // the sum's last place is the smallest half
        return (unsigned short)(sign | (__float_as_uint(__uint_as_float(rest) + 0.5f) - 0x3f000000u));
    return (unsigned short)(sign | (rest - (112u << 23) + 0xfffu + (rest >> 13 & 1)) >> 13);
}
static inline unsigned short ptx_bf16_of_f32(float x)
{
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

// ---- sums in memory
static inline void fake_require_aligned(const void *p, int bytes)
{
    if ((unsigned long)p % bytes) fake_fail("adds %d bytes at %p, which isn't a multiple of that", bytes, p);
}
static inline float fake_f32_of_bf16(unsigned short bits) { return __uint_as_float((unsigned)bits << 16); }
#define FAKE_ADD_PAIRS(name, widen, narrow)                                                                   \
    template <class... W> static inline void name(unsigned *p, W... words)                                    \
    {                                                                                                         \
        const unsigned pairs[] = { words... };                                                                \
        fake_require_aligned(p, sizeof pairs);                                                                \
        for (unsigned k = 0; k < 2 * sizeof...(W); ++k) {                                                     \
            unsigned short *const half = (unsigned short *)p + k;                                             \
            *half = narrow(widen(*half) + widen((unsigned short)(pairs[k / 2] >> k % 2 * 16)));               \
        }                                                                                                     \
    }
FAKE_ADD_PAIRS(ptx_add_f16x2, ptx_f32_of_f16, ptx_f16_of_f32)
FAKE_ADD_PAIRS(ptx_add_bf16x2, fake_f32_of_bf16, ptx_bf16_of_f32)
#undef FAKE_ADD_PAIRS
template <class... F> static inline void ptx_add_f32(float *p, F... values)
{
    const float added[] = { values... };
    fake_require_aligned(p, sizeof added);
    for (unsigned k = 0; k < sizeof...(F); ++k) p[k] += added[k];
}

#endif

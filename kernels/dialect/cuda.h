// SPDX-License-Identifier: Apache-2.0
// The words of kernel C on an NVIDIA GPU, for NVRTC: no headers. A group is LANES threads, a constant of the specialisation:
// a power of two: a part of a warp, from 64 on a block of its own, beyond PART_LANES a cluster of blocks.
#ifndef CARAT_DIALECT_CUDA_H
#define CARAT_DIALECT_CUDA_H

#ifndef VEC
#define VEC 1
#endif
#ifndef KEEP
#define KEEP 1
#endif
#ifndef PART_LANES
#define PART_LANES 1024
#endif

// ---- element types, by their names in Carat
typedef unsigned char b8;
typedef unsigned char u8;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
struct f16 { u16 bits; };
struct bf16 { u16 bits; };
typedef float f32;
typedef double f64;

#define WORD static __device__ __forceinline__
#include "cuda_ptx.h"

// ---- declaring
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define GLOBAL
#define BLOCK_THREADS (LANES > PART_LANES ? PART_LANES : LANES > 32 ? LANES : 128)
#define GROUPS_OF_BLOCK (LANES < BLOCK_THREADS ? BLOCK_THREADS / LANES : 1)
#define BLOCKS_OF_GROUP (LANES > BLOCK_THREADS ? LANES / BLOCK_THREADS : 1) // a cluster, from compute capability 9.0 on
#define LOCAL(T, name, n)                                  \
    __shared__ T CAT(name, _of_all)[GROUPS_OF_BLOCK][n];   \
    T *const name = CAT(name, _of_all)[GROUPS_OF_BLOCK > 1 ? threadIdx.x / LANES : 0]

#if LANES > PART_LANES
#define CLUSTER_SHAPE __cluster_dims__(BLOCKS_OF_GROUP, 1, 1)
WORD u32 block_of_group() { return ptx_cluster_rank(); }
#else
#define CLUSTER_SHAPE
WORD u32 block_of_group() { return 0; }
#endif

// RESIDENT, if defined: blocks of which a multiprocessor's registers must suffice for.
#ifdef RESIDENT
#define LAUNCH_BOUNDS __launch_bounds__(BLOCK_THREADS, RESIDENT)
#else
#define LAUNCH_BOUNDS __launch_bounds__(BLOCK_THREADS)
#endif

// The backend reads LANES off the size of KERNEL_NAME_lanes, and BLOCK_THREADS off the launch bounds.
#define KERNEL(args_type, a)                                                                                           \
    WORD void CAT(KERNEL_NAME, _group)(const args_type *a, i64 group_id_);                                             \
    extern "C" __device__ char CAT(KERNEL_NAME, _lanes)[LANES];                                                        \
    char CAT(KERNEL_NAME, _lanes)[LANES];                                                                              \
    extern "C" __global__ void CLUSTER_SHAPE LAUNCH_BOUNDS                                                             \
        KERNEL_NAME(const __grid_constant__ args_type args, i64 groups)                                                \
    {                                                                                                                  \
        const i64 block = (i64)blockIdx.y * gridDim.x + blockIdx.x;                                                    \
        const i64 group = block / BLOCKS_OF_GROUP * GROUPS_OF_BLOCK + (GROUPS_OF_BLOCK > 1 ? threadIdx.x / LANES : 0); \
        if (group < groups) CAT(KERNEL_NAME, _group)(&args, group);                                                    \
    }                                                                                                                  \
    WORD void CAT(KERNEL_NAME, _group)(const args_type *a, i64 group_id_)
#define group_id() group_id_
#define lane() ((i32)(block_of_group() * BLOCK_THREADS + threadIdx.x % LANES))
#define LOCAL_NAME(name) CAT(CAT(KERNEL_NAME, _), name)

// The threads of a warp that belong to this lane's group.
#define GROUP_MASK (LANES >= 32 ? ~0u : ((1u << (LANES % 32)) - 1) << (threadIdx.x % 32 / LANES * LANES))
WORD void SYNC()
{
    if (BLOCKS_OF_GROUP > 1) ptx_cluster_arrive(), ptx_cluster_wait();
    else if (LANES > 32) __syncthreads();
    else __syncwarp(GROUP_MASK);
}

// Stops the whole device with a message: of conditions that only the kernel can see.
extern "C" __device__ void __assertfail(const char *condition, const char *file, unsigned line, const char *function, unsigned long size);
#define REQUIRE(condition) ((condition) ? (void)0 : __assertfail(#condition, "carat", 0, "kernel", 1))

// What is read before it isn't put off to where it is used.
WORD void READ_NOW() { ptx_order_memory(); }

// The launch that follows on the stream may bring its groups in; they wait for the end of this one before they go on. Older
// devices begin launches one after the other anyway.
#if __CUDA_ARCH__ >= 900
WORD void MAY_FOLLOW() { ptx_launch_dependents(); }
WORD void AWAIT_EARLIER() { ptx_launch_wait(); }
#else
WORD void MAY_FOLLOW() {}
WORD void AWAIT_EARLIER() {}
#endif

// ---- loops
#define UNROLLED _Pragma("unroll")
#define SCALAR_LOOP
#define INDEPENDENT
#define FOR_LANES(i, n) for (i64 i = lane(); i < (n); i += LANES)
// Over the VEC elements of small fixed arrays, which stay in registers, and over the KEEP vectors that a lane holds.
#define FOR_VEC(k) UNROLLED for (int k = 0; k < VEC; ++k)
#define FOR_KEEP(t) UNROLLED for (int t = 0; t < KEEP; ++t)

// n divided by the number that the host's carat_lanes_divisor made magic and shift of.
WORD u32 quotient(u32 n, u32 magic, u32 shift) { return ((u32)((u64)n * magic >> 32) + n) >> shift; }

// ---- vectors in memory: VEC consecutive elements, aligned to their size together (16 bytes at most)
template <class T, int N> struct alignas(sizeof(T) * N) packed { T e[N]; };
template <class T> WORD void fetch_vec(T *v, const T *p)
{
    const packed<T, VEC> r = *(const packed<T, VEC> *)p;
    FOR_VEC(k) v[k] = r.e[k];
}
template <class T> WORD void splat_vec(T *v, const T *p)
{
    const T one = *p;
    FOR_VEC(k) v[k] = one;
}
// Of a number in a kernel's arguments, which are aligned for f64 only.
template <class T> WORD void splat_number(T *v, const f64 *bits)
{
    T one;
    memcpy(&one, bits, sizeof one);
    FOR_VEC(k) v[k] = one;
}
template <class T> WORD void put_vec(T *p, const T *v)
{
    packed<T, VEC> r;
    FOR_VEC(k) r.e[k] = v[k];
    *(packed<T, VEC> *)p = r;
}

// Of 16 bytes in the device's memory: one store, also where the compiler doesn't see that it may be one (in a loop between reads).
template <class T> WORD void put_whole(T *p, const T *v)
{
    union { T e[16 / sizeof(T)]; u32 word[4]; } r;
    FOR_VEC(k) r.e[k] = v[k];
    ptx_write(p, r.word);
}

// The same of elements LANES apart, of which `left` places from p on are the last ones there are: beyond them, the last is read.
template <class T> WORD void fetch_apart(T *v, const T *p, i64 left)
{
    FOR_VEC(k) v[k] = p[k * LANES < left ? k * LANES : left - 1];
}
template <class T> WORD void put_apart(T *p, const T *v, i64 left)
{
    FOR_VEC(k) if (k * LANES < left) p[k * LANES] = v[k];
}

// ---- group reductions: a butterfly inside each warp, then over the block's warps through shared memory, then over the
// cluster's blocks, each of which writes what it has to all of them
#define WARP_LANES (LANES < 32 ? LANES : 32)
#define GROUP_WARPS (LANES > 32 ? BLOCK_THREADS / 32 : 1) // of a block

// The lanes that can read each other's registers, of a value of any type: from_lane, the one whose number differs in bit o;
// from_lower_lane, the one o below (its own, where there is none); from_last_lane, the last of `span` lanes side by side.
#define NEAR_LANES WARP_LANES
#define EXCHANGE(name, shuffle, place)                                                                  \
    template <class T> WORD T name(T v, u32 o)                                                          \
    {                                                                                                   \
        union { T value; u32 word[(sizeof(T) + 3) / 4]; } r;                                            \
        r.value = v;                                                                                    \
        UNROLLED for (int i = 0; i < (int)(sizeof(T) + 3) / 4; ++i) r.word[i] = shuffle(GROUP_MASK, r.word[i], place); \
        return r.value;                                                                                 \
    }
EXCHANGE(from_lane, __shfl_xor_sync, o)
EXCHANGE(from_lower_lane, __shfl_up_sync, o)
EXCHANGE(from_last_lane, __shfl_sync, threadIdx.x | (o - 1))

// Functions, not macros: an operand is a shuffle, in which all lanes take part.
template <class T> WORD T reduce_add(T x, T y) { return x + y; }
template <class T> WORD T reduce_max(T x, T y) { return x > y ? x : y; }

#define GROUP_REDUCTION(name, T, combine)                                                               \
    WORD T of_part_##name(T v)                                                                          \
    {                                                                                                   \
        UNROLLED for (int o = WARP_LANES / 2; o; o >>= 1) v = combine(v, __shfl_xor_sync(GROUP_MASK, v, o)); \
        if (LANES <= 32) return v;                                                                      \
        __shared__ T of_warp[GROUP_WARPS];                                                              \
        __syncthreads();                                                                                \
        if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;                                       \
        __syncthreads();                                                                                \
        v = of_warp[threadIdx.x % GROUP_WARPS];                                                         \
        UNROLLED for (int o = GROUP_WARPS / 2; o; o >>= 1) v = combine(v, __shfl_xor_sync(~0u, v, o));  \
        return v;                                                                                       \
    }                                                                                                   \
    WORD T name(T v) { return of_cluster_##name(of_part_##name(v)); }
#if LANES > PART_LANES
#define CLUSTER_REDUCTION(name, T, combine)                                                             \
    WORD T of_cluster_##name(T v)                                                                       \
    {                                                                                                   \
        __shared__ T of_block[BLOCKS_OF_GROUP];                                                         \
        SYNC(); /* the other blocks have begun, and have read what was here before */                   \
        if (threadIdx.x < BLOCKS_OF_GROUP) ptx_put_remote(&of_block[block_of_group()], v, threadIdx.x);     \
        SYNC();                                                                                         \
        v = of_block[0];                                                                                \
        UNROLLED for (int b = 1; b < BLOCKS_OF_GROUP; ++b) v = combine(v, of_block[b]);                 \
        return v;                                                                                       \
    }
#else
#define CLUSTER_REDUCTION(name, T, combine) WORD T of_cluster_##name(T v) { return v; }
#endif
#define REDUCTION(name, T, combine) CLUSTER_REDUCTION(name, T, combine) GROUP_REDUCTION(name, T, combine)
REDUCTION(group_sum, f32, reduce_add)
REDUCTION(group_sum, f64, reduce_add)
REDUCTION(group_max, f32, reduce_max)
REDUCTION(group_max, f64, reduce_max)
#include "cuda_parts.h"

#include "cuda_complex.h"
#include "cuda_math.h"

#include "elements.h"

WORD f32 load_f16(f16 x) { return ptx_f32_of_f16(x.bits); }

#define store_c64(x) (c64_from(x))
#define store_c128(x) (c128_from(x))
WORD bf16 bf16_from_f32(f32 x) { return { ptx_bf16_of_f32(x) }; }
WORD f16 f16_from_f32(f32 x) { return { ptx_f16_of_f32(x) }; }

#include "arithmetic.h"
#include "cuda_atomic.h"

#endif

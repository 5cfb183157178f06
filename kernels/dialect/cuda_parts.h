// SPDX-License-Identifier: Apache-2.0
// Long rows on an NVIDIA GPU: vectors held as they lie in memory, and the parts of a group, which are blocks of PART_LANES. A
// cluster's blocks see each other's shared memory, but meeting costs about a microsecond: a kernel does it once.
#ifndef CARAT_DIALECT_CUDA_PARTS_H
#define CARAT_DIALECT_CUDA_PARTS_H

// ---- HELD(T): a vector of VEC elements in as few registers as it has words
template <class T, int BYTES> struct held_words { u32 word[BYTES / 4]; };
template <class T> struct held_words<T, 2> { u16 word[1]; };
#define HELD(T) held_words<T, VEC * (int)sizeof(T)>

template <class H> WORD void fetch_held(H *held, const void *p) { ptx_read(held->word, p); }

WORD void element_of(f32 *x, const u32 *word, int k) { *x = __uint_as_float(word[k]); }
WORD void element_of(f64 *x, const u32 *word, int k) { *x = __hiloint2double((int)word[2 * k + 1], (int)word[2 * k]); }
WORD void element_of(bf16 *x, const u32 *word, int k) { x->bits = (u16)(word[k / 2] >> k % 2 * 16); }
WORD void element_of(f16 *x, const u32 *word, int k) { x->bits = (u16)(word[k / 2] >> k % 2 * 16); }
WORD void element_of(bf16 *x, const u16 *word, int) { x->bits = *word; }
WORD void element_of(f16 *x, const u16 *word, int) { x->bits = *word; }
template <class T, int BYTES> WORD void unpack_held(T *v, const held_words<T, BYTES> *held)
{
    FOR_VEC(k) element_of(&v[k], held->word, k);
}

// What was made of the elements is made again rather than kept in registers. Halves: blockIdx.z is 0, which neither of the
// compilers knows; of others, an order of the compiler's work is enough.
template <class T, int BYTES> WORD void forget_held(held_words<T, BYTES> *held)
{
    UNROLLED for (int i = 0; i < (BYTES + 3) / 4; ++i) {
        if constexpr (sizeof(T) == 2) held->word[i] += blockIdx.z;
        else ptx_forget(&held->word[i]);
    }
}

// Asks for a row that another group will read to be brought to the L2 cache, so that memory is busy while this group waits for its
// sums and writes; each part asks for a share, of whole 16 bytes.
WORD void prefetch_row(const void *row, i64 bytes)
{
#if __CUDA_ARCH__ >= 900
    if (threadIdx.x % (LANES < BLOCK_THREADS ? LANES : BLOCK_THREADS) != 0) return;
    const u64 share = ((u64)bytes / BLOCKS_OF_GROUP + 31) / 16 * 16, first = (u64)__cvta_generic_to_global(row) / 16 * 16;
    const u64 place = block_of_group() * share, whole = ((u64)bytes + 31) / 16 * 16;
    if (place >= whole) return;
    ptx_prefetch_l2(first + place, (u32)(whole - place < share ? whole - place : share));
#endif
}

// The larger operand, or the other one of a NaN.
WORD f32 larger(f32 x, f32 y) { return fmaxf(x, y); }
WORD f64 larger(f64 x, f64 y) { return fmax(x, y); }

// ---- parts
#define PARTS BLOCKS_OF_GROUP
#define part_id() ((int)block_of_group())
#define part_sum(v) of_part_group_sum(v)
#define part_max(v) of_part_group_max(v)

// begin_parts() opens a kernel whose parts meet, await_parts() comes before they do. When they meet every lane gets each part's pair
// of values; `turn` is 0 and 1 in turns.
#if LANES > PART_LANES
WORD void begin_parts() { ptx_cluster_arrive_relaxed(); }
WORD void await_parts() { ptx_cluster_wait(); } // until the other blocks have begun
template <class T> WORD void meet_parts(T *all_x, T *all_y, T x, T y, int turn)
{
    __shared__ T of_part[2][2][PARTS];
    if (threadIdx.x < PARTS) {
        ptx_put_remote(&of_part[turn][0][part_id()], x, threadIdx.x);
        ptx_put_remote(&of_part[turn][1][part_id()], y, threadIdx.x);
    }
    SYNC();
    UNROLLED for (int p = 0; p < PARTS; ++p) all_x[p] = of_part[turn][0][p], all_y[p] = of_part[turn][1][p];
}
#else
WORD void begin_parts() {}
WORD void await_parts() {}
template <class T> WORD void meet_parts(T *all_x, T *all_y, T x, T y, int) { *all_x = x, *all_y = y; }
#endif
// The one meeting of a kernel.
template <class T> WORD void gather_parts(T *all_x, T *all_y, T x, T y)
{
    await_parts();
    meet_parts(all_x, all_y, x, y, 0);
}

// Both sums of a part.
template <class T> WORD void part_sum_pair(T *x, T *y)
{
    UNROLLED for (int o = WARP_LANES / 2; o; o >>= 1) {
        *x += __shfl_xor_sync(GROUP_MASK, *x, o);
        *y += __shfl_xor_sync(GROUP_MASK, *y, o);
    }
    if (LANES <= 32) return;
    __shared__ T of_warp[2][GROUP_WARPS];
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warp[0][threadIdx.x / 32] = *x, of_warp[1][threadIdx.x / 32] = *y;
    __syncthreads();
    *x = of_warp[0][threadIdx.x % GROUP_WARPS], *y = of_warp[1][threadIdx.x % GROUP_WARPS];
    UNROLLED for (int o = GROUP_WARPS / 2; o; o >>= 1) {
        *x += __shfl_xor_sync(~0u, *x, o);
        *y += __shfl_xor_sync(~0u, *y, o);
    }
}

#endif

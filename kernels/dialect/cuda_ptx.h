// SPDX-License-Identifier: Apache-2.0
// The instructions of an NVIDIA GPU that its compiler has no intrinsics for: a small word each, over C's own types. All inline PTX
// of the dialect stands here, and nothing else does: tests/cuda has these words for a CPU in tests/cuda/fake_words.h.
#ifndef CARAT_DIALECT_CUDA_PTX_H
#define CARAT_DIALECT_CUDA_PTX_H

// ---- order: of the compiler's work alone
WORD void ptx_order_memory() { asm volatile("" ::: "memory"); }
WORD void ptx_forget(u32 *word) { asm volatile("" : "+r"(*word)); }

// ---- clusters of blocks, from compute capability 9.0 on
WORD u32 ptx_cluster_rank() { u32 rank; asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank)); return rank; }
WORD void ptx_cluster_arrive() { asm volatile("barrier.cluster.arrive.aligned;" ::: "memory"); }
WORD void ptx_cluster_arrive_relaxed() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
WORD void ptx_cluster_wait() { asm volatile("barrier.cluster.wait.aligned;" ::: "memory"); }

// Writes v to the place in another block's shared memory that p is in this one's.
WORD u32 ptx_map_shared(const void *p, u32 block)
{
    u32 there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"((u32)__cvta_generic_to_shared(p)), "r"(block));
    return there;
}
WORD void ptx_put_remote(f32 *p, f32 v, u32 block)
{
    asm volatile("st.shared::cluster.f32 [%0], %1;" : : "r"(ptx_map_shared(p, block)), "f"(v) : "memory");
}
WORD void ptx_put_remote(f64 *p, f64 v, u32 block)
{
    asm volatile("st.shared::cluster.f64 [%0], %1;" : : "r"(ptx_map_shared(p, block)), "d"(v) : "memory");
}

// ---- launches that overlap, from compute capability 9.0 on
WORD void ptx_launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
WORD void ptx_launch_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// ---- memory
WORD void ptx_read(u32 (&w)[4], const void *p)
{
    asm("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3]) : "l"(p));
}
WORD void ptx_read(u32 (&w)[2], const void *p) { asm("ld.global.v2.u32 {%0, %1}, [%2];" : "=r"(w[0]), "=r"(w[1]) : "l"(p)); }
WORD void ptx_read(u32 (&w)[1], const void *p) { asm("ld.global.u32 %0, [%1];" : "=r"(w[0]) : "l"(p)); }
WORD void ptx_write(void *p, const u32 (&w)[4])
{
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" : : "l"(p), "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3]) : "memory");
}
WORD void ptx_read(u16 (&w)[1], const void *p) { asm("ld.global.u16 %0, [%1];" : "=h"(w[0]) : "l"(p)); }

// From compute capability 9.0 on. Whole 16 bytes.
WORD void ptx_prefetch_l2(u64 address, u32 bytes)
{
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" : : "l"(address), "r"(bytes) : "memory");
}

// Adds to memory that others may add to at a time: a pair of halves (of bf16 from compute capability 9.0 on); from 9.0 on, several
// pairs or floats side by side.
#define ADD_PAIRS(name, type)                                                                                                         \
    WORD void name(u32 *p, u32 x) { asm volatile("red.global.add.noftz." type " [%0], %1;" : : "l"(p), "r"(x) : "memory"); }           \
    WORD void name(u32 *p, u32 x, u32 y)                                                                                              \
    {                                                                                                                                 \
        asm volatile("red.global.add.noftz.v2." type " [%0], {%1, %2};" : : "l"(p), "r"(x), "r"(y) : "memory");                        \
    }                                                                                                                                 \
    WORD void name(u32 *p, u32 x, u32 y, u32 z, u32 w)                                                                                \
    {                                                                                                                                 \
        asm volatile("red.global.add.noftz.v4." type " [%0], {%1, %2, %3, %4};" : : "l"(p), "r"(x), "r"(y), "r"(z), "r"(w) : "memory"); \
    }
ADD_PAIRS(ptx_add_f16x2, "f16x2")
ADD_PAIRS(ptx_add_bf16x2, "bf16x2")
#undef ADD_PAIRS
WORD void ptx_add_f32(f32 *p, f32 x, f32 y) { asm volatile("red.global.add.v2.f32 [%0], {%1, %2};" : : "l"(p), "f"(x), "f"(y) : "memory"); }
WORD void ptx_add_f32(f32 *p, f32 x, f32 y, f32 z, f32 w)
{
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" : : "l"(p), "f"(x), "f"(y), "f"(z), "f"(w) : "memory");
}

// ---- arithmetic; halves by their bits
WORD f32 ptx_f32_of_f16(u16 bits) { f32 y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(bits)); return y; }
WORD u16 ptx_f16_of_f32(f32 x) { u16 bits; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); return bits; }
WORD u16 ptx_bf16_of_f32(f32 x) { u16 bits; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x)); return bits; }
WORD f32 ptx_exp2_near(f32 x) { f32 y; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }

#endif

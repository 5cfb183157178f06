// SPDX-License-Identifier: Apache-2.0
// What the processor has for products of halves: matrix units (AMX) and dot products.
#include "backends/cpu/cpu.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum {
    AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24,    // leaf 7, subleaf 0, EDX
    AVX512_BF16 = 1 << 5, AMX_FP16 = 1 << 21,  // subleaf 1, EAX
};

static unsigned features(unsigned subleaf)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx)) return 0;
    return subleaf ? eax : edx;
}

static uint32_t ask_products(void)
{
    if (!carat_cpu_level_runs(carat_cpu_level_find("x86-64-v4"))) return 0;
    const uint32_t brain = features(0) & AMX_BF16 || features(1) & AVX512_BF16 ? 1u << CARAT_bf16 : 0;
    return brain | (features(1) & AMX_FP16 ? 1u << CARAT_f16 : 0);
}

#else

static uint32_t ask_products(void)
{
    return 0;
}

#endif

uint32_t carat_cpu_native_products(void)
{
    static const uint32_t asked = UINT32_C(1) << 31; // beside the dtypes
    static _Atomic uint32_t known;
    uint32_t products = atomic_load_explicit(&known, memory_order_relaxed);
    if (!products) {
        products = ask_products() | asked;
        atomic_store_explicit(&known, products, memory_order_relaxed);
    }
    return products & ~asked;
}

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

enum {
    TILE_STATE = 3 << 17,   // the system saves the tiles' shapes and contents
    TILE_DATA = 18,         // the number of their contents among such states
    REQUEST_STATE = 0x1023, // ARCH_REQ_XCOMP_PERM: Linux keeps the space that tiles need for those who ask
};

// The permission is the process's: threads and forks inherit it. Asking again does no harm.
bool carat_cpu_has_tiles(void)
{
    const unsigned needed = AMX_BF16 | AMX_TILE;
    if ((features(0) & needed) != needed || (carat_cpu_saved_state() & TILE_STATE) != TILE_STATE) return false;
    return syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) == 0;
}

#else

bool carat_cpu_has_tiles(void)
{
    return false;
}

#endif

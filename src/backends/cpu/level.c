// SPDX-License-Identifier: Apache-2.0
// The ISA levels that packs are built for, and which of them this machine runs.
#include "backends/cpu/cpu.h"
#include "cpu_config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__aarch64__)
enum { BASELINE_REGISTERS = 32 };
#else
enum { BASELINE_REGISTERS = 16 };
#endif

#define V4 .name = "x86-64-v4", .dialect = "cpu.h", .flags = "-march=x86-64-v4 -mprefer-vector-width=512", \
           .vector_bytes = 64, .vector_registers = 32, .lanes = 1

static const carat_target levels[] = {
    {.name = "baseline", .dialect = "cpu.h", .flags = "", .vector_bytes = 16, .vector_registers = BASELINE_REGISTERS, .lanes = 1},
#if defined(__x86_64__)
    {.name = "x86-64-v3", .dialect = "cpu.h", .flags = "-march=x86-64-v3", .vector_bytes = 32, .vector_registers = 16, .lanes = 1},
    {V4, .half_tiles = 1},
#endif
};
enum { LEVEL_COUNT = sizeof levels / sizeof *levels };

int carat_cpu_level_count(void)
{
    return LEVEL_COUNT;
}

const carat_target *carat_cpu_level_at(int index)
{
    return &levels[index];
}

const carat_target *carat_cpu_level_find(const char *name)
{
    for (int i = 0; i < LEVEL_COUNT; ++i)
        if (strcmp(levels[i].name, name) == 0) return &levels[i];
    return NULL;
}

#if defined(__x86_64__)

// Compilers differ in what __builtin_cpu_supports knows, so the bits are read here. The psABI defines the levels.
enum {
    V2_ECX1 = 1 << 0 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23,   // SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT
    V3_ECX1 = 1 << 12 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29,           // FMA MOVBE OSXSAVE AVX F16C
    V3_EBX7 = 1 << 3 | 1 << 5 | 1 << 8,                                  // BMI1 AVX2 BMI2
    V3_ECX_EXTENDED = 1 << 5,                                            // LZCNT
    V4_EBX7 = (int)(1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31), // AVX512 F DQ CD BW VL
    V3_STATE = 0x06, // the system saves XMM and YMM
    V4_STATE = 0xe6, // and the mask registers and ZMM
};

static bool has(unsigned word, int bits)
{
    return (word & (unsigned)bits) == (unsigned)bits;
}

unsigned carat_cpu_saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// 0 for the baseline, 3 or 4.
static int machine_level(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has(ecx, V2_ECX1 | V3_ECX1)) return 0;
    const unsigned state = carat_cpu_saved_state();
    if (!has(state, V3_STATE)) return 0;
    if (!__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) || !has(ecx, V3_ECX_EXTENDED)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !has(ebx, V3_EBX7)) return 0;
    return has(ebx, V4_EBX7) && has(state, V4_STATE) ? 4 : 3;
}

bool carat_cpu_level_runs(const carat_target *level)
{
    const int needed = level == &levels[0] ? 0 : level == &levels[1] ? 3 : 4;
    return machine_level() >= needed;
}

#else

bool carat_cpu_level_runs(const carat_target *level)
{
    (void)level;
    return true;
}

#endif

// Whether the package was built with a pack for the level: what is not in a pack has to be compiled by the user.
static bool has_pack(const carat_target *level)
{
    const size_t length = strlen(level->name);
    for (const char *at = CARAT_CPU_PACKS; *at;) {
        const size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, level->name, word) == 0) return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

static const carat_target *best_level(void)
{
    const carat_target *best = &levels[0], *packed = NULL;
    for (int i = 0; i < LEVEL_COUNT; ++i) {
        if (!carat_cpu_level_runs(&levels[i])) continue;
        best = &levels[i];
        if (has_pack(best)) packed = best;
    }
    return packed ? packed : best;
}

// The level as this machine has it: packs of level v4 hold kernels for AMX too, which not every such machine has.
static const carat_target *without_missing_tiles(const carat_target *level)
{
#if defined(__x86_64__)
    static const carat_target plain = {V4};
    if (level->half_tiles && !carat_cpu_has_tiles()) return &plain;
#endif
    return level;
}

const carat_target *carat_cpu_level(const char **remark)
{
    static char text[192];
    static _Atomic(const carat_target *) chosen;
    const carat_target *level = atomic_load_explicit(&chosen, memory_order_acquire);
    if (!level) {
        const char *name = getenv("CARAT_ISA");
        const carat_target *asked = name && *name ? carat_cpu_level_find(name) : NULL;
        const bool runs = asked && carat_cpu_level_runs(asked);
        level = runs ? asked : best_level();
        if (name && *name && !runs)
            snprintf(text, sizeof text, "CARAT_ISA=%.32s %s; using %s", name,
                     asked ? "does not run on this machine" : "is no level that Carat knows", level->name);
        level = without_missing_tiles(level);
        atomic_store_explicit(&chosen, level, memory_order_release);
    }
    if (remark) *remark = *text ? text : NULL;
    return level;
}

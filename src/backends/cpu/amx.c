// SPDX-License-Identifier: Apache-2.0
// AMX, the matrix unit of some x86-64 processors: whether it is there and this process may use it.
#include "backends/cpu/cpu.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    AMX_EDX7 = 1 << 22 | 1 << 24, // AMX-BF16, AMX-TILE
    TILE_STATE = 3 << 17,         // the system saves the tiles' shapes and contents
    TILE_DATA = 18,               // the number of their contents among such states
    REQUEST_STATE = 0x1023,       // ARCH_REQ_XCOMP_PERM: Linux keeps the space that tiles need for those who ask
};

static bool saves_tiles(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILE_STATE) == TILE_STATE;
}

// The permission is the process's: threads and forks inherit it. Asking again does no harm.
bool carat_cpu_has_tiles(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx & AMX_EDX7) != AMX_EDX7 || !saves_tiles()) return false;
    return syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) == 0;
}

#else

bool carat_cpu_has_tiles(void)
{
    return false;
}

#endif

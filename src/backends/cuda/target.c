// SPDX-License-Identifier: Apache-2.0
// The architectures that kernels are compiled for. A cubin runs on its own compute capability and on later minor ones.
#include "backends/cuda/cuda.h"

#include <string.h>

// A group is at most a block or, where there are clusters, one of 8 blocks.
#define TARGET(capability, arch)                                                                                  \
    { capability, { .name = arch, .dialect = "cuda.h", .flags = "--gpu-architecture=" arch, .vector_bytes = 16,   \
                    .lanes = capability >= 90 ? 8192 : 1024 } }

// sm_90a has instructions that sm_90 lacks and runs on capability 9.0 only.
static const struct {
    int capability; // major * 10 + minor
    carat_target target;
} targets[] = {
    TARGET(80, "sm_80"), TARGET(86, "sm_86"), TARGET(87, "sm_87"), TARGET(89, "sm_89"),
    TARGET(90, "sm_90a"), TARGET(100, "sm_100"), TARGET(103, "sm_103"), TARGET(120, "sm_120"), TARGET(121, "sm_121"),
};
enum { TARGET_COUNT = sizeof targets / sizeof *targets };

const carat_target *carat_cuda_target_of(int capability)
{
    const carat_target *best = NULL;
    for (int i = 0; i < TARGET_COUNT; ++i) {
        const bool same_major = targets[i].capability / 10 == capability / 10;
        const bool exact_only = targets[i].capability == 90;
        if (targets[i].capability == capability || (same_major && !exact_only && targets[i].capability < capability))
            best = &targets[i].target;
    }
    return best;
}

const carat_target *carat_cuda_target_find(const char *name)
{
    for (int i = 0; i < TARGET_COUNT; ++i)
        if (strcmp(targets[i].target.name, name) == 0) return &targets[i].target;
    return NULL;
}

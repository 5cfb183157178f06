// SPDX-License-Identifier: Apache-2.0
// y[g * VEC + k] = x[g * VEC + k] * FACTOR for each group g: the fixture's kernel. BROKEN makes it not compile.
#include "scale_args.h"

KERNEL(KERNEL_NAME)(const void *args, int64_t group_begin, int64_t group_end);
KERNEL(KERNEL_NAME)(const void *args, int64_t group_begin, int64_t group_end)
{
    const scale_args *a = (const scale_args *)args;
    for (int64_t i = group_begin * VEC; i < group_end * VEC; ++i) a->y[i] = a->x[i] * FACTOR;
    BROKEN
}

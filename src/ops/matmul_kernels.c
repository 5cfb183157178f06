// SPDX-License-Identifier: Apache-2.0
// Which kernels matrix products have: keys, -D constants, and those that the pack holds.
#include "jit/jit.h"
#include "ops/matmul.h"

// key.dtypes[0]: of the elements. The families matmul and matvec have one kernel for each.
carat_key carat_matmul_key(carat_dtype dtype, bool thin)
{
    carat_key key = { .family = thin ? CARAT_FAMILY_matvec : CARAT_FAMILY_matmul };
    key.dtypes[0] = (uint8_t)dtype;
    return key;
}

carat_dtype carat_matmul_sums(carat_dtype dtype)
{
    if (carat_dtype_in(dtype, CARAT_HALVES)) return CARAT_f32;
    return carat_dtype_in(dtype, CARAT_INTS) && dtype != CARAT_i64 ? CARAT_i32 : dtype; // wrapping sums may be wider
}

// 6 x 2 vectors of sums fill 16 registers, 14 x 2 fill 32. A pass is so deep that a panel of B stays in L1.
carat_matmul_tile carat_matmul_tile_of(const carat_target *target, carat_dtype sums)
{
    carat_matmul_tile tile = { .rows = target->vector_registers >= 32 ? 14 : 6, .vectors = 2, .depth = 256 };
    tile.lanes = target->vector_bytes / (int)carat_dtype_size(sums);
    return tile;
}

void carat_matmul_describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0], sums = carat_matmul_sums(dtype);
    const carat_matmul_tile tile = carat_matmul_tile_of(target, sums);
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "ACC", "%s", carat_dtype_name(sums));
    carat_define(defines, "VEC", "%d", tile.lanes);
    if (key->family == CARAT_FAMILY_matvec) return;
    carat_define(defines, "MR", "%d", tile.rows);
    carat_define(defines, "NV", "%d", tile.vectors);
    carat_define(defines, "KC", "%d", tile.depth);
}

static void enumerate(bool thin, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        const carat_key key = carat_matmul_key(dtype, thin);
        if (carat_dtype_in(dtype, CARAT_REALS)) emit(arg, &key);
    }
}

void carat_matmul_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    enumerate(false, emit, arg);
}

void carat_matvec_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    enumerate(true, emit, arg);
}

carat_status carat_matmul_check(const carat_frame *call, carat_dtype dtype)
{
    carat_kernel kernel;
    const carat_key key = carat_matmul_key(dtype, false), thin = carat_matmul_key(dtype, true);
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    return carat_kernel_get(call->backend, call->device, &thin, &kernel);
}

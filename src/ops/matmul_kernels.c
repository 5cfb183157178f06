// SPDX-License-Identifier: Apache-2.0
// Which kernels matrix products have: keys, -D constants, and those that the pack holds.
#include "jit/jit.h"
#include "ops/matmul.h"

// key.dtypes[0]: of the elements. Each way's family has one kernel for each dtype that it takes.
carat_key carat_matmul_key(carat_dtype dtype, carat_matmul_way way)
{
    static const uint8_t families[] = { CARAT_FAMILY_matvec, CARAT_FAMILY_matmul, CARAT_FAMILY_matmul_tiles };
    carat_key key = { .family = families[way] };
    key.dtypes[0] = (uint8_t)dtype;
    return key;
}

carat_dtype carat_matmul_sums(carat_dtype dtype)
{
    if (carat_dtype_in(dtype, CARAT_HALVES)) return CARAT_f32;
    return carat_dtype_in(dtype, CARAT_INTS) && dtype != CARAT_i64 ? CARAT_i32 : dtype; // wrapping sums may be wider
}

// 6 x 2 vectors of sums fill 16 registers, 9 x 3 fill 32. A pass is so deep that a panel of B stays in L1, or in L2 where
// processors with wide vectors have much of it; so does a block of A.
static carat_matmul_tile tile_of(const carat_target *target, carat_dtype dtype, carat_matmul_way way)
{
    const int size = (int)carat_dtype_size(carat_matmul_sums(dtype));
    const bool many = target->vector_registers >= 32, wide = target->vector_bytes >= 64;
    if (way == CARAT_MATMUL_TILES)
        return (carat_matmul_tile){ .way = CARAT_MATMUL_TILES, .lanes = 16, .rows = 32, .vectors = 2, .depth = 4096,
                                    .row_step = 32, .depth_step = 32, .packed_bytes = 2 };
    return (carat_matmul_tile){ .way = CARAT_MATMUL_VECTORS, .lanes = target->vector_bytes / size, .rows = many ? 9 : 6,
                                .vectors = many ? 3 : 2, .depth = wide ? 512 : 256, .row_step = 1, .depth_step = 8,
                                .packed_bytes = size, .left_bytes = (wide ? 512 : 256) * 1024 };
}

carat_matmul_tile carat_matmul_tile_of(const carat_target *target, carat_dtype dtype)
{
    return tile_of(target, dtype, carat_has_tiles(target, dtype) ? CARAT_MATMUL_TILES : CARAT_MATMUL_VECTORS);
}

void carat_matmul_describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0], sums = carat_matmul_sums(dtype);
    const carat_matmul_tile tile = tile_of(target, dtype, key->family == CARAT_FAMILY_matmul_tiles ? CARAT_MATMUL_TILES : CARAT_MATMUL_VECTORS);
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "ACC", "%s", carat_dtype_name(sums));
    carat_define(defines, "VEC", "%d", tile.lanes);
    if (key->family == CARAT_FAMILY_matvec) return;
    carat_define(defines, "MR", "%d", tile.rows);
    carat_define(defines, "NV", "%d", tile.vectors);
}

static void enumerate(const carat_target *target, carat_matmul_way way, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        const carat_key key = carat_matmul_key(dtype, way);
        if (!carat_dtype_in(dtype, CARAT_REALS)) continue;
        if (way != CARAT_MATMUL_TILES || carat_has_tiles(target, dtype)) emit(arg, &key);
    }
}

void carat_matmul_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    enumerate(target, CARAT_MATMUL_VECTORS, emit, arg);
}

void carat_matvec_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    enumerate(target, CARAT_MATMUL_THIN, emit, arg);
}

void carat_matmul_tiles_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    enumerate(target, CARAT_MATMUL_TILES, emit, arg);
}

carat_status carat_matmul_check(const carat_frame *call, carat_dtype dtype)
{
    carat_kernel kernel;
    const carat_matmul_way way = carat_matmul_tile_of(call->backend->target(call->device), dtype).way;
    const carat_key key = carat_matmul_key(dtype, way), thin = carat_matmul_key(dtype, CARAT_MATMUL_THIN);
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    return carat_kernel_get(call->backend, call->device, &thin, &kernel);
}

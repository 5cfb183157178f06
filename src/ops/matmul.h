// SPDX-License-Identifier: Apache-2.0
// Matrix products for other families: C = beta * input + alpha * A B on views by strides.
#ifndef CARAT_OPS_MATMUL_H
#define CARAT_OPS_MATMUL_H

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "matmul_args.h"

typedef struct carat_matmul {
    carat_dtype dtype; // of all four
    int64_t batch, m, n, k;
    matmul_view a, b, c, input; // input.data NULL: none, and beta does not matter
    carat_scalar alpha, beta;
} carat_matmul;

// Whether there are kernels for a dtype; steps aside if not. To be asked before an output is made.
carat_status carat_matmul_check(const carat_frame *call, carat_dtype dtype);
// Runs a product. C may be the input, but overlaps neither factor.
carat_status carat_matmul_launch(const carat_frame *call, const carat_matmul *product);

// ---- between the family's parts

// How a product runs: few rows as they come, or in blocks, by SIMD registers or by a matrix unit.
typedef enum carat_matmul_way { CARAT_MATMUL_THIN, CARAT_MATMUL_VECTORS, CARAT_MATMUL_TILES } carat_matmul_way;

// The register tile of a target, and the depth of a pass.
typedef struct carat_matmul_tile {
    carat_matmul_way way;
    int lanes, rows, vectors, depth;
    int row_step, depth_step; // of what blocks and passes should be multiples
    int packed_bytes;         // of an element of packed factors
    int left_bytes;           // of a block of A, which stays in L2
} carat_matmul_tile;
carat_matmul_tile carat_matmul_tile_of(const carat_target *target, carat_dtype dtype);
carat_dtype carat_matmul_sums(carat_dtype dtype); // the dtype of sums over products of a dtype
carat_key carat_matmul_key(carat_dtype dtype, carat_matmul_way way);
void carat_matmul_describe(const carat_key *key, const carat_target *target, carat_defines *defines);
void carat_matmul_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);
void carat_matvec_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);
void carat_matmul_tiles_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

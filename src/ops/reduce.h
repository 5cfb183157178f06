// SPDX-License-Identifier: Apache-2.0
// The rows of the reduce family and its parts: arguments to results (reduce.c), keys and constants of its kernels
// (reduce_kernels.c).
#ifndef CARAT_OPS_REDUCE_H
#define CARAT_OPS_REDUCE_H

#include "core/tensor.h"

typedef enum carat_reduce_id {
#define REDUCE(id, ...) CARAT_REDUCE_##id,
#include "reduce.def"
#undef REDUCE
    CARAT_REDUCE_COUNT
} carat_reduce_id;

typedef struct carat_reduce_row {
    carat_row base;
    uint8_t form, result, accumulate;
    const char *identity, *map, *combine, *finish;
} carat_reduce_row;

enum { DIMS, COUNTED, NORM, FOREACH, PAIR, DIAGONAL }; // form
enum { TOTAL, FLOATING, SAME_DTYPE, TRUTH, COUNT };    // result
enum { SUMS, PLAIN, TALLY };                           // accumulate

const carat_reduce_row *carat_reduce_row_at(int index);

carat_key carat_reduce_key(carat_reduce_id row, carat_dtype in, carat_dtype out);
// Bytes of a partial result.
size_t carat_reduce_partial_bytes(const carat_key *key);
void carat_reduce_describe(const carat_key *key, const carat_target *target, carat_defines *defines);
void carat_reduce_enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);

// The same for groups of many lanes, which convert elements of `in` to `as` when they read them.
carat_key carat_reduce_lanes_key(carat_reduce_id row, carat_dtype in, carat_dtype as, carat_dtype out);
size_t carat_reduce_lanes_joined_bytes(const carat_key *key);

#endif

// SPDX-License-Identifier: Apache-2.0
// Element types: categories, PyTorch's promotion lattice, and numbers converted to an element type.
#ifndef CARAT_CORE_DTYPE_H
#define CARAT_CORE_DTYPE_H

#include "core/op.h"

// Sets of dtypes, for rows.
#define CARAT_BIT(name) (1u << CARAT_##name)
enum {
    CARAT_BOOLS = 1u << CARAT_b8,
    CARAT_INTS = 1u << CARAT_u8 | 1u << CARAT_i8 | 1u << CARAT_i16 | 1u << CARAT_i32 | 1u << CARAT_i64,
    CARAT_HALVES = 1u << CARAT_f16 | 1u << CARAT_bf16,
    CARAT_FLOATS = CARAT_HALVES | 1u << CARAT_f32 | 1u << CARAT_f64,
    CARAT_COMPLEX = 1u << CARAT_c64 | 1u << CARAT_c128,
    CARAT_REALS = CARAT_INTS | CARAT_FLOATS,
    CARAT_NUMBERS = CARAT_REALS | CARAT_COMPLEX,
    CARAT_ALL = CARAT_NUMBERS | CARAT_BOOLS,
};

static inline bool carat_dtype_in(carat_dtype dtype, uint32_t set) { return dtype < 32 && (set >> dtype & 1); }
static inline bool carat_is_float(carat_dtype dtype) { return carat_dtype_in(dtype, CARAT_FLOATS); }
static inline bool carat_is_complex(carat_dtype dtype) { return carat_dtype_in(dtype, CARAT_COMPLEX); }
static inline bool carat_is_integral(carat_dtype dtype) { return carat_dtype_in(dtype, CARAT_INTS | CARAT_BOOLS); }

// By DLPack's code and the bytes of an element: one more than the dtype, 0 where there is none.
extern const uint8_t carat_dtype_by_dl[16][32];

// carat_dtype_from_dl in line: a call asks for its tensors' dtypes dozens of times.
static inline carat_dtype carat_dtype_by_code_and_bytes(carat_dl_dtype dl)
{
    if (dl.lanes != 1 || dl.code >= 16 || dl.bits % 8) return CARAT_DTYPE_NONE;
    return (carat_dtype)(uint8_t)(carat_dtype_by_dl[dl.code][dl.bits / 8] - 1);
}

// The dtype of a view; CARAT_DTYPE_NONE if Carat has no such type.
static inline carat_dtype carat_dtype_of(const carat_tensor *tensor) { return carat_dtype_by_code_and_bytes(tensor->dl_dtype); }

// torch.promote_types; CARAT_DTYPE_COUNT where Carat has no answer (unsigned 16 to 64 bits, fp8, complex32).
carat_dtype carat_promote(carat_dtype a, carat_dtype b);
// torch.can_cast: whether a result of dtype `from` may be written to a tensor of dtype `to`.
bool carat_can_cast(carat_dtype from, carat_dtype to);
// The dtype that arithmetic on `dtype` is done in: f32 for the halves, itself otherwise.
carat_dtype carat_compute_dtype(carat_dtype dtype);
// What a kernel that only moves elements sees of their dtype: the one that stands for all of its size.
carat_dtype carat_raw_dtype(carat_dtype dtype);
// Those dtypes, smallest first, and the one of 1, 2, 4, 8 or 16 bytes.
enum { CARAT_RAW_DTYPE_COUNT = 5 };
extern const carat_dtype carat_raw_dtypes[CARAT_RAW_DTYPE_COUNT];
carat_dtype carat_raw_of_size(size_t bytes);

// Type promotion over a call's operands (torch.result_type): tensors with dimensions outrank 0-d tensors, which outrank
// plain numbers, within a category. Start with zero, add each operand, then take the result.
typedef struct carat_promotion {
    carat_dtype dimensioned, zero_dim, number; // CARAT_DTYPE_NONE: none seen
} carat_promotion;
#define CARAT_PROMOTION_START { CARAT_DTYPE_NONE, CARAT_DTYPE_NONE, CARAT_DTYPE_NONE }
// default_dtype: the host's default floating dtype, for plain numbers.
carat_status carat_promotion_add(carat_promotion *promotion, const carat_arg *operand, carat_dtype default_dtype);
carat_dtype carat_promotion_result(const carat_promotion *promotion);

// Writes a number as one element of dtype (16 bytes are enough for any).
void carat_scalar_store(carat_scalar scalar, carat_dtype dtype, void *element);
// Whether ATen converts a number to dtype without an error, rounding allowed; false as well where this library doesn't know.
bool carat_scalar_fits(carat_scalar number, carat_dtype dtype);
// Reads one element as a number.
carat_scalar carat_scalar_load(carat_dtype dtype, const void *element);

#endif

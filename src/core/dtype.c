// SPDX-License-Identifier: Apache-2.0
// Element types, promotion and conversion of single numbers. The rules are PyTorch's (torch.result_type).
#include "core/dtype.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct dtype_facts {
    const char *name;
    uint8_t bytes, dl_code, torch;
} dtype_facts;

static const dtype_facts facts[CARAT_DTYPE_COUNT] = {
#define DTYPE(name, bytes, dlpack, torch) [CARAT_##name] = { #name, bytes, dlpack, torch },
    CARAT_DTYPES(DTYPE)
#undef DTYPE
};

const char *carat_dtype_name(carat_dtype dtype)
{
    return dtype < CARAT_DTYPE_COUNT ? facts[dtype].name : "?";
}

size_t carat_dtype_size(carat_dtype dtype)
{
    return dtype < CARAT_DTYPE_COUNT ? facts[dtype].bytes : 0;
}

carat_dl_dtype carat_dtype_to_dl(carat_dtype dtype)
{
    if (dtype >= CARAT_DTYPE_COUNT) return (carat_dl_dtype){ 0, 0, 0 };
    return (carat_dl_dtype){ facts[dtype].dl_code, (uint8_t)(facts[dtype].bytes * 8), 1 };
}

const uint8_t carat_dtype_by_dl[16][32] = {
#define DTYPE(name, bytes, dlpack, torch) [dlpack][bytes] = CARAT_##name + 1,
    CARAT_DTYPES(DTYPE)
#undef DTYPE
};

carat_dtype carat_dtype_from_dl(carat_dl_dtype dl)
{
    return carat_dtype_by_code_and_bytes(dl);
}

carat_dtype carat_compute_dtype(carat_dtype dtype)
{
    return carat_dtype_in(dtype, CARAT_HALVES) ? CARAT_f32 : dtype;
}

const carat_dtype carat_raw_dtypes[CARAT_RAW_DTYPE_COUNT] = { CARAT_u8, CARAT_i16, CARAT_i32, CARAT_i64, CARAT_c128 };

carat_dtype carat_raw_of_size(size_t bytes)
{
    switch (bytes) {
    case 1: return CARAT_u8;
    case 2: return CARAT_i16;
    case 4: return CARAT_i32;
    case 8: return CARAT_i64;
    default: return CARAT_c128;
    }
}

carat_dtype carat_raw_dtype(carat_dtype dtype)
{
    return carat_raw_of_size(carat_dtype_size(dtype));
}

static carat_dtype to_complex(carat_dtype dtype)
{
    if (dtype == CARAT_f16) return CARAT_DTYPE_COUNT; // PyTorch's complex32, which Carat lacks
    return dtype == CARAT_f64 ? CARAT_c128 : CARAT_c64;
}

static carat_dtype promote_integral(carat_dtype a, carat_dtype b)
{
    if (a == CARAT_b8) return b;
    if (b == CARAT_b8) return a;
    if (a == CARAT_u8 || b == CARAT_u8) { // u8 with a signed type needs the next wider signed type
        const carat_dtype other = a == CARAT_u8 ? b : a;
        return other == CARAT_i8 ? CARAT_i16 : other;
    }
    return carat_dtype_size(a) >= carat_dtype_size(b) ? a : b;
}

carat_dtype carat_promote(carat_dtype a, carat_dtype b)
{
    if (a == b) return a;
    if (!carat_dtype_in(a, CARAT_ALL) || !carat_dtype_in(b, CARAT_ALL)) return CARAT_DTYPE_COUNT;
    if (carat_is_complex(a) || carat_is_complex(b)) {
        const carat_dtype left = carat_is_complex(a) ? a : to_complex(a);
        const carat_dtype right = carat_is_complex(b) ? b : to_complex(b);
        if (left == CARAT_DTYPE_COUNT || right == CARAT_DTYPE_COUNT) return CARAT_DTYPE_COUNT;
        return left == CARAT_c128 || right == CARAT_c128 ? CARAT_c128 : CARAT_c64;
    }
    if (carat_is_float(a) && carat_is_float(b)) {
        if (carat_dtype_in(a, CARAT_HALVES) && carat_dtype_in(b, CARAT_HALVES)) return CARAT_f32; // f16 with bf16
        return carat_dtype_size(a) >= carat_dtype_size(b) ? a : b;
    }
    if (carat_is_float(a)) return a;
    if (carat_is_float(b)) return b;
    return promote_integral(a, b);
}

static int category(carat_dtype dtype)
{
    return dtype == CARAT_b8 ? 0 : carat_is_complex(dtype) ? 3 : carat_is_float(dtype) ? 2 : 1;
}

bool carat_can_cast(carat_dtype from, carat_dtype to)
{
    return category(from) <= category(to);
}

static carat_dtype merge(carat_dtype a, carat_dtype b)
{
    return a == CARAT_DTYPE_NONE ? b : b == CARAT_DTYPE_NONE ? a : carat_promote(a, b);
}

static carat_dtype number_dtype(carat_scalar_kind kind, carat_dtype default_dtype)
{
    switch (kind) {
    case CARAT_SCALAR_BOOL: return CARAT_b8;
    case CARAT_SCALAR_INT: return CARAT_i64;
    case CARAT_SCALAR_FLOAT: return default_dtype;
    default: return to_complex(default_dtype);
    }
}

carat_status carat_promotion_add(carat_promotion *promotion, const carat_arg *operand, carat_dtype default_dtype)
{
    if (operand->kind != CARAT_ARG_TENSOR) {
        promotion->number = merge(promotion->number, number_dtype(operand->scalar.kind, default_dtype));
        return CARAT_OK;
    }
    carat_dtype dtype = carat_dtype_of(&operand->tensor);
    if (!carat_dtype_in(dtype, CARAT_ALL)) return carat_step_aside("dtype");
    if (operand->tensor.ndim > 0) {
        promotion->dimensioned = merge(promotion->dimensioned, dtype);
    } else if (operand->flags & CARAT_TENSOR_WRAPPED_NUMBER) {
        if (carat_is_complex(dtype)) dtype = to_complex(default_dtype);
        else if (carat_is_float(dtype)) dtype = default_dtype;
        promotion->number = merge(promotion->number, dtype);
    } else {
        promotion->zero_dim = merge(promotion->zero_dim, dtype);
    }
    return CARAT_OK;
}

// PyTorch's combine_categories: the lower rank only counts where it brings a higher category.
static carat_dtype combine(carat_dtype higher, carat_dtype lower)
{
    if (higher == CARAT_DTYPE_NONE || lower == CARAT_DTYPE_NONE) return merge(higher, lower);
    if (carat_is_complex(higher)) return higher;
    if (carat_is_float(higher)) return carat_is_complex(lower) ? to_complex(higher) : higher;
    if (higher == CARAT_b8 || carat_is_float(lower) || carat_is_complex(lower)) return carat_promote(higher, lower);
    return higher;
}

carat_dtype carat_promotion_result(const carat_promotion *promotion)
{
    return combine(promotion->dimensioned, combine(promotion->zero_dim, promotion->number));
}

// ---- single numbers

static uint16_t bf16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float float_from_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t f16_from_double(double value)
{
    if (value != value) return 0x7e00;
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    const double magnitude = fabs(value);
    if (magnitude >= 65520.0) return sign | 0x7c00; // rounds to infinity
    if (magnitude < 0x1p-14) return sign | (uint16_t)nearbyint(magnitude * 0x1p24);
    int exponent;
    const double fraction = frexp(magnitude, &exponent); // in [0.5, 1)
    const int mantissa = (int)nearbyint(fraction * 2048);  // 11 bits; 2048 carries into the exponent
    return (uint16_t)(sign + ((exponent + 13) << 10) + mantissa);
}

static double double_from_f16(uint16_t half)
{
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const double magnitude = exponent == 31 ? (mantissa ? NAN : INFINITY)
                             : exponent == 0 ? mantissa * 0x1p-24
                                             : ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

// The value as a whole number, as C converts it where that is defined; saturating elsewhere.
static int64_t as_int(carat_scalar scalar)
{
    if (scalar.kind <= CARAT_SCALAR_INT) return scalar.i;
    if (!(scalar.re >= -0x1p63)) return INT64_MIN;
    return scalar.re >= 0x1p63 ? INT64_MAX : (int64_t)scalar.re;
}

static double as_double(carat_scalar scalar)
{
    return scalar.kind <= CARAT_SCALAR_INT ? (double)scalar.i : scalar.re;
}

void carat_scalar_store(carat_scalar scalar, carat_dtype dtype, void *element)
{
    const int64_t whole = as_int(scalar);
    const double real = as_double(scalar);
    const double imaginary = scalar.kind == CARAT_SCALAR_COMPLEX ? scalar.im : 0;
    switch (dtype) {
    case CARAT_b8: *(uint8_t *)element = real != 0 || imaginary != 0; break;
    case CARAT_u8: case CARAT_i8: *(uint8_t *)element = (uint8_t)whole; break;
    case CARAT_i16: case CARAT_u16: *(uint16_t *)element = (uint16_t)whole; break;
    case CARAT_i32: case CARAT_u32: *(uint32_t *)element = (uint32_t)whole; break;
    case CARAT_i64: case CARAT_u64: *(int64_t *)element = whole; break;
    case CARAT_f16: *(uint16_t *)element = f16_from_double((float)real); break; // twice rounded, as in ATen
    case CARAT_bf16: *(uint16_t *)element = bf16_from_float((float)real); break;
    case CARAT_f32: *(float *)element = (float)real; break;
    case CARAT_f64: *(double *)element = real; break;
    case CARAT_c64: ((float *)element)[0] = (float)real; ((float *)element)[1] = (float)imaginary; break;
    case CARAT_c128: ((double *)element)[0] = real; ((double *)element)[1] = imaginary; break;
    default: break;
    }
}

// Infinities and NaN are kept by every floating dtype.
static bool fits_float(double number, carat_dtype dtype)
{
    if (dtype == CARAT_f64 || dtype == CARAT_c128) return true;
    const double largest = dtype == CARAT_f16 ? 65504 : dtype == CARAT_bf16 ? 0x1.fep127 : FLT_MAX;
    return !(fabs(number) > largest) || isinf(number);
}

bool carat_scalar_fits(carat_scalar number, carat_dtype dtype)
{
    if (!carat_dtype_in(dtype, CARAT_ALL)) return false;
    if (number.kind == CARAT_SCALAR_COMPLEX) return carat_is_complex(dtype) && fits_float(number.re, dtype) && fits_float(number.im, dtype);
    if (dtype == CARAT_b8) return true;
    const double real = as_double(number);
    if (!carat_is_integral(dtype)) return fits_float(real, dtype);
    if (dtype == CARAT_i64) return number.kind != CARAT_SCALAR_FLOAT || (real > -0x1p63 && real < 0x1p63);
    const double limit = (double)(UINT64_C(1) << (8 * carat_dtype_size(dtype) - (dtype != CARAT_u8)));
    return real > (dtype == CARAT_u8 ? -1 : -limit - 1) && real < limit;
}

static carat_scalar whole_scalar(carat_scalar_kind kind, int64_t value)
{
    return (carat_scalar){ .kind = kind, .i = value };
}

static carat_scalar real_scalar(double value)
{
    return (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = value };
}

carat_scalar carat_scalar_load(carat_dtype dtype, const void *element)
{
    switch (dtype) {
    case CARAT_b8: return whole_scalar(CARAT_SCALAR_BOOL, *(const uint8_t *)element != 0);
    case CARAT_u8: return whole_scalar(CARAT_SCALAR_INT, *(const uint8_t *)element);
    case CARAT_i8: return whole_scalar(CARAT_SCALAR_INT, *(const int8_t *)element);
    case CARAT_i16: return whole_scalar(CARAT_SCALAR_INT, *(const int16_t *)element);
    case CARAT_u16: return whole_scalar(CARAT_SCALAR_INT, *(const uint16_t *)element);
    case CARAT_i32: return whole_scalar(CARAT_SCALAR_INT, *(const int32_t *)element);
    case CARAT_u32: return whole_scalar(CARAT_SCALAR_INT, *(const uint32_t *)element);
    case CARAT_i64: case CARAT_u64: return whole_scalar(CARAT_SCALAR_INT, *(const int64_t *)element);
    case CARAT_f16: return real_scalar(double_from_f16(*(const uint16_t *)element));
    case CARAT_bf16: return real_scalar((double)float_from_bf16(*(const uint16_t *)element));
    case CARAT_f32: return real_scalar((double)*(const float *)element);
    case CARAT_f64: return real_scalar(*(const double *)element);
    case CARAT_c64:
        return (carat_scalar){ CARAT_SCALAR_COMPLEX, 0, (double)((const float *)element)[0], (double)((const float *)element)[1] };
    case CARAT_c128:
        return (carat_scalar){ CARAT_SCALAR_COMPLEX, 0, ((const double *)element)[0], ((const double *)element)[1] };
    default: return whole_scalar(CARAT_SCALAR_INT, 0);
    }
}

// SPDX-License-Identifier: Apache-2.0
// The random family: its operators whose parameters are numbers, and its kernels.
#include "ops/random.h"

#include "core/tensor.h"

#include <math.h>

enum {
    RANDOM_NUMBERS = CARAT_REALS | CARAT_BOOLS,
    RANDOM_PERMUTED = 1u << CARAT_i32 | 1u << CARAT_i64,
};

enum { WIDE_RANGE = 1 << 28 };

static carat_status run_bernoulli(carat_frame *call) // self, p, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double p = carat_float_arg(call, 1, 0.5);
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_NUMBERS)) return carat_step_aside("dtype");
    if (!(p >= 0 && p <= 1)) return carat_step_aside("probability");
    carat_drawing d = { .call = call, .args = { .base = carat_random_threshold(p) } };
    return carat_random_draw_into(&d, self, RANDOM_BERNOULLI, 2);
}

static double largest_of(carat_dtype dtype)
{
    return dtype == CARAT_f16 ? 65504 : dtype == CARAT_bf16 ? 0x1.fep127 : dtype == CARAT_f32 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
}

// Whether rounding makes the upper bound a result: then versions of ATen differ.
static bool reaches_end(carat_dtype dtype, double from, double to)
{
    if (dtype == CARAT_f64) return !(fma(1 - 0x1p-53, to - from, from) < to && (1 - 0x1p-53) * (to - from) + from < to);
    const float f = (float)from, t = (float)to, below_one = 1 - 0x1p-24f;
    const float product = below_one * (t - f), sum = product + f;
    return dtype == CARAT_f32 && !(fmaf(below_one, t - f, f) < t && sum < t);
}

static carat_status run_uniform(carat_frame *call) // self, from, to, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double from = carat_float_arg(call, 1, 0), to = carat_float_arg(call, 2, 1);
    if (!self || !carat_is_float(carat_dtype_of(self))) return carat_step_aside("dtype");
    const double largest = largest_of(carat_dtype_of(self));
    if (!(from < to && from >= -largest && to <= largest && to - from <= largest)) return carat_step_aside("bounds");
    if (reaches_end(carat_dtype_of(self), from, to)) return carat_step_aside("the upper bound would be reached");
    carat_drawing d = { .call = call, .args = { .first = from, .second = to } };
    return carat_random_draw_into(&d, self, RANDOM_UNIFORM, 3);
}

static carat_status run_normal(carat_frame *call) // self, mean, std, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double mean = carat_float_arg(call, 1, 0), std = carat_float_arg(call, 2, 1);
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_SINGLES)) return carat_step_aside("dtype");
    if (!(std >= 0)) return carat_step_aside("standard deviation");
    if (!carat_is_contiguous(self)) return carat_step_aside("layout"); // ATen draws doubles then
    carat_drawing d = { .call = call, .args = { .first = mean, .second = std } };
    return carat_random_draw_into(&d, self, RANDOM_NORMAL, 3);
}

static carat_status run_exponential(carat_frame *call) // self, lambd, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double lambda = carat_float_arg(call, 1, 1);
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_SINGLES)) return carat_step_aside("dtype");
    if (!(lambda > 1e-18 && lambda < 1e18)) return carat_step_aside("lambda"); // results are normal numbers of f32
    carat_drawing d = { .call = call, .args = { .first = lambda } };
    return carat_random_draw_into(&d, self, RANDOM_EXPONENTIAL, 2);
}

// The whole numbers [least, most] that a dtype has; of floating types those without gaps.
static void bounds_of(carat_dtype dtype, int64_t *least, int64_t *most)
{
    const int digits = dtype == CARAT_f16 ? 11 : dtype == CARAT_bf16 ? 8 : dtype == CARAT_f32 ? 24 : 53;
    const int bits = 8 * (int)carat_dtype_size(dtype);
    if (carat_is_float(dtype)) *most = (int64_t)1 << digits, *least = -*most;
    else if (dtype == CARAT_b8) *least = 0, *most = 1;
    else if (dtype == CARAT_u8) *least = 0, *most = 255;
    else *most = (int64_t)(UINT64_MAX >> (65 - bits)), *least = -*most - 1;
}

// Granlund and Montgomery, "Division by Invariant Integers using Multiplication": n / range for every 32-bit n.
static void prepare_division(random_args *a)
{
    a->shift = a->range > 1 ? 32 - (u32)__builtin_clz(a->range - 1) : 0;
    a->magic = (u32)(((((uint64_t)1 << a->shift) - a->range) << 32) / a->range + 1);
}

static carat_status run_integers(carat_frame *call) // self, (from,) (to,) generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const int generator = call->nargs - 1;
    if (generator < 1 || generator > 3) return carat_step_aside("arguments");
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_NUMBERS)) return carat_step_aside("dtype");
    carat_drawing d = { .call = call };
    if (generator == 1) return carat_random_draw_into(&d, self, RANDOM_INTEGER, generator);
    int64_t least, most;
    bounds_of(carat_dtype_of(self), &least, &most);
    if (call->args[generator - 1].kind != CARAT_ARG_INT) return carat_step_aside("no upper bound");
    const int64_t to = call->args[generator - 1].i, from = generator == 3 ? carat_int_arg(call, 1, 0) : 0;
    if (from >= to || from < least || to - 1 > most) return carat_step_aside("bounds");
    if (carat_is_float(carat_dtype_of(self)) && to > most) return carat_step_aside("bounds");
    if ((uint64_t)to - (uint64_t)from >= WIDE_RANGE) return carat_step_aside("range"); // drawn from pairs of words
    d.args.base = from;
    d.args.range = (u32)(to - from);
    prepare_division(&d.args);
    return carat_random_draw_into(&d, self, RANDOM_BELOW, generator);
}

static carat_status run_permutation(carat_frame *call) // n, generator, out
{
    const carat_tensor *out = carat_output_given(call, 0);
    const int64_t n = carat_int_arg(call, 0, -1);
    if (!out || !carat_dtype_in(carat_dtype_of(out), RANDOM_PERMUTED)) return carat_step_aside("dtype");
    if (n < CARAT_RANDOM_FEWEST_SLOW || n >= INT32_MAX / 20) return carat_step_aside("number of elements"); // far more are drawn otherwise
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(out), 1, &n));
    if (!carat_is_contiguous(out)) return carat_step_aside("layout of out");
    carat_drawing d = { .call = call, .count = n - 1, .out = carat_data(out), .args = { .length = n } };
    d.key = (carat_key){ .family = CARAT_FAMILY_random, .dtypes = { out->dl_dtype.bits == 64 ? CARAT_i64 : CARAT_i32 },
                         .params = { RANDOM_PERMUTATION } };
    for (int64_t i = 0; i < n; ++i) {
        if (out->dl_dtype.bits == 64) ((int64_t *)d.out)[i] = i;
        else ((int32_t *)d.out)[i] = (int32_t)i;
    }
    return carat_with_generator(call, 1, carat_random_draw, &d);
}

// ---- the family

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, function },
#include "random.def"
#undef ROW
};

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const kinds[] = { "BERNOULLI", "BERNOULLI_EACH", "UNIFORM", "NORMAL", "EXPONENTIAL", "INTEGER", "BELOW",
                                         "PERMUTATION", "TWIST" };
    if (target->lanes > 1) {
        carat_random_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, kinds[key->params[0]], "1");
    if (key->params[0] == RANDOM_TWIST) return;
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "PAIRS", "%d", carat_random_takes_pairs(key));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const uint32_t dtypes[] = { RANDOM_NUMBERS, CARAT_FLOATS, CARAT_FLOATS, RANDOM_SINGLES, RANDOM_SINGLES, RANDOM_NUMBERS, RANDOM_NUMBERS,
                                       RANDOM_PERMUTED };
    if (target->lanes > 1) {
        carat_random_enumerate_lanes(emit, arg);
        return;
    }
    for (int kind = RANDOM_BERNOULLI; kind < RANDOM_TWIST; ++kind)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            const carat_key key = { .family = CARAT_FAMILY_random, .dtypes = { (uint8_t)dtype }, .params = { (uint8_t)kind } };
            if (carat_dtype_in(dtype, dtypes[kind])) emit(arg, &key);
        }
    const carat_key twist = { .family = CARAT_FAMILY_random, .params = { RANDOM_TWIST } };
    emit(arg, &twist);
}

static bool row_has_lanes(int index)
{
    return rows[index].run == carat_random_run_dropout;
}

const carat_family carat_family_random = {
    .name = "random",
    .source = "random.k.c",
    .lanes_source = "dropout_lanes.k.c",
    .row_has_lanes = row_has_lanes,
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

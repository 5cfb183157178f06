// SPDX-License-Identifier: Apache-2.0
// Every pointwise row x dtype x shape x layout against the row's own formula in double precision with libm, through the
// public C API, functional and out= forms. A new row needs no line here.
#include "cases.h"
#include "reference.h"

#include "core/tensor.h"
#include "ops/pointwise_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The scalars that formulas name; set before a formula runs.
static double alpha, beta, value, bound, slope, scale, input_scale, nan_, high, low;
#define nan nan_
static const struct { const char *name; double *variable; } scalars[] = {
    { "alpha", &alpha }, { "beta", &beta }, { "value", &value }, { "bound", &bound }, { "slope", &slope }, { "scale", &scale },
    { "input_scale", &input_scale }, { "nan", &nan_ }, { "high", &high }, { "low", &low },
};

// One formula a row; bitwise rows work on integers.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define POINTWISE(id, overloads, inputs, rule, dtypes, body, ...) \
    static double formula_##id(double x, double y, double z, double w) { return (double)(body); }
#include "pointwise_forms.h"
#undef BITWISE
#define BITWISE(id, dtypes, body)                                                   \
    static double formula_bitwise_##id(double x_, double y_, double z, double w)    \
    {                                                                               \
        const int64_t x = (int64_t)x_, y = (int64_t)y_;                             \
        return (double)(body);                                                      \
    }
#undef BITS_OF_HALVES
#define BITS_OF_HALVES(id, body)                                                    \
    static double formula_bits_of_##id(double x_, double y, double z, double w)     \
    {                                                                               \
        const int64_t x = (int64_t)x_;                                              \
        return (double)(int16_t)(body);                                             \
    }
#include "pointwise.def"
#pragma GCC diagnostic pop
#undef POINTWISE
#undef BITS_OF_HALVES
#define BITS_OF_HALVES(id, ...) POINTWISE(bits_of_##id, "", 1, SAME, CARAT_BIT(i16), __VA_ARGS__)
#undef BITWISE
#define BITWISE(id, ...) POINTWISE(bitwise_##id, "", 2, SAME, __VA_ARGS__)
static double (*const formulas[])(double x, double y, double z, double w) = {
#define POINTWISE(id, ...) [CARAT_POINTWISE_##id] = formula_##id,
#include "pointwise.def"
#undef POINTWISE
};

static int passed, failed;

typedef struct subject {
    const carat_pointwise_row *row;
    const carat_op *op;
    int index;
    carat_dtype dtype;
    double (*formula)(double x, double y, double z, double w);
    uint64_t seed;
    int served, left_out;
} subject;

static void set_scalars(const carat_pointwise_row *row)
{
    const char *name = row->scalar_names;
    for (int s = 0; s < row->scalars; ++s) {
        const size_t length = strcspn(name, " ");
        for (size_t i = 0; i < sizeof scalars / sizeof *scalars; ++i)
            if (strlen(scalars[i].name) == length && !memcmp(scalars[i].name, name, length)) *scalars[i].variable = row->scalar_defaults[s];
        name += length + (name[length] == ' ');
    }
}

// The call's arguments in schema order: the operands, and the scalars at their defaults.
static int make_args(const carat_pointwise_row *row, const sample *in, carat_arg *args)
{
    const int count = row->has_params ? CARAT_POINTWISE_PARAMS : row->inputs + row->scalars;
    int last = 0;
    for (int i = 0; i < count; ++i) {
        const int param = row->has_params ? row->params[i] : i < row->inputs ? IN(i) : SCALAR(i - row->inputs);
        args[i] = (carat_arg){ .kind = CARAT_ARG_NONE };
        if (param > 0) args[i] = (carat_arg){ .kind = CARAT_ARG_TENSOR, .tensor = in[param - 1].tensor };
        if (param < 0) args[i] = (carat_arg){ .kind = CARAT_ARG_FLOAT, .f = row->scalar_defaults[-param - 1] };
        if (param != 0) last = i + 1;
    }
    return last;
}

static bool close_enough(double got, double expected, carat_dtype dtype)
{
    static const double relative[] = { [CARAT_f16] = 2e-3, [CARAT_bf16] = 1.6e-2, [CARAT_f32] = 4e-6, [CARAT_f64] = 2e-12,
                                       [CARAT_c64] = 4e-6, [CARAT_c128] = 2e-12, [CARAT_DTYPE_COUNT] = 0 };
    if (isnan(expected)) return isnan(got);
    if (isinf(expected) || isinf(got)) return got == expected;
    return fabs(got - expected) <= relative[dtype] * fmax(1, fabs(expected));
}

// The reference as the output's dtype can hold it.
static double as_dtype(double number, carat_dtype dtype)
{
    int64_t element[2];
    const carat_scalar scalar = { .kind = CARAT_SCALAR_FLOAT, .i = (int64_t)(isfinite(number) ? number : 0), .re = number };
    carat_scalar_store(scalar, dtype, element);
    const carat_scalar rounded = carat_scalar_load(dtype, element);
    return rounded.kind <= CARAT_SCALAR_INT ? (double)rounded.i : rounded.re;
}

static bool compare(const subject *s, const sample *in, const carat_tensor *out, layout how)
{
    const carat_dtype dtype = carat_dtype_of(out);
    for (int64_t i = 0, n = carat_numel(out); i < n; ++i) {
        double x[4] = { 0 };
        for (int j = 0; j < s->row->inputs; ++j) x[j] = sample_get(&in[j].tensor, i);
        const double expected = as_dtype(s->formula(x[0], x[1], x[2], x[3]), dtype), got = sample_get(out, i);
        if (close_enough(got, expected, dtype)) continue;
        printf("FAILED %s %s, layout %d, element %lld: (%.9g, %.9g, %.9g) gives %.9g, expected %.9g\n", s->op->name,
               carat_dtype_name(s->dtype), (int)how, (long long)i, x[0], x[1], x[2], got, expected);
        return false;
    }
    return true;
}

static void record(bool ok)
{
    if (ok) ++passed;
    else ++failed;
}

// The functional form of one case, then the out= form into a strided output between canaries.
static void run_case(subject *s, int ndim, const int64_t *shape, layout how)
{
    sample in[4];
    carat_arg args[CARAT_POINTWISE_PARAMS];
    // nan_to_num's replacements depend on the dtype; a gradient's third operand is a probability, not any number.
    const bool special = s->row->special != carat_pointwise_nan_to_num && strcmp(s->row->base.id, "log_sigmoid_backward") != 0;
    for (int j = 0; j < s->row->inputs; ++j) {
        sample_make(&in[j], carat_pointwise_is_mask(s->row, j) ? CARAT_b8 : s->dtype, ndim, shape, (layout)((how + (j == 1)) % LAYOUTS));
        sample_fill(&in[j], &s->seed, special ? -6 : 0.1, 6, special);
    }
    const int nargs = make_args(s->row, in, args);
    carat_results results = { 0 };
    case_host host;
    const carat_context context = case_context(&host, &results);
    const carat_status status = carat_call(&context, s->op, args, nargs, NULL, 0);
    if (status == CARAT_OK) {
        ++s->served;
        record(compare(s, in, &results.tensor[0], how));
        char name[64];
        snprintf(name, sizeof name, "%.*s.out", (int)strcspn(s->op->name, "."), s->op->name);
        const carat_op *out_op = carat_op_find(name);
        if (out_op) {
            sample out;
            sample_make(&out, carat_dtype_of(&results.tensor[0]), ndim, shape, how == BROADCAST ? SLICED : how);
            if (carat_call(&context, out_op, args, nargs, &out.tensor, 1) == CARAT_OK)
                record(compare(s, in, &out.tensor, how) && sample_intact(&out));
            sample_free(&out);
        }
    } else if (status != CARAT_UNSUPPORTED) {
        printf("FAILED %s %s: %s: %s\n", s->op->name, carat_dtype_name(s->dtype), carat_status_name(status), carat_last_error());
        record(false);
    }
    carat_results_free(&results);
    for (int j = 0; j < s->row->inputs; ++j) sample_free(&in[j]);
}

// Every step-th row and dtype.
static void run_row(int index, int step)
{
    static int seen;
    subject s = { .row = carat_pointwise_row_at(index), .index = index, .formula = formulas[index], .seed = (uint64_t)index + 1 };
    // Whose operands aren't of one shape.
    const bool odd = s.row->special == carat_pointwise_glu || s.row->special == carat_pointwise_glu_backward || s.row->special == carat_pointwise_addr;
    if (!*s.row->base.overloads || !s.row->base.dtypes || odd) return;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(s.row->base.overloads, " "), s.row->base.overloads);
    s.op = carat_op_find(name);
    set_scalars(s.row);
    for (s.dtype = 0; s.dtype < CARAT_DTYPE_COUNT; ++s.dtype) {
        if (!carat_dtype_in(s.dtype, s.row->base.dtypes) || carat_is_complex(s.dtype)) continue;
        if (seen++ % step) {
            ++s.left_out;
            continue;
        }
        int64_t shape[CARAT_MAX_DIMS];
        int ndim;
        for (int c = 0; case_shape(c, &ndim, shape); ++c)
            for (layout how = 0; how < LAYOUTS; ++how) run_case(&s, ndim, shape, how);
    }
    if (s.op && (s.served || s.left_out)) return;
    printf("FAILED %s: never served (%s)\n", name, carat_last_reason());
    record(false);
}

// pointwise_test [cuda STEP]
int main(int argc, char **argv)
{
    const int step = argc > 2 ? atoi(argv[2]) : 1;
    if (argc > 1) case_device.type = CARAT_CUDA;
    for (int index = 0; index < CARAT_POINTWISE_COUNT; ++index) run_row(index, step);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

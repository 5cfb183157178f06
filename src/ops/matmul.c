// SPDX-License-Identifier: Apache-2.0
// Matrix products from arguments to results: shapes, dtypes, outputs.
#include "ops/matmul.h"

#include <string.h>

typedef enum form { PLAIN, WITH_INPUT } form;

typedef struct matmul_row {
    carat_row base;
    int left_dims, right_dims;
    form form;
} matmul_row;

static const matmul_row rows[] = {
#define MATMUL(id, overloads, left, right, form) { { #id, overloads, CARAT_REALS, NULL }, left, right, form },
#include "matmul.def"
#undef MATMUL
};

// ---- arguments

static carat_status take_factor(const carat_frame *call, int i, int ndim, const carat_tensor **factor)
{
    *factor = carat_tensor_arg(call, i);
    if (!*factor) return carat_fail(CARAT_INVALID_ARGUMENT, "%s: argument %d is no tensor", call->op->name, i);
    if ((*factor)->ndim != ndim)
        return carat_fail(CARAT_INVALID_SHAPE, "%s: argument %d has %d dimensions, not %d", call->op->name, i, (*factor)->ndim, ndim);
    return CARAT_OK;
}

// beta and alpha. ATen words the error of a number that the dtype can't hold.
static carat_status take_number(const carat_frame *call, int i, carat_dtype dtype, carat_scalar *number)
{
    const carat_arg none = { .kind = CARAT_ARG_NONE }, *arg = i < call->nargs ? &call->args[i] : &none;
    switch (arg->kind) {
    case CARAT_ARG_NONE: *number = (carat_scalar){ .kind = CARAT_SCALAR_INT, .i = 1, .re = 1 }; break;
    case CARAT_ARG_SCALAR: *number = arg->scalar; break;
    case CARAT_ARG_INT: *number = (carat_scalar){ .kind = CARAT_SCALAR_INT, .i = arg->i, .re = (double)arg->i }; break;
    case CARAT_ARG_FLOAT: *number = (carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = arg->f }; break;
    default: return carat_step_aside("argument kind");
    }
    if (number->kind == CARAT_SCALAR_COMPLEX || (number->kind == CARAT_SCALAR_FLOAT && carat_is_integral(dtype)))
        return carat_step_aside("scalar's kind");
    return CARAT_OK;
}

static bool is_zero(const carat_scalar *number)
{
    return number->kind == CARAT_SCALAR_FLOAT ? number->re == 0 : number->i == 0;
}

// ---- views: a vector on the left is a row, on the right a column

static matmul_view view_of(const carat_tensor *tensor, const int64_t *strides, int ndim, bool column)
{
    matmul_view view = { .data = carat_data(tensor) };
    if (ndim == 3) view.batch = strides[0];
    if (ndim >= 2) {
        view.row = strides[ndim - 2];
        view.col = strides[ndim - 1];
    } else if (ndim == 1) {
        *(column ? &view.row : &view.col) = strides[0];
    }
    return view;
}

static carat_status settle_shapes(const carat_frame *call, const carat_tensor *left, const carat_tensor *right, carat_matmul *product)
{
    const int64_t *l = left->shape, *r = right->shape;
    product->batch = left->ndim == 3 ? l[0] : 1;
    product->m = left->ndim > 1 ? l[left->ndim - 2] : 1;
    product->k = l[left->ndim - 1];
    product->n = right->ndim > 1 ? r[right->ndim - 1] : 1;
    if (r[right->ndim > 1 ? right->ndim - 2 : 0] != product->k || (right->ndim == 3 && r[0] != product->batch))
        return carat_fail(CARAT_INVALID_SHAPE, "%s: the factors don't fit: %lld columns by %lld rows", call->op->name,
                          (long long)product->k, (long long)r[right->ndim > 1 ? right->ndim - 2 : 0]);
    return CARAT_OK;
}

// The result's dimensions: those of the left factor but its last, then those of the right factor behind its k.
static int result_shape(const matmul_row *row, const carat_matmul *product, int64_t *shape)
{
    int ndim = 0;
    if (row->left_dims == 3) shape[ndim++] = product->batch;
    if (row->left_dims >= 2) shape[ndim++] = product->m;
    if (row->right_dims >= 2) shape[ndim++] = product->n;
    return ndim;
}

static carat_status take_input(const carat_frame *call, int ndim, const int64_t *shape, carat_matmul *product)
{
    const carat_tensor *input = carat_tensor_arg(call, 0);
    if (!input || carat_dtype_of(input) != product->dtype) return carat_step_aside("dtype");
    if (input->ndim > ndim) return carat_step_aside("input has more dimensions than the result");
    for (int d = 0; d < input->ndim; ++d)
        if (input->shape[d] != 1 && input->shape[d] != shape[ndim - input->ndim + d]) return carat_step_aside("input does not expand");
    CARAT_TRY(take_number(call, 3, product->dtype, &product->beta));
    CARAT_TRY(take_number(call, 4, product->dtype, &product->alpha));
    int64_t strides[CARAT_MAX_DIMS];
    carat_broadcast_strides(input, ndim, shape, strides);
    if (!is_zero(&product->beta)) product->input = view_of(input, strides, ndim, true);
    return CARAT_OK;
}

// ---- the family

static carat_status check_overlap(const carat_frame *call, const carat_tensor *left, const carat_tensor *right, bool with_input)
{
    const carat_tensor *given = carat_output_given(call, 0);
    if (!given) return CARAT_OK;
    if (carat_overlap_of(given, left) != CARAT_DISJOINT || carat_overlap_of(given, right) != CARAT_DISJOINT)
        return carat_step_aside("output overlaps a factor");
    return with_input && carat_overlap_of(given, &call->args[0].tensor) == CARAT_PARTIAL ? carat_step_aside("output overlaps an input") : CARAT_OK;
}

// ATen multiplies bytes and shorts in their own width, which is faster where the product waits for nothing else.
static bool is_better_narrow(const carat_matmul *product)
{
    const bool narrow = carat_is_integral(product->dtype) && carat_dtype_size(product->dtype) < 4;
    return narrow && (product->m <= MATVEC_THIN || product->n <= MATVEC_THIN);
}

// Batches of few multiply-adds each: ATen has a plain loop below 400, faster than setting up a matrix unit; beyond that MKL's own
// batches of f32 and f64 take 0.75 times ours until there is some work.
static bool is_better_small(const carat_frame *call, const matmul_row *row, const carat_matmul *product)
{
    enum { FEW = 128, LOOPED = 400, SOME = 1024 };
    const int64_t each = product->m * product->n * product->k;
    if (row->left_dims != 3) return false;
    if (carat_has_tiles(call->backend->target(call->device), product->dtype)) return each <= FEW;
    return (product->dtype == CARAT_f32 || product->dtype == CARAT_f64) && each >= LOOPED && each < SOME;
}

// ATen's products of halves go to a library that uses what the machine has for them, in 20 us a call and 5 times the speed of
// vectors. Where few rows wait for memory that gains nothing, nor where our own kernels use a matrix unit.
static bool is_better_native(const carat_frame *call, const carat_matmul *product)
{
    enum { LARGE = 1024 * 1024, FEW = 4 };
    if (!carat_multiplies_natively(call, product->dtype)) return false;
    if (product->m <= FEW || product->n <= FEW || product->batch * product->m * product->n * product->k < LARGE) return false;
    return carat_matmul_tile_of(call->backend->target(call->device), product->dtype).way != CARAT_MATMUL_TILES;
}

// With 512-bit vectors MKL's products of three long sides take 0.92 to 0.97 times ours, those of few rows by much of a dense B
// 0.8 times, and batches that aren't flat 0.75 to 0.95 times.
static bool is_better_wide(const carat_frame *call, const carat_matmul *product, const carat_tensor *right)
{
    enum { LONG_BYTES = 2048, FEW_ROWS = 64, MUCH_BYTES = 512 * 1024, FLAT_DEPTH = 64, FLAT_RESULTS = 128 * 128 };
    const carat_target *target = call->backend->target(call->device);
    const int64_t m = product->m, n = product->n, k = product->k, size = (int64_t)carat_dtype_size(product->dtype);
    if (target->vector_bytes < 64 || target->vector_registers == 0) return false;
    if (product->dtype != CARAT_f32 && product->dtype != CARAT_f64) return false;
    if (m <= MATVEC_THIN || n <= MATVEC_THIN) return false;
    const bool flat = k <= FLAT_DEPTH && m * n >= FLAT_RESULTS;
    if (product->batch > 1 && !flat) return true;
    if (m <= FEW_ROWS && k * n * size >= MUCH_BYTES && right->strides[right->ndim - 1] == 1) return true;
    return m * size > LONG_BYTES && n * size > LONG_BYTES && k * size > LONG_BYTES;
}

static carat_status run(carat_frame *call)
{
    const matmul_row *row = &rows[call->op->row_index];
    const int first = row->form == WITH_INPUT;
    const carat_tensor *left, *right;
    CARAT_TRY(take_factor(call, first, row->left_dims, &left));
    CARAT_TRY(take_factor(call, first + 1, row->right_dims, &right));
    carat_matmul product = { .dtype = carat_dtype_of(left), .alpha = { CARAT_SCALAR_INT, 1, 1, 0 }, .beta = { CARAT_SCALAR_INT, 0, 0, 0 } };
    if (!carat_dtype_in(product.dtype, CARAT_REALS) || carat_dtype_of(right) != product.dtype) return carat_step_aside("dtype");
    CARAT_TRY(settle_shapes(call, left, right, &product));
    if (is_better_narrow(&product)) return carat_step_aside("few rows of narrow integers");
    if (is_better_small(call, row, &product)) return carat_step_aside("few multiply-adds");
    if (is_better_native(call, &product)) return carat_step_aside("large product of a dtype that the machine multiplies natively");
    if (is_better_wide(call, &product, right)) return carat_step_aside("large product with 512-bit vectors");
    int64_t shape[3];
    const int ndim = result_shape(row, &product, shape);
    if (first) CARAT_TRY(take_input(call, ndim, shape, &product));
    CARAT_TRY(carat_output_check(call, 0, product.dtype, ndim, shape));
    CARAT_TRY(check_overlap(call, left, right, first));
    CARAT_TRY(carat_matmul_check(call, product.dtype));
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, product.dtype, ndim, shape, NULL, &out));
    product.a = view_of(left, left->strides, left->ndim, false);
    product.b = view_of(right, right->strides, right->ndim, true);
    product.c = view_of(&out.view, out.view.strides, ndim, true);
    return carat_matmul_launch(call, &product);
}

const carat_family carat_family_matmul = {
    .name = "matmul",
    .source = "matmul.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .run = run,
    .describe = carat_matmul_describe,
    .enumerate = carat_matmul_enumerate,
};

// Kernels of products with few rows; no operators of its own.
const carat_family carat_family_matvec = {
    .name = "matvec",
    .source = "matvec.k.c",
    .describe = carat_matmul_describe,
    .enumerate = carat_matvec_enumerate,
};

// Kernels for matrix units.
const carat_family carat_family_matmul_tiles = {
    .name = "matmul_tiles",
    .source = "matmul_tiles.k.c",
    .describe = carat_matmul_describe,
    .enumerate = carat_matmul_tiles_enumerate,
};

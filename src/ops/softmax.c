// SPDX-License-Identifier: Apache-2.0
// The softmax family: which way through the elements (see kernels/softmax.k.c) a call takes, and its groups.
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "jit/jit.h"
#include "ops/operand.h"
#include "ops/softmax_lanes.h"

static const carat_softmax_row rows[] = {
#define SOFTMAX(id, overloads, log, backward) { { #id, overloads, CARAT_FLOATS, NULL }, log, backward },
#include "softmax.def"
#undef SOFTMAX
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

// ---- kernels: key.dtypes[0] is the element type, key.params[0] the part

typedef enum part { ROWS, COLUMNS, GATHERED, PART_COUNT } part;

static carat_key make_key(int row, carat_dtype dtype, part through)
{
    carat_key key = { .family = CARAT_FAMILY_softmax, .row = (uint16_t)row };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[0] = (uint8_t)through;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    if (target->lanes > 1) {
        carat_softmax_describe_lanes(key, &rows[key->row], defines);
        return;
    }
    static const char *const parts[PART_COUNT] = { "rows", "columns", "gathered" };
    const carat_softmax_row *row = &rows[key->row];
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "LOG", "%d", row->log);
    carat_define(defines, "PART", "%s%s", parts[key->params[0]], row->backward ? "_backward" : "");
    carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(carat_compute_dtype(dtype)));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; target->lanes > 1 && row < ROW_COUNT; ++row) carat_softmax_enumerate_lanes(target, row, &rows[row], emit, arg);
    for (int row = 0; target->lanes == 1 && row < ROW_COUNT; ++row)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
            for (part through = 0; carat_is_float(dtype) && through < PART_COUNT; ++through) {
                const carat_key key = make_key(row, dtype, through);
                emit(arg, &key);
            }
}

// ---- the call as (outer, size, inner)

enum {
    THREAD_ELEMENTS = 8192, // below this a second thread costs more than it brings
    TILE_BYTES = 262144,    // of a tile of columns: half of a usual L2 cache
    NARROW_TILE = 32,
    SHORT_ROW = 12,         // rows up to this length go through `gathered`
    SHORT_LOG_ROW = 48,     // a logarithm a row weighs more
    NARROW = 8,             // backward: an inner size below which columns don't fill vectors
    WIDEST_VECTOR = 16,     // forward: the least width of a tile
    GATHERED_INNER = 32,    // forward: `gathered` up to this inner size, where the tile fits
};

void carat_softmax_shape(softmax_args *a, const carat_tensor *x, int dim)
{
    a->outer = a->size = a->inner = 1;
    for (int d = 0; d < x->ndim; ++d)
        *(d < dim ? &a->outer : d == dim ? &a->size : &a->inner) *= x->shape[d];
    a->x_size = a->inner;
    a->x_outer = a->inner * a->size;
}

bool carat_softmax_merge_strides(softmax_args *a, const carat_tensor *x, int dim)
{
    int64_t next = 1;
    for (int d = x->ndim - 1; d > dim; --d) {
        if (x->shape[d] != 1 && x->strides[d] != next) return false;
        next *= x->shape[d];
    }
    a->x_size = x->strides[dim];
    if (a->inner == 1 && a->x_size != 1 && a->size != 1) return false;
    bool first = true;
    for (int d = dim - 1; d >= 0; --d) {
        if (x->shape[d] == 1) continue;
        if (first) a->x_outer = next = x->strides[d];
        if (x->strides[d] != next) return false;
        first = false;
        next *= x->shape[d];
    }
    return true;
}

static part choose_part(const carat_softmax_row *row, const softmax_args *a, carat_dtype dtype)
{
    const int64_t keep = SOFTMAX_BUFFER / (int64_t)carat_dtype_size(carat_compute_dtype(dtype));
    const bool gathers = a->size * SOFTMAX_WIDTH <= keep;
    if (a->inner == 1)
        return gathers && !row->backward && a->size <= (row->log ? SHORT_LOG_ROW : SHORT_ROW) ? GATHERED : ROWS;
    return gathers && a->inner < (row->backward ? NARROW : GATHERED_INNER) ? GATHERED : COLUMNS;
}

// Rows of a few whole vectors that need no conversion: where an exponential isn't the cost, ATen is as fast or faster.
static bool is_even_row(const softmax_args *a, carat_dtype dtype)
{
    enum { FEWEST = 12, MOST = 32 };
    return a->inner == 1 && !carat_dtype_in(dtype, CARAT_HALVES) && a->size >= FEWEST && a->size <= MOST && a->outer > MOST;
}

// Below this inner size ATen's forward pass is as fast where columns are walked: conversions and logarithms weigh more.
static int64_t least_inner(const carat_softmax_row *row, carat_dtype dtype)
{
    return row->log || carat_dtype_in(dtype, CARAT_HALVES) ? 4 * WIDEST_VECTOR : WIDEST_VECTOR;
}

// The number of groups; sets what they share out.
static int64_t choose_groups(const carat_frame *call, softmax_args *a, const carat_key *key, bool needs_scratch)
{
    const part through = (part)key->params[0];
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    const bool exponentials = !rows[key->row].log && !rows[key->row].backward;
    if (through == GATHERED) return (a->outer * a->inner + SOFTMAX_WIDTH - 1) / SOFTMAX_WIDTH;
    if (through == COLUMNS) {
        int64_t tile = TILE_BYTES / (a->size * (int64_t)carat_dtype_size(dtype)) / NARROW_TILE * NARROW_TILE;
        const int64_t kept = SOFTMAX_BUFFER / (a->size * (int64_t)carat_dtype_size(carat_compute_dtype(dtype))) / WIDEST_VECTOR * WIDEST_VECTOR;
        if (exponentials && kept >= NARROW_TILE && tile > kept) tile = kept; // they stay in the buffer
        tile = tile < NARROW_TILE ? NARROW_TILE : tile > SOFTMAX_TILE ? SOFTMAX_TILE : tile;
        a->tiles = (a->inner + tile - 1) / tile;
        return a->outer * a->tiles;
    }
    const int64_t threads = carat_thread_count(call);
    a->group_rows = needs_scratch && a->outer > threads ? (a->outer + threads - 1) / threads : 1;
    return (a->outer + a->group_rows - 1) / a->group_rows;
}

static carat_status launch(const carat_frame *call, const carat_key *key, softmax_args *a)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    const size_t bytes = carat_dtype_size(carat_compute_dtype(dtype));
    const carat_softmax_row *row = &rows[key->row];
    const bool needs_scratch = !row->log && !row->backward && key->params[0] == ROWS
                               && carat_dtype_size(dtype) != bytes && a->size > SOFTMAX_BUFFER / (int64_t)bytes;
    const int64_t groups = choose_groups(call, a, key, needs_scratch);
    if (needs_scratch) {
        a->scratch = carat_alloc((size_t)(groups * a->size) * bytes);
        if (!a->scratch) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld rows", (long long)groups);
    }
    const int64_t elements = a->outer * a->size * a->inner / groups;
    const carat_status status = carat_run_kernel(call, key, a, sizeof *a, groups, elements ? 1 + THREAD_ELEMENTS / elements : THREAD_ELEMENTS);
    carat_free(a->scratch);
    return status;
}

// ---- calls

// What must hold before anything is made. Neither form writes where it still has to read.
static carat_status check_output(const carat_frame *call, const carat_tensor *x, const carat_tensor *grad)
{
    const carat_tensor *given = carat_output_given(call, 0);
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(x), x->ndim, x->shape));
    if (!given) return CARAT_OK;
    if (!carat_is_contiguous(given)) return carat_step_aside("strides of the output");
    if (carat_overlap_of(given, x) != CARAT_DISJOINT || (grad && carat_overlap_of(given, grad) != CARAT_DISJOINT))
        return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

static carat_status finish(carat_frame *call, const carat_key *key, softmax_args *a, const carat_tensor *x)
{
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, carat_dtype_of(x), x->ndim, x->shape, NULL, &out));
    if (carat_numel(x) == 0) return CARAT_OK;
    a->out = carat_data(&out.view);
    return launch(call, key, a);
}

// _softmax(self, dim, half_to_float)
static carat_status run_forward(carat_frame *call, int row)
{
    const carat_tensor *x = carat_tensor_arg(call, 0);
    if (!x || !carat_is_float(carat_dtype_of(x))) return carat_step_aside("dtype");
    if (carat_int_arg(call, 2, 0)) return carat_step_aside("half_to_float");
    const int dim = carat_wrap_dim(carat_int_arg(call, 1, CARAT_MAX_DIMS), x->ndim);
    if (dim < 0) return carat_step_aside("dimension");
    CARAT_TRY(check_output(call, x, NULL));
    softmax_args a = { .x = NULL };
    carat_softmax_shape(&a, x, dim);
    const carat_key key = make_key(row, carat_dtype_of(x), choose_part(&rows[row], &a, carat_dtype_of(x)));
    if (rows[row].log && is_even_row(&a, carat_dtype_of(x))) return carat_step_aside("short rows");
    if (key.params[0] == COLUMNS && a.inner < least_inner(&rows[row], carat_dtype_of(x))) return carat_step_aside("narrow columns");
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    carat_operand from = { .view = *x };
    carat_status status = CARAT_OK;
    if (!carat_is_contiguous(x) && !carat_softmax_merge_strides(&a, x, dim)) {
        carat_softmax_shape(&a, x, dim);
        status = carat_operand_contiguous(call, x, carat_dtype_of(x), &from);
    }
    a.x = carat_data(&from.view);
    if (status == CARAT_OK) status = finish(call, &key, &a, x);
    carat_operand_release(&from);
    return status;
}

// _softmax_backward_data(grad_output, output, dim, input_dtype)
static carat_status run_backward(carat_frame *call, int row)
{
    const carat_tensor *grad = carat_tensor_arg(call, 0), *y = carat_tensor_arg(call, 1);
    if (!grad || !y || !carat_is_float(carat_dtype_of(y))) return carat_step_aside("dtype");
    const carat_dtype dtype = carat_dtype_of(y);
    if (carat_dtype_of(grad) != dtype || call->nargs < 4 || call->args[3].kind != CARAT_ARG_DTYPE || call->args[3].i != (int64_t)dtype)
        return carat_step_aside("gradient of another dtype");
    if (!carat_same_shape(grad, y)) return carat_step_aside("shapes differ");
    const int dim = carat_wrap_dim(carat_int_arg(call, 2, CARAT_MAX_DIMS), y->ndim);
    if (dim < 0) return carat_step_aside("dimension");
    CARAT_TRY(check_output(call, y, grad));
    softmax_args a = { .x = NULL };
    carat_softmax_shape(&a, y, dim);
    if (!rows[row].log && is_even_row(&a, dtype)) return carat_step_aside("short rows");
    const carat_key key = make_key(row, dtype, choose_part(&rows[row], &a, dtype));
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    carat_operand from_y, from_grad = { .copy = NULL };
    carat_status status = carat_operand_contiguous(call, y, dtype, &from_y);
    if (status == CARAT_OK) status = carat_operand_contiguous(call, grad, dtype, &from_grad);
    a.x = carat_data(&from_y.view);
    a.grad = carat_data(&from_grad.view);
    if (status == CARAT_OK) status = finish(call, &key, &a, y);
    carat_operand_release(&from_y);
    carat_operand_release(&from_grad);
    return status;
}

static carat_status run(carat_frame *call)
{
    const int row = call->op->row_index;
    if (carat_has_lanes(call)) return carat_softmax_run_lanes(call, row, &rows[row]);
    return rows[row].backward ? run_backward(call, row) : run_forward(call, row);
}

const carat_family carat_family_softmax = {
    .name = "softmax",
    .source = "softmax.k.c",
    .lanes_source = "softmax_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROW_COUNT,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

// SPDX-License-Identifier: Apache-2.0
// Cross-entropy from arguments to results, forward and backward (kernels/cross_entropy.k.c, cross_entropy_lanes.k.c).
#include "core/integer.h"
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "cross_entropy_args.h"
#include "jit/jit.h"
#include "ops/lanes.h"

typedef struct cross_entropy_row {
    carat_row base;
    bool backward;
} cross_entropy_row;

static const cross_entropy_row rows[] = {
#define CROSS_ENTROPY(id, overloads, backward) { { #id, overloads, CARAT_FLOATS, NULL }, backward },
#include "cross_entropy.def"
#undef CROSS_ENTROPY
};

// ---- kernels: key.row is the part; key.dtypes: scores, loss; key.params: of groups of many lanes

typedef enum part { ROWS, ADD_UP, BACKWARD, PART_COUNT } part;
enum { KEY_LANES, KEY_KEEP, KEY_VEC, KEY_SMOOTH }; // the first three as logarithms
enum { ADD_UP_LANES = 10, MOST_ROW_LANES = 9, MOST_CHUNK_LANES = 7, LEAST_LANES = 2, ROW_KEEP = 2 };

typedef struct problem {
    const carat_tensor *x, *target, *weight;
    carat_dtype dtype, loss;
} problem;

static carat_key make_key(part of, carat_dtype dtype, carat_dtype loss)
{
    carat_key key = { .family = CARAT_FAMILY_cross_entropy, .row = (uint16_t)of };
    key.dtypes[0] = (uint8_t)dtype;
    key.dtypes[1] = (uint8_t)loss;
    return key;
}

static int vector_log(carat_dtype dtype) { return log2_ceil(16 / (int64_t)carat_dtype_size(dtype)); }

// Enough lanes that a row of `cols`, or a chunk of it, is read in few steps, and no more than several groups on a multiprocessor leave.
static carat_key lanes_key(part of, carat_dtype dtype, carat_dtype loss, int64_t cols, int vec, bool smooth)
{
    carat_key key = make_key(of, dtype, loss);
    const int wanted = log2_ceil(cols) - vec - ROW_KEEP, most = of == BACKWARD ? MOST_CHUNK_LANES : MOST_ROW_LANES;
    key.params[KEY_LANES] = (uint8_t)(of == ADD_UP ? ADD_UP_LANES : larger(smaller(wanted, most), LEAST_LANES));
    key.params[KEY_KEEP] = of == ADD_UP ? 0 : ROW_KEEP;
    key.params[KEY_VEC] = (uint8_t)(of == ADD_UP ? 0 : vec);
    key.params[KEY_SMOOTH] = smooth;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const parts[PART_COUNT] = { "rows", "add_up", "backward" };
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "L", "%s", carat_dtype_name((carat_dtype)key->dtypes[1]));
    carat_define(defines, "PART", "%s", parts[key->row]);
    if (target->lanes > 1) {
        enum { BLOCK = 10 };
        const int resident = key->row == ROWS ? 1024 : 1280; // lanes: 64 registers each, or 51, 16 for what is held
        const carat_lanes shape = { .lanes = key->params[KEY_LANES], .keep = key->params[KEY_KEEP], .vec = key->params[KEY_VEC], .part = BLOCK };
        carat_define(defines, "SMOOTH", "%d", key->params[KEY_SMOOTH]);
        carat_lanes_define(shape, defines);
        if (key->row != ADD_UP) carat_lanes_define_resident(shape, carat_dtype_size(dtype) > 4 ? resident / 2 : resident, defines);
    } else {
        carat_define(defines, "VEC", "%d", target->vector_bytes / (int)carat_dtype_size(carat_compute_dtype(dtype)));
    }
}

static void enumerate_lanes(carat_dtype dtype, carat_dtype loss, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (part of = 0; of < PART_COUNT; ++of)
        for (int64_t cols = 64; cols <= (of == ADD_UP ? 64 : 1 << 16); cols *= 4)
            for (int smooth = 0; smooth < (of == ADD_UP ? 1 : 2); ++smooth) {
                const carat_key key = lanes_key(of, dtype, loss, cols, vector_log(dtype), smooth);
                emit(arg, &key);
            }
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (int wide = 0; carat_is_float(dtype) && wide <= carat_dtype_in(dtype, CARAT_HALVES); ++wide) {
            const carat_dtype loss = wide ? CARAT_f32 : dtype;
            if (target->lanes > 1) enumerate_lanes(dtype, loss, emit, arg);
            for (part of = 0; target->lanes == 1 && of < PART_COUNT; ++of) {
                const carat_key key = make_key(of, dtype, loss);
                emit(arg, &key);
            }
        }
}

static carat_status find(const carat_frame *call, const carat_key *key)
{
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

// ---- arguments

// A target out of range is an error, which PyTorch words; a device's kernel finds it.
static carat_status check_targets(const cross_entropy_args *a)
{
    for (int64_t r = 0; r < a->rows; ++r)
        if ((uint64_t)a->target[r] >= (uint64_t)a->cols && a->target[r] != a->ignore) return carat_step_aside("target out of range");
    return CARAT_OK;
}

static bool is_vector(const carat_tensor *tensor, int64_t count, carat_dtype dtype)
{
    return tensor->ndim == 1 && tensor->shape[0] == count && carat_dtype_of(tensor) == dtype && carat_is_contiguous(tensor);
}

// (scores, target, weight, reduction, ignore_index, label_smoothing) from argument `first` on.
static carat_status read_arguments(const carat_frame *call, int first, problem *p, cross_entropy_args *a)
{
    enum { MOST_COLS = 1 << 30 };
    *p = (problem){ .x = carat_tensor_arg(call, first), .target = carat_tensor_arg(call, first + 1), .weight = carat_tensor_arg(call, first + 2) };
    const carat_tensor *const x = p->x;
    if (!x || !carat_is_float(carat_dtype_of(x))) return carat_step_aside("dtype");
    p->dtype = carat_dtype_of(x);
    if (x->ndim != 2 || x->shape[0] < 1 || x->shape[1] < 1 || x->shape[1] > MOST_COLS) return carat_step_aside("shape");
    if (x->shape[1] != 1 && x->strides[1] != 1) return carat_step_aside("strided scores");
    if (!p->target || !is_vector(p->target, x->shape[0], CARAT_i64)) return carat_step_aside("target of another kind");
    if (p->weight && !is_vector(p->weight, x->shape[1], p->dtype)) return carat_step_aside("weight of another kind");
    *a = (cross_entropy_args){ .x = carat_data(x), .weight = p->weight ? carat_data(p->weight) : NULL, .target = carat_data(p->target),
                               .rows = x->shape[0], .cols = x->shape[1], .x_row = x->shape[0] == 1 ? x->shape[1] : x->strides[0],
                               .reduction = carat_int_arg(call, first + 3, LOSS_MEAN), .ignore = carat_int_arg(call, first + 4, -100),
                               .smoothing = carat_float_arg(call, first + 5, 0) };
    if (a->reduction < LOSS_NONE || a->reduction > LOSS_SUM) return carat_step_aside("reduction");
    if (a->smoothing < 0 || a->smoothing > 1) return carat_step_aside("label smoothing");
    return carat_has_lanes(call) ? CARAT_OK : check_targets(a);
}

// ---- forward

static carat_status run_rows(const carat_frame *call, const problem *p, cross_entropy_args *a)
{
    enum { GROUP_ELEMENTS = 16384, GROUP_PAIRS = 8192 };
    const bool lanes = carat_has_lanes(call), reduces = a->reduction != LOSS_NONE;
    const carat_key each = lanes ? lanes_key(ROWS, p->dtype, p->loss, a->cols, vector_log(p->dtype), a->smoothing > 0) : make_key(ROWS, p->dtype, p->loss);
    const carat_key adds = lanes ? lanes_key(ADD_UP, p->dtype, p->loss, a->cols, 0, false) : make_key(ADD_UP, p->dtype, p->loss);
    a->group_size = lanes ? 1 : GROUP_ELEMENTS / a->cols + 1;
    CARAT_TRY(carat_run_kernel(call, &each, a, sizeof *a, pieces(a->rows, a->group_size), 1));
    if (!reduces) return CARAT_OK;
    const int64_t groups = lanes ? pieces(a->rows, GROUP_PAIRS) : 1;
    if (groups > 1) {
        a->group_size = GROUP_PAIRS;
        CARAT_TRY(carat_run_kernel(call, &adds, a, sizeof *a, groups, 1));
        a->pairs = a->sums;
        a->rows = groups;
    }
    a->sums = NULL;
    a->group_size = a->rows;
    return carat_run_kernel(call, &adds, a, sizeof *a, 1, 1);
}

// cross_entropy(scores, target, weight, reduction, ignore_index, label_smoothing, wide) -> (loss, tops, total)
static carat_status run_forward(carat_frame *call)
{
    problem p;
    cross_entropy_args a;
    carat_output loss, tops, total;
    CARAT_TRY(read_arguments(call, 0, &p, &a));
    const carat_dtype acc = carat_compute_dtype(p.dtype);
    const int64_t two = 2, pairs[2] = { a.rows, 2 };
    p.loss = carat_int_arg(call, 6, 0) ? acc : p.dtype;
    if (!carat_has_lanes(call)) {
        const carat_key each = make_key(ROWS, p.dtype, p.loss), adds = make_key(ADD_UP, p.dtype, p.loss);
        CARAT_TRY(find(call, &each));
        CARAT_TRY(find(call, &adds));
    }
    CARAT_TRY(carat_output_make(call, 0, p.loss, a.reduction == LOSS_NONE ? 1 : 0, &a.rows, NULL, &loss));
    CARAT_TRY(carat_output_make(call, 1, acc, 2, pairs, NULL, &tops));
    CARAT_TRY(carat_output_make(call, 2, acc, 1, &two, NULL, &total));
    a.loss = carat_data(&loss.view);
    a.tops = carat_data(&tops.view);
    a.total = carat_data(&total.view);
    if (a.reduction == LOSS_NONE) return run_rows(call, &p, &a);
    const size_t bytes = 2 * carat_dtype_size(acc) * (size_t)a.rows;
    void *const scratch = carat_scratch_alloc(call, 2 * bytes);
    if (!scratch) return carat_step_aside("no memory for the losses of rows");
    a.pairs = scratch;
    a.sums = (char *)scratch + bytes;
    const carat_status status = run_rows(call, &p, &a);
    carat_scratch_free(call, scratch);
    return status;
}

// ---- backward

static carat_status check_gradient(const carat_frame *call, problem *p, cross_entropy_args *a)
{
    const carat_tensor *const grad = carat_tensor_arg(call, 0), *const tops = carat_tensor_arg(call, 7), *const total = carat_tensor_arg(call, 8);
    const carat_dtype acc = carat_compute_dtype(p->dtype);
    if (!grad || (carat_dtype_of(grad) != p->dtype && carat_dtype_of(grad) != acc)) return carat_step_aside("dtype of the gradient");
    if (carat_numel(grad) != (a->reduction == LOSS_NONE ? a->rows : 1) || !carat_is_contiguous(grad)) return carat_step_aside("gradient of another kind");
    const bool fits = tops && tops->ndim == 2 && tops->shape[0] == a->rows && tops->shape[1] == 2 && carat_dtype_of(tops) == acc && carat_is_contiguous(tops);
    if (!fits || !total || !is_vector(total, 2, acc)) return carat_step_aside("sums of another kind");
    p->loss = carat_dtype_of(grad);
    a->grad = carat_data(grad);
    a->tops = carat_data(tops);
    a->total = carat_data(total);
    return CARAT_OK;
}

// Vectors of the gradient are those of the scores, if rows lie alike in both.
static int backward_vector(const problem *p, const cross_entropy_args *a)
{
    const int vec = vector_log(p->dtype);
    const int64_t apart = a->x_row - a->cols;
    return carat_lanes_aligned(a->x, apart, carat_dtype_size(p->dtype), INT64_C(1) << vec) ? vec : 0;
}

// cross_entropy_backward(grad, scores, target, weight, reduction, ignore_index, label_smoothing, tops, total)
static carat_status run_backward(carat_frame *call)
{
    enum { GROUP_ELEMENTS = 16384 };
    problem p;
    cross_entropy_args a;
    carat_output out;
    CARAT_TRY(read_arguments(call, 1, &p, &a));
    CARAT_TRY(check_gradient(call, &p, &a));
    const bool lanes = carat_has_lanes(call);
    const int vec = lanes ? backward_vector(&p, &a) : 0;
    const carat_key key = lanes ? lanes_key(BACKWARD, p.dtype, p.loss, a.cols, vec, a.smoothing > 0) : make_key(BACKWARD, p.dtype, p.loss);
    CARAT_TRY(find(call, &key));
    CARAT_TRY(carat_output_make(call, 0, p.dtype, 2, p.x->shape, NULL, &out));
    a.out = carat_data(&out.view);
    a.group_size = GROUP_ELEMENTS / a.cols + 1;
    a.chunks = pieces(pieces(a.cols, INT64_C(1) << vec) + 1, INT64_C(1) << (key.params[KEY_LANES] + ROW_KEEP));
    return carat_run_kernel(call, &key, &a, sizeof a, lanes ? a.rows * a.chunks : pieces(a.rows, a.group_size), 1);
}

static carat_status run(carat_frame *call)
{
    return rows[call->op->row_index].backward ? run_backward(call) : run_forward(call);
}

const carat_family carat_family_cross_entropy = {
    .name = "cross_entropy",
    .source = "cross_entropy.k.c",
    .lanes_source = "cross_entropy_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

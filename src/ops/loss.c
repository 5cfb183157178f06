// SPDX-License-Identifier: Apache-2.0
// The loss family: negative log likelihood, forward and backward, of matrices and images (see kernels/loss.k.c).
#include "ops/loss.h"

#include "jit/jit.h"
#include "ops/operand.h"

typedef struct loss_row {
    carat_row base;
    bool images, backward;
} loss_row;

static const loss_row rows[] = {
#define LOSS(id, overloads, images, backward) { { #id, overloads, CARAT_FLOATS, NULL }, images, backward },
#include "loss.def"
#undef LOSS
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

// ---- kernels: key.row is the part, key.dtypes[0] the element type

typedef enum part { NLL, NLL_FINISH, NLL_BACKWARD, PART_COUNT } part;

static carat_key make_key(carat_dtype dtype, part of)
{
    carat_key key = { .family = CARAT_FAMILY_loss, .row = (uint16_t)of };
    key.dtypes[0] = (uint8_t)dtype;
    return key;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const parts[PART_COUNT] = { "nll", "nll_finish", "nll_backward" };
    if (target->lanes > 1) {
        carat_loss_describe_lanes(key, defines);
        return;
    }
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "PART", "%s", parts[key->row]);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    if (target->lanes > 1) {
        carat_loss_enumerate_lanes(emit, arg);
        return;
    }
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (part of = 0; carat_is_float(dtype) && of < PART_COUNT; ++of) {
            const carat_key key = make_key(dtype, of);
            emit(arg, &key);
        }
}

static carat_status find(const carat_frame *call, carat_dtype dtype, part of)
{
    const carat_key key = make_key(dtype, of);
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

static carat_status launch(const carat_frame *call, carat_dtype dtype, part of, const loss_args *a, int64_t groups, int64_t elements)
{
    enum { THREAD_ELEMENTS = 65536 }; // below this a second thread costs more than it brings
    const carat_key key = make_key(dtype, of);
    return carat_run_kernel(call, &key, a, sizeof *a, groups, 1 + THREAD_ELEMENTS / (elements + 1));
}

// Calls that are all look-ups and no memory traffic: ATen is as fast.
enum { MANY_TARGETS = 768, FEW_CLASSES = 64 };

// ---- the operands that forward and backward share

typedef carat_loss_operands operands;

// The same, contiguous; of x only where a kernel needs it.
typedef struct dense {
    carat_operand x, target, weight;
} dense;

static carat_status check_shapes(const loss_row *row, const operands *in, loss_args *a)
{
    const carat_tensor *x = in->x, *target = in->target;
    if (row->images ? x->ndim != 4 : x->ndim < 1 || x->ndim > 2) return carat_step_aside("dimensions");
    if (target->ndim != x->ndim - 1) return carat_step_aside("dimensions of the target");
    const int class_dim = x->ndim == 1 ? 0 : 1;
    a->batch = x->ndim == 1 ? 1 : x->shape[0];
    a->classes = x->shape[class_dim];
    a->plane = row->images ? x->shape[2] * x->shape[3] : 1;
    for (int d = 0; d < target->ndim; ++d)
        if (target->shape[d] != x->shape[d < class_dim ? d : d + 1]) return carat_step_aside("shape of the target");
    if (!a->batch || !a->plane || !a->classes) return carat_step_aside("empty");
    const carat_tensor *weight = in->weight;
    if (weight && (weight->ndim != 1 || weight->shape[0] != a->classes || carat_dtype_of(weight) != in->dtype))
        return carat_step_aside("weight of another kind");
    return CARAT_OK;
}

// A target out of range is an error, which ATen words.
static carat_status check_targets(const loss_args *a)
{
    const int64_t count = a->batch * a->plane;
    for (int64_t i = 0; i < count; ++i)
        if ((uint64_t)a->target[i] >= (uint64_t)a->classes && a->target[i] != a->ignore) return carat_step_aside("target out of range");
    return CARAT_OK;
}

// Reads (x, target, weight, reduction, ignore_index) from argument `first` on. The forward pass takes x as it lies.
static carat_status read_arguments(const carat_frame *call, int first, operands *in, loss_args *a)
{
    const loss_row *row = &rows[call->op->row_index];
    in->x = carat_tensor_arg(call, first);
    in->target = carat_tensor_arg(call, first + 1);
    in->weight = carat_tensor_arg(call, first + 2);
    if (!in->x || !carat_is_float(carat_dtype_of(in->x))) return carat_step_aside("dtype");
    if (!in->target || carat_dtype_of(in->target) != CARAT_i64) return carat_step_aside("dtype of the target");
    in->dtype = carat_dtype_of(in->x);
    a->reduction = carat_int_arg(call, first + 3, LOSS_MEAN);
    a->ignore = carat_int_arg(call, first + 4, -100);
    if (a->reduction < LOSS_NONE || a->reduction > LOSS_SUM) return carat_step_aside("reduction");
    return check_shapes(row, in, a);
}

// Strides of x, or a contiguous copy where height and width don't merge.
static carat_status prepare(const carat_frame *call, const operands *in, dense *copies, loss_args *a, bool reads_x)
{
    const carat_tensor *x = in->x;
    copies->x.view = *x;
    CARAT_TRY(carat_operand_contiguous(call, in->target, CARAT_i64, &copies->target));
    CARAT_TRY(carat_operand_contiguous(call, in->weight, in->dtype, &copies->weight));
    a->target = carat_operand_data(&copies->target);
    a->weight = carat_operand_data(&copies->weight);
    CARAT_TRY(check_targets(a));
    if (!reads_x) return CARAT_OK;
    if (x->ndim == 4 && x->strides[2] != x->shape[3] * x->strides[3])
        CARAT_TRY(carat_operand_contiguous(call, x, in->dtype, &copies->x));
    x = &copies->x.view;
    a->x = carat_data(x);
    a->x_batch = x->ndim == 1 ? 0 : x->strides[0];
    a->x_class = x->strides[x->ndim == 1 ? 0 : 1];
    a->x_plane = x->ndim == 4 ? x->strides[3] : 0;
    return CARAT_OK;
}

static void release(dense *copies)
{
    carat_operand_release(&copies->x);
    carat_operand_release(&copies->target);
    carat_operand_release(&copies->weight);
}

static carat_status check_output(const carat_frame *call, int index, const operands *in, int ndim, const int64_t *shape)
{
    CARAT_TRY(carat_output_check(call, index, in->dtype, ndim, shape));
    const carat_tensor *given = carat_output_given(call, index);
    if (!given) return CARAT_OK;
    if (!carat_is_contiguous(given)) return carat_step_aside("strides of the output");
    const carat_tensor *const inputs[3] = { in->x, in->target, in->weight };
    for (int i = 0; i < 3; ++i)
        if (inputs[i] && carat_overlap_of(given, inputs[i]) != CARAT_DISJOINT) return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

// ---- forward

static carat_status reduce(const carat_frame *call, const operands *in, loss_args *a)
{
    enum { GROUP_TARGETS = 4096 };
    a->group_size = GROUP_TARGETS;
    a->groups = (a->batch * a->plane + GROUP_TARGETS - 1) / GROUP_TARGETS;
    const bool adds_up = a->reduction != LOSS_NONE && a->groups > 1;
    if (adds_up) {
        a->sums = carat_alloc((size_t)a->groups * 2 * carat_dtype_size(carat_compute_dtype(in->dtype)));
        if (!a->sums) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld sums", (long long)a->groups);
    }
    carat_status status = launch(call, in->dtype, NLL, a, a->groups, 16 * GROUP_TARGETS);
    if (adds_up && status == CARAT_OK) status = launch(call, in->dtype, NLL_FINISH, a, 1, 1);
    carat_free(a->sums);
    return status;
}

// nll_loss_forward(self, target, weight, reduction, ignore_index) -> (output, total_weight)
static carat_status run_forward(carat_frame *call)
{
    operands in = { .x = NULL };
    dense copies = { .x = { .copy = NULL } };
    loss_args a = { .x = NULL };
    CARAT_TRY(read_arguments(call, 0, &in, &a));
    const int ndim = a.reduction == LOSS_NONE ? in.target->ndim : 0;
    CARAT_TRY(check_output(call, 0, &in, ndim, in.target->shape));
    CARAT_TRY(check_output(call, 1, &in, 0, NULL));
    if (carat_has_lanes(call)) return carat_loss_forward_lanes(call, &in, &a);
    if (a.batch * a.plane > MANY_TARGETS) return carat_step_aside("many targets");
    CARAT_TRY(find(call, in.dtype, NLL));
    CARAT_TRY(find(call, in.dtype, NLL_FINISH));
    if (in.x->ndim == 1 && a.reduction == LOSS_NONE) a.reduction = LOSS_SUM; // of one, with its weight
    carat_output out, total;
    carat_status status = prepare(call, &in, &copies, &a, true);
    if (status == CARAT_OK) status = carat_output_make(call, 0, in.dtype, ndim, in.target->shape, NULL, &out);
    if (status == CARAT_OK) status = carat_output_make(call, 1, in.dtype, 0, NULL, NULL, &total);
    if (status == CARAT_OK) {
        a.out = carat_data(&out.view);
        a.total = carat_data(&total.view);
        status = reduce(call, &in, &a);
    }
    release(&copies);
    return status;
}

// ---- backward

static carat_status check_gradient(const carat_frame *call, const operands *in, const loss_args *a)
{
    const carat_tensor *grad = carat_tensor_arg(call, 0), *total = carat_tensor_arg(call, 6);
    if (!grad || carat_dtype_of(grad) != in->dtype) return carat_step_aside("dtype of the gradient");
    if (a->reduction == LOSS_NONE ? !carat_same_shape(grad, in->target) : carat_numel(grad) != 1) return carat_step_aside("shape of the gradient");
    if (!total || carat_dtype_of(total) != in->dtype || carat_numel(total) != 1) return carat_step_aside("total weight of another kind");
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && (carat_overlap_of(given, grad) != CARAT_DISJOINT || carat_overlap_of(given, total) != CARAT_DISJOINT))
        return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

static int64_t choose_groups(loss_args *a)
{
    enum { GROUP_ELEMENTS = 4096 }; // stays in L1 until its targets are set
    const int64_t places = a->plane == 1 ? a->batch : a->plane;
    a->group_size = GROUP_ELEMENTS / a->classes > 1 ? GROUP_ELEMENTS / a->classes : 1;
    if (a->plane > 1 && a->group_size < 64) a->group_size = 64; // whole cache lines of a plane
    a->groups = (places + a->group_size - 1) / a->group_size;
    return a->plane == 1 ? a->groups : a->groups * a->batch;
}

// nll_loss_backward(grad_output, self, target, weight, reduction, ignore_index, total_weight)
static carat_status run_backward(carat_frame *call)
{
    operands in = { .x = NULL };
    dense copies = { .x = { .copy = NULL } };
    loss_args a = { .x = NULL };
    CARAT_TRY(read_arguments(call, 1, &in, &a));
    if (!carat_has_lanes(call) && a.plane == 1 && a.classes < FEW_CLASSES && a.batch > MANY_TARGETS) return carat_step_aside("many targets");
    CARAT_TRY(check_gradient(call, &in, &a));
    if (in.x->ndim == 4 && !carat_is_contiguous(in.x)) return carat_step_aside("strides"); // ATen refuses some of these
    CARAT_TRY(check_output(call, 0, &in, in.x->ndim, in.x->shape));
    if (carat_has_lanes(call)) return carat_loss_backward_lanes(call, &in, &a);
    CARAT_TRY(find(call, in.dtype, NLL_BACKWARD));
    carat_output out;
    carat_operand grad = { .copy = NULL };
    carat_status status = prepare(call, &in, &copies, &a, false);
    if (status == CARAT_OK) status = carat_operand_contiguous(call, carat_tensor_arg(call, 0), in.dtype, &grad);
    if (status == CARAT_OK) status = carat_output_make(call, 0, in.dtype, in.x->ndim, in.x->shape, NULL, &out);
    if (status == CARAT_OK) {
        a.grad = carat_operand_data(&grad);
        a.total = carat_data(carat_tensor_arg(call, 6));
        a.out = carat_data(&out.view);
        const int64_t groups = choose_groups(&a);
        status = launch(call, in.dtype, NLL_BACKWARD, &a, groups, a.group_size * a.classes);
    }
    carat_operand_release(&grad);
    release(&copies);
    return status;
}

static carat_status run(carat_frame *call)
{
    return rows[call->op->row_index].backward ? run_backward(call) : run_forward(call);
}

static bool has_lanes(int index)
{
    return !rows[index].images;
}

const carat_family carat_family_loss = {
    .name = "loss",
    .source = "loss.k.c",
    .lanes_source = "loss_lanes.k.c",
    .row_has_lanes = has_lanes,
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROW_COUNT,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

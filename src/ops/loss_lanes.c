// SPDX-License-Identifier: Apache-2.0
// Negative log likelihood in groups of many lanes (kernels/loss_lanes.k.c). Nothing here can read a target: the kernel checks them.
#include "ops/loss.h"

#include "jit/jit.h"
#include "ops/lanes.h"

// key.row: the part; key.dtypes[0]: the element type; key.params[0]: a vector's elements, as a logarithm.
typedef enum part { NLL, NLL_REDUCE, NLL_FINISH, NLL_BACKWARD, PART_COUNT } part;

enum { LANES_LOG = 8, REDUCE_LANES_LOG = 10, KEEP_LOG = 2 };

static carat_lanes shape_of(part of, int vec)
{
    const bool reduces = of == NLL_REDUCE || of == NLL_FINISH;
    return (carat_lanes){ .lanes = reduces ? REDUCE_LANES_LOG : LANES_LOG, .keep = of == NLL_BACKWARD ? KEEP_LOG : 0, .vec = (uint8_t)vec };
}

static carat_key make_key(carat_dtype dtype, part of, int vec)
{
    carat_key key = { .family = CARAT_FAMILY_loss, .row = (uint16_t)of };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[0] = (uint8_t)vec;
    return key;
}

void carat_loss_describe_lanes(const carat_key *key, carat_defines *defines)
{
    static const char *const parts[PART_COUNT] = { "nll", "nll_reduce", "nll_finish", "nll_backward" };
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "PART", "%s", parts[key->row]);
    carat_lanes_define(shape_of((part)key->row, key->params[0]), defines);
}

static int vector_log(carat_dtype dtype)
{
    return carat_dtype_size(dtype) == 2 ? 3 : carat_dtype_size(dtype) == 4 ? 2 : 1;
}

void carat_loss_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
        for (part of = 0; carat_is_float(dtype) && of < PART_COUNT; ++of) {
            const carat_key key = make_key(dtype, of, of == NLL_BACKWARD ? vector_log(dtype) : 0);
            emit(arg, &key);
        }
}

static carat_status find(const carat_frame *call, const carat_key *key)
{
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

static carat_status read_operands(const carat_loss_operands *in, loss_args *a)
{
    if (in->x->ndim != 2) return carat_step_aside("scores of one item");
    if (!carat_is_contiguous(in->target) || (in->weight && !carat_is_contiguous(in->weight))) return carat_step_aside("strided operand");
    a->x = carat_data(in->x);
    a->x_batch = in->x->strides[0];
    a->x_class = in->x->strides[1];
    a->target = carat_data(in->target);
    a->weight = in->weight ? carat_data(in->weight) : NULL;
    return CARAT_OK;
}

static carat_status reduce(const carat_frame *call, carat_dtype dtype, loss_args *a)
{
    enum { GROUP_TARGETS = 8192 };
    const carat_key reduces = make_key(dtype, NLL_REDUCE, 0), finishes = make_key(dtype, NLL_FINISH, 0);
    a->group_size = GROUP_TARGETS;
    a->groups = (a->batch + GROUP_TARGETS - 1) / GROUP_TARGETS;
    CARAT_TRY(find(call, &reduces));
    if (a->groups == 1) return carat_run_kernel(call, &reduces, a, sizeof *a, 1, 1);
    CARAT_TRY(find(call, &finishes));
    a->sums = carat_scratch_alloc(call, (size_t)a->groups * 2 * carat_dtype_size(carat_compute_dtype(dtype)));
    if (!a->sums) return carat_step_aside("no memory for partial sums");
    carat_status status = carat_run_kernel(call, &reduces, a, sizeof *a, a->groups, 1);
    if (status == CARAT_OK) status = carat_run_kernel(call, &finishes, a, sizeof *a, 1, 1);
    carat_scratch_free(call, a->sums);
    return status;
}

carat_status carat_loss_forward_lanes(carat_frame *call, const carat_loss_operands *in, loss_args *a)
{
    carat_output out, total;
    CARAT_TRY(read_operands(in, a));
    CARAT_TRY(carat_output_make(call, 0, in->dtype, a->reduction == LOSS_NONE ? 1 : 0, in->target->shape, NULL, &out));
    CARAT_TRY(carat_output_make(call, 1, in->dtype, 0, NULL, NULL, &total));
    a->out = carat_data(&out.view);
    a->total = carat_data(&total.view);
    if (a->reduction != LOSS_NONE) return reduce(call, in->dtype, a);
    const carat_key key = make_key(in->dtype, NLL, 0);
    return carat_run_kernel(call, &key, a, sizeof *a, (a->batch + (1 << LANES_LOG) - 1) >> LANES_LOG, 1);
}

carat_status carat_loss_backward_lanes(carat_frame *call, const carat_loss_operands *in, loss_args *a)
{
    enum { LARGE = 1 << 22, MANY_TARGETS = 1 << 16 };
    const carat_tensor *grad = carat_tensor_arg(call, 0), *given = carat_output_given(call, 0);
    carat_output out;
    CARAT_TRY(read_operands(in, a));
    // little more than a fill, at which ATen is good; it walks through many targets with one warp
    if (a->batch * a->classes > LARGE && a->batch < MANY_TARGETS) return carat_step_aside("few targets");
    if (!carat_is_contiguous(grad)) return carat_step_aside("strided gradient");
    const int64_t vector = INT64_C(1) << vector_log(in->dtype);
    const int vec = !given || carat_lanes_aligned(carat_data(given), 0, carat_dtype_size(in->dtype), vector) ? vector_log(in->dtype) : 0;
    const carat_key key = make_key(in->dtype, NLL_BACKWARD, vec);
    CARAT_TRY(carat_output_make(call, 0, in->dtype, 2, in->x->shape, NULL, &out));
    a->grad = carat_data(grad);
    a->total = carat_data(carat_tensor_arg(call, 6));
    a->out = carat_data(&out.view);
    const int64_t run = INT64_C(1) << (LANES_LOG + KEEP_LOG + vec);
    return carat_run_kernel(call, &key, a, sizeof *a, (a->batch * a->classes + run - 1) / run, 1);
}

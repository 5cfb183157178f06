// SPDX-License-Identifier: Apache-2.0
// Softmax in groups of many lanes (kernels/softmax_lanes.k.c): contiguous rows that one group holds. Other dimensions, and rows
// that are longer, go to ATen.
#include "ops/softmax_lanes.h"

#include "core/kernel_types.h"
#include "core/tensor.h"
#include "jit/jit.h"
#include "ops/lanes.h"
#include "softmax_lanes_args.h"

// key.dtypes: the inputs', the result's; key.params: the group's shape.
enum { KEY_IN, KEY_OUT };

static carat_key make_key(int index, carat_dtype in, carat_dtype out, carat_lanes shape)
{
    carat_key key = { .family = CARAT_FAMILY_softmax, .row = (uint16_t)index };
    key.dtypes[KEY_IN] = (uint8_t)in;
    key.dtypes[KEY_OUT] = (uint8_t)out;
    key.params[0] = shape.lanes;
    key.params[1] = shape.keep;
    key.params[2] = shape.vec;
    key.params[3] = shape.part;
    return key;
}

void carat_softmax_describe_lanes(const carat_key *key, const carat_softmax_row *row, carat_defines *defines)
{
    enum { RESIDENT = 1024 }; // 64 registers a lane: 32 for what is held
    const carat_lanes shape = { key->params[0], key->params[1], key->params[2], key->params[3] };
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_IN]));
    carat_define(defines, "O", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_OUT]));
    carat_define(defines, "LOG", "%d", row->log);
    carat_define(defines, "PART", "%s", row->backward ? "backward" : "forward");
    carat_lanes_define(shape, defines);
    carat_lanes_define_resident(shape, RESIDENT, defines);
}

// Elements that a lane's registers hold of each input: half as many of two. A register holds two halves of a vector.
static int held_by_lane(const carat_softmax_row *row, carat_dtype in, bool aligned)
{
    const int bytes = (int)carat_dtype_size(in);
    return 128 / (aligned || bytes > 4 ? bytes : 4) / (row->backward ? 2 : 1);
}

// One call: dtypes, and its tensors as rows.
typedef struct problem {
    const carat_tensor *x, *grad;
    int dim;
    carat_dtype in, out;
} problem;

// _softmax(self, dim, half_to_float)
static carat_status read_forward(const carat_frame *call, problem *p)
{
    *p = (problem){ .x = carat_tensor_arg(call, 0) };
    if (!p->x || !carat_is_float(carat_dtype_of(p->x))) return carat_step_aside("dtype");
    p->in = p->out = carat_dtype_of(p->x);
    p->dim = carat_wrap_dim(carat_int_arg(call, 1, CARAT_MAX_DIMS), p->x->ndim);
    if (!carat_int_arg(call, 2, 0)) return CARAT_OK;
    if (p->in != CARAT_f16) return carat_step_aside("half_to_float"); // an error in ATen
    p->out = CARAT_f32;
    return CARAT_OK;
}

// _softmax_backward_data(grad_output, output, dim, input_dtype)
static carat_status read_backward(const carat_frame *call, problem *p)
{
    *p = (problem){ .x = carat_tensor_arg(call, 1), .grad = carat_tensor_arg(call, 0) };
    if (!p->x || !p->grad || !carat_is_float(carat_dtype_of(p->x))) return carat_step_aside("dtype");
    if (call->nargs < 4 || call->args[3].kind != CARAT_ARG_DTYPE) return carat_step_aside("gradient of another dtype");
    p->in = carat_dtype_of(p->x);
    p->out = (carat_dtype)call->args[3].i;
    p->dim = carat_wrap_dim(carat_int_arg(call, 2, CARAT_MAX_DIMS), p->x->ndim);
    const bool narrowed = p->in == CARAT_f32 && p->out == CARAT_f16; // the gradient of half_to_float
    if (carat_dtype_of(p->grad) != p->in || (p->out != p->in && !narrowed)) return carat_step_aside("gradient of another dtype");
    if (!carat_same_shape(p->grad, p->x)) return carat_step_aside("shapes differ");
    return carat_is_contiguous(p->grad) && carat_is_contiguous(p->x) ? CARAT_OK : carat_step_aside("strided operand");
}

static carat_status check_output(const carat_frame *call, const problem *p)
{
    CARAT_TRY(carat_output_check(call, 0, p->out, p->x->ndim, p->x->shape));
    const carat_tensor *given = carat_output_given(call, 0);
    if (!given) return CARAT_OK;
    if (!carat_is_contiguous(given)) return carat_step_aside("strides of the output");
    if (carat_overlap_of(given, p->x) != CARAT_DISJOINT || (p->grad && carat_overlap_of(given, p->grad) != CARAT_DISJOINT))
        return carat_step_aside("output overlaps an input");
    return CARAT_OK;
}

// Whether rows can be read and written in vectors of 16 bytes of the widest element. New results are aligned.
static bool is_aligned(const carat_frame *call, const problem *p, int64_t cols, int64_t stride, size_t bytes)
{
    const int64_t vector = 16 / (int64_t)bytes;
    const carat_tensor *given = carat_output_given(call, 0);
    return cols % vector == 0 && carat_lanes_aligned(carat_data(p->x), stride, carat_dtype_size(p->in), vector)
           && (!p->grad || carat_lanes_aligned(carat_data(p->grad), cols, carat_dtype_size(p->in), vector))
           && (!given || carat_lanes_aligned(carat_data(given), cols, carat_dtype_size(p->out), vector));
}

carat_status carat_softmax_run_lanes(carat_frame *call, int index, const carat_softmax_row *row)
{
    problem p;
    int64_t rows, cols, stride;
    carat_lanes shape;
    carat_output out;
    CARAT_TRY(row->backward ? read_backward(call, &p) : read_forward(call, &p));
    if (p.dim < 0) return carat_step_aside("dimension");
    for (int d = p.dim + 1; d < p.x->ndim; ++d)
        if (p.x->shape[d] != 1) return carat_step_aside("columns");
    CARAT_TRY(check_output(call, &p));
    const bool empty = carat_numel(p.x) == 0;
    if (!carat_lanes_rows(p.x, p.x->ndim ? p.dim : 0, &rows, &cols, &stride) && !empty) return carat_step_aside("strided operand");
    const size_t in_bytes = carat_dtype_size(p.in), out_bytes = carat_dtype_size(p.out), bytes = in_bytes > out_bytes ? in_bytes : out_bytes;
    const bool aligned = is_aligned(call, &p, cols, stride, bytes);
    if (!empty && !carat_lanes_choose(call->backend->target(call->device), cols, bytes, aligned, held_by_lane(row, p.in, aligned), &shape))
        return carat_step_aside("long rows");
    CARAT_TRY(carat_output_make(call, 0, p.out, p.x->ndim, p.x->shape, NULL, &out));
    if (empty) return CARAT_OK;
    const carat_key key = make_key(index, p.in, p.out, shape);
    const softmax_lanes_args a = { .x = carat_data(p.x), .grad = p.grad ? carat_data(p.grad) : NULL, .out = carat_data(&out.view),
                                   .rows = rows, .cols = cols, .ahead = carat_lanes_ahead(cols * (int64_t)in_bytes * (p.grad ? 2 : 1)), .x_row = stride };
    return carat_run_kernel(call, &key, &a, sizeof a, rows, 1);
}

// Rows of usual lengths, in vectors and not.
void carat_softmax_enumerate_lanes(const carat_target *target, int index, const carat_softmax_row *row,
                                   void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
        for (int64_t cols = 16; carat_is_float(in) && cols <= INT64_C(1) << 18; cols *= 4)
            for (int aligned = 0; aligned < 2; ++aligned) {
                carat_lanes shape;
                if (!carat_lanes_choose(target, cols, carat_dtype_size(in), aligned, held_by_lane(row, in, aligned), &shape)) continue;
                const carat_key key = make_key(index, in, in, shape);
                emit(arg, &key);
            }
}

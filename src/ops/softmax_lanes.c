// SPDX-License-Identifier: Apache-2.0
// Softmax in groups of many lanes (kernels/softmax_lanes.k.c): rows or columns that one group holds, and the choice between them and
// softmax_apart.c, which takes the rest.
#include "ops/softmax_lanes.h"

#include "core/integer.h"
#include "core/tensor.h"
#include "jit/jit.h"
#include "ops/lanes.h"
#include "ops/pointwise.h"
#include "softmax_lanes_args.h"

// key.dtypes: the inputs', the result's; key.params: the group's shape, and of columns how many lanes lie across, as a logarithm + 1.
enum { KEY_IN, KEY_OUT };
enum { KEY_ACROSS = 4 };

static carat_key make_key(int index, carat_dtype in, carat_dtype out, carat_lanes shape, int across)
{
    carat_key key = { .family = CARAT_FAMILY_softmax, .row = (uint16_t)index };
    key.dtypes[KEY_IN] = (uint8_t)in;
    key.dtypes[KEY_OUT] = (uint8_t)out;
    key.params[0] = shape.lanes;
    key.params[1] = shape.keep;
    key.params[2] = shape.vec;
    key.params[3] = shape.part;
    key.params[KEY_ACROSS] = (uint8_t)(across + 1);
    return key;
}

enum { ROWS = -1 }; // in place of the lanes across

void carat_softmax_describe_lanes(const carat_key *key, const carat_softmax_row *row, carat_defines *defines)
{
    enum { ROW_LANES = 1024, COLUMN_LANES = 512 }; // 64 registers a lane, 32 for what is held; or 128, beside numbers of each column
    const carat_lanes shape = { key->params[0], key->params[1], key->params[2], key->params[3] };
    const int across = key->params[KEY_ACROSS];
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_IN]));
    carat_define(defines, "O", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_OUT]));
    carat_define(defines, "LOG", "%d", row->log);
    if (across) carat_define(defines, "PART", "%s", row->backward ? "columns_backward" : "columns");
    else carat_define(defines, "PART", "%s", row->backward ? "backward" : "forward");
    carat_define(defines, "ACROSS", "%d", across ? 1 << (across - 1) : 1);
    carat_lanes_define(shape, defines);
    carat_lanes_define_resident(shape, across ? COLUMN_LANES : ROW_LANES, defines);
}

// Elements that a lane's registers hold of each input: half as many of two. A register holds two halves of a vector.
static int held_by_lane(const carat_softmax_row *row, carat_dtype in, bool aligned)
{
    const int bytes = (int)carat_dtype_size(in);
    return 128 / (aligned || bytes > 4 ? bytes : 4) / (row->backward ? 2 : 1);
}

// The group for columns of `size` elements: an outer index has `vectors` of 2^vec columns, of `bytes` each; there are `outer` of
// them. Returns the lanes across, as a logarithm, or ROWS if no group holds a column in tiles that read whole lines of memory: then
// two reads cost less than half-used ones. Short lines belong to one group each, so that neighbouring groups read side by side;
// others are shared out in tiles, narrower ones until there are enough.
static int choose_columns(int64_t outer, int64_t size, int64_t vectors, int vec, size_t bytes, int held, carat_lanes *shape)
{
    enum { WIDEST = 5, LEAST_LANES = 2, USUAL_LANES = 5, MOST_LANES = 9, MOST_PART = 10, LINE = 128, ENOUGH_GROUPS = 512 };
    const int most = log2_ceil(held >> vec), line = log2_ceil(pieces(LINE, (int64_t)bytes << vec)), reach = log2_ceil(size);
    int across = (int)smaller(log2_ceil(vectors), WIDEST), keep = (int)smaller(most, reach);
    if (across < line)
        while (keep > 0 && across + reach - keep < LEAST_LANES) --keep;
    int down = log2_ceil(pieces(size, INT64_C(1) << keep));
    while (across > line && (across + down > MOST_LANES || (across + down > USUAL_LANES && outer * vectors >> across < ENOUGH_GROUPS))) --across;
    if (across + down < LEAST_LANES) down = LEAST_LANES - across;
    *shape = (carat_lanes){ .lanes = (uint8_t)(across + down), .keep = (uint8_t)keep, .vec = (uint8_t)vec, .part = MOST_PART };
    return across + down <= MOST_LANES ? across : ROWS;
}

typedef carat_softmax_problem problem;

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
    return carat_same_shape(p->grad, p->x) ? CARAT_OK : carat_step_aside("shapes differ");
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

// ---- launches

static carat_status run_rows(const carat_frame *call, int index, const carat_softmax_row *row, const problem *p, void *out, bool *done)
{
    int64_t rows, cols, stride;
    carat_lanes shape;
    *done = false;
    for (int d = p->dim + 1; d < p->x->ndim; ++d)
        if (p->x->shape[d] != 1) return CARAT_OK;
    if (!carat_lanes_rows(p->x, p->x->ndim ? p->dim : 0, &rows, &cols, &stride)) return CARAT_OK;
    const size_t in_bytes = carat_dtype_size(p->in), out_bytes = carat_dtype_size(p->out), bytes = in_bytes > out_bytes ? in_bytes : out_bytes;
    const bool aligned = is_aligned(call, p, cols, stride, bytes);
    if (!carat_lanes_choose(call->backend->target(call->device), cols, bytes, aligned, held_by_lane(row, p->in, aligned), &shape)) return CARAT_OK;
    *done = true;
    const carat_key key = make_key(index, p->in, p->out, shape, ROWS);
    const softmax_lanes_args a = { .x = carat_data(p->x), .grad = p->grad ? carat_data(p->grad) : NULL, .out = out, .rows = rows, .cols = cols,
                                   .ahead = carat_lanes_ahead(cols * (int64_t)in_bytes * (p->grad ? 2 : 1)), .x_row = stride };
    return carat_run_kernel(call, &key, &a, sizeof a, rows, 1);
}

// Columns of a vector, as a logarithm: as many as all tensors can be read and written in together.
static int column_vector(const problem *p, const softmax_args *s, const void *out)
{
    const int64_t in = (int64_t)carat_dtype_size(p->in), made = (int64_t)carat_dtype_size(p->out);
    int64_t vec = 16 / larger(in, made);
    for (; vec > 1; vec /= 2)
        if (s->inner % vec == 0 && s->x_size % vec == 0 && carat_lanes_aligned(carat_data(p->x), s->x_outer, (size_t)in, vec)
            && carat_lanes_aligned(out, 0, (size_t)made, vec) && (!p->grad || carat_lanes_aligned(carat_data(p->grad), 0, (size_t)in, vec)))
            break;
    return log2_ceil(vec);
}

static carat_status run_columns(const carat_frame *call, int index, const carat_softmax_row *row, const problem *p, void *out, bool *done)
{
    softmax_args s = { .x = NULL };
    carat_lanes shape;
    carat_softmax_shape(&s, p->x, p->dim);
    *done = false;
    if (s.inner == 1 || (!carat_is_contiguous(p->x) && !carat_softmax_merge_strides(&s, p->x, p->dim))) return CARAT_OK;
    const int vec = column_vector(p, &s, out);
    const size_t in = carat_dtype_size(p->in), made = carat_dtype_size(p->out);
    const int across = choose_columns(s.outer, s.size, s.inner >> vec, vec, in > made ? in : made, held_by_lane(row, p->in, vec > 0), &shape);
    if (across == ROWS) return CARAT_OK;
    *done = true;
    const carat_key key = make_key(index, p->in, p->out, shape, across);
    const softmax_lanes_args a = { .x = carat_data(p->x), .grad = p->grad ? carat_data(p->grad) : NULL, .out = out, .rows = s.outer,
                                   .cols = s.size, .inner = s.inner, .x_row = s.x_outer, .x_step = s.x_size };
    return carat_run_kernel(call, &key, &a, sizeof a, pieces(s.outer * (s.inner >> vec), INT64_C(1) << across), 1);
}

static carat_status launch(const carat_frame *call, int index, const carat_softmax_row *row, const problem *p, const carat_tensor *out)
{
    bool done;
    const carat_status by_rows = run_rows(call, index, row, p, carat_data(out), &done);
    if (done) return by_rows;
    const carat_status by_columns = run_columns(call, index, row, p, carat_data(out), &done);
    return done ? by_columns : carat_softmax_run_apart(call, row, p, out);
}

// An operand of the backward pass, in a contiguous copy if it isn't.
typedef struct dense {
    carat_tensor view;
    int64_t strides[CARAT_MAX_DIMS];
    void *copy;
} dense;

static carat_status make_dense(const carat_frame *call, const carat_tensor *from, dense *to)
{
    to->view = *from;
    to->copy = NULL;
    if (carat_is_contiguous(from)) return CARAT_OK;
    to->copy = carat_scratch_alloc(call, (size_t)carat_numel(from) * carat_dtype_size(carat_dtype_of(from)));
    if (!to->copy) return carat_step_aside("no memory to copy an operand");
    carat_contiguous_strides(from->ndim, from->shape, to->strides);
    to->view.data = to->copy;
    to->view.byte_offset = 0;
    to->view.strides = to->strides;
    return carat_copy(call, &to->view, from);
}

static carat_status launch_backward(const carat_frame *call, int index, const carat_softmax_row *row, const problem *given, const carat_tensor *out)
{
    dense x = { .copy = NULL }, grad = { .copy = NULL };
    problem p = *given;
    carat_status status = make_dense(call, given->x, &x);
    if (status == CARAT_OK) status = make_dense(call, given->grad, &grad);
    p.x = &x.view;
    p.grad = &grad.view;
    if (status == CARAT_OK) status = launch(call, index, row, &p, out);
    if (x.copy) carat_scratch_free(call, x.copy);
    if (grad.copy) carat_scratch_free(call, grad.copy);
    return status;
}

carat_status carat_softmax_run_lanes(carat_frame *call, int index, const carat_softmax_row *row)
{
    problem p;
    carat_output out;
    CARAT_TRY(row->backward ? read_backward(call, &p) : read_forward(call, &p));
    if (p.dim < 0) return carat_step_aside("dimension");
    CARAT_TRY(check_output(call, &p));
    CARAT_TRY(carat_output_make(call, 0, p.out, p.x->ndim, p.x->shape, NULL, &out));
    if (carat_numel(p.x) == 0) return CARAT_OK;
    return row->backward ? launch_backward(call, index, row, &p, &out.view) : launch(call, index, row, &p, &out.view);
}

// Rows and columns of usual lengths, in vectors and not.
void carat_softmax_enumerate_lanes(const carat_target *target, int index, const carat_softmax_row *row,
                                   void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
        for (int64_t cols = 16; carat_is_float(in) && cols <= INT64_C(1) << 18; cols *= 4)
            for (int aligned = 0; aligned < 2; ++aligned) {
                carat_lanes shape;
                if (!carat_lanes_choose(target, cols, carat_dtype_size(in), aligned, held_by_lane(row, in, aligned), &shape)) continue;
                const carat_key key = make_key(index, in, in, shape, ROWS);
                emit(arg, &key);
            }
    for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in)
        for (int64_t size = 4; carat_is_float(in) && size <= 4096; size *= 4)
            for (int aligned = 0; aligned < 2; ++aligned) {
                carat_lanes shape;
                const size_t bytes = carat_dtype_size(in);
                const int across = choose_columns(1, size, INT64_C(1) << 20, aligned ? log2_ceil(16 / (int64_t)bytes) : 0, bytes, held_by_lane(row, in, aligned), &shape);
                if (across == ROWS) continue;
                const carat_key key = make_key(index, in, in, shape, across);
                emit(arg, &key);
            }
}

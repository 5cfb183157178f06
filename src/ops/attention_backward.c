// SPDX-License-Identifier: Apache-2.0
// The plan of attention's backward pass (see kernels/attention_backward.k.c): blocks and parts of the keys, which follow
// shapes only.
#include "ops/attention.h"

#include "core/integer.h"
#include "jit/jit.h"

enum { GRAD_OUT, QUERY, KEY, VALUE, OUT, LOGSUMEXP, DROPOUT };

enum {
    BLOCK_ELEMENTS = 16 * 1024,  // of a block of keys: five such blocks stay in L2
    BLOCK_KEYS = 128,            // of a block, at least: a depth of products
    SPLIT_KEYS = 256,            // keys of a part, at least
    SPLIT_STEPS = 16,            // steps beyond which keys aren't split
};

static void choose_blocks(attention_args *a, const carat_attention_tile *tile)
{
    const int64_t block = smaller(ATTENTION_DEPTH, larger(BLOCK_KEYS, BLOCK_ELEMENTS / a->dim)), heads = a->batch * a->key_heads;
    a->splits = larger(1, smaller(a->keys / SPLIT_KEYS, SPLIT_STEPS / heads));
    const int64_t keys = pieces(a->keys, a->splits);
    a->block_keys = round_up(pieces(keys, pieces(keys, block)), tile->cols);
}

static int64_t scratch_bytes(const attention_args *a, const carat_attention_tile *tile)
{
    const int64_t rows = a->group_heads * a->queries, width = round_up(a->dim, tile->cols);
    const int64_t panels = 2 * (a->block_keys + tile->cols) * a->dim, blocks = a->block_keys * (3 * width + ATTENTION_PAD);
    const int64_t groups = 4 * ATTENTION_GROUP * (ATTENTION_DEPTH + ATTENTION_PAD);
    const int64_t sums = a->splits > 1 ? rows : rows * (width + 1); // a split's dQ is a partial result
    return round_up((panels + blocks + groups + ATTENTION_PAD + sums) * tile->sum, 64);
}

static carat_status launch(const carat_frame *call, const carat_key *key, attention_args *a)
{
    const carat_attention_tile tile = carat_attention_tile_of(call, key);
    const int64_t rows = carat_attention_rows(a);
    choose_blocks(a, &tile);
    a->workers = smaller(carat_attention_threads(call, a), a->batch * a->key_heads * a->splits);
    a->scratch_stride = scratch_bytes(a, &tile);
    return carat_attention_launch(call, key, a, rows * round_up(a->dim, tile.cols) * tile.sum);
}

// The forward pass's results and the gradient of the first: of the query's shape, and [batch, heads, queries].
static carat_status settle_results(const carat_frame *call, carat_dtype dtype, attention_args *a)
{
    const carat_tensor *q = carat_tensor_arg(call, QUERY), *grad = carat_tensor_arg(call, GRAD_OUT), *out = carat_tensor_arg(call, OUT);
    const carat_tensor *logsumexp = carat_tensor_arg(call, LOGSUMEXP);
    const carat_tensor *const like_query[2] = { grad, out };
    for (int i = 0; i < 2; ++i)
        if (!like_query[i] || carat_dtype_of(like_query[i]) != dtype || !carat_same_shape(like_query[i], q)) return carat_step_aside("gradient of another kind");
    if (!logsumexp || logsumexp->ndim != 3 || carat_dtype_of(logsumexp) != carat_compute_dtype(dtype)) return carat_step_aside("logsumexp of another kind");
    for (int d = 0; d < 3; ++d)
        if (logsumexp->shape[d] != q->shape[d]) return carat_step_aside("logsumexp of another kind");
    a->grad_out = carat_attention_view(grad);
    a->out = carat_attention_view(out);
    a->logsumexp = carat_attention_view(logsumexp);
    return CARAT_OK;
}

// A gradient has the shape of its tensor and the strides of a transposed [batch, rows, heads, elements].
static carat_status make_gradient(carat_frame *call, int index, carat_dtype dtype, const carat_tensor *of, attention_view *view)
{
    const int64_t row = of->shape[1] * of->shape[3], strides[4] = { of->shape[2] * row, of->shape[3], row, 1 };
    carat_output gradient;
    CARAT_TRY(carat_output_make(call, index, dtype, 4, of->shape, strides, &gradient));
    *view = carat_attention_view(&gradient.view);
    return CARAT_OK;
}

// _scaled_dot_product_flash_attention_for_cpu_backward(grad_out, query, key, value, out, logsumexp, dropout_p, is_causal, attn_mask,
// scale) -> (grad_query, grad_key, grad_value)
carat_status carat_attention_run_backward(carat_frame *call)
{
    attention_args a = { .combining = 0 };
    carat_dtype dtype;
    carat_kernel kernel;
    CARAT_TRY(carat_attention_settle(call, QUERY, &a, &dtype));
    CARAT_TRY(carat_attention_settle_scores(call, DROPOUT, dtype, &a));
    CARAT_TRY(settle_results(call, dtype, &a));
    const carat_key key = carat_attention_key(CARAT_FAMILY_attention_backward, dtype);
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    CARAT_TRY(make_gradient(call, 0, dtype, carat_tensor_arg(call, QUERY), &a.grad_q));
    CARAT_TRY(make_gradient(call, 1, dtype, carat_tensor_arg(call, KEY), &a.grad_k));
    CARAT_TRY(make_gradient(call, 2, dtype, carat_tensor_arg(call, VALUE), &a.grad_v));
    return launch(call, &key, &a);
}

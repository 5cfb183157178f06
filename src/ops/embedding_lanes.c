// SPDX-License-Identifier: Apache-2.0
// embedding_dense_backward in groups of many lanes (kernels/embedding_lanes.k.c).
#include "core/integer.h"
#include "core/kernel_types.h"
#include "jit/jit.h"
#include "ops/embedding.h"
#include "ops/lanes.h"
#include "embedding_lanes_args.h"

typedef enum part { ORDER, SUM, FINISH, PARTS } part;
enum { KEY_PART, KEY_NARROW, KEY_VECTOR }; // key.params; the vector as a logarithm

enum {
    ORDER_LANES = 256, // rows of a group, too
    LANES = 128,
    VECTOR_BYTES = 16,
    MOST_COMPARISONS = 1 << 23, // of tokens with groups: beyond, ATen's sort may take less,
    MOST_TOKENS = 1 << 15,      // and where these are all of one row
};

static carat_key make_key(part of, carat_dtype dtype, bool narrow, int64_t vec)
{
    carat_key key = { .family = CARAT_FAMILY_embedding };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[KEY_PART] = (uint8_t)of;
    key.params[KEY_NARROW] = narrow;
    key.params[KEY_VECTOR] = (uint8_t)log2_ceil(vec);
    return key;
}

void carat_embedding_describe_lanes(const carat_key *key, carat_defines *defines)
{
    static const char *const parts[PARTS] = { "order", "sum", "finish" };
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "I", "%s", key->params[KEY_NARROW] ? "i32" : "i64");
    carat_define(defines, "PART", "%s", parts[key->params[KEY_PART]]);
    carat_define(defines, "LANES", "%d", key->params[KEY_PART] == ORDER ? ORDER_LANES : LANES);
    carat_define(defines, "VEC", "%d", 1 << key->params[KEY_VECTOR]);
}

static int64_t widest(carat_dtype dtype)
{
    return VECTOR_BYTES / (int64_t)carat_dtype_size(dtype);
}

void carat_embedding_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int narrow = 0; narrow < 2; ++narrow) {
        const carat_key order = make_key(ORDER, CARAT_f32, narrow, 1);
        emit(arg, &order);
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
            for (int form = 0; carat_is_float(dtype) && form < 4; ++form) {
                const carat_key key = make_key(form & 1 ? SUM : FINISH, dtype, narrow, form & 2 ? widest(dtype) : 1);
                emit(arg, &key);
            }
    }
}

// What is made on the way, in one block.
static void *take_scratch(const carat_frame *call, embedding_lanes_args *a, int64_t cols, size_t acc_bytes)
{
    const int64_t partial = 2 * (int64_t)a->pieces * cols * (int64_t)acc_bytes;
    char *const block = carat_scratch_alloc(call, (size_t)(partial + (2 * (int64_t)a->tokens + a->rows + 1) * (int64_t)sizeof(u32)));
    if (!block) return NULL;
    a->partial = block;
    a->found = (u32 *)(block + partial);
    a->order = a->found + a->tokens;
    a->start = a->order + a->tokens;
    return block;
}

static carat_status launch(const carat_frame *call, embedding_lanes_args *a, const carat_key keys[PARTS])
{
    carat_status status = carat_run_kernel(call, &keys[ORDER], a, sizeof *a, pieces(a->rows, ORDER_LANES), 1);
    const int64_t units = ((int64_t)a->rows + 2 * (int64_t)a->pieces) * a->across;
    if (status == CARAT_OK) status = carat_run_kernel(call, &keys[SUM], a, sizeof *a, pieces(units, LANES), 1);
    if (status == CARAT_OK && a->pieces)
        status = carat_run_kernel(call, &keys[FINISH], a, sizeof *a, pieces((int64_t)a->pieces * a->across, LANES), 1);
    return status;
}

carat_status carat_embedding_run_lanes(carat_frame *call, const carat_tensor *grad, const carat_tensor *indices, int64_t rows, int64_t padding)
{
    const carat_dtype dtype = carat_dtype_of(grad);
    const int64_t tokens = carat_numel(indices), cols = grad->shape[grad->ndim - 1];
    embedding_lanes_args a = { .padding = padding, .rows = (uint32_t)rows, .tokens = (uint32_t)tokens };
    carat_output out;
    carat_kernel kernel;
    if (tokens == 0 || rows == 0 || cols == 0) return carat_step_aside("nothing to add up");
    if (tokens > MOST_TOKENS || tokens * pieces(rows, ORDER_LANES) > MOST_COMPARISONS) return carat_step_aside("many tokens and rows");
    if (!carat_embedding_merges(grad, cols, &a.grad_stride) || !carat_is_contiguous(indices)) return carat_step_aside("layout");
    const size_t bytes = carat_dtype_size(dtype);
    const carat_tensor *given = carat_output_given(call, 0);
    const int64_t width = widest(dtype);
    const bool aligned = cols % width == 0 && carat_lanes_aligned(carat_data(grad), a.grad_stride, bytes, width)
                         && (!given || carat_lanes_aligned(carat_data(given), 0, bytes, width));
    const int64_t vec = aligned ? width : 1;
    a.pieces = tokens > EMBEDDING_PIECE ? (uint32_t)pieces(tokens, EMBEDDING_PIECE) : 0; // fewer tokens make no long row
    if (cols / vec > INT32_MAX / (rows + 2 * (int64_t)a.pieces + LANES)) return carat_step_aside("more than 2^31 elements");
    a.across = (uint32_t)(cols / vec);
    carat_lanes_divisor(a.across, &a.across_magic, &a.across_shift);
    const bool narrow = carat_dtype_of(indices) == CARAT_i32;
    carat_key keys[PARTS];
    for (part of = ORDER; of < PARTS; ++of) {
        keys[of] = of == ORDER ? make_key(of, CARAT_f32, narrow, 1) : make_key(of, dtype, narrow, vec);
        CARAT_TRY(carat_kernel_get(call->backend, call->device, &keys[of], &kernel));
    }
    CARAT_TRY(carat_output_make(call, 0, dtype, 2, (const int64_t[]){ rows, cols }, NULL, &out));
    a.out = carat_data(&out.view);
    a.grad = carat_data(grad);
    a.index = carat_data(indices);
    void *const block = take_scratch(call, &a, cols, carat_dtype_size(carat_compute_dtype(dtype)));
    if (!block) return carat_step_aside("no memory for the tokens' order");
    const carat_status status = launch(call, &a, keys);
    carat_scratch_free(call, block);
    return status;
}

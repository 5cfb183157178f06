// SPDX-License-Identifier: Apache-2.0
// The plan of a matrix product: which side is left and which right, thin or blocked, block sizes, shares of the threads
// (see kernels/matmul.k.c and kernels/matvec.k.c for what these mean). Nothing here that depends on the number of threads
// changes the order of a sum.
#include "ops/matmul.h"

#include "core/integer.h"

#include <string.h>

enum {
    LEFT_ROWS = 1024,                // rows of a block of A at most, where k is small
    WAITING_COLS = 1024,             // columns of C in a step whose sums wait for a further pass
    BLOCK_COLS = 8192,               // the same where they don't
    LINE_BYTES = 64,
    SAME_SET = 4096,                 // bytes between lines of the same set of L1
    NEAR_ROWS = 512,                 // bytes between rows of B that needn't be packed
    FEW_ROWS = 64,                   // rows of C for which B isn't packed
    TILES_BYTES = 1024 * 1024,       // B's part in a step on a matrix unit, for an L2 of 2 MiB
    TILES_ROWS = 1024,               // rows of a step there, where sums wait for a further pass
    PACKED_BYTES = 8 * 1024 * 1024,  // B packed for all threads, to stay in L3
    STREAMED_BYTES = 512 * 1024,     // B of this size is not worth packing for a few rows
    DOT_DEPTH = 256,                 // k from which dot products of a few rows pay
    WORKER_PRODUCTS = 128 * 1024,    // multiply-adds below which a further thread costs more than it brings
    WORKER_TILE_PRODUCTS = 1024 * 1024, // the same on a matrix unit
    WORKER_ELEMENTS = 32 * 1024,     // elements of B, where they are streamed
    SCATTERED_DEPTH = 512,          // of a pass on a matrix unit where A's rows are apart in memory: a line of each stays in L2
    FLAT_ROWS = 64,                  // rows that leave a matrix unit waiting for B
    THIN_COLS = 64,                  // columns of a step where columns of B are dense; a multiple of them where rows are
    DOT_BLOCK = 32 * 1024,           // elements of a long dot product that one thread takes at a time
    DOT_LONG = 4 * DOT_BLOCK,        // elements from which a dot product is long
};

// ---- sides

static matmul_view transposed(matmul_view view)
{
    return (matmul_view){ view.data, view.batch, view.col, view.row };
}

// (A B)^T = B^T A^T
static void swap_sides(matmul_args *a)
{
    const matmul_view left = a->a;
    const int64_t m = a->m;
    a->a = transposed(a->b);
    a->b = transposed(left);
    a->c = transposed(a->c);
    a->input = transposed(a->input);
    a->m = a->n;
    a->n = m;
}

// Strides of dimensions of one element mean nothing: gives them values that no fast way trips over.
static void settle_strides(matmul_args *a)
{
    if (a->k == 1) a->a.col = 1;
    if (a->n == 1 && a->b.row != 1) a->b.col = 1;
    if (a->k == 1 && a->b.col != 1) a->b.row = 1;
    if (a->n == 1) a->c.col = a->input.col = 1;
}

// Whether A's rows are few and B is better streamed than packed.
static bool is_thin(const matmul_args *a, size_t size)
{
    if (a->m > MATVEC_THIN || (a->b.row != 1 && a->b.col != 1)) return false;
    if (a->m == 1) return true;
    const int64_t batches = a->b.batch ? a->batch : 1;
    return batches * a->k * a->n * (int64_t)size >= STREAMED_BYTES && (a->b.row != 1 || a->k >= DOT_DEPTH);
}

// Turns the product so that it is thin if either way is, else so that C's rows are dense. Whether it is thin.
static bool choose_sides(matmul_args *a, size_t size, int64_t panel)
{
    settle_strides(a);
    const bool both_vectors = a->m == 1 && a->n == 1;
    if (a->n < a->m || (both_vectors && a->b.row != 1)) {
        matmul_args turned = *a;
        swap_sides(&turned);
        settle_strides(&turned);
        if (is_thin(&turned, size)) {
            *a = turned;
            return true;
        }
    }
    if (is_thin(a, size)) return true;
    const bool dense = a->c.col == 1 || a->c.row != 1;
    if (!dense || (a->n < a->m && 2 * a->n <= panel && a->k >= panel)) { // few columns would leave panels half empty
        swap_sides(a);
        settle_strides(a);
    }
    return false;
}

// The left factor of a matrix unit needs no packing: better a large B with dense columns there than few rows of A.
static bool is_better_turned(const matmul_args *a)
{
    return a->m <= FLAT_ROWS && a->n >= 8 * a->m && a->b.row == 1;
}

// ---- thin

static carat_status run_thin(const carat_frame *call, matmul_args *a, carat_dtype dtype)
{
    const size_t size = carat_dtype_size(dtype);
    const int64_t threads = smaller(carat_thread_count(call), larger(1, a->batch * a->k * a->n / WORKER_ELEMENTS));
    const int64_t share = round_up(pieces(a->n, pieces(threads, a->batch)), THIN_COLS); // columns, so that each thread has a step
    const int64_t whole = MATVEC_SPAN / a->m / THIN_COLS * THIN_COLS; // whole vectors: the columns left over are the same for any number of threads
    const int64_t cols = a->b.row == 1 ? THIN_COLS : smaller(whole, share);
    a->block_n = larger(1, smaller(cols, a->n));
    a->workers = smaller(threads, a->batch * pieces(a->n, a->block_n));
    void *scratch = NULL;
    if (a->b.row == 1 && a->a.col != 1) {
        a->scratch_stride = round_up(a->m * a->k * (int64_t)size, 64);
        scratch = a->scratch = carat_alloc((size_t)(a->scratch_stride * a->workers));
        if (!scratch) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld elements", (long long)(a->m * a->k));
    }
    const carat_key key = carat_matmul_key(dtype, CARAT_MATMUL_THIN);
    const carat_status status = carat_run_kernel(call, &key, a, sizeof *a, a->workers, 1);
    carat_free(scratch);
    return status;
}

// A sum that is long enough to be shared, of dense factors, and all there is to the result.
static bool is_long_dot(const matmul_args *a, carat_dtype dtype)
{
    const bool alone = a->batch == 1 && a->m == 1 && a->n == 1, dense = a->a.col == 1 && a->b.row == 1;
    return alone && dense && a->k >= DOT_LONG && (dtype == CARAT_f32 || dtype == CARAT_f64);
}

// The blocks are a batch of dot products. Their sums are joined in the blocks' order, so that threads make no difference.
static carat_status run_long_dot(const carat_frame *call, const matmul_args *a, carat_dtype dtype)
{
    const int64_t blocks = a->k / DOT_BLOCK, size = (int64_t)carat_dtype_size(dtype), done = blocks * DOT_BLOCK;
    char *const sums = carat_alloc((size_t)((blocks + 1) * size));
    if (!sums) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld sums", (long long)blocks);
    matmul_args part = *a;
    part.batch = blocks;
    part.k = part.a.batch = part.b.batch = DOT_BLOCK;
    part.c = (matmul_view){ sums, 1, 1, 1 };
    carat_status status = run_thin(call, &part, dtype);
    part.batch = 1;
    part.k = a->k - done; // may be none, whose sum is 0
    part.a.data = (char *)a->a.data + done * size;
    part.b.data = (char *)a->b.data + done * size;
    part.c.data = sums + blocks * size;
    if (status == CARAT_OK) status = run_thin(call, &part, dtype);
    double total = 0;
    if (status == CARAT_OK) {
        for (int64_t i = 0; i <= blocks; ++i) total += carat_scalar_load(dtype, sums + i * size).re;
        carat_scalar_store((carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = total }, dtype, a->c.data);
    }
    carat_free(sums);
    return status;
}

// ---- blocked

typedef struct sizes {
    carat_matmul_tile tile;
    int64_t panel;   // columns of a panel of B
    int64_t element; // bytes of T and of ACC
    int64_t sum;
} sizes;

// Steps that are too few for the threads, or don't come out even.
static bool leaves_idle(const matmul_args *a, int64_t threads)
{
    const int64_t steps = a->batch * pieces(a->m, a->block_m) * pieces(a->n, a->block_n);
    return steps % threads != 0 && steps < 4 * threads;
}

// Even passes, even blocks of rows that fit L2, and blocks of columns; then smaller blocks while threads are idle.
static void choose_blocks(matmul_args *a, const sizes *s, int64_t threads)
{
    const int64_t rows = smaller(LEFT_ROWS, s->tile.left_bytes / s->tile.packed_bytes / a->block_k);
    const int64_t whole = a->m <= 2 * rows ? a->m : rows; // rather somewhat large than B packed by a launch of its own
    a->block_m = round_up(pieces(a->m, pieces(a->m, whole)), s->tile.row_step);
    a->block_n = round_up(pieces(a->n, pieces(a->n, a->block_k < a->k ? WAITING_COLS : BLOCK_COLS)), s->panel);
    while (leaves_idle(a, threads)) {
        if (a->block_n > 4 * s->panel || (a->block_n > s->panel && a->block_n > a->block_m))
            a->block_n = round_up(pieces(smaller(a->block_n, a->n), 2), s->tile.lanes); // shares as even as may be
        else if (a->block_m >= 2 * s->tile.rows)
            a->block_m = round_up(pieces(a->block_m, 2), s->tile.row_step);
        else
            break;
    }
    if (a->m > a->block_m) a->block_n = round_up(a->block_n, s->panel); // where panels packed for all begin
}

// The same for a matrix unit: blocks of columns whose part of B fits L2, and all rows.
static void choose_tile_blocks(matmul_args *a, const sizes *s, int64_t threads)
{
    const int64_t cols = TILES_BYTES / s->tile.packed_bytes / a->block_k;
    a->block_n = round_up(pieces(a->n, pieces(a->n, cols)), s->panel);
    a->block_m = round_up(smaller(a->m, a->block_k < a->k ? TILES_ROWS : a->m), s->tile.rows);
    while (leaves_idle(a, threads)) {
        if (a->block_n > s->panel && a->block_n >= a->block_m)
            a->block_n = round_up(pieces(a->block_n, 2), s->panel);
        else if (a->block_m > s->tile.rows)
            a->block_m = round_up(pieces(a->block_m, 2), s->tile.rows);
        else
            break;
    }
}

// Rows of a view so far apart that they share a set of L1.
static bool is_scattered(int64_t row, const sizes *s)
{
    return row * s->element % SAME_SET == 0;
}

// What is read where it lies: A's rows, if they are dense and don't crowd a set of L1 for many panels; B's panels, if few
// rows use them or they are nearly dense. Else how A's rows lie in scratch: an odd number of cache lines apart.
static void place_factors(matmul_args *a, const sizes *s)
{
    const int64_t line = LINE_BYTES / s->sum, few = is_scattered(a->b.row, s) ? FEW_ROWS : 2 * FEW_ROWS;
    const bool plain = s->element == s->sum, left = a->a.col == 1 && (!is_scattered(a->a.row, s) || a->n <= 2 * s->panel);
    a->left_row = plain && left ? 0 : round_up(a->block_k + line, 2 * line) - line;
    a->right_in_place = plain && a->b.col == 1 && (a->block_m <= few || a->b.row * s->element <= NEAR_ROWS);
}

static int64_t scratch_bytes(const matmul_args *a, const sizes *s)
{
    const bool tiles = s->tile.way == CARAT_MATMUL_TILES;
    const int64_t rows = round_up(a->block_m, s->tile.row_step), high = round_up(rows, s->tile.rows), tile = s->tile.rows * s->panel;
    const int64_t left = tiles ? s->tile.rows * a->block_k : rows * a->left_row;
    const int64_t right = a->block_k * (tiles ? a->block_n : s->panel);
    const int64_t sums = a->block_k < a->k ? high * round_up(a->block_n, s->panel) : tiles ? 2 * tile : tile;
    return round_up((right + left) * s->tile.packed_bytes + sums * s->sum, 64);
}

static void *at(const matmul_view *view, const sizes *s, int64_t batch, int64_t col)
{
    return view->data ? (char *)view->data + (batch * view->batch + col * view->col) * s->element : NULL;
}

// Part after part of B: one launch packs it, the next multiplies by it.
static carat_status run_packed(const carat_frame *call, const carat_key *key, const matmul_args *a, const sizes *s)
{
    const int64_t column = pieces(a->k, a->block_k) * a->block_k * s->tile.packed_bytes; // bytes of a packed column
    const int64_t fit = larger(a->block_n, PACKED_BYTES / column / a->block_n * a->block_n), cols = smaller(fit, a->n);
    const int64_t batch_bytes = column * round_up(cols, s->panel);
    const int64_t batches = cols < a->n ? 1 : larger(1, smaller(a->batch, PACKED_BYTES / batch_bytes));
    matmul_args part = *a;
    part.packed = carat_alloc((size_t)(batch_bytes * batches));
    if (!part.packed) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory to pack %lld bytes", (long long)(batch_bytes * batches));
    carat_status status = CARAT_OK;
    for (int64_t batch = 0; batch < a->batch && status == CARAT_OK; batch += batches)
        for (int64_t col = 0; col < a->n && status == CARAT_OK; col += cols) {
            part.batch = smaller(batches, a->batch - batch);
            part.n = smaller(cols, a->n - col);
            part.a.data = at(&a->a, s, batch, 0);
            part.b.data = at(&a->b, s, batch, col);
            part.c.data = at(&a->c, s, batch, col);
            part.input.data = at(&a->input, s, batch, col);
            part.packing = 1;
            status = carat_run_kernel(call, key, &part, sizeof part, part.workers, 1);
            part.packing = 0;
            if (status == CARAT_OK) status = carat_run_kernel(call, key, &part, sizeof part, part.workers, 1);
        }
    carat_free(part.packed);
    return status;
}

static carat_status run_blocked(const carat_frame *call, matmul_args *a, carat_dtype dtype, const sizes *s)
{
    if (s->tile.way == CARAT_MATMUL_TILES && is_better_turned(a)) {
        swap_sides(a);
        settle_strides(a);
    }
    const int64_t least = s->tile.way == CARAT_MATMUL_TILES ? WORKER_TILE_PRODUCTS : WORKER_PRODUCTS;
    const int64_t worth = larger(1, a->batch * a->m * a->n * a->k / least);
    const int64_t threads = smaller(carat_thread_count(call), worth);
    const bool scattered = s->tile.way == CARAT_MATMUL_TILES && a->a.col != 1;
    const int64_t depth = scattered ? SCATTERED_DEPTH : s->tile.depth, passes = larger(1, pieces(a->k, depth)), step = s->tile.depth_step;
    a->block_k = larger(step, smaller(depth, round_up(pieces(a->k, passes), step)));
    if (s->tile.way == CARAT_MATMUL_TILES) {
        choose_tile_blocks(a, s, threads);
    } else {
        choose_blocks(a, s, threads);
        place_factors(a, s);
    }
    a->workers = smaller(threads, a->batch * pieces(a->m, a->block_m) * pieces(a->n, a->block_n));
    a->scratch_stride = scratch_bytes(a, s);
    a->scratch = carat_alloc((size_t)(a->scratch_stride * a->workers));
    if (!a->scratch) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for %lld bytes", (long long)(a->scratch_stride * a->workers));
    const carat_key key = carat_matmul_key(dtype, s->tile.way);
    const bool shared = a->m > a->block_m && !a->right_in_place && a->k > 0 && s->tile.way == CARAT_MATMUL_VECTORS;
    const carat_status status = shared ? run_packed(call, &key, a, s) : carat_run_kernel(call, &key, a, sizeof *a, a->workers, 1);
    carat_free(a->scratch);
    return status;
}

carat_status carat_matmul_launch(const carat_frame *call, const carat_matmul *product)
{
    if (product->batch == 0 || product->m == 0 || product->n == 0) return CARAT_OK;
    const carat_dtype sums = carat_matmul_sums(product->dtype);
    matmul_args a;
    memset(&a, 0, sizeof a);
    a.a = product->a;
    a.b = product->b;
    a.c = product->c;
    a.input = product->input;
    a.batch = product->batch;
    a.m = product->m;
    a.n = product->n;
    a.k = product->k;
    carat_scalar_store(product->alpha, sums, a.alpha.bits);
    carat_scalar_store(product->beta, sums, a.beta.bits);
    sizes s = { .tile = carat_matmul_tile_of(call->backend->target(call->device), product->dtype) };
    s.panel = s.tile.lanes * s.tile.vectors;
    s.element = (int64_t)carat_dtype_size(product->dtype);
    s.sum = (int64_t)carat_dtype_size(sums);
    if (!choose_sides(&a, (size_t)s.element, s.tile.way == CARAT_MATMUL_TILES ? 0 : s.panel)) return run_blocked(call, &a, product->dtype, &s);
    const bool plain = !a.input.data && product->alpha.kind == CARAT_SCALAR_INT && product->alpha.i == 1;
    return plain && is_long_dot(&a, product->dtype) ? run_long_dot(call, &a, product->dtype) : run_thin(call, &a, product->dtype);
}

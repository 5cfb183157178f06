// SPDX-License-Identifier: Apache-2.0
// The random family: which words of the generator become which elements, and in what order.
//
// A call takes the generator's block of words under its lock, has further blocks made behind it in a buffer, has them turned into
// elements while they are in the cache, and gives the last block back: the generator ends in the very state in which ATen,
// which takes one word after the other, leaves it.
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "ops/move.h"
#include "ops/operand.h"
#include "ops/pointwise_row.h"
#include "random_args.h"

#include <math.h>
#include <string.h>

enum { BLOCK = RANDOM_BLOCK, STACK_BLOCKS = 4, THREAD_BLOCKS = 16, MOST_THREADS = 16, THREAD_GROUPS = 8, NORMAL_UNIT = 16 };
_Static_assert(BLOCK == CARAT_GENERATOR_WORDS, "a generator's state is a block");

enum {
    RANDOM_NUMBERS = CARAT_REALS | CARAT_BOOLS,
    RANDOM_SINGLES = CARAT_HALVES | 1u << CARAT_f32,
    RANDOM_PERMUTED = 1u << CARAT_i32 | 1u << CARAT_i64,
};

// Below so many elements the state's way to and fro costs more than ATen's loop.
enum { FEWEST = 128, FEWEST_SLOW = 16 };

enum { WIDE_RANGE = 1 << 28 };

// ---- the stream of words

typedef struct stream {
    const carat_frame *call;
    uint32_t *words;          // whole blocks; the next word is words[at], in the last block or behind it
    int64_t at, filled, room; // in words
} stream;

typedef struct drawing {
    carat_frame *call;
    carat_key key;
    random_args args;
    int64_t count; // elements
    char *out;     // consecutive, in the order in which they are drawn
    const char *p; // BERNOULLI_EACH: likewise
} drawing;

static bool takes_pairs(const carat_key *key)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    switch (key->params[0]) {
    case RANDOM_BERNOULLI:
    case RANDOM_EXPONENTIAL: return true;
    case RANDOM_BERNOULLI_EACH:
    case RANDOM_UNIFORM: return dtype == CARAT_f64;
    case RANDOM_INTEGER: return dtype == CARAT_f64 || dtype == CARAT_i64;
    default: return false;
    }
}

// Moves the last block to the front and makes as many behind it as fit, for `wanted` words to be ready.
static carat_status refill(stream *s, int64_t wanted)
{
    const carat_key key = { .family = CARAT_FAMILY_random, .params = { RANDOM_TWIST } };
    const int64_t gone = s->filled - BLOCK;
    if (gone) memmove(s->words, s->words + gone, BLOCK * sizeof *s->words);
    s->at -= gone;
    const int64_t most = s->room / BLOCK, blocks = (s->at + wanted + BLOCK - 1) / BLOCK;
    random_args a = { .words = s->words, .count = (blocks < most ? blocks : most) - 1 };
    s->filled = (a.count + 1) * BLOCK;
    return carat_run_kernel(s->call, &key, &a, sizeof a, 1, 1);
}

// The elements of one launch whose logarithm may round otherwise, again with the C library's function.
static void exponential_exactly(const drawing *d, const random_args *a)
{
    const double scale = -1.0 / a->first;
    for (int64_t i = 0; i < a->count; ++i) {
        uint32_t word[2];
        for (int k = 0; k < 2; ++k) {
            uint32_t y = a->words[2 * i + k];
            y ^= y >> 11;
            y ^= y << 7 & 0x9d2c5680u;
            y ^= y << 15 & 0xefc60000u;
            word[k] = y ^ y >> 18;
        }
        const double u = (double)((uint64_t)(word[0] & 0x1fffff) << 32 | word[1]) * 0x1p-53;
        const carat_scalar value = { .kind = CARAT_SCALAR_FLOAT, .re = (float)(scale * log1p(-u)) };
        const carat_dtype dtype = (carat_dtype)d->key.dtypes[0];
        carat_scalar_store(value, dtype, (char *)a->out + i * (int64_t)carat_dtype_size(dtype));
    }
}

static carat_status launch(const drawing *d, random_args *a)
{
    i32 unsure = 0;
    a->unsure = &unsure;
    const int64_t groups = (a->count + RANDOM_GROUP_ELEMENTS - 1) / RANDOM_GROUP_ELEMENTS;
    CARAT_TRY(carat_run_kernel(d->call, &d->key, a, sizeof *a, groups, THREAD_GROUPS));
    if (unsure) exponential_exactly(d, a);
    return CARAT_OK;
}

// The next `count` elements of the stream to `out`.
static carat_status fill(const drawing *d, stream *s, char *out, int64_t count)
{
    const random_kind kind = d->key.params[0];
    const int64_t words = takes_pairs(&d->key) ? 2 : 1, unit = kind == RANDOM_NORMAL ? NORMAL_UNIT : 1;
    const int64_t most = kind == RANDOM_PERMUTATION ? RANDOM_GROUP_ELEMENTS : INT64_MAX;
    const int64_t bytes = kind == RANDOM_PERMUTATION ? 0 : (int64_t)carat_dtype_size((carat_dtype)d->key.dtypes[0]);
    random_args a = d->args;
    for (int64_t done = 0; done < count; done += a.count) {
        if (s->filled - s->at < unit * words) CARAT_TRY(refill(s, (count - done) * words));
        const int64_t ready = (s->filled - s->at) / words / unit * unit, left = count - done < most ? count - done : most;
        a.count = ready < left ? ready : left;
        a.words = s->words + s->at;
        a.out = out + done * bytes;
        a.p = d->p ? d->p + done * bytes : NULL;
        a.done = done;
        CARAT_TRY(launch(d, &a));
        s->at += a.count * words;
    }
    return CARAT_OK;
}

static carat_status skip(stream *s, int64_t words)
{
    if (s->filled - s->at < words) CARAT_TRY(refill(s, words));
    s->at += words;
    return CARAT_OK;
}

// Sixteen at a time; what is left over is drawn anew as the last sixteen, of f32 after uniform numbers that nobody sees.
static carat_status fill_normal(const drawing *d, stream *s)
{
    const carat_dtype dtype = (carat_dtype)d->key.dtypes[0];
    const int64_t rest = d->count % NORMAL_UNIT;
    CARAT_TRY(fill(d, s, d->out, d->count - rest));
    if (!rest) return CARAT_OK;
    if (dtype == CARAT_f32) CARAT_TRY(skip(s, rest));
    return fill(d, s, d->out + (d->count - NORMAL_UNIT) * (int64_t)carat_dtype_size(dtype), NORMAL_UNIT);
}

static carat_status draw(void *arg, uint32_t *words, int32_t *taken)
{
    drawing *d = arg;
    uint32_t near[STACK_BLOCKS * BLOCK], *far = NULL;
    stream s = { d->call, words, *taken, BLOCK, BLOCK };
    const int64_t needed = d->count * (takes_pairs(&d->key) ? 2 : 1) + 2 * NORMAL_UNIT;
    const int64_t threads = carat_thread_count(d->call) < MOST_THREADS ? carat_thread_count(d->call) : MOST_THREADS;
    const int64_t blocks = (s.at + needed + BLOCK - 1) / BLOCK, most = threads * THREAD_BLOCKS;
    if (blocks > 1) {
        s.room = (blocks < STACK_BLOCKS ? STACK_BLOCKS : blocks < most ? blocks : most) * BLOCK;
        if (s.room > STACK_BLOCKS * BLOCK) far = carat_alloc((size_t)s.room * sizeof *far);
        if (s.room > STACK_BLOCKS * BLOCK && !far) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for random words");
        s.words = far ? far : near;
        memcpy(s.words, words, BLOCK * sizeof *words);
    }
    const carat_status status = d->key.params[0] == RANDOM_NORMAL ? fill_normal(d, &s) : fill(d, &s, d->out, d->count);
    const int64_t block = s.at ? (s.at - 1) / BLOCK : 0; // of the last word taken: ATen makes no further one before it must
    if (status == CARAT_OK) {
        if (s.words != words) memcpy(words, s.words + block * BLOCK, BLOCK * sizeof *words);
        *taken = (int32_t)(s.at - block * BLOCK);
    }
    carat_free(far);
    return status;
}

// ---- the tensor that is written

// ATen walks a tensor in the order of its strides. One with gaps is drawn into a dense copy of that order.
static carat_status draw_with_gaps(drawing *d, const carat_tensor *self, int generator)
{
    int64_t strides[CARAT_MAX_DIMS];
    carat_like_strides(self, strides);
    void *copy = carat_alloc((size_t)d->count * carat_dtype_size(carat_dtype_of(self)));
    if (!copy) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for a dense copy");
    d->out = copy;
    const carat_tensor dense = { .data = copy, .device = self->device, .ndim = self->ndim, .dl_dtype = self->dl_dtype,
                                 .shape = self->shape, .strides = strides };
    carat_status status = carat_with_generator(d->call, generator, draw, d);
    if (status == CARAT_OK) status = carat_move(d->call, self, &dense);
    carat_free(copy);
    return status;
}

// Draws a tensor's elements. Few are ATen's, and so is an output that can't be written: see draw_into.
static carat_status draw_over(drawing *d, const carat_tensor *self, random_kind kind, int generator)
{
    d->key = (carat_key){ .family = CARAT_FAMILY_random, .dtypes = { (uint8_t)carat_dtype_of(self) }, .params = { (uint8_t)kind } };
    d->count = carat_numel(self);
    d->out = carat_data(self);
    if (carat_is_dense(self)) return carat_with_generator(d->call, generator, draw, d);
    return draw_with_gaps(d, self, generator);
}

static carat_status draw_into(drawing *d, const carat_tensor *self, random_kind kind, int generator)
{
    const bool slow = kind == RANDOM_BERNOULLI || kind == RANDOM_EXPONENTIAL; // 40 ns an element with ATen
    if (carat_numel(self) < (slow ? FEWEST_SLOW : FEWEST)) return carat_step_aside("few elements");
    CARAT_TRY(carat_output_check(d->call, 0, carat_dtype_of(self), self->ndim, self->shape));
    return draw_over(d, self, kind, generator);
}

// ---- operators

static int64_t threshold_of(double p)
{
    return (int64_t)ceil(ldexp(p, 53));
}

static carat_status run_bernoulli(carat_frame *call) // self, p, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double p = carat_float_arg(call, 1, 0.5);
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_NUMBERS)) return carat_step_aside("dtype");
    if (!(p >= 0 && p <= 1)) return carat_step_aside("probability");
    drawing d = { .call = call, .args = { .base = threshold_of(p) } };
    return draw_into(&d, self, RANDOM_BERNOULLI, 2);
}

static double largest_of(carat_dtype dtype)
{
    return dtype == CARAT_f16 ? 65504 : dtype == CARAT_bf16 ? 0x1.fep127 : dtype == CARAT_f32 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
}

// Whether rounding makes the upper bound a result: then versions of ATen differ.
static bool reaches_end(carat_dtype dtype, double from, double to)
{
    if (dtype == CARAT_f64) return !(fma(1 - 0x1p-53, to - from, from) < to && (1 - 0x1p-53) * (to - from) + from < to);
    const float f = (float)from, t = (float)to, below_one = 1 - 0x1p-24f;
    const float product = below_one * (t - f), sum = product + f;
    return dtype == CARAT_f32 && !(fmaf(below_one, t - f, f) < t && sum < t);
}

static carat_status run_uniform(carat_frame *call) // self, from, to, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double from = carat_float_arg(call, 1, 0), to = carat_float_arg(call, 2, 1);
    if (!self || !carat_is_float(carat_dtype_of(self))) return carat_step_aside("dtype");
    const double largest = largest_of(carat_dtype_of(self));
    if (!(from < to && from >= -largest && to <= largest && to - from <= largest)) return carat_step_aside("bounds");
    if (reaches_end(carat_dtype_of(self), from, to)) return carat_step_aside("the upper bound would be reached");
    drawing d = { .call = call, .args = { .first = from, .second = to } };
    return draw_into(&d, self, RANDOM_UNIFORM, 3);
}

static carat_status run_normal(carat_frame *call) // self, mean, std, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double mean = carat_float_arg(call, 1, 0), std = carat_float_arg(call, 2, 1);
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_SINGLES)) return carat_step_aside("dtype");
    if (!(std >= 0)) return carat_step_aside("standard deviation");
    if (!carat_is_contiguous(self)) return carat_step_aside("layout"); // ATen draws doubles then
    drawing d = { .call = call, .args = { .first = mean, .second = std } };
    return draw_into(&d, self, RANDOM_NORMAL, 3);
}

static carat_status run_exponential(carat_frame *call) // self, lambd, generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const double lambda = carat_float_arg(call, 1, 1);
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_SINGLES)) return carat_step_aside("dtype");
    if (!(lambda > 1e-18 && lambda < 1e18)) return carat_step_aside("lambda"); // results are normal numbers of f32
    drawing d = { .call = call, .args = { .first = lambda } };
    return draw_into(&d, self, RANDOM_EXPONENTIAL, 2);
}

// The whole numbers [least, most] that a dtype has; of floating types those without gaps.
static void bounds_of(carat_dtype dtype, int64_t *least, int64_t *most)
{
    const int digits = dtype == CARAT_f16 ? 11 : dtype == CARAT_bf16 ? 8 : dtype == CARAT_f32 ? 24 : 53;
    const int bits = 8 * (int)carat_dtype_size(dtype);
    if (carat_is_float(dtype)) *most = (int64_t)1 << digits, *least = -*most;
    else if (dtype == CARAT_b8) *least = 0, *most = 1;
    else if (dtype == CARAT_u8) *least = 0, *most = 255;
    else *most = (int64_t)(UINT64_MAX >> (65 - bits)), *least = -*most - 1;
}

// Granlund and Montgomery, "Division by Invariant Integers using Multiplication": n / range for every 32-bit n.
static void prepare_division(random_args *a)
{
    a->shift = a->range > 1 ? 32 - (u32)__builtin_clz(a->range - 1) : 0;
    a->magic = (u32)(((((uint64_t)1 << a->shift) - a->range) << 32) / a->range + 1);
}

static carat_status run_integers(carat_frame *call) // self, (from,) (to,) generator
{
    const carat_tensor *self = carat_tensor_arg(call, 0);
    const int generator = call->nargs - 1;
    if (generator < 1 || generator > 3) return carat_step_aside("arguments");
    if (!self || !carat_dtype_in(carat_dtype_of(self), RANDOM_NUMBERS)) return carat_step_aside("dtype");
    drawing d = { .call = call };
    if (generator == 1) return draw_into(&d, self, RANDOM_INTEGER, generator);
    int64_t least, most;
    bounds_of(carat_dtype_of(self), &least, &most);
    if (call->args[generator - 1].kind != CARAT_ARG_INT) return carat_step_aside("no upper bound");
    const int64_t to = call->args[generator - 1].i, from = generator == 3 ? carat_int_arg(call, 1, 0) : 0;
    if (from >= to || from < least || to - 1 > most) return carat_step_aside("bounds");
    if (carat_is_float(carat_dtype_of(self)) && to > most) return carat_step_aside("bounds");
    if ((uint64_t)to - (uint64_t)from >= WIDE_RANGE) return carat_step_aside("range"); // drawn from pairs of words
    d.args.base = from;
    d.args.range = (u32)(to - from);
    prepare_division(&d.args);
    return draw_into(&d, self, RANDOM_BELOW, generator);
}

static carat_status run_permutation(carat_frame *call) // n, generator, out
{
    const carat_tensor *out = carat_output_given(call, 0);
    const int64_t n = carat_int_arg(call, 0, -1);
    if (!out || !carat_dtype_in(carat_dtype_of(out), RANDOM_PERMUTED)) return carat_step_aside("dtype");
    if (n < FEWEST_SLOW || n >= INT32_MAX / 20) return carat_step_aside("number of elements"); // far more are drawn otherwise
    CARAT_TRY(carat_output_check(call, 0, carat_dtype_of(out), 1, &n));
    if (!carat_is_contiguous(out)) return carat_step_aside("layout of out");
    drawing d = { .call = call, .count = n - 1, .out = carat_data(out), .args = { .length = n } };
    d.key = (carat_key){ .family = CARAT_FAMILY_random, .dtypes = { out->dl_dtype.bits == 64 ? CARAT_i64 : CARAT_i32 },
                         .params = { RANDOM_PERMUTATION } };
    for (int64_t i = 0; i < n; ++i) {
        if (out->dl_dtype.bits == 64) ((int64_t *)d.out)[i] = i;
        else ((int32_t *)d.out)[i] = (int32_t)i;
    }
    return carat_with_generator(call, 1, draw, &d);
}

// ---- operators whose parameters are tensors

// Patterns of bits order like numbers that aren't negative; those of negative ones (-0 too) and NaN are above infinity's.
static bool exceeds(const carat_operand *operand, uint64_t limit)
{
    const int64_t n = carat_numel(&operand->view);
    const void *const data = carat_operand_data(operand);
    bool any = false;
    switch (operand->view.dl_dtype.bits) {
    case 16: for (int64_t i = 0; i < n; ++i) any |= ((const uint16_t *)data)[i] > limit; break;
    case 32: for (int64_t i = 0; i < n; ++i) any |= ((const uint32_t *)data)[i] > limit; break;
    default: for (int64_t i = 0; i < n; ++i) any |= ((const uint64_t *)data)[i] > limit;
    }
    return any;
}

static const uint64_t bits_of_one[] = { [CARAT_f16] = 0x3c00, [CARAT_bf16] = 0x3f80, [CARAT_f32] = 0x3f800000,
                                        [CARAT_f64] = 0x3ff0000000000000 };
static const uint64_t bits_of_infinity[] = { [CARAT_f16] = 0x7c00, [CARAT_bf16] = 0x7f80, [CARAT_f32] = 0x7f800000 };

static carat_status run_bernoulli_each(carat_frame *call) // self, p, generator; or p, generator, out
{
    const bool in_place = call->op->in_place;
    const carat_tensor *self = carat_output_given(call, 0), *p = carat_tensor_arg(call, in_place);
    if (!self || !p || !carat_is_float(carat_dtype_of(self)) || carat_dtype_of(p) != carat_dtype_of(self)) return carat_step_aside("dtypes");
    if (!carat_is_contiguous(self) || carat_overlap_of(self, p) != CARAT_DISJOINT) return carat_step_aside("layout");
    if (carat_numel(self) < FEWEST) return carat_step_aside("few elements");
    const carat_tensor *const both[2] = { self, p };
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    int ndim;
    if (!in_place && !carat_same_shape(self, p)) return carat_step_aside("shape of the output");
    if (carat_broadcast_shapes(both, 2, &ndim, shape) != CARAT_OK || ndim != self->ndim
        || memcmp(shape, self->shape, sizeof *shape * (size_t)ndim))
        return carat_step_aside("shape of p");
    carat_broadcast_strides(p, ndim, shape, strides);
    carat_tensor expanded = *p;
    expanded.ndim = ndim;
    expanded.shape = shape;
    expanded.strides = strides;
    carat_operand probabilities;
    carat_status status = carat_operand_consecutive(call, &expanded, carat_dtype_of(p), &probabilities);
    if (status == CARAT_OK && exceeds(&probabilities, bits_of_one[carat_dtype_of(p)])) status = carat_step_aside("probability");
    drawing d = { .call = call, .p = carat_operand_data(&probabilities) };
    if (status == CARAT_OK) status = draw_into(&d, self, RANDOM_BERNOULLI_EACH, in_place ? 2 : 1);
    carat_operand_release(&probabilities);
    return status;
}

// out = out (+ or *) operand, as the in-place operator of that name does it.
static carat_status combine(const carat_frame *call, const char *name, carat_pointwise_id row, const carat_tensor *out,
                            const carat_arg *operand, bool check_only)
{
    const carat_arg args[2] = { { .kind = CARAT_ARG_TENSOR, .tensor = *out }, *operand };
    carat_frame one = *call;
    one.op = carat_op_find(name);
    one.args = args;
    one.nargs = 2;
    one.outs = NULL;
    one.nouts = 0;
    one.check_only = check_only;
    return one.op ? carat_pointwise_run_row(&one, row) : carat_step_aside("no operator");
}

// Multiplied by the deviations, if they are a tensor, and raised by the means: two steps, each rounded, as ATen does it.
static carat_status scale_and_shift(const carat_frame *call, const carat_tensor *out, bool check_only)
{
    const carat_arg *const mean = &call->args[0], *const std = &call->args[1];
    carat_arg number = { .kind = CARAT_ARG_SCALAR, .scalar = { .kind = CARAT_SCALAR_FLOAT, .re = carat_float_arg(call, 0, 0) } };
    const carat_arg *const shift = mean->kind == CARAT_ARG_TENSOR ? mean : &number;
    if (std->kind == CARAT_ARG_TENSOR) CARAT_TRY(combine(call, "mul_.Tensor", CARAT_POINTWISE_mul, out, std, check_only));
    return combine(call, shift == mean ? "add_.Tensor" : "add_.Scalar", CARAT_POINTWISE_add, out, shift, check_only);
}

static carat_status check_deviations(const carat_frame *call)
{
    const carat_tensor *std = carat_tensor_arg(call, 1);
    if (!std) return carat_float_arg(call, 1, 1) >= 0 ? CARAT_OK : carat_step_aside("standard deviation");
    carat_operand operand;
    carat_status status = carat_operand_consecutive(call, std, carat_dtype_of(std), &operand);
    if (status == CARAT_OK && exceeds(&operand, bits_of_infinity[carat_dtype_of(std)])) status = carat_step_aside("standard deviation");
    carat_operand_release(&operand);
    return status;
}

static carat_status run_normal_each(carat_frame *call) // mean, std, generator, (out)
{
    const carat_tensor *tensors[2];
    int count = 0, ndim;
    int64_t shape[CARAT_MAX_DIMS], strides[CARAT_MAX_DIMS];
    for (int i = 0; i < 2; ++i)
        if (carat_tensor_arg(call, i)) tensors[count++] = carat_tensor_arg(call, i);
    if (!count || !carat_dtype_in(carat_dtype_of(tensors[0]), RANDOM_SINGLES)) return carat_step_aside("dtype");
    const carat_dtype dtype = carat_dtype_of(tensors[0]);
    if (carat_dtype_of(tensors[count - 1]) != dtype) return carat_step_aside("mixed dtypes");
    if (carat_broadcast_shapes(tensors, count, &ndim, shape) != CARAT_OK) return carat_step_aside("shapes");
    CARAT_TRY(carat_output_check(call, 0, dtype, ndim, shape));
    const carat_tensor *given = carat_output_given(call, 0);
    for (int i = 0; given && i < count; ++i)
        if (!carat_is_contiguous(given) || carat_overlap_of(given, tensors[i]) != CARAT_DISJOINT) return carat_step_aside("layout of out");
    carat_contiguous_strides(ndim, shape, strides);
    carat_tensor self = { .device = call->device, .ndim = ndim, .dl_dtype = carat_dtype_to_dl(dtype), .shape = shape, .strides = strides };
    if (carat_numel(&self) < FEWEST) return carat_step_aside("few elements");
    CARAT_TRY(scale_and_shift(call, &self, true)); // once numbers are drawn there is no stepping aside
    CARAT_TRY(check_deviations(call));
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, ndim, shape, NULL, &out));
    drawing d = { .call = call, .args = { .second = carat_tensor_arg(call, 1) ? 1 : carat_float_arg(call, 1, 1) } };
    CARAT_TRY(draw_over(&d, &out.view, RANDOM_NORMAL, 2));
    return scale_and_shift(call, &out.view, false);
}

static carat_status run_dropout(carat_frame *call) // input, p, train
{
    const carat_tensor *input = carat_tensor_arg(call, 0);
    const double p = 1 - carat_float_arg(call, 1, 0.5);
    if (!input || !carat_is_float(carat_dtype_of(input))) return carat_step_aside("dtype");
    if (!carat_int_arg(call, 2, 1)) return carat_step_aside("not training");
    if (call->nouts) return carat_step_aside("given outputs");
    if (!(p >= 0 && p <= 1)) return carat_step_aside("probability");
    if (carat_numel(input) < FEWEST_SLOW || input->ndim > CARAT_POINTWISE_RANK) return carat_step_aside("few elements, or rank");
    const carat_dtype dtype = carat_dtype_of(input);
    int64_t strides[CARAT_MAX_DIMS], scale[2];
    carat_output out, mask;
    carat_scalar_store((carat_scalar){ .kind = CARAT_SCALAR_FLOAT, .re = p == 0 ? 0 : 1 / p }, dtype, scale); // ATen rounds it to halves
    carat_like_strides(input, strides);
    mask.view = (carat_tensor){ .device = call->device, .ndim = input->ndim, .dl_dtype = carat_dtype_to_dl(CARAT_b8),
                                .shape = input->shape, .strides = strides };
    carat_pointwise drop = { .row = CARAT_POINTWISE_native_dropout_backward, .compute = carat_compute_dtype(dtype), .out = &out.view,
                             .in = { input, &mask.view }, .scalar = { carat_scalar_load(dtype, scale) } };
    CARAT_TRY(carat_pointwise_check(call, &drop, dtype));
    CARAT_TRY(carat_output_make(call, 1, CARAT_b8, input->ndim, input->shape, strides, &mask));
    carat_elementwise_strides(drop.in, 2, input->ndim, input->shape, strides);
    CARAT_TRY(carat_output_make(call, 0, dtype, input->ndim, input->shape, strides, &out));
    drawing d = { .call = call, .args = { .base = threshold_of(p) } };
    CARAT_TRY(draw_over(&d, &mask.view, RANDOM_BERNOULLI, call->nargs)); // the default generator
    return carat_pointwise_launch(call, &drop);
}

// ---- the family

static const carat_row rows[] = {
#define ROW(id, overloads, dtypes, function) { #id, overloads, dtypes, function },
#include "random.def"
#undef ROW
};

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    static const char *const kinds[] = { "BERNOULLI", "BERNOULLI_EACH", "UNIFORM", "NORMAL", "EXPONENTIAL", "INTEGER", "BELOW",
                                         "PERMUTATION", "TWIST" };
    (void)target;
    carat_define(defines, kinds[key->params[0]], "1");
    if (key->params[0] == RANDOM_TWIST) return;
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "PAIRS", "%d", takes_pairs(key));
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const uint32_t dtypes[] = { RANDOM_NUMBERS, CARAT_FLOATS, CARAT_FLOATS, RANDOM_SINGLES, RANDOM_SINGLES, RANDOM_NUMBERS, RANDOM_NUMBERS,
                                       RANDOM_PERMUTED };
    (void)target;
    for (int kind = RANDOM_BERNOULLI; kind < RANDOM_TWIST; ++kind)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
            const carat_key key = { .family = CARAT_FAMILY_random, .dtypes = { (uint8_t)dtype }, .params = { (uint8_t)kind } };
            if (carat_dtype_in(dtype, dtypes[kind])) emit(arg, &key);
        }
    const carat_key twist = { .family = CARAT_FAMILY_random, .params = { RANDOM_TWIST } };
    emit(arg, &twist);
}

const carat_family carat_family_random = {
    .name = "random",
    .source = "random.k.c",
    .rows = rows,
    .row_size = sizeof *rows,
    .row_count = sizeof rows / sizeof *rows,
    .describe = describe,
    .enumerate = enumerate,
};

// SPDX-License-Identifier: Apache-2.0
// Drawing: which words of the generator become which elements, and in what order.
//
// A call takes the generator's block of words under its lock, has further blocks made behind it in a buffer, has them turned into
// elements while they are in the cache, and gives the last block back: the generator ends in the very state in which ATen,
// which takes one word after the other, leaves it.
#include "ops/random.h"

#include "core/tensor.h"
#include "ops/move.h"

#include <math.h>
#include <string.h>

enum { BLOCK = RANDOM_BLOCK, STACK_BLOCKS = 4, THREAD_BLOCKS = 16, MOST_THREADS = 16, THREAD_GROUPS = 8, NORMAL_UNIT = 16 };
_Static_assert(BLOCK == CARAT_GENERATOR_WORDS, "a generator's state is a block");

// ---- the stream of words

typedef struct stream {
    const carat_frame *call;
    uint32_t *words;          // whole blocks; the next word is words[at], in the last block or behind it
    int64_t at, filled, room; // in words
} stream;

bool carat_random_takes_pairs(const carat_key *key)
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

int64_t carat_random_threshold(double p)
{
    return (int64_t)ceil(ldexp(p, 53));
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
static void exponential_exactly(const carat_drawing *d, const random_args *a)
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

static carat_status launch(const carat_drawing *d, random_args *a)
{
    i32 unsure = 0;
    a->unsure = &unsure;
    const int64_t groups = (a->count + RANDOM_GROUP_ELEMENTS - 1) / RANDOM_GROUP_ELEMENTS;
    CARAT_TRY(carat_run_kernel(d->call, &d->key, a, sizeof *a, groups, THREAD_GROUPS));
    if (unsure) exponential_exactly(d, a);
    return CARAT_OK;
}

// The next `count` elements of the stream to `out`.
static carat_status fill(const carat_drawing *d, stream *s, char *out, int64_t count)
{
    const random_kind kind = d->key.params[0];
    const int64_t words = carat_random_takes_pairs(&d->key) ? 2 : 1, unit = kind == RANDOM_NORMAL ? NORMAL_UNIT : 1;
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
static carat_status fill_normal(const carat_drawing *d, stream *s)
{
    const carat_dtype dtype = (carat_dtype)d->key.dtypes[0];
    const int64_t rest = d->count % NORMAL_UNIT;
    CARAT_TRY(fill(d, s, d->out, d->count - rest));
    if (!rest) return CARAT_OK;
    if (dtype == CARAT_f32) CARAT_TRY(skip(s, rest));
    return fill(d, s, d->out + (d->count - NORMAL_UNIT) * (int64_t)carat_dtype_size(dtype), NORMAL_UNIT);
}

carat_status carat_random_draw(void *arg, uint32_t *words, int32_t *taken)
{
    carat_drawing *d = arg;
    uint32_t near[STACK_BLOCKS * BLOCK], *far = NULL;
    stream s = { d->call, words, *taken, BLOCK, BLOCK };
    const int64_t needed = d->count * (carat_random_takes_pairs(&d->key) ? 2 : 1) + 2 * NORMAL_UNIT;
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
static carat_status draw_with_gaps(carat_drawing *d, const carat_tensor *self, int generator)
{
    int64_t strides[CARAT_MAX_DIMS];
    carat_like_strides(self, strides);
    void *copy = carat_alloc((size_t)d->count * carat_dtype_size(carat_dtype_of(self)));
    if (!copy) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for a dense copy");
    d->out = copy;
    const carat_tensor dense = { .data = copy, .device = self->device, .ndim = self->ndim, .dl_dtype = self->dl_dtype,
                                 .shape = self->shape, .strides = strides };
    carat_status status = carat_with_generator(d->call, generator, carat_random_draw, d);
    if (status == CARAT_OK) status = carat_move(d->call, self, &dense);
    carat_free(copy);
    return status;
}

carat_status carat_random_draw_over(carat_drawing *d, const carat_tensor *self, random_kind kind, int generator)
{
    d->key = (carat_key){ .family = CARAT_FAMILY_random, .dtypes = { (uint8_t)carat_dtype_of(self) }, .params = { (uint8_t)kind } };
    d->count = carat_numel(self);
    d->out = carat_data(self);
    if (carat_is_dense(self)) return carat_with_generator(d->call, generator, carat_random_draw, d);
    return draw_with_gaps(d, self, generator);
}

carat_status carat_random_draw_into(carat_drawing *d, const carat_tensor *self, random_kind kind, int generator)
{
    const bool slow = kind == RANDOM_BERNOULLI || kind == RANDOM_EXPONENTIAL; // 40 ns an element with ATen
    if (carat_numel(self) < (slow ? CARAT_RANDOM_FEWEST_SLOW : CARAT_RANDOM_FEWEST)) return carat_step_aside("few elements");
    CARAT_TRY(carat_output_check(d->call, 0, carat_dtype_of(self), self->ndim, self->shape));
    return carat_random_draw_over(d, self, kind, generator);
}

// SPDX-License-Identifier: Apache-2.0
// Random numbers of a C program: its own generator and Carat's default one, against the textbook's mt19937, a word at a time.
#include <carat/carat.h>

#include <stdio.h>
#include <string.h>

enum { WORDS = CARAT_GENERATOR_WORDS, SHIFT = 397, MOST = 5000 };

static uint32_t next_word(carat_generator *g)
{
    if (g->taken == WORDS) {
        for (int i = 0; i < WORDS; ++i) {
            const uint32_t joined = (g->words[i] & 0x80000000u) | (g->words[(i + 1) % WORDS] & 0x7fffffffu);
            g->words[i] = g->words[(i + SHIFT) % WORDS] ^ joined >> 1 ^ (joined & 1 ? 0x9908b0dfu : 0);
        }
        g->taken = 0;
    }
    uint32_t y = g->words[g->taken++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static carat_status fill(const char *name, float *data, int64_t count, carat_generator *generator)
{
    const int64_t stride = 1;
    carat_results results = { 0 };
    const carat_context context = carat_results_context(&results);
    carat_arg args[4] = { { .kind = CARAT_ARG_TENSOR }, { .kind = CARAT_ARG_FLOAT, .f = 0 }, { .kind = CARAT_ARG_FLOAT, .f = 1 },
                          { .kind = generator ? CARAT_ARG_OPAQUE : CARAT_ARG_NONE, .opaque = generator } };
    args[0].tensor = (carat_tensor){ .data = data, .device = { CARAT_CPU, 0 }, .ndim = 1, .dl_dtype = carat_dtype_to_dl(CARAT_f32),
                                     .shape = &count, .strides = (int64_t *)&stride };
    return carat_call(&context, carat_op_find(name), args, 4, NULL, 0);
}

// Fills of several lengths from one generator: the values, and the state that each leaves.
static int check_uniform(carat_generator *generator, uint64_t seed)
{
    static const int64_t counts[] = { 200, 424, 623, 624, 625, 1, 1248, MOST, 300 };
    static float data[MOST];
    carat_generator reference;
    carat_generator_seed(&reference, seed);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; ++c) {
        const carat_status status = fill("uniform_", data, counts[c], generator);
        if (status == CARAT_UNSUPPORTED && counts[c] < 128) continue; // few elements are the host's
        if (status != CARAT_OK) return printf("uniform_: %s: %s\n", carat_status_name(status), carat_last_error());
        for (int64_t i = 0; i < counts[c]; ++i) {
            const float expected = (float)(next_word(&reference) & 0xffffff) * 0x1p-24f;
            if (data[i] != expected) return printf("element %d of %d: %g, not %g\n", (int)i, (int)counts[c], data[i], expected);
        }
        if (generator && memcmp(generator, &reference, sizeof reference)) return printf("state after %d\n", (int)counts[c]);
    }
    return 0;
}

int main(void)
{
    carat_generator own;
    carat_generator_seed(&own, 5489);
    carat_generator first = own;
    if (next_word(&first) != 3499211612u) return printf("the first word of seed 5489 is %u\n", first.words[0]); // the standard's
    if (check_uniform(&own, 5489)) return 1;
    if (check_uniform(NULL, 67280421310721u)) return 1;
    carat_generator_seed(NULL, 3);
    return check_uniform(NULL, 3) != 0;
}

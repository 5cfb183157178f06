// SPDX-License-Identifier: Apache-2.0
// Random generators: the host's by its hook, else a program's own, else one of the process.
#include "core/op.h"

#include <pthread.h>

static carat_generator default_generator;
static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static bool default_is_seeded;
static const uint64_t default_seed = 67280421310721; // PyTorch's

static void seed_words(carat_generator *generator, uint64_t seed)
{
    uint32_t *words = generator->words;
    words[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < CARAT_GENERATOR_WORDS; ++i)
        words[i] = 1812433253u * (words[i - 1] ^ words[i - 1] >> 30) + i;
    generator->taken = CARAT_GENERATOR_WORDS;
}

void carat_generator_seed(carat_generator *generator, uint64_t seed)
{
    if (generator) {
        seed_words(generator, seed);
        return;
    }
    pthread_mutex_lock(&default_lock);
    seed_words(&default_generator, seed);
    default_is_seeded = true;
    pthread_mutex_unlock(&default_lock);
}

carat_status carat_with_generator(const carat_frame *call, int i, carat_status (*draw)(void *arg, uint32_t *words, int32_t *taken), void *arg)
{
    const carat_context *context = call->context;
    void *opaque = i < call->nargs && call->args[i].kind == CARAT_ARG_OPAQUE ? call->args[i].opaque : NULL;
    if (context->with_generator) return context->with_generator(context->host, opaque, draw, arg);
    carat_generator *own = opaque;
    if (own) return draw(arg, own->words, &own->taken);
    pthread_mutex_lock(&default_lock);
    if (!default_is_seeded) seed_words(&default_generator, default_seed);
    default_is_seeded = true;
    const carat_status status = draw(arg, default_generator.words, &default_generator.taken);
    pthread_mutex_unlock(&default_lock);
    return status;
}

carat_status carat_take_philox(const carat_frame *call, int i, uint64_t count, carat_philox *taken)
{
    const carat_context *context = call->context;
    void *opaque = i < call->nargs && call->args[i].kind == CARAT_ARG_OPAQUE ? call->args[i].opaque : NULL;
    if (!context->take_philox) return carat_step_aside("no generator");
    return context->take_philox(context->host, opaque, call->device, count, taken) == CARAT_OK ? CARAT_OK : carat_step_aside("generator");
}

// SPDX-License-Identifier: Apache-2.0
// A pool of freed blocks. A fresh page costs a fault (0.1 us and more for 4 KB), so a large result in fresh memory can
// cost more than its kernel; a block that was used before costs nothing. Blocks come in size classes of four steps an
// octave (at most 25 % waste); each class keeps a stack of free blocks under its own lock, and all classes
// together keep at most CARAT_POOL_BYTES (default 1 GiB; 0 turns keeping off). Blocks above a quarter of that go back to the system.
#include "core/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    HEADER = 64, // keeps the block aligned to a cache line; holds its class while it lives, the next block while free
    SMALLEST = 256,
    STEPS = 4,
    OCTAVES = 32,
    CLASSES = STEPS * OCTAVES,
    NO_CLASS = CLASSES,
};

typedef struct block {
    struct block *next;
    uint32_t size_class;
} block;

typedef struct free_stack {
    pthread_mutex_t lock;
    block *top;
} free_stack;

static free_stack stacks[CLASSES];
static atomic_int_least64_t kept_bytes;
static int64_t kept_limit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lock_all(void)
{
    for (int c = 0; c < CLASSES; ++c) pthread_mutex_lock(&stacks[c].lock);
}

static void unlock_all(void)
{
    for (int c = 0; c < CLASSES; ++c) pthread_mutex_unlock(&stacks[c].lock);
}

static void start(void)
{
    const char *text = getenv("CARAT_POOL_BYTES");
    char *end = NULL;
    const long long limit = text ? strtoll(text, &end, 10) : -1;
    kept_limit = text && end != text && limit >= 0 ? limit : (int64_t)1 << 30;
    for (int c = 0; c < CLASSES; ++c) pthread_mutex_init(&stacks[c].lock, NULL);
    pthread_atfork(lock_all, unlock_all, unlock_all); // a child must not inherit a stack in mid-change
}

static int class_of(size_t bytes)
{
    if (bytes <= SMALLEST) return 0;
    const int octave = 63 - __builtin_clzll((bytes - 1) / SMALLEST); // bytes in (SMALLEST << octave, SMALLEST << (octave + 1)]
    const size_t base = (size_t)SMALLEST << octave;
    const int step = (int)((bytes - base + base / STEPS - 1) / (base / STEPS)); // 1 .. STEPS
    const int size_class = octave * STEPS + step;
    return size_class < CLASSES ? size_class : NO_CLASS;
}

static size_t class_bytes(int size_class)
{
    if (size_class == 0) return SMALLEST;
    const int octave = (size_class - 1) / STEPS, step = (size_class - 1) % STEPS + 1;
    const size_t base = (size_t)SMALLEST << octave;
    return base + base / STEPS * (size_t)step;
}

static block *take(int size_class)
{
    free_stack *stack = &stacks[size_class];
    pthread_mutex_lock(&stack->lock);
    block *taken = stack->top;
    if (taken) stack->top = taken->next;
    pthread_mutex_unlock(&stack->lock);
    if (taken) atomic_fetch_sub_explicit(&kept_bytes, (int64_t)class_bytes(size_class), memory_order_relaxed);
    return taken;
}

void *carat_alloc(size_t bytes)
{
    pthread_once(&once, start);
    if (bytes > SIZE_MAX / 2) return NULL;
    const int size_class = class_of(bytes);
    block *taken = size_class == NO_CLASS ? NULL : take(size_class);
    if (!taken) {
        const size_t capacity = size_class == NO_CLASS ? (bytes + 63) / 64 * 64 : class_bytes(size_class);
        taken = aligned_alloc(64, HEADER + capacity);
        if (!taken) return NULL;
        taken->size_class = (uint32_t)size_class;
    }
    return (char *)taken + HEADER;
}

void carat_free(void *memory)
{
    if (!memory) return;
    block *freed = (block *)((char *)memory - HEADER);
    const int size_class = (int)freed->size_class;
    const int64_t bytes = size_class == NO_CLASS ? INT64_MAX : (int64_t)class_bytes(size_class);
    if (bytes > kept_limit / 4
        || atomic_fetch_add_explicit(&kept_bytes, bytes, memory_order_relaxed) + bytes > kept_limit) {
        if (bytes <= kept_limit / 4) atomic_fetch_sub_explicit(&kept_bytes, bytes, memory_order_relaxed);
        free(freed);
        return;
    }
    free_stack *stack = &stacks[size_class];
    pthread_mutex_lock(&stack->lock);
    freed->next = stack->top;
    stack->top = freed;
    pthread_mutex_unlock(&stack->lock);
}

int64_t carat_pool_kept(void)
{
    return atomic_load_explicit(&kept_bytes, memory_order_relaxed);
}

int64_t carat_pool_trim(void)
{
    pthread_once(&once, start);
    int64_t freed = 0;
    for (int c = 0; c < CLASSES; ++c)
        for (block *taken; (taken = take(c));) {
            freed += (int64_t)class_bytes(c);
            free(taken);
        }
    return freed;
}

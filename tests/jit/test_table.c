// SPDX-License-Identifier: Apache-2.0
// The table of kernels: growth, failures remembered, threads and forks racing for the same keys. A backend that makes
// handles out of nothing stands in for the real one.
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 5000, THREADS = 8, FORKS = 20 };

static atomic_int loads;

static const carat_target *fake_target(carat_device device)
{
    static const carat_target target = {.name = "fake", .dialect = "cpu.h", .flags = "", .vector_bytes = 16, .lanes = 1};
    (void)device;
    return &target;
}

// A handle that tells which kernel it is: a number out of the symbol. One kernel in sixteen is not to be had.
static carat_status fake_load(carat_device device, const carat_binary *binary, const char *symbol, carat_kernel *kernel)
{
    (void)device;
    (void)binary;
    const uintptr_t number = strtoul((char[]){symbol[2], symbol[3], symbol[4], symbol[5], symbol[6], symbol[7], 0}, NULL, 16);
    atomic_fetch_add(&loads, 1);
    if (number % 16 == 0) return CARAT_NOT_FOUND;
    kernel->handle = (void *)(number << 4 | 1);
    return CARAT_OK;
}

static const char *const *fake_packs(void)
{
    static const char *const list[] = {"fake.pack", NULL};
    return list;
}

static const carat_backend fake = {
    .abi = CARAT_BACKEND_ABI, .name = "fake", .device_type = 99, .target = fake_target, .load = fake_load, .packs = fake_packs};

static carat_key key_of(int i)
{
    carat_key key = scale_key(i % 251, false);
    key.row = (uint16_t)i;
    key.params[2] = (uint8_t)(i / 251);
    return key;
}

// The fixture's kernels differ by params[0] and [1] only: the symbol says what the handle has to be.
static void check_key(int i)
{
    const carat_key key = key_of(i);
    const carat_device device = {99, i % 3};
    char symbol[40];
    carat_symbol_make(fake_target(device), &key, symbol);
    carat_kernel expected = {NULL}, kernel = {NULL};
    const carat_status status = fake_load(device, NULL, symbol, &expected);
    const carat_status answer = carat_kernel_get(&fake, device, &key, &kernel);
    if (status == CARAT_OK) {
        CHECK(answer == CARAT_OK && kernel.handle == expected.handle);
    } else {
        CHECK(answer == CARAT_UNSUPPORTED && strcmp(carat_last_reason(), "no kernel") == 0);
    }
}

static void *check_all(void *start)
{
    for (int i = 0; i < KEYS; ++i) check_key((int)(((uintptr_t)start + (uintptr_t)i * 7) % KEYS));
    return NULL;
}

// Children of a process whose other threads are in the middle of everything must not wait for them.
// ASan's own allocator does: gcc 12's leaves its locks as they are in a child, so there is nothing to learn from a child that
// allocates. The other builds of this test fork.
#ifdef __SANITIZE_ADDRESS__
enum { FORKS_MADE = 0 };
#else
enum { FORKS_MADE = FORKS };
#endif
static void fork_meanwhile(void)
{
    for (int i = 0; i < FORKS_MADE; ++i) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            for (int k = 0; k < KEYS; k += 50) check_key(k);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void race(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; ++i) CHECK(pthread_create(&threads[i], NULL, check_all, (void *)(i * 600)) == 0);
    fork_meanwhile();
    for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
}

static void check_remembered(void)
{
    const int before = atomic_load(&loads);
    carat_kernel kernel;
    for (int i = 0; i < KEYS; ++i) {
        const carat_key key = key_of(i);
        carat_kernel_get(&fake, (carat_device){99, i % 3}, &key, &kernel);
    }
    CHECK(atomic_load(&loads) == before);
}

static double seconds(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

// Printed, not judged.
static void time_hits(void)
{
    enum { HITS = 20000000, HOT = 64 };
    carat_key keys[HOT];
    uintptr_t sum = 0;
    for (int i = 0; i < HOT; ++i) keys[i] = key_of(i);
    const double start = seconds();
    for (int i = 0; i < HITS; ++i) {
        carat_kernel kernel = {NULL};
        carat_kernel_get(&fake, (carat_device){99, (i % HOT) % 3}, &keys[i % HOT], &kernel);
        sum += (uintptr_t)kernel.handle;
    }
    printf("%.2f ns a hit (%lx)\n", (seconds() - start) / HITS * 1e9, (unsigned long)sum);
}

int main(int argc, char **argv)
{
    race();
    check_remembered();
    if (argc > 1 && strcmp(argv[1], "--time") == 0) time_hits();
    return 0;
}

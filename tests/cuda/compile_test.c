// SPDX-License-Identifier: Apache-2.0
// Every CUDA kernel that families enumerate compiles through NVRTC to a cubin, and the hot ones keep all in registers; no device is
// needed.
// compile_test TARGET STEP [NAME]: every STEP-th specialisation, of family NAME only if given. Exit status 77: no NVRTC here.
#include "cubin.h"

#include "backends/cuda/cuda.h"
#include "core/dtype.h"
#include "jit/jit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SKIPPED = 77, LOG = 4096 };
enum { SET_ASIDE = 40 }; // bytes of a lane in local memory: a few values of the 128 that a lane holds of a row, put aside once

typedef struct state {
    const carat_target *target;
    const carat_family *family;
    char path[64];
    int step, seen, compiled, failed, spilled;
} state;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_key(const state *s, const carat_key *key)
{
    printf("%s %s, dtypes", s->family->name, carat_family_row(s->family, key->row)->id);
    for (size_t i = 0; i < sizeof key->dtypes; ++i) printf(" %s", carat_dtype_name((carat_dtype)key->dtypes[i]));
    printf(", params");
    for (size_t i = 0; i < sizeof key->params; ++i) printf(" %d", key->params[i]);
}

// Kernels of the dtypes that models are made of, where elements are read in vectors. Not those whose maths need a table for large
// angles.
static bool is_hot(const state *s, const carat_key *key)
{
    static const char *const angles[] = { "k_sin(", "k_cos(", "k_tan(", "k_lgamma(", "k_digamma(" };
    carat_defines defines = { .length = 0 };
    s->family->describe(key, s->target, &defines);
    for (size_t i = 0; i < sizeof angles / sizeof *angles; ++i)
        if (strstr(defines.text, angles[i])) return false;
    const char *const vec = strstr(defines.text, "-DVEC="); // there is a NUL after the constants
    return carat_dtype_in((carat_dtype)key->dtypes[0], CARAT_BIT(f32) | CARAT_HALVES) && vec && atoi(vec + 6) > 1;
}

// What a lane of a hot kernel holds must be in registers.
static void check_resources(state *s, const carat_key *key)
{
    if (!is_hot(s, key)) return;
    cubin_resources resources;
    if (!cubin_read(s->path, &resources)) {
        printf("a cubin that can't be read: ");
    } else {
        if (resources.local_bytes <= SET_ASIDE) return;
        printf("%u bytes of local memory, %u registers: ", resources.local_bytes, resources.registers);
    }
    print_key(s, key);
    putchar('\n');
    ++s->spilled;
}

static void compile_key(void *arg, const carat_key *key)
{
    state *s = arg;
    if (s->seen++ % s->step) return;
    static char log[LOG];
    char symbol[40];
    log[0] = 0;
    carat_symbol_make(s->target, key, symbol);
    char *source = carat_source_make(s->target, key, symbol);
    const double start = seconds();
    const carat_status status = source ? carat_cuda_compile(s->target, source, s->path, log, sizeof log) : CARAT_OUT_OF_MEMORY;
    const double took = seconds() - start;
    const char *name = getenv("CARAT_VERBOSE");
    if (status != CARAT_OK || (name && *name) || took > 2) {
        print_key(s, key);
        printf(": %.0f ms\n", took * 1e3);
    }
    if (status == CARAT_OK) {
        ++s->compiled;
        check_resources(s, key);
    } else {
        if (++s->failed <= 5) printf("%s\n", log);
        if (s->failed == 1 && name) puts(source);
    }
    free(source);
}

int main(int argc, char **argv)
{
    const char *why = NULL;
    state s = { .target = carat_cuda_target_find(argc > 1 ? argv[1] : "sm_90a"), .step = argc > 2 ? atoi(argv[2]) : 1 };
    if (!s.target || s.step < 1) return 2;
    if (!carat_cuda_compiler(&why)) {
        printf("skipped: %s\n", why);
        return SKIPPED;
    }
    const char *folder = getenv("TMPDIR");
    snprintf(s.path, sizeof s.path, "%.40s/carat-cubin-XXXXXX", folder && *folder ? folder : "/tmp");
    const int file = mkstemp(s.path);
    if (file < 0) return 2;
    const double start = seconds();
    for (int f = 0; f < CARAT_FAMILY_COUNT; ++f) {
        s.family = carat_family_at(f);
        if (!s.family->lanes_source || (argc > 3 && strcmp(argv[3], s.family->name) != 0)) continue;
        s.family->enumerate(s.target, compile_key, &s);
    }
    remove(s.path);
    printf("%s, %s: %d of %d specialisations compiled, %d failed, %d hot ones use local memory, %.1f s\n", s.target->name, carat_cuda_compiler(NULL),
           s.compiled, s.seen, s.failed, s.spilled, seconds() - start);
    return s.failed || s.spilled || !s.compiled;
}

// SPDX-License-Identifier: Apache-2.0
// Every CUDA kernel that families enumerate compiles through NVRTC to a cubin; no device is needed.
// compile_test TARGET STEP [NAME]: every STEP-th specialisation, of family NAME only if given. Exit status 77: no NVRTC here.
#include "backends/cuda/cuda.h"
#include "jit/jit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SKIPPED = 77, LOG = 4096 };

typedef struct state {
    const carat_target *target;
    const carat_family *family;
    char path[64];
    int step, seen, compiled, failed;
} state;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
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
    const carat_row *row = carat_family_row(s->family, key->row);
    const char *name = getenv("CARAT_VERBOSE");
    if (status != CARAT_OK || (name && *name) || took > 2)
        printf("%s %s out %s common %s params %d %d %d %d %d: %.0f ms\n", s->family->name, row->id, carat_dtype_name((carat_dtype)key->dtypes[0]),
               carat_dtype_name((carat_dtype)key->dtypes[1]), key->params[0], key->params[1], key->params[2], key->params[3], key->params[4], took * 1e3);
    if (status == CARAT_OK) {
        ++s->compiled;
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
    printf("%s, %s: %d of %d specialisations compiled, %d failed, %.1f s\n", s.target->name, carat_cuda_compiler(NULL), s.compiled, s.seen,
           s.failed, seconds() - start);
    return s.failed || !s.compiled;
}

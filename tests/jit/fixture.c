// SPDX-License-Identifier: Apache-2.0
// A core of one family, so that the cache is tested apart from the operators.
#include "fixture.h"
#include "kernels/scale_args.h"

#include <dirent.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Thread_local char last_error[8192];
static _Thread_local const char *last_reason = "";

const char *carat_last_error(void)
{
    return last_error;
}

const char *carat_last_reason(void)
{
    return last_reason;
}

carat_status carat_step_aside(const char *reason)
{
    last_reason = reason;
    return CARAT_UNSUPPORTED;
}

carat_status carat_fail(carat_status status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(last_error, sizeof last_error, format, values);
    va_end(values);
    return status;
}

void carat_define(carat_defines *defines, const char *name, const char *format, ...)
{
    va_list values;
    size_t n = defines->length;
    n += (size_t)snprintf(defines->text + n, sizeof defines->text - n, "-D%s=", name);
    va_start(values, format);
    n += (size_t)vsnprintf(defines->text + n, sizeof defines->text - n, format, values);
    va_end(values);
    n += (size_t)snprintf(defines->text + n, sizeof defines->text - n, "\n");
    defines->length = n;
}

// params: [0] the factor, [1] whether the kernel is broken.
static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    carat_define(defines, "VEC", "%d", target->vector_bytes / 4);
    carat_define(defines, "FACTOR", "%d.0f", key->params[0]);
    carat_define(defines, "BROKEN", "%s", key->params[1] ? "this_is_not_declared = 1;" : "");
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    (void)target;
    for (int factor = 1; factor <= 3; ++factor) {
        const carat_key key = scale_key(factor, false);
        emit(arg, &key);
    }
}

const carat_family carat_family_scale = {.name = "scale", .source = "scale.k.c", .describe = describe, .enumerate = enumerate};

const carat_family *carat_family_at(int id)
{
    return id == CARAT_FAMILY_scale ? &carat_family_scale : NULL;
}

carat_key scale_key(int factor, bool broken)
{
    return (carat_key){.family = CARAT_FAMILY_scale, .params = {(uint8_t)factor, broken}};
}

const carat_backend *cpu_backend(void)
{
    const carat_backend *backend = carat_backend_for(CARAT_CPU);
    CHECK(backend != NULL);
    return backend;
}

carat_status get_scale(int factor, carat_kernel *kernel)
{
    const carat_key key = scale_key(factor, false);
    return carat_kernel_get(cpu_backend(), (carat_device){CARAT_CPU, 0}, &key, kernel);
}

void check_scale(carat_kernel kernel, int factor)
{
    const carat_device device = {CARAT_CPU, 0};
    enum { COUNT = 256 };
    float x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; ++i) x[i] = (float)i;
    const scale_args args = {x, y};
    const int64_t groups = COUNT * 4 / cpu_backend()->target(device)->vector_bytes;
    CHECK(cpu_backend()->launch(NULL, device, kernel, &args, sizeof args, groups, groups) == CARAT_OK);
    for (int i = 0; i < COUNT; ++i) CHECK(y[i] == x[i] * (float)factor);
}

const char *use_new_cache(void)
{
    static char folder[64];
    strcpy(folder, "/tmp/carat-test-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    setenv("CARAT_CACHE_DIR", folder, 1);
    unsetenv("CARAT_CACHE_BYTES");
    unsetenv("CARAT_CC");
    unsetenv("CARAT_ISA");
    return folder;
}

void in_child(void (*body)(void))
{
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body();
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int count_entries(const char *folder)
{
    DIR *stream = opendir(folder);
    int count = 0;
    CHECK(stream != NULL);
    for (const struct dirent *at; (at = readdir(stream)) != NULL;) count += strncmp(at->d_name, "k_", 2) == 0;
    closedir(stream);
    return count;
}

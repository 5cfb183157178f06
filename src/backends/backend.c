// SPDX-License-Identifier: Apache-2.0
// The list of backends and their one-time probes.
#include "backends/backend.h"
#include "jit/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define BACKEND(name) extern const carat_backend carat_backend_##name;
#include "backends/backends.def"
#undef BACKEND

static const carat_backend *const backends[] = {
#define BACKEND(name) &carat_backend_##name,
#include "backends/backends.def"
#undef BACKEND
};
enum { BACKEND_COUNT = sizeof backends / sizeof *backends };

typedef struct probe_result {
    atomic_bool done;
    carat_status status;
    const char *why;
} probe_result;
static probe_result results[BACKEND_COUNT];

int carat_backend_count(void)
{
    return BACKEND_COUNT;
}

const carat_backend *carat_backend_at(int index)
{
    return index >= 0 && index < BACKEND_COUNT ? backends[index] : NULL;
}

carat_status carat_backend_probe(int index, const char **why)
{
    probe_result *result = &results[index];
    if (!atomic_load_explicit(&result->done, memory_order_acquire)) {
        carat_lock();
        if (!atomic_load_explicit(&result->done, memory_order_relaxed)) {
            if (backends[index]->abi != CARAT_BACKEND_ABI) {
                result->status = CARAT_UNSUPPORTED;
                result->why = "built for another version of carat_backend.h";
            } else {
                result->status = backends[index]->probe(&result->why);
            }
            atomic_store_explicit(&result->done, true, memory_order_release);
        }
        carat_unlock();
    }
    if (why) *why = result->why;
    return result->status;
}

const char *carat_backend_describe(int index, const char **target, const char **why)
{
    *target = *why = NULL;
    if (index < 0 || index >= BACKEND_COUNT) return NULL;
    if (carat_backend_probe(index, why) == CARAT_OK)
        *target = backends[index]->target((carat_device){ backends[index]->device_type, 0 })->name;
    return backends[index]->name;
}

const carat_backend *carat_backend_named(const char *name)
{
    for (int i = 0; i < BACKEND_COUNT; ++i)
        if (strcmp(backends[i]->name, name) == 0) return backends[i];
    return NULL;
}

bool carat_backend_built(int32_t device_type)
{
    for (int i = 0; i < BACKEND_COUNT; ++i)
        if (backends[i]->device_type == device_type) return true;
    return false;
}

const carat_backend *carat_backend_for(int32_t device_type)
{
    for (int i = 0; i < BACKEND_COUNT; ++i)
        if (backends[i]->device_type == device_type && carat_backend_probe(i, NULL) == CARAT_OK) return backends[i];
    return NULL;
}

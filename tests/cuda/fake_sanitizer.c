// SPDX-License-Identifier: Apache-2.0
// What kernels that are checked for alignment and bounds call where the program has no sanitizer of its own: layouts as in
// compiler-rt's ubsan_handlers.h.
#include "fake_device.h"

#include <stdint.h>
#include <stdio.h>

typedef struct source_place {
    const char *file;
    uint32_t line, column;
} source_place;
typedef struct type_mismatch {
    source_place place;
    const void *type;
    unsigned char log_alignment, kind;
} type_mismatch;
typedef struct out_of_bounds {
    source_place place;
    const void *array, *index;
} out_of_bounds;

#define EXPORT __attribute__((visibility("default")))
EXPORT void __ubsan_handle_type_mismatch_v1_abort(const type_mismatch *data, uintptr_t pointer);
EXPORT void __ubsan_handle_out_of_bounds_abort(const out_of_bounds *data, uintptr_t index);

void __ubsan_handle_type_mismatch_v1_abort(const type_mismatch *data, uintptr_t pointer)
{
    fake_fail("%s:%u: address %#llx isn't aligned to %d bytes", data->place.file, data->place.line, (unsigned long long)pointer,
              1 << data->log_alignment);
}

void __ubsan_handle_out_of_bounds_abort(const out_of_bounds *data, uintptr_t index)
{
    fake_fail("%s:%u: index %lld is outside the array", data->place.file, data->place.line, (long long)index);
}

// Of the dialect's REQUIRE.
EXPORT void __assertfail(const char *condition, const char *file, unsigned line, const char *function, unsigned long size);
void __assertfail(const char *condition, const char *file, unsigned line, const char *function, unsigned long size)
{
    (void)file, (void)line, (void)function, (void)size;
    fake_assertion(condition);
}

// SPDX-License-Identifier: Apache-2.0
// The error state of a thread: a message with the values in it, and why a call stepped aside.
#include "core/op.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[4096];
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

const char *carat_status_name(carat_status status)
{
    static const char *const names[] = {
        [CARAT_OK] = "CARAT_OK",
        [CARAT_UNSUPPORTED] = "CARAT_UNSUPPORTED",
        [CARAT_INVALID_ARGUMENT] = "CARAT_INVALID_ARGUMENT",
        [CARAT_INVALID_SHAPE] = "CARAT_INVALID_SHAPE",
        [CARAT_INVALID_DTYPE] = "CARAT_INVALID_DTYPE",
        [CARAT_OUT_OF_RANGE] = "CARAT_OUT_OF_RANGE",
        [CARAT_OUT_OF_MEMORY] = "CARAT_OUT_OF_MEMORY",
        [CARAT_NOT_FOUND] = "CARAT_NOT_FOUND",
        [CARAT_COMPILE_ERROR] = "CARAT_COMPILE_ERROR",
        [CARAT_IO_ERROR] = "CARAT_IO_ERROR",
        [CARAT_INTERNAL_ERROR] = "CARAT_INTERNAL_ERROR",
    };
    const size_t i = (size_t)status;
    return i < sizeof names / sizeof *names ? names[i] : "unknown status";
}

const char *carat_version(void)
{
    return CARAT_VERSION;
}

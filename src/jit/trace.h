// SPDX-License-Identifier: Apache-2.0
// Which kernels a program used, in a file: what one run looked up, another machine compiles ahead.
#ifndef CARAT_JIT_TRACE_H
#define CARAT_JIT_TRACE_H

#include "jit/jit.h"

// Calls emit for each kernel of a target that the file at `path` names. CARAT_IO_ERROR if it can't be read, CARAT_INVALID_ARGUMENT if it
// is damaged, no trace at all, or another build's, whose keys mean something else.
carat_status carat_trace_read(const char *path, const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg);

#endif

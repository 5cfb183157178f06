// SPDX-License-Identifier: Apache-2.0
// A kernel that is not in memory yet: from a shipped pack, the disk cache or the compiler.
#ifndef CARAT_JIT_BINARY_H
#define CARAT_JIT_BINARY_H

#include "jit/jit.h"

// Why there is no kernel. Kept for the life of the process.
typedef struct carat_failure {
    carat_status status;
    const char *message;
} carat_failure;

// Finds a key's kernel and loads it; NULL if that went well.
carat_failure *carat_binary_find(const carat_backend *backend, carat_device device, const carat_key *key,
                                 carat_kernel *kernel);

// Makes sure that the disk cache has a key's kernel for a target, without loading it; the device needn't be here. NULL if that went well;
// *made tells whether it was compiled now.
carat_failure *carat_binary_prepare(const carat_backend *backend, const carat_target *target, const carat_key *key, bool *made);

#endif

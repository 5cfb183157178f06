// SPDX-License-Identifier: Apache-2.0
// From a key to a kernel: memory, then the packs that the package ships, then the user's disk cache, then the compiler.
#ifndef CARAT_JIT_H
#define CARAT_JIT_H

#include "core/op.h"

// The kernel of a key on a device. Lock-free and without allocation once a key was found before. Thread-safe.
// CARAT_UNSUPPORTED (reason "no kernel") if there is neither a binary nor a compiler; the failure is remembered.
carat_status carat_kernel_get(const carat_backend *backend, carat_device device, const carat_key *key, carat_kernel *kernel);

// Calls visit for every kernel that was found so far, on any device. Thread-safe; kernels found meanwhile may be missing.
void carat_kernels_each(void (*visit)(void *arg, carat_device device, const carat_key *key), void *arg);

// The whole translation unit of a key for a target: defines, then the dialect and the family's source, all inlined or by
// #include of embedded files. Caller frees with free(). NULL when out of memory.
char *carat_source_make(const carat_target *target, const carat_key *key, const char *symbol);

// The symbol of a key's kernel for a target: "k_" and 32 hex digits of hash(dialect + source + defines + target).
void carat_symbol_make(const carat_target *target, const carat_key *key, char symbol[40]);

// An embedded kernel source by its name under kernels/: "softmax.k.c", "dialect/cpu.h". NULL if there is none.
const char *carat_embedded_source(const char *name);

#endif

// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), for kernel symbols and for the checksums of cache files, which hold code that will be run.
#ifndef CARAT_JIT_SHA256_H
#define CARAT_JIT_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { CARAT_SHA256_BYTES = 32 };

typedef struct carat_sha256 {
    uint32_t state[8];
    uint64_t length; // bytes so far
    uint8_t block[64];
} carat_sha256;

void carat_sha256_begin(carat_sha256 *sha);
void carat_sha256_add(carat_sha256 *sha, const void *bytes, size_t size);
void carat_sha256_end(carat_sha256 *sha, uint8_t digest[CARAT_SHA256_BYTES]);

// The first `count` bytes of a digest as 2 * count hex digits and a NUL.
void carat_hex_make(const uint8_t *bytes, size_t count, char *text);

#endif

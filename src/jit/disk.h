// SPDX-License-Identifier: Apache-2.0
// The user's disk cache: compiled kernels, one file each. It holds code that will be run, so nothing is read from a
// directory that others may write to or from a file whose checksum is wrong, and every failure is only a miss.
#ifndef CARAT_JIT_DISK_H
#define CARAT_JIT_DISK_H

#include <stdbool.h>
#include <stddef.h>

enum { CARAT_DISK_PATH = 320 };

// A file that was read and found whole. `path` opens the very directory that was checked, whatever its name means now.
typedef struct carat_disk_file {
    char path[CARAT_DISK_PATH];
    void *bytes; // the binary; the caller frees it with free()
    size_t size;
} carat_disk_file;

// Reads entry `name`, which must have been written for the same `identity` text. False is a miss; a damaged file is
// removed on the way.
bool carat_disk_read(const char *name, const char *identity, carat_disk_file *file);

// Removes an entry that turned out to be unusable.
void carat_disk_remove(const char *name);

// Adds an entry or replaces it, and evicts the least recently used ones if the cache has grown too large. Best effort.
void carat_disk_write(const char *name, const char *identity, const void *bytes, size_t size);

#endif

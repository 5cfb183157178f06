// SPDX-License-Identifier: Apache-2.0
// The directory of the disk cache: where it is, whether it can be trusted, and how large it may grow.
#ifndef CARAT_JIT_DIRECTORY_H
#define CARAT_JIT_DIRECTORY_H

#include <stdbool.h>

struct stat;

#define CARAT_TEMPORARY_PREFIX "tmp-"

// A descriptor of the directory, owned by the cache and open to the end, or -1 if there is none to use. The directory
// was made or checked on first use: it is the user's own, and nobody else may write to it.
int carat_directory_open(void);

// Whether a file's owner and mode leave nobody else able to have written it.
bool carat_directory_trusts(const struct stat *info);

// Removes the least recently used entries until the cache is within its bound, and what dead writers left behind.
void carat_directory_trim(void);

#endif

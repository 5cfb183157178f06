// SPDX-License-Identifier: Apache-2.0
// A header that the dialect takes from beside it, and that takes one from the kernels folder.
#ifndef CARAT_FIXTURE_WORDS
#define CARAT_FIXTURE_WORDS
#include "scale_args.h"
#define KERNEL(name) void name
#endif

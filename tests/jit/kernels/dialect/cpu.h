// SPDX-License-Identifier: Apache-2.0
// A dialect of two words, enough for the fixture's kernel.
#ifndef CARAT_FIXTURE_DIALECT
#define CARAT_FIXTURE_DIALECT
#include <stdint.h>
#define KERNEL(name) void name
#endif

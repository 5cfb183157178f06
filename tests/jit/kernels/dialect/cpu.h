// SPDX-License-Identifier: Apache-2.0
// A dialect of one word, enough for the fixture's kernel.
#ifndef CARAT_FIXTURE_DIALECT
#define CARAT_FIXTURE_DIALECT
#include <stdint.h>
  #  include "words.h" // found beside this file
#endif

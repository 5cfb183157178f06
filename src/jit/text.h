// SPDX-License-Identifier: Apache-2.0
// A string that grows, for writing C sources. Out of memory is remembered and told once, by carat_text_take.
#ifndef CARAT_JIT_TEXT_H
#define CARAT_JIT_TEXT_H

#include "core/op.h"

typedef struct carat_text {
    char *bytes;
    size_t length, capacity;
    bool failed;
} carat_text;

void carat_text_add(carat_text *text, const char *bytes, size_t length);
void carat_text_format(carat_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The finished string, which the caller frees with free(); NULL if memory ran out. The text is empty afterwards.
char *carat_text_take(carat_text *text);

// A specialisation's constants as `#define` lines, and the `#undef` lines that end them.
void carat_text_defines(carat_text *text, const carat_defines *defines);
void carat_text_undefs(carat_text *text, const carat_defines *defines);

#endif

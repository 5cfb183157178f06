// SPDX-License-Identifier: Apache-2.0
// Growing strings, and a specialisation's constants as preprocessor lines.
#include "jit/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(carat_text *text, size_t more)
{
    if (text->failed) return false;
    if (text->capacity - text->length > more) return true; // one byte is kept for the NUL
    const size_t capacity = (text->length + more + 1) * 2;
    char *bytes = realloc(text->bytes, capacity);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void carat_text_add(carat_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length)) return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void carat_text_format(carat_text *text, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(NULL, 0, format, values);
    va_end(values);
    if (length < 0 || !reserve(text, (size_t)length)) return;
    va_start(values, format);
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, values);
    va_end(values);
    text->length += (size_t)length;
}

char *carat_text_take(carat_text *text)
{
    if (!text->failed && !text->bytes) carat_text_add(text, "", 0);
    if (text->failed) free(text->bytes);
    char *bytes = text->failed ? NULL : text->bytes;
    *text = (carat_text){0};
    return bytes;
}

// Steps through "-DNAME=value\n-DNAME\n": the next name and value, or false at the end.
typedef struct define_line {
    const char *name, *value;
    int name_length, value_length;
} define_line;

static bool next_define(const char **at, const char *end, define_line *line)
{
    while (*at < end) {
        const char *start = *at, *stop = memchr(start, '\n', (size_t)(end - start));
        if (!stop) stop = end;
        *at = stop < end ? stop + 1 : end;
        if (stop - start < 3 || memcmp(start, "-D", 2) != 0) continue;
        const char *equals = memchr(start, '=', (size_t)(stop - start));
        line->name = start + 2;
        line->name_length = (int)((equals ? equals : stop) - line->name);
        line->value = equals ? equals + 1 : "1";
        line->value_length = equals ? (int)(stop - line->value) : 1;
        return true;
    }
    return false;
}

void carat_text_defines(carat_text *text, const carat_defines *defines)
{
    const char *at = defines->text, *end = at + defines->length;
    for (define_line line; next_define(&at, end, &line);)
        carat_text_format(text, "#define %.*s %.*s\n", line.name_length, line.name, line.value_length, line.value);
}

void carat_text_undefs(carat_text *text, const carat_defines *defines)
{
    const char *at = defines->text, *end = at + defines->length;
    for (define_line line; next_define(&at, end, &line);) {
        const char *parameters = memchr(line.name, '(', (size_t)line.name_length); // of a macro such as BODY(x)
        if (parameters) line.name_length = (int)(parameters - line.name);
        carat_text_format(text, "#undef %.*s\n", line.name_length, line.name);
    }
}

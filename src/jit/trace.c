// SPDX-License-Identifier: Apache-2.0
// The trace file: lines of text. First what it is and the build that made it, then a kernel a line, the target's name and the key in
// hex, then the SHA-256 of all that. A key means something only to the build that made it, and is taken at its word then.
#include "jit/trace.h"

#include "backends/backend.h"
#include "jit/embedded.h"
#include "jit/sha256.h"
#include "jit/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_SHA = 2 * CARAT_SHA256_BYTES + 1, HEX_KEY = 2 * sizeof(carat_key) + 1, MOST_BYTES = 64 << 20, MAX_TARGET = 32 };

static const char TITLE[] = "carat trace 1";

// ---- the build: every kernel source and every operator in its place

static void identify_build(char hex[HEX_SHA])
{
    uint8_t digest[CARAT_SHA256_BYTES];
    carat_sha256 sha;
    carat_sha256_begin(&sha);
    for (int i = 0; i < carat_embedded_count; ++i) carat_sha256_add(&sha, carat_embedded_files[i].digest, strlen(carat_embedded_files[i].digest) + 1);
    for (size_t i = 0; i < carat_op_count(); ++i) {
        const char *name = carat_op_name(carat_op_at(i));
        carat_sha256_add(&sha, name, strlen(name) + 1);
    }
    carat_sha256_end(&sha, digest);
    carat_hex_make(digest, sizeof digest, hex);
}

static void checksum(const char *bytes, size_t size, char hex[HEX_SHA])
{
    uint8_t digest[CARAT_SHA256_BYTES];
    carat_sha256 sha;
    carat_sha256_begin(&sha);
    carat_sha256_add(&sha, bytes, size);
    carat_sha256_end(&sha, digest);
    carat_hex_make(digest, sizeof digest, hex);
}

// ---- writing

static void add_kernel(void *arg, carat_device device, const carat_key *key)
{
    const carat_backend *backend = carat_backend_for(device.type);
    const carat_target *target = backend ? backend->target(device) : NULL;
    char hex[HEX_KEY];
    if (!target || key->row >= carat_family_at(key->family)->row_count) return; // a row made at run time is nothing to another program
    carat_hex_make((const uint8_t *)key, sizeof *key, hex);
    carat_text_format(arg, "%s %s\n", target->name, hex);
}

static carat_status write_file(const char *path, const char *bytes)
{
    FILE *const file = fopen(path, "we");
    bool written = file && fputs(bytes, file) >= 0;
    if (file) written &= fclose(file) == 0;
    return written ? CARAT_OK : carat_fail(CARAT_IO_ERROR, "%s: %s", path, strerror(errno));
}

carat_status carat_trace_write(const char *path)
{
    char build[HEX_SHA], sum[HEX_SHA];
    carat_text text = { .bytes = NULL };
    if (!path || !*path) return carat_fail(CARAT_INVALID_ARGUMENT, "carat_trace_write: no path");
    identify_build(build);
    carat_text_format(&text, "%s\n%s\n", TITLE, build);
    carat_kernels_each(add_kernel, &text);
    if (!text.failed) checksum(text.bytes, text.length, sum);
    carat_text_format(&text, "%s\n", sum);
    char *const bytes = carat_text_take(&text);
    if (!bytes) return carat_fail(CARAT_OUT_OF_MEMORY, "no memory for a trace");
    const carat_status status = write_file(path, bytes);
    free(bytes);
    return status;
}

// ---- reading

static carat_status read_file(const char *path, char **bytes, size_t *size)
{
    FILE *const file = fopen(path, "re");
    *bytes = NULL;
    if (!file) return carat_fail(CARAT_IO_ERROR, "%s: %s", path, strerror(errno));
    const bool measured = fseek(file, 0, SEEK_END) == 0;
    const long end = measured ? ftell(file) : -1;
    if (end > 0 && end <= MOST_BYTES && (*bytes = malloc((size_t)end + 1))) {
        rewind(file);
        *size = fread(*bytes, 1, (size_t)end, file);
        (*bytes)[*size] = 0;
    }
    fclose(file);
    return *bytes ? CARAT_OK : carat_fail(CARAT_IO_ERROR, "%s: %ld bytes can't be read", path, end);
}

// Cuts the checksum off the end; whether it is right.
static bool is_whole(char *bytes, size_t size)
{
    char sum[HEX_SHA];
    if (size < HEX_SHA || strlen(bytes) != size || bytes[size - 1] != '\n') return false;
    char *const last = bytes + size - HEX_SHA;
    checksum(bytes, size - HEX_SHA, sum);
    const bool right = !memcmp(last, sum, HEX_SHA - 1);
    *last = 0;
    return right;
}

static bool read_key(const char *hex, carat_key *key)
{
    uint8_t bytes[sizeof *key];
    for (size_t i = 0; i < sizeof bytes; ++i) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) return false;
        bytes[i] = (uint8_t)byte;
    }
    memcpy(key, bytes, sizeof bytes);
    return key->family < CARAT_FAMILY_COUNT && key->row < carat_family_at(key->family)->row_count;
}

static bool read_lines(char *lines, const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    char *rest = lines;
    for (char *line; (line = strtok_r(rest, "\n", &rest));) {
        char name[MAX_TARGET], hex[HEX_KEY];
        carat_key key;
        if (sscanf(line, "%31s %32s", name, hex) != 2 || strlen(hex) != HEX_KEY - 1 || !read_key(hex, &key)) return false;
        if (!strcmp(name, target->name)) emit(arg, &key);
    }
    return true;
}

carat_status carat_trace_read(const char *path, const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    char build[HEX_SHA], head[sizeof TITLE + HEX_SHA + 1], *bytes;
    size_t size = 0;
    CARAT_TRY(read_file(path, &bytes, &size));
    identify_build(build);
    const size_t length = (size_t)snprintf(head, sizeof head, "%s\n%s\n", TITLE, build);
    carat_status status = CARAT_OK;
    if (!is_whole(bytes, size) || strncmp(bytes, TITLE, sizeof TITLE - 1) != 0)
        status = carat_fail(CARAT_INVALID_ARGUMENT, "%s is no trace of Carat, or damaged", path);
    else if (strncmp(bytes, head, length) != 0)
        status = carat_fail(CARAT_INVALID_ARGUMENT, "%s was made by another build of Carat: trace the model again", path);
    else if (!read_lines(bytes + length, target, emit, arg))
        status = carat_fail(CARAT_INVALID_ARGUMENT, "%s names a kernel that there isn't", path);
    free(bytes);
    return status;
}

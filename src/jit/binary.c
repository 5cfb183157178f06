// SPDX-License-Identifier: Apache-2.0
// Where a kernel's binary comes from: the packs beside the library, then the user's disk cache, then the compiler.
#include "jit/binary.h"
#include "jit/disk.h"
#include "jit/lock.h"
#include "jit/scratch.h"
#include "jit/sha256.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_SIZE = 3584, MAX_IDENTITY = 1024 };

typedef struct request {
    const carat_backend *backend;
    carat_device device;
    const carat_key *key;
    const carat_target *target;
    char symbol[40];
    char name[64];               // of the entry in the disk cache
    char identity[MAX_IDENTITY]; // what the entry must have been made by
} request;

static carat_failure *fail(carat_status status, const char *what, const char *detail)
{
    static carat_failure no_memory = {CARAT_OUT_OF_MEMORY, "out of memory for a kernel"};
    const size_t size = strlen(what) + strlen(detail) + 3;
    carat_failure *failure = malloc(sizeof *failure + size);
    if (!failure) return &no_memory;
    char *message = (char *)(failure + 1);
    failure->status = status;
    failure->message = message;
    snprintf(message, size, "%s%s%s", what, *detail ? ": " : "", detail);
    return failure;
}

// Backends load code one at a time; the lock also keeps a fork from cutting a loader in half.
static carat_status load(const request *want, const carat_binary *binary, carat_kernel *kernel)
{
    carat_lock();
    const carat_status status = want->backend->load(want->device, binary, want->symbol, kernel);
    carat_unlock();
    return status;
}

// The folder that packs lie in, with its slash: CARAT_PACK_DIR (for programs that link the library's objects), else that
// of libcarat.so; "" if it can't be told.
static void pack_folder(char folder[PATH_MAX])
{
    Dl_info info;
    folder[0] = 0;
    const char *given = secure_getenv("CARAT_PACK_DIR");
    if (given && *given) {
        if (snprintf(folder, PATH_MAX, "%s/", given) >= PATH_MAX) folder[0] = 0;
        return;
    }
    if (!dladdr((void *)(uintptr_t)carat_kernel_get, &info) || !info.dli_fname || !realpath(info.dli_fname, folder)) return;
    char *slash = strrchr(folder, '/');
    if (slash) slash[1] = 0;
}

static bool find_in_packs(const request *want, carat_kernel *kernel)
{
    const char *const *pack = want->backend->packs ? want->backend->packs() : NULL;
    char path[PATH_MAX];
    pack_folder(path);
    const size_t folder = strlen(path);
    if (folder == 0) return false;
    for (; pack && *pack; ++pack) {
        if (folder + strlen(*pack) >= sizeof path) continue;
        strcpy(path + folder, *pack);
        const carat_binary binary = {.path = path};
        if (load(want, &binary, kernel) == CARAT_OK) return true;
    }
    return false;
}

static void name_entry(request *want, const char *compiler)
{
    carat_sha256 sha;
    uint8_t digest[CARAT_SHA256_BYTES];
    snprintf(want->identity, sizeof want->identity, "%s %s\n%s\n%s", want->symbol, want->target->name, want->target->flags,
             compiler);
    carat_sha256_begin(&sha);
    carat_sha256_add(&sha, want->identity, strlen(want->identity));
    carat_sha256_end(&sha, digest);
    memcpy(want->name, want->symbol, 35);
    want->name[34] = '-';
    carat_hex_make(digest, 8, want->name + 35);
}

static bool find_on_disk(const request *want, carat_kernel *kernel)
{
    carat_disk_file file;
    if (!carat_disk_read(want->name, want->identity, &file)) return false;
    const carat_binary binary = {.path = file.path, .bytes = file.bytes, .size = file.size};
    const carat_status status = load(want, &binary, kernel);
    free(file.bytes);
    return status == CARAT_OK;
}

// Compiles a kernel, loads it unless `kernel` is NULL, and leaves it in the disk cache.
static carat_failure *compile_in(const carat_scratch *scratch, const request *want, const char *source, char *log, carat_kernel *kernel)
{
    const char *const file = carat_family_source(carat_family_at(want->key->family), want->target);
    const carat_status status = want->backend->compile(want->target, source, scratch->file, log, LOG_SIZE);
    if (status != CARAT_OK) return fail(status, file, log);
    carat_binary binary = {.path = scratch->file};
    carat_failure *failure = NULL;
    if (!(binary.bytes = carat_scratch_read(scratch, &binary.size)))
        failure = fail(CARAT_IO_ERROR, file, "what the compiler wrote can't be read");
    else if (kernel && load(want, &binary, kernel) != CARAT_OK)
        failure = fail(CARAT_UNSUPPORTED, file, "what the compiler wrote can't be loaded");
    else
        carat_disk_write(want->name, want->identity, binary.bytes, binary.size);
    free((void *)(uintptr_t)binary.bytes);
    return failure;
}

static carat_failure *compile(const request *want, carat_kernel *kernel)
{
    char *const source = carat_source_make(want->target, want->key, want->symbol), *const log = calloc(1, LOG_SIZE);
    carat_failure *failure;
    carat_scratch scratch;
    if (!source || !log) {
        failure = fail(CARAT_OUT_OF_MEMORY, "out of memory for a kernel's source", "");
    } else if (!carat_scratch_make(&scratch)) {
        failure = fail(CARAT_UNSUPPORTED, "no kernel", "there is no temporary directory to compile in");
    } else {
        failure = compile_in(&scratch, want, source, log, kernel);
        carat_scratch_remove(&scratch);
    }
    free(log);
    free(source);
    return failure;
}

// Symbol, entry and identity of a request, which depend on the compiler.
static carat_failure *name_request(request *want)
{
    const char *why = "the backend has no compiler";
    carat_lock();
    const char *compiler = want->backend->compiler ? want->backend->compiler(&why) : NULL;
    carat_unlock();
    if (!compiler) return fail(CARAT_UNSUPPORTED, "no kernel", why);
    name_entry(want, compiler);
    return NULL;
}

carat_failure *carat_binary_find(const carat_backend *backend, carat_device device, const carat_key *key, carat_kernel *kernel)
{
    request want = {.backend = backend, .device = device, .key = key, .target = backend->target(device)};
    if (!want.target) return fail(CARAT_UNSUPPORTED, "no kernel", "the device has no target");
    carat_symbol_make(want.target, key, want.symbol);
    if (find_in_packs(&want, kernel)) return NULL;
    carat_failure *const failure = name_request(&want);
    if (failure) return failure;
    return find_on_disk(&want, kernel) ? NULL : compile(&want, kernel);
}

carat_failure *carat_binary_prepare(const carat_backend *backend, const carat_target *target, const carat_key *key, bool *made)
{
    request want = {.backend = backend, .key = key, .target = target};
    carat_disk_file file;
    *made = false;
    carat_symbol_make(target, key, want.symbol);
    carat_failure *failure = name_request(&want);
    if (failure) return failure;
    if (carat_disk_read(want.name, want.identity, &file)) {
        free(file.bytes);
        return NULL;
    }
    failure = compile(&want, NULL);
    *made = !failure;
    return failure;
}

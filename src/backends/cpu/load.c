// SPDX-License-Identifier: Apache-2.0
// Loading shared objects: by their path, or from memory where the path can't be executed (a noexec file system).
#include "backends/cpu/cpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void *open_bytes(const carat_binary *binary)
{
#if defined(__linux__)
    const int fd = memfd_create("carat-kernel", MFD_CLOEXEC);
    if (fd < 0) return NULL;
    const char *from = binary->bytes;
    size_t left = binary->size;
    while (left > 0) {
        const ssize_t n = write(fd, from, left);
        if (n <= 0) break;
        from += n;
        left -= (size_t)n;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    void *object = left == 0 ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    // The loader knows objects by the path they were opened with, so this number must not be used for another one:
    // the descriptor of an object that was loaded stays open.
    if (!object) close(fd);
    return object;
#else
    (void)binary;
    return NULL;
#endif
}

carat_status carat_cpu_load(carat_device device, const carat_binary *binary, const char *symbol, carat_kernel *kernel)
{
    (void)device;
    void *object = binary->path ? dlopen(binary->path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!object && binary->bytes) object = open_bytes(binary);
    if (!object) return CARAT_IO_ERROR;
    kernel->handle = dlsym(object, symbol);
    if (kernel->handle) return CARAT_OK;
    dlclose(object);
    return CARAT_NOT_FOUND;
}

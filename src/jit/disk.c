// SPDX-License-Identifier: Apache-2.0
// Entries of the disk cache. A file is the binary itself, so that it can be loaded from where it lies, followed by a
// trailer: the identity text, then a fixed-size record with sizes and a SHA-256 over binary and identity.
// Files are written under a temporary name and renamed: readers see a whole file or none, and never one that changes.
#include "jit/disk.h"
#include "jit/directory.h"
#include "jit/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILE = 64 << 20, TOUCH_SECONDS = 3600 };

typedef struct trailer {
    uint64_t binary_size;
    uint64_t identity_size;
    uint8_t checksum[CARAT_SHA256_BYTES]; // of the binary, the identity, and the two sizes
    char magic[16];
} trailer;
_Static_assert(sizeof(trailer) == 64, "the trailer is read back as it was written");
static const char magic[16] = "carat kernel  1";

static void make_checksum(const void *bytes, const trailer *end, uint8_t digest[CARAT_SHA256_BYTES])
{
    carat_sha256 sha;
    carat_sha256_begin(&sha);
    carat_sha256_add(&sha, bytes, end->binary_size + end->identity_size);
    carat_sha256_add(&sha, &end->binary_size, 2 * sizeof(uint64_t));
    carat_sha256_end(&sha, digest);
}

// The trailer of a file of `size` bytes if it is whole.
static bool check(const uint8_t *bytes, size_t size, const char *identity, trailer *end)
{
    uint8_t digest[CARAT_SHA256_BYTES];
    if (size < sizeof *end) return false;
    const size_t rest = size - sizeof *end;
    memcpy(end, bytes + rest, sizeof *end);
    if (memcmp(end->magic, magic, sizeof magic) != 0) return false;
    if (end->binary_size > rest || end->identity_size != rest - end->binary_size) return false;
    make_checksum(bytes, end, digest);
    if (memcmp(digest, end->checksum, sizeof digest) != 0) return false;
    return end->identity_size == strlen(identity) && memcmp(bytes + end->binary_size, identity, end->identity_size) == 0;
}

static bool read_all(int fd, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    while (size > 0) {
        const ssize_t n = write(fd, from, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

// Use counts as youth when entries are evicted; once an hour is often enough.
static void mark_used(int fd, const struct stat *info)
{
    if (time(NULL) - info->st_mtime > TOUCH_SECONDS) futimens(fd, NULL);
}

bool carat_disk_read(const char *name, const char *identity, carat_disk_file *file)
{
    const int directory = carat_directory_open();
    if (directory < 0) return false;
    const int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    struct stat info;
    trailer end;
    uint8_t *bytes = NULL;
    bool whole = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && carat_directory_trusts(&info) && info.st_size > 0 &&
                 info.st_size <= MAX_FILE && (bytes = malloc((size_t)info.st_size)) != NULL;
    whole = whole && read_all(fd, bytes, (size_t)info.st_size) && check(bytes, (size_t)info.st_size, identity, &end);
    if (whole) {
        mark_used(fd, &info);
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d/%s", directory, name);
        file->bytes = bytes;
        file->size = (size_t)end.binary_size;
    } else {
        free(bytes);
        carat_disk_remove(name);
    }
    close(fd);
    return whole;
}

void carat_disk_remove(const char *name)
{
    const int directory = carat_directory_open();
    if (directory >= 0) unlinkat(directory, name, 0);
}

void carat_disk_write(const char *name, const char *identity, const void *bytes, size_t size)
{
    static atomic_uint counter;
    const int directory = carat_directory_open();
    const size_t identity_size = strlen(identity), body = size + identity_size, total = body + sizeof(trailer);
    uint8_t *file = directory >= 0 && total <= MAX_FILE ? malloc(total) : NULL;
    if (!file) return;
    memcpy(file, bytes, size);
    memcpy(file + size, identity, identity_size);
    trailer end = {.binary_size = size, .identity_size = identity_size};
    memcpy(end.magic, magic, sizeof magic);
    make_checksum(file, &end, end.checksum);
    memcpy(file + body, &end, sizeof end);

    char temporary[64];
    snprintf(temporary, sizeof temporary, "%s%ld-%u", CARAT_TEMPORARY_PREFIX, (long)getpid(), atomic_fetch_add(&counter, 1));
    const int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        // close() reports what a full or remote disk could not keep.
        const bool kept = write_all(fd, file, total);
        if ((close(fd) != 0) | !kept || renameat(directory, temporary, directory, name) != 0)
            unlinkat(directory, temporary, 0);
    }
    free(file);
    carat_directory_trim();
}

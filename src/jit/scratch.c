// SPDX-License-Identifier: Apache-2.0
// Temporary directories under $TMPDIR, /tmp or /dev/shm, readable by the user only.
#include "jit/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_OUTPUT = 64 << 20 };

bool carat_scratch_make(carat_scratch *scratch)
{
    const char *const places[] = {secure_getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
        if (!places[i] || places[i][0] != '/') continue;
        const int length = snprintf(scratch->folder, sizeof scratch->folder, "%s/carat-XXXXXX", places[i]);
        if (length < 0 || (size_t)length >= sizeof scratch->folder || !mkdtemp(scratch->folder)) continue;
        snprintf(scratch->file, sizeof scratch->file, "%s/kernel.so", scratch->folder);
        return true;
    }
    return false;
}

void *carat_scratch_read(const carat_scratch *scratch, size_t *size)
{
    struct stat info;
    const int fd = open(scratch->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return NULL;
    char *bytes = NULL;
    size_t done = 0;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && info.st_size <= MAX_OUTPUT)
        bytes = malloc((size_t)info.st_size);
    while (bytes && done < (size_t)info.st_size) {
        const ssize_t n = read(fd, bytes + done, (size_t)info.st_size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            free(bytes);
            bytes = NULL;
        } else {
            done += (size_t)n;
        }
    }
    close(fd);
    *size = done;
    return bytes;
}

void carat_scratch_remove(carat_scratch *scratch)
{
    DIR *stream = opendir(scratch->folder);
    if (!stream) return;
    for (const struct dirent *at; (at = readdir(stream)) != NULL;) unlinkat(dirfd(stream), at->d_name, 0);
    closedir(stream);
    rmdir(scratch->folder);
}

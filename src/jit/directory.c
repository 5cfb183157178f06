// SPDX-License-Identifier: Apache-2.0
// $CARAT_CACHE_DIR, else $XDG_CACHE_HOME/carat, else ~/.cache/carat, used through a descriptor that was checked once.
#include "jit/directory.h"
#include "jit/jit.h"
#include "jit/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_BYTES ((int64_t)512 << 20)
enum { STALE_SECONDS = 3600 };

static struct {
    bool ready;
    int fd; // -1: no cache
    dev_t device;
    ino_t inode;
    char path[PATH_MAX];
    char why[PATH_MAX + 128];
} cache = {.fd = -1}; // made under the lock, constant afterwards

static bool refuse(const char *reason)
{
    snprintf(cache.why, sizeof cache.why, "%s%s%s", cache.path, *cache.path ? ": " : "", reason);
    return false;
}

// A limit of 0 turns the cache off; text that isn't a number is as good as none.
static int64_t byte_limit(void)
{
    const char *text = secure_getenv("CARAT_CACHE_BYTES");
    if (!text || !*text) return DEFAULT_BYTES;
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    return errno || *end || value < 0 ? DEFAULT_BYTES : value;
}

static bool join(const char *folder, const char *rest)
{
    const int length = snprintf(cache.path, sizeof cache.path, "%s%s", folder, rest);
    if (length >= 0 && (size_t)length < sizeof cache.path) return true;
    cache.path[0] = 0;
    return refuse("the cache directory's path is too long");
}

static bool choose_path(void)
{
    const char *own = secure_getenv("CARAT_CACHE_DIR"), *xdg = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    if (own && *own) return own[0] == '/' ? join(own, "") : refuse("CARAT_CACHE_DIR is not an absolute path");
    if (xdg && xdg[0] == '/') return join(xdg, "/carat");
    if (home && home[0] == '/') return join(home, "/.cache/carat");
    return refuse("there is neither CARAT_CACHE_DIR nor XDG_CACHE_HOME nor HOME");
}

// Makes the directory and those above it, as `mkdir -p -m 700` would.
static void make_path(void)
{
    for (char *at = cache.path + 1; *at; ++at) {
        if (*at != '/') continue;
        *at = 0;
        mkdir(cache.path, 0700);
        *at = '/';
    }
    mkdir(cache.path, 0700);
}

bool carat_directory_trusts(const struct stat *info)
{
    return info->st_uid == geteuid() && (info->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool open_path(void)
{
    struct stat info;
    if (!choose_path()) return false;
    if (byte_limit() == 0) return refuse("CARAT_CACHE_BYTES is 0");
    make_path();
    const int fd = open(cache.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return refuse(strerror(errno));
    if (fstat(fd, &info) != 0 || !carat_directory_trusts(&info)) {
        close(fd);
        return refuse("not used, since it belongs to another user or others may write to it");
    }
    cache.fd = fd;
    cache.device = info.st_dev;
    cache.inode = info.st_ino;
    return true;
}

// Under the lock.
static void prepare(void)
{
    if (cache.ready) return;
    if (!open_path() && !*cache.why) refuse("can't be used");
    cache.ready = true;
}

// A program may close descriptors that it doesn't know (daemons do): what is no longer ours is not used.
static bool still_ours(void)
{
    struct stat info;
    return cache.fd >= 0 && fstat(cache.fd, &info) == 0 && info.st_dev == cache.device && info.st_ino == cache.inode;
}

int carat_directory_open(void)
{
    carat_lock();
    prepare();
    carat_unlock();
    return still_ours() ? cache.fd : -1;
}

const char *carat_cache_directory(const char **why)
{
    const bool usable = carat_directory_open() >= 0;
    if (why) *why = usable ? "" : *cache.why ? cache.why : "its descriptor was closed by the program";
    return usable ? cache.path : "";
}

// ---- size

typedef struct entry {
    char name[80];
    int64_t bytes;
    time_t used;
} entry;

typedef struct listing {
    entry *entries;
    size_t count, capacity;
    int64_t bytes;
} listing;

static void add_entry(listing *list, const char *name, const struct stat *info)
{
    if (strlen(name) >= sizeof list->entries->name) return;
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 256;
        entry *entries = realloc(list->entries, capacity * sizeof *entries);
        if (!entries) return;
        list->entries = entries;
        list->capacity = capacity;
    }
    entry *new = &list->entries[list->count++];
    strcpy(new->name, name);
    new->bytes = info->st_size;
    new->used = info->st_mtime;
    list->bytes += info->st_size;
}

// Lists regular files; the caller frees entries. Opens the directory anew, as a descriptor has one reading position.
static listing list_entries(int directory)
{
    listing list = {0};
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        if (fd >= 0) close(fd);
        return list;
    }
    for (const struct dirent *at; (at = readdir(stream)) != NULL;) {
        struct stat info;
        if (fstatat(fd, at->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            add_entry(&list, at->d_name, &info);
    }
    closedir(stream);
    return list;
}

static int compare_age(const void *a, const void *b)
{
    const time_t x = ((const entry *)a)->used, y = ((const entry *)b)->used;
    return (x > y) - (x < y);
}

void carat_directory_trim(void)
{
    const int directory = carat_directory_open();
    if (directory < 0) return;
    listing list = list_entries(directory);
    const int64_t limit = byte_limit();
    const time_t stale = time(NULL) - STALE_SECONDS;
    if (list.bytes > limit) qsort(list.entries, list.count, sizeof *list.entries, compare_age);
    // Down to seven eighths, so that a full cache isn't sorted again for every kernel.
    const int64_t goal = list.bytes > limit ? limit - limit / 8 : limit;
    for (size_t i = 0; i < list.count; ++i) {
        const entry *at = &list.entries[i];
        const bool left_behind =
            strncmp(at->name, CARAT_TEMPORARY_PREFIX, sizeof CARAT_TEMPORARY_PREFIX - 1) == 0 && at->used < stale;
        if (list.bytes <= goal && !left_behind) continue;
        if (unlinkat(directory, at->name, 0) == 0) list.bytes -= at->bytes;
    }
    free(list.entries);
}

int64_t carat_cache_size(void)
{
    const int directory = carat_directory_open();
    listing list = directory >= 0 ? list_entries(directory) : (listing){0};
    free(list.entries);
    return list.bytes;
}

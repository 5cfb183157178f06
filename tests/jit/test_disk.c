// SPDX-License-Identifier: Apache-2.0
// The disk cache: what is damaged, not ours, or can't be written is a miss and nothing else.
#include "fixture.h"
#include "jit/directory.h"
#include "jit/disk.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME "k_0123456789abcdef"
#define IDENTITY "an identity"
enum { SIZE = 700, NOBODY = 65534 };

static uint8_t content[SIZE];
static const char *folder;

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool reads_back(void)
{
    carat_disk_file file;
    if (!carat_disk_read(NAME, IDENTITY, &file)) return false;
    CHECK(file.size == SIZE && memcmp(file.bytes, content, SIZE) == 0);
    CHECK(access(file.path, R_OK) == 0);
    free(file.bytes);
    return true;
}

static bool exists(const char *name)
{
    struct stat info;
    return lstat(path_of(name), &info) == 0;
}

static size_t read_entry(uint8_t *bytes, size_t space)
{
    FILE *file = fopen(path_of(NAME), "rb");
    CHECK(file != NULL);
    const size_t size = fread(bytes, 1, space, file);
    fclose(file);
    return size;
}

static void write_entry(const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path_of(NAME), "wb");
    CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    CHECK(chmod(path_of(NAME), 0600) == 0);
}

static void check_damage(void)
{
    uint8_t good[2 * SIZE], bad[3 * SIZE];
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(reads_back());
    const size_t size = read_entry(good, sizeof good);
    for (size_t cut = 0; cut < size; ++cut) {
        write_entry(good, cut);
        CHECK(!reads_back() && !exists(NAME));
    }
    for (size_t i = 0; i < size * 8; ++i) { // every bit
        memcpy(bad, good, size);
        bad[i / 8] ^= (uint8_t)(1 << i % 8);
        write_entry(bad, size);
        CHECK(!reads_back() && !exists(NAME));
    }
    srand(1); // noise from some place on, and files of any length
    for (int round = 0; round < 2000; ++round) {
        memcpy(bad, good, size);
        for (size_t i = (size_t)rand() % size; i < sizeof bad; ++i) bad[i] = (uint8_t)rand();
        write_entry(bad, (size_t)rand() % sizeof bad);
        CHECK(!reads_back());
    }
    write_entry(good, size);
    CHECK(reads_back());
    carat_disk_file file;
    CHECK(!carat_disk_read(NAME, "another identity", &file));
}

// What lies under an entry's name and is no file of ours.
static void check_strangers(void)
{
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(chmod(path_of(NAME), 0666) == 0);
    CHECK(!reads_back() && !exists(NAME));

    carat_disk_write("k_other", IDENTITY, content, SIZE);
    CHECK(symlink("k_other", path_of(NAME)) == 0);
    CHECK(!reads_back());
    unlink(path_of(NAME));

    CHECK(mkfifo(path_of(NAME), 0600) == 0);
    alarm(20); // opening a pipe that nobody writes to must not wait
    CHECK(!reads_back());
    alarm(0);
    unlink(path_of(NAME));

    CHECK(mkdir(path_of(NAME), 0700) == 0);
    CHECK(!reads_back());
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(!reads_back() && rmdir(path_of(NAME)) == 0);
}

static void check_closed_descriptors(void)
{
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(reads_back());
    for (int fd = 3; fd < 64; ++fd) close(fd);
    CHECK(!reads_back());
    carat_kernel kernel;
    CHECK(get_scale(21, &kernel) == CARAT_OK);
    check_scale(kernel, 21);
}

// A disk that is full after a few hundred bytes.
static void check_full(void)
{
    const struct rlimit limit = {300, 300};
    signal(SIGXFSZ, SIG_IGN);
    CHECK(carat_directory_open() >= 0);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(!exists(NAME));
    CHECK(carat_cache_size() == 0); // nor a temporary file
}

static void check_eviction(void)
{
    setenv("CARAT_CACHE_BYTES", "10000", 1);
    for (int i = 0; i < 40; ++i) {
        char name[32];
        snprintf(name, sizeof name, "k_%02d", i);
        carat_disk_write(name, IDENTITY, content, SIZE);
        const struct timespec times[2] = {{.tv_sec = 1000000 + i}, {.tv_sec = 1000000 + i}};
        CHECK(!exists(name) || utimensat(AT_FDCWD, path_of(name), times, 0) == 0);
        CHECK(carat_cache_size() <= 10000);
    }
    CHECK(!exists("k_00") && exists("k_38"));
    CHECK(carat_cache_size() > 5000);
}

// A writer that died left a temporary file: an old one goes with the next write, a young one may be at work.
static void check_left_behind(void)
{
    const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    static const char *const names[] = {"tmp-1-1", "tmp-1-2"};
    for (int i = 0; i < 2; ++i) close(open(path_of(names[i]), O_CREAT | O_WRONLY, 0600));
    CHECK(utimensat(AT_FDCWD, path_of(names[0]), old, 0) == 0);
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(!exists(names[0]) && exists(names[1]));
}

// A directory that can't be used: kernels are compiled all the same.
static const char *expected_why;
static void check_unusable(void)
{
    const char *why = NULL;
    CHECK(strcmp(carat_cache_directory(&why), "") == 0 && why && strstr(why, expected_why));
    CHECK(carat_cache_size() == 0);
    carat_kernel kernel;
    CHECK(get_scale(22, &kernel) == CARAT_OK);
    check_scale(kernel, 22);
}

static void unusable(const char *directory, const char *why)
{
    setenv("CARAT_CACHE_DIR", directory, 1);
    expected_why = why;
    in_child(check_unusable);
}

static void check_read_only(void)
{
    if (geteuid() == 0) CHECK(chown(folder, NOBODY, NOBODY) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    carat_disk_write(NAME, IDENTITY, content, SIZE);
    CHECK(reads_back());
    CHECK(chmod(folder, 0500) == 0);
    carat_disk_write("k_new", IDENTITY, content, SIZE);
    CHECK(!exists("k_new") && reads_back());
    carat_kernel kernel;
    CHECK(get_scale(23, &kernel) == CARAT_OK);
    check_scale(kernel, 23);
}

static void check_made(void)
{
    struct stat info;
    CHECK(strcmp(carat_cache_directory(NULL), path_of("deep/er")) == 0);
    CHECK(stat(path_of("deep/er"), &info) == 0 && (info.st_mode & 0777) == 0700);
}

static void check_directories(void)
{
    char other[128], file[128];
    snprintf(file, sizeof file, "%s", path_of("file"));
    close(open(file, O_CREAT | O_WRONLY, 0600));
    unusable(file, "Not a directory");
    unusable("relative/path", "not an absolute path");
    unusable("/proc/nothing", "No such file");
    snprintf(other, sizeof other, "%s", path_of("shared"));
    CHECK(mkdir(other, 0700) == 0 && chmod(other, 0777) == 0);
    unusable(other, "others may write");
    if (geteuid() == 0) {
        CHECK(chmod(other, 0700) == 0 && chown(other, NOBODY, NOBODY) == 0);
        unusable(other, "another user");
    }
    setenv("CARAT_CACHE_BYTES", "0", 1);
    unusable(folder, "CARAT_CACHE_BYTES");
    setenv("CARAT_CACHE_BYTES", "much", 1); // as if unset
    setenv("CARAT_CACHE_DIR", path_of("deep/er"), 1);
    in_child(check_made);
}

int main(void)
{
    static void (*const checks[])(void) = {check_damage, check_strangers, check_closed_descriptors, check_full, check_eviction,
                                           check_left_behind, check_read_only};
    for (int i = 0; i < SIZE; ++i) content[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; ++i) {
        folder = use_new_cache();
        in_child(checks[i]);
    }
    folder = use_new_cache();
    check_directories();
    return 0;
}

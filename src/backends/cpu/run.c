// SPDX-License-Identifier: Apache-2.0
// Running a compiler: no shell, its output captured, and an end to it in any case.
#include "backends/cpu/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { SLICE_MS = 50 };

typedef struct child {
    pid_t pid;
    int output; // read end of its standard output and error
    char *log;
    size_t size, used;
} child;

static int64_t now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

// In a process group of its own, so that a compiler driver dies with all that it started.
static int start(child *run, char *const argv[])
{
    int ends[2];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    const int error = posix_spawnp(&run->pid, argv[0], &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (error) close(ends[0]);
    run->output = ends[0];
    return error;
}

// Takes what is there within `wait` milliseconds; false at the end of the output.
static bool drain(child *run, int wait)
{
    struct pollfd ready = {.fd = run->output, .events = POLLIN};
    if (poll(&ready, 1, wait) <= 0) return true;
    char rest[1024];
    const size_t space = run->size - 1 - run->used;
    const ssize_t n = space > 0 ? read(run->output, run->log + run->used, space) : read(run->output, rest, sizeof rest);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (space > 0) run->used += (size_t)n;
    run->log[run->used] = 0;
    return n > 0;
}

// A program that reaps every child, or ignores SIGCHLD, takes the exit status away (ECHILD): then what the compiler
// wrote has to speak for itself.
static bool has_ended(pid_t pid, int *status)
{
    const pid_t reaped = waitpid(pid, status, WNOHANG);
    if (reaped < 0 && errno == ECHILD) *status = 0;
    return reaped == pid || (reaped < 0 && errno == ECHILD);
}

static void add_line(child *run, const char *text)
{
    const int n = snprintf(run->log + run->used, run->size - run->used, "%s\n", text);
    if (n > 0) run->used = run->used + (size_t)n < run->size ? run->used + (size_t)n : run->size - 1;
}

int carat_cpu_run(char *const argv[], int seconds, char *log, size_t log_size)
{
    child run = {.log = log, .size = log_size};
    log[0] = 0;
    const int error = start(&run, argv);
    if (error) {
        snprintf(log, log_size, "%s: %s\n", argv[0], strerror(error));
        return -1;
    }
    const int64_t deadline = now_ms() + (int64_t)seconds * 1000;
    int status = 0;
    bool open = true, ended = false, late = false;
    while (!ended && !late) {
        if (open) open = drain(&run, SLICE_MS);
        else poll(NULL, 0, 1);
        ended = has_ended(run.pid, &status);
        late = now_ms() >= deadline;
    }
    if (!ended) {
        kill(-run.pid, SIGKILL);
        while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR) continue;
        add_line(&run, "took too long and was stopped");
    }
    // What it had written before it ended; a helper that it left running may hold the pipe open, so there's no waiting.
    for (size_t before = run.used + 1; open && before != run.used && run.used + 1 < run.size;) {
        before = run.used;
        open = drain(&run, 0);
    }
    close(run.output);
    return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

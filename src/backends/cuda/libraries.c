// SPDX-License-Identifier: Apache-2.0
// Finding NVIDIA's libraries where the process's own search path doesn't have them. PyTorch's wheels keep them beside it, in
// site-packages/nvidia/: in cu13/lib for CUDA 13, in a folder for each library (cuda_nvrtc/lib) before that.
#include "backends/cuda/cuda.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const wheel_folders[] = {"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"};
enum { WHEEL_FOLDERS = sizeof wheel_folders / sizeof *wheel_folders };

typedef struct search {
    const char *const *names;
    void *found;
} search;

// NVRTC opens its builtins by their bare name and expects to find them: whoever opens it from a folder outside the search
// path opens them first.
static void open_builtins(const char *folder)
{
    static const char prefix[] = "libnvrtc-builtins.so.";
    DIR *const stream = opendir(folder);
    if (!stream) return;
    for (const struct dirent *at; (at = readdir(stream)) != NULL;) {
        char path[PATH_MAX];
        if (strncmp(at->d_name, prefix, sizeof prefix - 1) != 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, at->d_name) < (int)sizeof path) dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    }
    closedir(stream);
}

static bool open_in(search *s, const char *folder)
{
    for (const char *const *name = s->names; *name && !s->found; ++name) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", folder, *name) >= (int)sizeof path) continue;
        s->found = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        if (s->found) open_builtins(folder);
    }
    return s->found != NULL;
}

// The wheels' folders under the folder that holds path's `depth`-th parent.
static bool open_beside(search *s, const char *path, int depth)
{
    char root[PATH_MAX], folder[PATH_MAX];
    if (!realpath(path, root)) return false;
    for (; depth > 0; --depth) {
        char *const slash = strrchr(root, '/');
        if (!slash) return false;
        *slash = 0;
    }
    for (int i = 0; i < WHEEL_FOLDERS; ++i)
        if (snprintf(folder, sizeof folder, "%s/%s", root, wheel_folders[i]) < (int)sizeof folder && open_in(s, folder)) return true;
    return false;
}

// Libraries that are loaded already tell where the others are: .../nvidia/cu13/lib/libcudart.so.13, .../torch/lib/libc10.so.
typedef struct neighbours {
    char nvidia[PATH_MAX], torch[PATH_MAX];
} neighbours;

static void take(char *to, const char *path)
{
    if (!*to && strlen(path) < PATH_MAX) strcpy(to, path);
}

// Only takes notes: nothing may be opened while the loader's list is being walked.
static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    neighbours *const seen = arg;
    const char *const at = info->dlpi_name;
    if (at && strstr(at, "/nvidia/")) take(seen->nvidia, at);
    if (at && strstr(at, "/torch/lib/libc10.")) take(seen->torch, at);
    return 0;
}

void *carat_cuda_open(const char *const *names, const char *environment)
{
    search s = {.names = names};
    const char *const given = secure_getenv(environment);
    if (given && *given) { // a folder, and no other is looked at
        open_in(&s, given);
        return s.found;
    }
    for (const char *const *name = names; *name && !s.found; ++name) s.found = dlopen(*name, RTLD_LAZY | RTLD_LOCAL);
    if (s.found) return s.found;
    neighbours seen = {.nvidia = ""};
    dl_iterate_phdr(visit, &seen);
    if (*seen.nvidia && open_beside(&s, seen.nvidia, 4)) return s.found;
    if (*seen.torch && open_beside(&s, seen.torch, 4)) return s.found;
    Dl_info info;
    if (dladdr((void *)(uintptr_t)carat_cuda_open, &info) && info.dli_fname && open_beside(&s, info.dli_fname, 2)) return s.found;
    open_in(&s, "/usr/local/cuda/lib64");
    return s.found;
}

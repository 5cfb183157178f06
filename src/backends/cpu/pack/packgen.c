// SPDX-License-Identifier: Apache-2.0
// Writes the C files of a pack: carat-packgen LEVEL COUNT FOLDER
//
// FOLDER/LEVEL-00.c ... hold every kernel that the families enumerate for the level: its constants, an #include of its
// family's source, and the constants' end. A kernel's file depends on its family and its own hash only, so that a
// change to one family or a new kernel leaves the other files as they are. A file that wouldn't change isn't written.
#include "backends/cpu/cpu.h"
#include "jit/jit.h"
#include "jit/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 256 };

typedef struct entry {
    char symbol[40];
    carat_key key;
} entry;

typedef struct pack {
    const carat_target *target;
    entry *entries;
    size_t count, capacity;
} pack;

static _Noreturn void die(const char *message, const char *detail)
{
    fprintf(stderr, "carat-packgen: %s%s\n", message, detail);
    exit(1);
}

static void add_key(void *arg, const carat_key *key)
{
    pack *into = arg;
    if (into->count == into->capacity) {
        into->capacity = into->capacity ? 2 * into->capacity : 1024;
        into->entries = realloc(into->entries, into->capacity * sizeof *into->entries);
        if (!into->entries) die("out of memory", "");
    }
    entry *new = &into->entries[into->count++];
    new->key = *key;
    carat_symbol_make(into->target, key, new->symbol);
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->key.family != y->key.family) return x->key.family - y->key.family;
    return strcmp(x->symbol, y->symbol);
}

// Different keys may describe the same kernel.
static void remove_duplicates(pack *all)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; ++i)
        if (i == 0 || strcmp(all->entries[i].symbol, all->entries[i - 1].symbol) != 0) all->entries[kept++] = all->entries[i];
    all->count = kept;
}

// Gives each family a share of the files by its number of kernels, at least one; small families may share a file.
static void assign_files(const pack *all, int files, int *file_of)
{
    int first_file = 0;
    for (size_t begin = 0, end; begin < all->count; begin = end) {
        for (end = begin; end < all->count && all->entries[end].key.family == all->entries[begin].key.family;) ++end;
        int share = (int)(((end - begin) * (size_t)files + all->count / 2) / all->count);
        if (share < 1) share = 1;
        for (size_t i = begin; i < end; ++i) {
            const unsigned long hash = strtoul((char[]){all->entries[i].symbol[2], all->entries[i].symbol[3],
                                                        all->entries[i].symbol[4], all->entries[i].symbol[5], 0}, NULL, 16);
            file_of[i] = (first_file + (int)(hash % (unsigned long)share)) % files;
        }
        first_file += share;
    }
}

static void add_kernel(carat_text *text, const pack *all, const entry *at)
{
    const carat_family *family = carat_family_at(at->key.family);
    carat_defines defines = {.length = 0};
    family->describe(&at->key, all->target, &defines);
    carat_text_format(text, "\n#define KERNEL_NAME %s\n", at->symbol);
    carat_text_defines(text, &defines);
    carat_text_format(text, "#include \"%s\"\n#undef KERNEL_NAME\n", family->source);
    carat_text_undefs(text, &defines);
}

static bool is_unchanged(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "rb");
    char *old = file ? malloc(length + 1) : NULL;
    const bool same = old && fread(old, 1, length + 1, file) == length && memcmp(old, text, length) == 0;
    free(old);
    if (file) fclose(file);
    return same;
}

static void write_file(const pack *all, int number, const int *file_of, const char *folder)
{
    char path[4096];
    carat_text text = {0};
    carat_text_format(&text, "// Made by carat-packgen for %s.\n#include \"dialect/%s\"\n", all->target->name, all->target->dialect);
    for (size_t i = 0; i < all->count; ++i)
        if (file_of[i] == number) add_kernel(&text, all, &all->entries[i]);
    const size_t length = text.length;
    char *bytes = carat_text_take(&text);
    if (!bytes) die("out of memory", "");
    snprintf(path, sizeof path, "%s/%s-%02d.c", folder, all->target->name, number);
    if (!is_unchanged(path, bytes, length)) {
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) die("can't write ", path);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc != 4) die("usage: carat-packgen LEVEL COUNT FOLDER", "");
    const int files = atoi(argv[2]);
    pack all = {.target = carat_cpu_level_find(argv[1])};
    if (!all.target) die("no such level: ", argv[1]);
    if (files < 1 || files > MAX_FILES) die("COUNT must be 1 to 256, not ", argv[2]);
    for (int f = 0; f < CARAT_FAMILY_COUNT; ++f)
        if (carat_family_at(f)->enumerate) carat_family_at(f)->enumerate(all.target, add_key, &all);
    if (all.count > 0) qsort(all.entries, all.count, sizeof *all.entries, compare_entries);
    remove_duplicates(&all);
    int *file_of = calloc(all.count + 1, sizeof *file_of);
    if (!file_of) die("out of memory", "");
    assign_files(&all, files, file_of);
    for (int i = 0; i < files; ++i) write_file(&all, i, file_of, argv[3]);
    printf("%zu kernels\n", all.count);
    free(file_of);
    free(all.entries);
    return 0;
}

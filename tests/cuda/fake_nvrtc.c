// SPDX-License-Identifier: Apache-2.0
// libnvrtc.so without NVIDIA's compiler: makes a shared object of a CUDA source with a C++ compiler (CARAT_FAKE_CXX, or the one that
// built this) and the words of fake_words.h. With the address sanitizer in the program, kernels have it too.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct nvrtc_program {
    char *source, *log, *image;
    size_t image_size;
} *nvrtc_program;

enum { SUCCESS, OUT_OF_MEMORY, COMPILATION_ERROR = 6, VERSION = 99, COMMAND = 8192 };

#define EXPORT __attribute__((visibility("default")))
EXPORT int nvrtcVersion(int *major, int *minor);
EXPORT int nvrtcCreateProgram(nvrtc_program *program, const char *source, const char *name, int headers, const char *const *texts, const char *const *names);
EXPORT int nvrtcCompileProgram(nvrtc_program program, int count, const char *const *options);
EXPORT int nvrtcGetProgramLogSize(nvrtc_program program, size_t *size);
EXPORT int nvrtcGetProgramLog(nvrtc_program program, char *log);
EXPORT int nvrtcGetCUBINSize(nvrtc_program program, size_t *size);
EXPORT int nvrtcGetCUBIN(nvrtc_program program, char *image);
EXPORT int nvrtcDestroyProgram(nvrtc_program *program);

void __asan_init(void) __attribute__((weak));

// ---- files

static char *read_file(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *const text = malloc(*size + 1);
    if (text && fread(text, 1, *size, file) != *size) *size = 0;
    if (text) text[*size] = 0;
    fclose(file);
    return text;
}

static const char *compiler(void)
{
    const char *const given = getenv("CARAT_FAKE_CXX");
    return given && *given ? given : FAKE_CXX;
}

// Integers wrap around on a device.
static const char *sanitizers(void)
{
    return __asan_init ? "-fsanitize=address,undefined -fno-sanitize=signed-integer-overflow,shift -fno-sanitize-recover=all -fno-omit-frame-pointer" : "-fsanitize=alignment,bounds -fno-sanitize-recover=all";
}

// ---- NVRTC

// The number changes with all that objects are made of beside their source, as it goes into the names of what is cached.
int nvrtcVersion(int *major, int *minor)
{
    static const char *const headers[] = { FAKE_FOLDER "/fake_words.h", FAKE_FOLDER "/fake_ptx.h", FAKE_FOLDER "/fake_device.h", FAKE_FOLDER "/fake_entry.h" };
    uint32_t hash = 2166136261u;
    for (const char *at = compiler(); *at; ++at) hash = (hash ^ (unsigned char)*at) * 16777619u;
    for (const char *at = sanitizers(); *at; ++at) hash = (hash ^ (unsigned char)*at) * 16777619u;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; ++i) {
        size_t size = 0;
        char *const text = read_file(headers[i], &size);
        for (size_t c = 0; c < size; ++c) hash = (hash ^ (unsigned char)text[c]) * 16777619u;
        free(text);
    }
    *major = VERSION;
    *minor = (int)(hash >> 1);
    return SUCCESS;
}

int nvrtcCreateProgram(nvrtc_program *program, const char *source, const char *name, int headers, const char *const *texts, const char *const *names)
{
    (void)name, (void)headers, (void)texts, (void)names;
    *program = calloc(1, sizeof **program);
    if (*program) (*program)->source = strdup(source);
    return *program && (*program)->source ? SUCCESS : OUT_OF_MEMORY;
}

// "sm_90a" is 900 to the preprocessor.
static int architecture(int count, const char *const *options)
{
    int number = 0;
    for (int i = 0; i < count; ++i) sscanf(options[i], "--gpu-architecture=sm_%d", &number);
    return number * 10;
}

// Compiled and linked in two steps, so that the linker brings no sanitizer's library: the driver answers for it where the program
// has none. Names of temporary files have no quotes.
static int build(nvrtc_program program, const char *folder, int arch)
{
    char command[COMMAND], path[512];
    snprintf(path, sizeof path, "%s/kernel.cpp", folder);
    FILE *const file = fopen(path, "wb");
    if (!file || fputs(program->source, file) < 0) return COMPILATION_ERROR;
    fputs("\n#include \"fake_entry.h\"\n", file);
    fclose(file);
    snprintf(command, sizeof command,
             "exec 2>'%s/log'; cd '%s' && %s -std=c++17 -O1 -g1 -fPIC -w -ffp-contract=off -fno-math-errno -fno-exceptions -fno-rtti %s -I'" FAKE_FOLDER "' "
             "-include fake_words.h -D__CUDA_ARCH__=%d -c kernel.cpp -o kernel.o && %s -shared %s -o image kernel.o '" FAKE_DRIVER "' -lm",
             folder, folder, compiler(), sanitizers(), arch, compiler(), __asan_init ? sanitizers() : "");
    const int status = system(command);
    size_t size;
    snprintf(path, sizeof path, "%s/log", folder);
    program->log = read_file(path, &size);
    snprintf(path, sizeof path, "%s/image", folder);
    program->image = status == 0 ? read_file(path, &program->image_size) : NULL;
    return program->image ? SUCCESS : COMPILATION_ERROR;
}

int nvrtcCompileProgram(nvrtc_program program, int count, const char *const *options)
{
    char folder[256], path[512];
    const char *const temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/carat-fake-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) return COMPILATION_ERROR;
    const int result = build(program, folder, architecture(count, options));
    static const char *const names[] = { "kernel.cpp", "kernel.o", "image", "log" };
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    return result;
}

int nvrtcGetProgramLogSize(nvrtc_program program, size_t *size) { return *size = program->log ? strlen(program->log) + 1 : 1, SUCCESS; }
int nvrtcGetProgramLog(nvrtc_program program, char *log) { return strcpy(log, program->log ? program->log : ""), SUCCESS; }
int nvrtcGetCUBINSize(nvrtc_program program, size_t *size) { return *size = program->image_size, SUCCESS; }
int nvrtcGetCUBIN(nvrtc_program program, char *image) { return memcpy(image, program->image, program->image_size), SUCCESS; }

int nvrtcDestroyProgram(nvrtc_program *program)
{
    free((*program)->source);
    free((*program)->log);
    free((*program)->image);
    free(*program);
    *program = NULL;
    return SUCCESS;
}

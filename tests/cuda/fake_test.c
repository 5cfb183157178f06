// SPDX-License-Identifier: Apache-2.0
// That the fake device runs what is right, and finds what is wrong: small kernels in plain CUDA. Exit status 77: it isn't in use.
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77, LOG = 4096, LANES = 64, GROUPS = 16 };

static int failed;

// What the dialect gives to kernels: the entry of a group of LANES lanes, of `blocks` blocks.
static const char head[] =
    "typedef long long i64;\n"
    "extern \"C\" void __assertfail(const char *, const char *, unsigned, const char *, unsigned long);\n"
    "typedef struct { int *to; } args_type;\n"
    "#define CAT_(a, b) a##b\n"
    "#define CAT(a, b) CAT_(a, b)\n"
    "#define LANES (BLOCK_THREADS * BLOCKS_OF_GROUP)\n"
    "#define BLOCK_THREADS 64\n"
    "extern \"C\" __device__ char CAT(KERNEL_NAME, _lanes)[LANES];\n"
    "char CAT(KERNEL_NAME, _lanes)[LANES];\n";

typedef struct loaded {
    carat_kernel kernel;
    bool found;
} loaded;

static loaded compile(const char *name, int blocks, const char *body)
{
    static char source[4 * LOG], log[LOG], bytes[1 << 20];
    char path[] = "/tmp/carat-fake-test-XXXXXX";
    loaded made = { .found = false };
    const carat_target *const target = carat_cuda_target_find("sm_90a");
    snprintf(source, sizeof source, "#define KERNEL_NAME %s\n#define BLOCKS_OF_GROUP %d\n%s"
             "extern \"C\" __global__ void KERNEL_NAME(const args_type a, i64 groups)\n{\n%s\n}\n", name, blocks, head, body);
    const int file = mkstemp(path);
    if (file >= 0 && carat_cuda_compile(target, source, path, log, sizeof log) == CARAT_OK) {
        FILE *const cubin = fopen(path, "rb");
        const size_t size = cubin ? fread(bytes, 1, sizeof bytes, cubin) : 0;
        const carat_binary binary = { .path = path, .bytes = bytes, .size = size };
        made.found = carat_cuda_load((carat_device){ CARAT_CUDA, 0 }, &binary, name, &made.kernel) == CARAT_OK;
        if (cubin) fclose(cubin);
    }
    if (!made.found) printf("FAILED %s: %s\n", name, log), ++failed;
    remove(path);
    return made;
}

// Whether two launches, in which lanes run in opposite orders, both end well and leave the same.
static bool runs(const loaded *k, int *to, bool overlapping)
{
    static int first[GROUPS * 1024];
    const size_t bytes = sizeof first;
    struct { int *to; } args = { to };
    for (int launch = 0; launch < 2; ++launch) {
        memset(to, 0, bytes);
        if (carat_cuda_launch_on(NULL, k->kernel, &args, GROUPS, overlapping)) return false;
        if (launch && memcmp(first, to, bytes) != 0) return false;
        memcpy(first, to, bytes);
    }
    return true;
}

static void expect(bool right, const char *name, int blocks, bool overlapping, const char *body)
{
    static int to[GROUPS * 1024];
    const loaded k = compile(name, blocks, body);
    if (!k.found || runs(&k, to, overlapping) == right) return;
    printf("FAILED %s: %s\n", name, right ? "an error where there is none" : "no error was found");
    ++failed;
}

static void expect_numbers(const char *name, int blocks, const char *body, int (*number)(int place))
{
    static int to[GROUPS * 1024];
    const loaded k = compile(name, blocks, body);
    const bool ran = k.found && runs(&k, to, false);
    int wrong = 0;
    for (int i = 0; i < GROUPS * LANES * blocks; ++i) wrong += to[i] != number(i);
    if (ran && !wrong) return;
    printf("FAILED %s: %d elements wrong\n", name, wrong);
    ++failed;
}

#define PLACE "const int lane = threadIdx.x, place = blockIdx.x * 64 + lane;\n"

static int mirrored(int place) { return place ^ 63; }
static int neighbour(int place) { return place ^ 5; }
static int lower(int place) { return place % 32 < 3 ? place : place - 3; }
static int of_next_block(int place) { return place / 128 * 128 + (place + 64) % 128; }

static void check_right(void)
{
    expect_numbers("shuffle_xor", 1, PLACE "a.to[place] = __shfl_xor_sync(~0u, place, 5);", neighbour);
    expect_numbers("shuffle_up", 1, PLACE "a.to[place] = __shfl_up_sync(~0u, place, 3);", lower);
    expect_numbers("shared", 1, PLACE "__shared__ int all[64]; all[lane] = place; __syncthreads(); a.to[place] = all[63 - lane];", mirrored);
    expect_numbers("cluster", 2,
        PLACE "__shared__ float other[64];\n"
        "ptx_cluster_arrive(); ptx_cluster_wait();\n"
        "ptx_put_remote(&other[lane], (float)place, 1 - ptx_cluster_rank());\n"
        "ptx_cluster_arrive(); ptx_cluster_wait();\n"
        "a.to[place] = (int)other[lane];", of_next_block);
    expect(true, "halves_of_a_warp", 1, false, PLACE "if (lane % 32 < 16) a.to[place] = __shfl_xor_sync(0xffff, lane, 8);");
    expect(true, "waits_for_launch", 1, true, PLACE "ptx_launch_wait(); a.to[place] = 1;");
}

static void check_wrong(void)
{
    expect(false, "deadlock", 1, false, PLACE "if (lane < 32) __syncthreads();");
    expect(false, "different_barriers", 1, false, PLACE "if (lane < 32) __syncthreads(); else __syncwarp();");
    expect(false, "absent_lane", 1, false, PLACE "if (lane != 3) a.to[place] = __shfl_xor_sync(~0u, lane, 1);");
    expect(false, "wrong_mask", 1, false, PLACE "a.to[place] = __shfl_xor_sync(0xffff, lane, 1);");
    expect(false, "reads_beyond_mask", 1, false, PLACE "a.to[place] = __shfl_xor_sync(lane % 32 < 16 ? 0xffffu : 0xffff0000u, lane, 16);");
    expect(false, "no_barrier", 1, false, PLACE "__shared__ int all[64]; all[lane] = place; a.to[place] = all[63 - lane];");
    expect(false, "left_by_another_block", 1, false, PLACE "__shared__ int all[64]; if (!blockIdx.x) all[lane] = 1; __syncthreads(); a.to[place] = all[lane];");
    expect(false, "misaligned", 1, false, PLACE "struct alignas(16) four { int e[4]; }; *(four *)(a.to + place / 4 * 4 + 1) = four{};");
    expect(false, "misaligned_read", 1, false, PLACE "unsigned w[4]; ptx_read(w, a.to + 1); a.to[place] = (int)w[0];");
    expect(false, "beyond_shared", 1, false, PLACE "__shared__ int all[64]; all[lane + groups / 16] = 1;");
    expect(false, "cluster_not_begun", 2, false, PLACE "__shared__ float other[64]; ptx_put_remote(&other[lane], 1.0f, 1 - ptx_cluster_rank());");
    expect(false, "cluster_ended", 2, false,
        PLACE "__shared__ float other[64]; ptx_cluster_arrive(); ptx_cluster_wait(); if (ptx_cluster_rank()) ptx_put_remote(&other[lane], 1.0f, 0);");
    expect(false, "cluster_arrives_only", 2, false, "ptx_cluster_arrive();");
    expect(false, "does_not_wait_for_launch", 1, true, PLACE "a.to[place] = 1;");
    expect(false, "assertion", 1, false, PLACE "if (lane == 9) __assertfail(\"lane != 9\", \"\", 0, \"\", 1);");
}

int main(void)
{
    const char *why = NULL;
    cuda_context context;
    const cuda_driver *const driver = carat_cuda_driver(&why);
    const char *const compiler = driver ? carat_cuda_compiler(&why) : NULL;
    if (!compiler || strncmp(compiler, "nvrtc 99.", 9) != 0) return printf("skipped: %s\n", why ? why : compiler), SKIPPED;
    if (driver->primary_context(&context, 0) || driver->context_set(context)) return 2;
    check_right();
    check_wrong();
    printf("%d failed\n", failed);
    return failed != 0;
}

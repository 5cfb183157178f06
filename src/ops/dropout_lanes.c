// SPDX-License-Identifier: Apache-2.0
// Dropout in groups of many lanes (kernels/dropout_lanes.k.c), with the numbers that ATen draws from the device's generator: as many
// sequences as its launch has threads, blocks of 256 of them, as many as the device holds at a time.
#include "ops/random.h"

#include "core/tensor.h"
#include "jit/jit.h"
#include "ops/lanes.h"
#include "ops/list_lanes.h"
#include "dropout_lanes_args.h"

enum { LANES = 128, KEEP = 1, BLOCK = 256, NUMBERS = 4 };

static carat_key make_key(carat_dtype dtype)
{
    return (carat_key){ .family = CARAT_FAMILY_random, .dtypes = { (uint8_t)dtype } };
}

void carat_random_describe_lanes(const carat_key *key, carat_defines *defines)
{
    const carat_dtype dtype = (carat_dtype)key->dtypes[0];
    carat_define(defines, "T", "%s", carat_dtype_name(dtype));
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", KEEP);
    carat_define(defines, "VEC", "%d", (int)carat_list_vector(dtype));
}

void carat_random_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype) {
        const carat_key key = make_key(dtype);
        if (carat_dtype_in(dtype, RANDOM_SINGLES)) emit(arg, &key);
    }
}

// The words whose number, a float between 0 and 1 that grows with the word, is below p.
static uint32_t threshold_of(float p)
{
    uint64_t low = 0, high = (uint64_t)1 << 32;
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if ((float)(uint32_t)middle * 0x1p-32f + 0x1p-33f < p) low = middle + 1;
        else high = middle;
    }
    return (uint32_t)low;
}

static carat_status check(const carat_frame *call, const carat_tensor *input, int64_t numel, double p)
{
    enum { MOST = 1 << 30 };
    const carat_dtype dtype = carat_dtype_of(input);
    if (!carat_dtype_in(dtype, RANDOM_SINGLES)) return carat_step_aside("dtype");
    if (!(p > 0 && p <= 1)) return carat_step_aside("probability");
    if (!carat_is_dense(input)) return carat_step_aside("layout"); // ATen deals single elements then
    if (numel == 0 || numel > MOST || numel % carat_list_vector(dtype) || (uintptr_t)carat_data(input) % CARAT_LIST_VECTOR)
        return carat_step_aside("no whole vectors");
    // Of a capture PyTorch writes the graph's seed and offset by itself, before each replay: ATen's kernel reads them.
    if (call->backend->may_load && !call->backend->may_load(call->device)) return carat_step_aside("captured into a graph");
    const carat_key key = make_key(dtype);
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, &key, &kernel);
}

carat_status carat_random_dropout_lanes(carat_frame *call, const carat_tensor *input, double p)
{
    const int64_t numel = carat_numel(input), most = call->backend->resident_lanes ? call->backend->resident_lanes(call->device) / BLOCK : 0;
    if (!most) return carat_step_aside("unknown number of lanes");
    CARAT_TRY(check(call, input, numel, p));
    const carat_dtype dtype = carat_dtype_of(input);
    const int64_t blocks = (numel + BLOCK - 1) / BLOCK, streams = BLOCK * (blocks < most ? blocks : most);
    carat_philox philox;
    CARAT_TRY(carat_take_philox(call, call->nargs, (uint64_t)(((numel - 1) / (streams * NUMBERS) + 1) * NUMBERS), &philox));
    const carat_key key = make_key(dtype);
    carat_output out, mask;
    int64_t strides[CARAT_MAX_DIMS];
    carat_like_strides(input, strides);
    CARAT_TRY(carat_output_make(call, 0, dtype, input->ndim, input->shape, strides, &out));
    CARAT_TRY(carat_output_make(call, 1, CARAT_b8, input->ndim, input->shape, strides, &mask));
    dropout_lanes_args a = { .x = carat_data(input), .out = carat_data(&out.view), .mask = carat_data(&mask.view), .seed = philox.seed,
                             .offset = philox.offset,
                             .count = (u64)(numel / carat_list_vector(dtype)), .streams = (u32)streams,
                             .threshold = threshold_of((float)p), .scale = 1 / (float)p };
    carat_lanes_divisor(a.streams, &a.magic, &a.shift);
    return carat_run_kernel(call, &key, &a, sizeof a, ((int64_t)a.count + LANES * KEEP - 1) / (LANES * KEEP), 1);
}

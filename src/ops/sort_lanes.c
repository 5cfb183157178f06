// SPDX-License-Identifier: Apache-2.0
// The first k of rows in groups of many lanes (kernels/sort_lanes.k.c); everything else of the family is ATen's there.
#include "ops/sort.h"

#include "core/integer.h"
#include "core/kernel_types.h"
#include "jit/jit.h"
#include "ops/lanes.h"
#include "sort_lanes_args.h"

enum {
    LEAST_LANES = 4,
    MOST_LANES = 32,  // that exchange keys
    USUAL_KEEP = 8,   // elements a lane: more lanes than that needs only spend more on each round
    MOST_KEEP = 32,
    CHUNK = MOST_LANES * MOST_KEEP,
    MOST_SLOTS = 2,
    MOST_STAGES = 3,
};
enum { KEY_LANES, KEY_KEEP, KEY_SLOTS }; // key.params, the first two as logarithms

static carat_key make_key(carat_dtype dtype, int lanes, int keep, int slots)
{
    carat_key key = { .family = CARAT_FAMILY_sort };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[KEY_LANES] = (uint8_t)lanes;
    key.params[KEY_KEEP] = (uint8_t)keep;
    key.params[KEY_SLOTS] = (uint8_t)slots;
    return key;
}

void carat_topk_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "LANES", "%d", 1 << key->params[KEY_LANES]);
    carat_define(defines, "KEEP", "%d", 1 << key->params[KEY_KEEP]);
    carat_define(defines, "SLOTS", "%d", key->params[KEY_SLOTS]);
}

void carat_topk_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const carat_dtype dtypes[] = { CARAT_f32, CARAT_bf16, CARAT_f16 };
    for (int d = 0; d < 3; ++d)
        for (int lanes = log2_ceil(LEAST_LANES); lanes <= log2_ceil(MOST_LANES); ++lanes) {
            const bool most = lanes == log2_ceil(MOST_LANES);
            for (int keep = 0; keep <= log2_ceil(most ? MOST_KEEP : USUAL_KEEP); ++keep)
                for (int slots = 1; slots <= (most ? MOST_SLOTS : 1); ++slots) {
                    const carat_key key = make_key(dtypes[d], lanes, keep, slots);
                    emit(arg, &key);
                }
        }
}

// A launch takes the first `kept` of each chunk of rows.
typedef struct stage {
    carat_key key;
    int64_t chunks;
} stage;

static stage make_stage(carat_dtype dtype, int64_t length, int64_t kept)
{
    const int64_t enough = larger(larger(pieces(length, USUAL_KEEP), kept), LEAST_LANES);
    const int lanes = log2_ceil(smaller(enough, MOST_LANES)), keep = log2_ceil(pieces(smaller(length, CHUNK), INT64_C(1) << lanes));
    return (stage){ make_key(dtype, lanes, keep, (int)pieces(kept, MOST_LANES)), pieces(length, CHUNK) };
}

// The stages until one chunk is left; what they find on the way goes to two blocks of memory in turn.
static carat_status run_stages(const carat_frame *call, const stage *stages, sort_lanes_args a, int64_t rows, void *values, i64 *indices, size_t bytes)
{
    const int64_t most = rows * stages[0].chunks * a.kept;
    void *found[2] = { NULL, NULL };
    carat_status status = CARAT_OK;
    for (int s = 0; status == CARAT_OK; ++s) {
        const bool last = stages[s].chunks == 1;
        if (!last && s < 2 && !(found[s] = carat_scratch_alloc(call, (size_t)most * (bytes + sizeof(i64))))) {
            status = carat_step_aside("no memory for candidates");
            break;
        }
        a.indices = last ? indices : found[s % 2];
        a.values = last ? values : (void *)(a.indices + most);
        a.chunks = (uint32_t)stages[s].chunks;
        status = carat_run_kernel(call, &stages[s].key, &a, sizeof a, rows * stages[s].chunks, 1);
        if (last) break;
        a.in = a.values;
        a.place = a.indices;
        a.length = a.chunks * a.kept;
        a.row_stride = a.length;
    }
    for (int i = 0; i < 2; ++i) carat_scratch_free(call, found[i]);
    return status;
}

static carat_status check_outputs(const carat_frame *call, const carat_tensor *self, const int64_t *shape)
{
    for (int i = 0; i < 2; ++i) {
        const carat_tensor *given = carat_output_given(call, i);
        CARAT_TRY(carat_output_check(call, i, i ? CARAT_i64 : carat_dtype_of(self), self->ndim, shape));
        if (given && (!carat_is_contiguous(given) || carat_overlap_of(given, self) != CARAT_DISJOINT)) return carat_step_aside("layout of out");
    }
    return CARAT_OK;
}

carat_status carat_topk_run_lanes(carat_frame *call, const carat_tensor *self, int dim, int64_t kept, bool largest)
{
    sort_lanes_args a = { .largest = largest, .kept = (uint32_t)kept };
    int64_t rows, cols, shape[CARAT_MAX_DIMS];
    carat_output values, indices;
    carat_kernel kernel;
    const carat_dtype dtype = carat_dtype_of(self);
    if (carat_dtype_size(dtype) > 4) return carat_step_aside("dtype");
    if (carat_numel(self) == 0 || dim != self->ndim - 1 || !carat_lanes_rows(self, dim, &rows, &cols, &a.row_stride)) return carat_step_aside("layout");
    if (kept > MOST_LANES || cols > CHUNK) return carat_step_aside("long rows");
    if (kept > MOST_LANES * MOST_SLOTS || rows * pieces(cols, CHUNK) > INT32_MAX) return carat_step_aside("many of a row");
    for (int d = 0; d < self->ndim; ++d) shape[d] = d == dim ? kept : self->shape[d];
    CARAT_TRY(check_outputs(call, self, shape));
    stage stages[MOST_STAGES];
    int64_t length = cols;
    for (int s = 0; ; ++s) {
        if (s == MOST_STAGES) return carat_step_aside("long rows");
        stages[s] = make_stage(dtype, length, kept);
        CARAT_TRY(carat_kernel_get(call->backend, call->device, &stages[s].key, &kernel));
        if (stages[s].chunks == 1) break;
        length = stages[s].chunks * kept;
    }
    CARAT_TRY(carat_output_make(call, 0, dtype, self->ndim, shape, NULL, &values));
    CARAT_TRY(carat_output_make(call, 1, CARAT_i64, self->ndim, shape, NULL, &indices));
    a.in = carat_data(self);
    a.length = (uint32_t)cols;
    return run_stages(call, stages, a, rows, carat_data(&values.view), carat_data(&indices.view), carat_dtype_size(dtype));
}

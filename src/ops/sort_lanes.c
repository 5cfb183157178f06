// SPDX-License-Identifier: Apache-2.0
// The first k of short rows in groups of many lanes (kernels/sort_lanes.k.c); everything else of the family is ATen's there.
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
};
enum { KEY_LANES, KEY_KEEP }; // key.params, as logarithms

static carat_key make_key(carat_dtype dtype, int lanes, int keep)
{
    carat_key key = { .family = CARAT_FAMILY_sort };
    key.dtypes[0] = (uint8_t)dtype;
    key.params[KEY_LANES] = (uint8_t)lanes;
    key.params[KEY_KEEP] = (uint8_t)keep;
    return key;
}

void carat_topk_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "LANES", "%d", 1 << key->params[KEY_LANES]);
    carat_define(defines, "KEEP", "%d", 1 << key->params[KEY_KEEP]);
}

void carat_topk_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    static const carat_dtype dtypes[] = { CARAT_f32, CARAT_bf16, CARAT_f16 };
    for (int d = 0; d < 3; ++d)
        for (int lanes = log2_ceil(LEAST_LANES); lanes <= log2_ceil(MOST_LANES); ++lanes)
            for (int keep = 0; keep <= log2_ceil(lanes == log2_ceil(MOST_LANES) ? MOST_KEEP : USUAL_KEEP); ++keep) {
                const carat_key key = make_key(dtypes[d], lanes, keep);
                emit(arg, &key);
            }
}

carat_status carat_topk_run_lanes(carat_frame *call, const carat_tensor *self, int dim, int64_t kept, bool largest)
{
    sort_lanes_args a = { .largest = largest };
    int64_t cols, shape[CARAT_MAX_DIMS];
    carat_output values, indices;
    const carat_dtype dtype = carat_dtype_of(self);
    if (carat_dtype_size(dtype) > 4) return carat_step_aside("dtype");
    if (carat_numel(self) == 0 || dim != self->ndim - 1 || !carat_lanes_rows(self, dim, &a.rows, &cols, &a.row_stride))
        return carat_step_aside("layout");
    if (cols > MOST_LANES * MOST_KEEP || kept > MOST_LANES) return carat_step_aside("long rows");
    for (int d = 0; d < self->ndim; ++d) shape[d] = d == dim ? kept : self->shape[d];
    for (int i = 0; i < 2; ++i) {
        CARAT_TRY(carat_output_check(call, i, i ? CARAT_i64 : dtype, self->ndim, shape));
        const carat_tensor *given = carat_output_given(call, i);
        if (given && (!carat_is_contiguous(given) || carat_overlap_of(given, self) != CARAT_DISJOINT)) return carat_step_aside("layout of out");
    }
    int lanes = log2_ceil(larger(larger(pieces(cols, USUAL_KEEP), kept), LEAST_LANES));
    if (lanes > log2_ceil(MOST_LANES)) lanes = log2_ceil(MOST_LANES);
    const carat_key key = make_key(dtype, lanes, log2_ceil(pieces(cols, INT64_C(1) << lanes)));
    carat_kernel kernel;
    CARAT_TRY(carat_kernel_get(call->backend, call->device, &key, &kernel));
    CARAT_TRY(carat_output_make(call, 0, dtype, self->ndim, shape, NULL, &values));
    CARAT_TRY(carat_output_make(call, 1, CARAT_i64, self->ndim, shape, NULL, &indices));
    a.in = carat_data(self);
    a.values = carat_data(&values.view);
    a.indices = carat_data(&indices.view);
    a.length = (uint32_t)cols;
    a.kept = (uint32_t)kept;
    return carat_run_kernel(call, &key, &a, sizeof a, a.rows, 1);
}

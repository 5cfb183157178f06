// SPDX-License-Identifier: Apache-2.0
// Reduced losses of an input and a target in groups of many lanes (kernels/pair_loss_lanes.k.c).
#include "ops/pair_loss.h"

#include "core/integer.h"
#include "jit/jit.h"

// key.row is a forward row, key.dtypes[0] the element type; params: the part, whether vectors are read.
enum { KEY_PART, KEY_VECTORS };
typedef enum part { SUM, FINISH, PART_COUNT } part;

enum { LANES = 512, KEEP = 2, MOST_GROUPS = 2048 };

static int vector_of(carat_dtype dtype, bool vectors)
{
    return vectors ? (int)carat_list_vector(dtype) : 1;
}

void carat_pair_loss_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "PART", "%s", key->params[KEY_PART] == SUM ? "sum" : "finish");
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", KEEP);
    carat_define(defines, "VEC", "%d", vector_of((carat_dtype)key->dtypes[0], key->params[KEY_VECTORS]));
}

static carat_key make_key(int row, carat_dtype dtype, part of, bool vectors)
{
    carat_key key = { .family = CARAT_FAMILY_pair_loss, .row = (uint16_t)row, .dtypes = { (uint8_t)dtype } };
    key.params[KEY_PART] = (uint8_t)of;
    key.params[KEY_VECTORS] = vectors;
    return key;
}

void carat_pair_loss_enumerate_lanes(int rows, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < rows; ++row)
        for (carat_dtype dtype = 0; dtype < CARAT_DTYPE_COUNT; ++dtype)
            for (int kind = 0; kind < 3; ++kind) {
                const carat_key key = make_key(row, dtype, kind == 2 ? FINISH : SUM, kind == 1);
                if (!carat_pair_loss_row_at(row)->backward && carat_is_float(dtype)) emit(arg, &key);
            }
}

static carat_status find(const carat_frame *call, const carat_key *key)
{
    carat_kernel kernel;
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

// Groups by the number of elements alone, so that results are the same every time.
static void cut(pair_loss_args *a, carat_dtype dtype)
{
    const int64_t step = LANES * KEEP * carat_list_vector(dtype), steps = pieces(a->count, step);
    a->share = pieces(steps, steps < MOST_GROUPS ? steps : MOST_GROUPS) * step;
    a->groups = pieces(a->count, a->share);
}

static bool aligned(const void *data)
{
    return (uintptr_t)data % CARAT_LIST_VECTOR == 0;
}

carat_status carat_pair_loss_reduce_lanes(carat_frame *call, const carat_pair_loss *r, pair_loss_args *a)
{
    if (!carat_pair_loss_as_they_lie(r)) return carat_step_aside("operands of different layouts");
    a->x = carat_data(r->x);
    a->y = carat_data(r->y);
    a->z = r->weight ? carat_data(r->weight) : a->x;
    const int row = (int)(r->row - carat_pair_loss_row_at(0));
    const carat_key sum = make_key(row, r->dtype, SUM, aligned(a->x) && aligned(a->y) && aligned(a->z));
    const carat_key finish = make_key(row, r->dtype, FINISH, false);
    carat_output out;
    cut(a, r->dtype);
    CARAT_TRY(find(call, &sum));
    if (a->groups > 1) CARAT_TRY(find(call, &finish));
    if (a->groups > 1) a->sums = carat_scratch_alloc(call, (size_t)a->groups * sizeof *a->sums);
    if (a->groups > 1 && !a->sums) return carat_step_aside("no memory for partial sums");
    carat_status status = carat_output_make(call, 0, r->dtype, 0, NULL, NULL, &out);
    if (status == CARAT_OK) {
        a->out = carat_data(&out.view);
        status = carat_run_kernel(call, &sum, a, sizeof *a, a->groups, 1);
    }
    if (status == CARAT_OK && a->groups > 1) status = carat_run_kernel_after(call, &finish, a, sizeof *a, 1, 1);
    carat_scratch_free(call, a->sums);
    return status;
}

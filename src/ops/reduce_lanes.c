// SPDX-License-Identifier: Apache-2.0
// From kept and reduced dimensions to launches of groups of many lanes: how wide the vectors and along which space, which lanes
// share an output, and into how many parts the reduced space is cut.
#include "ops/reduce_lanes.h"

#include "core/integer.h"
#include "core/kernel_types.h"
#include "ops/lanes.h"

#include <string.h>

_Static_assert(sizeof(reduce_lanes_args) < 4096, "arguments of a kernel on a device");

enum {
    VECTOR_BYTES = 16,
    LANES = 256,
    LANES_LOG2 = 8,
    WARP_LOG2 = 5,            // lanes that exchange values without a barrier
    LEAST_ACROSS_LOG2 = 3,    // lanes side by side on columns: 128 bytes of a row
    ENOUGH_LANES = 1 << 18,   // on all multiprocessors together
    ENOUGH_GROUPS = 1024,     // with fewer, long reductions are cut into parts,
    USUAL_GROUPS = 2048,      // so many groups in all,
    LEAST_STEPS = 4,          // of a lane at least so many steps long,
    PARTS_HELD = 8,           // so many of which a lane joins
    STEPS_WORTH_PARTS = 8,    // fewer are done before a second launch would begin
    MOST_STEPS = 1 << 15,     // elements that a lane adds up in its narrow type
    LARGEST_COUNT = 0x7fff0000,
};

enum { ROWS, COLUMNS, COMBINE, PART_COUNT };
enum { KEY_PART, KEY_VECTOR, KEY_RANK }; // key.params; the vector as a logarithm

// Vectors that a lane reads at a time: 64 bytes of whole vectors, more of shorter ones.
static int vectors_held(int64_t vec, size_t bytes)
{
    return vec * (int64_t)bytes >= VECTOR_BYTES ? 4 : 8;
}

// ---- spaces

bool carat_lanes_fill_space(lanes_space *s, const carat_reduce_dims *dims, int64_t vec)
{
    int64_t count = 1;
    memset(s, 0, sizeof *s);
    for (int d = dims->rank; d < LANES_SPACE_RANK; ++d) s->size[d] = s->magic[d] = 1;
    for (int d = 0; d < dims->rank; ++d) {
        const int64_t size = d ? dims->size[d] : dims->size[0] / vec;
        if (size > LARGEST_COUNT / count) return false;
        count *= size;
        s->size[d] = (uint32_t)size;
        carat_lanes_divisor(s->size[d], &s->magic[d], &s->shift[d]);
        s->in[d] = dims->in[d] * (d ? 1 : vec);
        s->out[d] = dims->out[d] * (d ? 1 : vec);
    }
    s->rank = (uint32_t)larger(dims->rank, 1);
    s->count = (uint32_t)count;
    return true;
}

static int64_t outputs_of(const carat_reduce_dims *kept)
{
    int64_t count = 1;
    for (int d = 0; d < kept->rank; ++d) count *= kept->size[d];
    return count;
}

static bool strides_divide(const carat_reduce_dims *dims, int first, int64_t vec)
{
    for (int d = first; d < dims->rank; ++d)
        if (dims->in[d] % vec) return false;
    return true;
}

// The longest vectors along dimension 0 of `along` in which all may be read; `ragged`: some elements may be left over.
static int64_t choose_vector(const carat_reduction *r, const carat_reduce_dims *along, const carat_reduce_dims *other, bool ragged)
{
    const int64_t bytes = (int64_t)carat_dtype_size(carat_dtype_of(r->in));
    int64_t vec = larger(VECTOR_BYTES / bytes, 1);
    if (!along->rank || along->in[0] != 1) return 1;
    for (; vec > 1; vec /= 2)
        if ((ragged ? along->size[0] >= vec : along->size[0] % vec == 0) && strides_divide(along, 1, vec) && strides_divide(other, 0, vec)
            && (int64_t)(uintptr_t)carat_data(r->in) % (vec * bytes) == 0)
            break;
    return vec;
}

// ---- who does what

// Cuts the reduced space where `tiles` groups of lanes that take `down` units at a time are too few, or have too much to add up.
static void cut_parts(carat_reduce_lanes *plan, int64_t tiles, int64_t down, int64_t held)
{
    reduce_lanes_args *const a = &plan->args;
    const int64_t reach = a->reduced.count, steps = reach / (down * held);
    int64_t parts = larger(pieces(reach, down * MOST_STEPS), 1);
    if (tiles < ENOUGH_GROUPS && steps >= STEPS_WORTH_PARTS) parts = larger(parts, smaller(USUAL_GROUPS / tiles, steps / LEAST_STEPS));
    const int64_t unit = down * held;
    a->share = (uint32_t)(parts > 1 ? pieces(pieces(reach, parts), unit) * unit : reach);
    a->parts = (uint32_t)pieces(reach, a->share);
    plan->groups = tiles * a->parts;
}

static void plan_rows(carat_reduce_lanes *plan, int64_t held)
{
    reduce_lanes_args *const a = &plan->args;
    const int64_t rows = a->kept.count, reach = a->reduced.count;
    int log = (int)smaller(log2_ceil(pieces(reach, held)), WARP_LOG2);
    if (a->rest) log = WARP_LOG2; // each lane may take an element beyond the last vector
    while (log < LANES_LOG2 && rows << log < ENOUGH_LANES && reach > held << log) ++log;
    plan->part = ROWS;
    a->lanes_log2 = (uint32_t)log;
    cut_parts(plan, pieces(rows, LANES >> log), INT64_C(1) << log, held);
}

static void plan_columns(carat_reduce_lanes *plan, int64_t held)
{
    reduce_lanes_args *const a = &plan->args;
    const int64_t units = a->kept.count, reach = a->reduced.count;
    int across = LANES_LOG2;
    while (across > WARP_LOG2 && pieces(units, INT64_C(1) << across) < USUAL_GROUPS && reach > held << (LANES_LOG2 - across)) --across;
    while (across > 0 && units <= INT64_C(1) << (across - 1)) --across;
    // Narrower tiles of columns are better than a second launch, where there isn't much to read.
    while (across > LEAST_ACROSS_LOG2 && pieces(units, INT64_C(1) << across) < ENOUGH_GROUPS
           && reach > held << (LANES_LOG2 - across) && reach <= (held * STEPS_WORTH_PARTS) << (LANES_LOG2 - LEAST_ACROSS_LOG2))
        --across;
    plan->part = COLUMNS;
    a->lanes_log2 = (uint32_t)across;
    cut_parts(plan, pieces(units, INT64_C(1) << across), LANES >> across, held);
}

carat_status carat_reduce_lanes_plan(const carat_reduction *reduction, const carat_tensor *out, bool ordered, carat_reduce_lanes *plan)
{
    carat_reduce_dims reduced;
    memset(&plan->args, 0, sizeof plan->args);
    carat_reduce_split(reduction, out, ordered, &plan->kept, &reduced);
    const carat_reduce_dims *const kept = &plan->kept;
    if (kept->rank > LANES_SPACE_RANK || reduced.rank > LANES_SPACE_RANK) return carat_step_aside("rank");
    reduce_lanes_args *const a = &plan->args;
    const size_t bytes = carat_dtype_size(carat_dtype_of(reduction->in));
    const bool columns = kept->rank && (!reduced.rank || kept->in[0] < reduced.in[0]);
    const carat_reduce_dims *const along = columns ? kept : &reduced;
    int64_t vec = choose_vector(reduction, along, columns ? &reduced : kept, !columns && reduced.rank == 1);
    // Of a row of a few vectors nothing is left over.
    while (!columns && vec > 1 && along->size[0] % vec && along->size[0] / vec <= 1 << WARP_LOG2) vec /= 2;
    if (!carat_lanes_fill_space(&a->kept, kept, columns ? vec : 1) || !carat_lanes_fill_space(&a->reduced, &reduced, columns ? 1 : vec))
        return carat_step_aside("more than 2^31 elements");
    a->in = carat_data(reduction->in);
    a->out = carat_data(out);
    a->outputs = (uint64_t)outputs_of(kept);
    a->out_step = kept->rank ? kept->out[0] : 0;
    a->rest = columns || !reduced.rank ? 0 : (uint32_t)(reduced.size[0] % vec);
    plan->vector = log2_ceil(vec);
    plan->rank = reduced.rank <= 1 ? 1 : reduced.rank == 2 ? 2 : LANES_SPACE_RANK;
    if (columns) plan_columns(plan, vectors_held(vec, bytes));
    else plan_rows(plan, vectors_held(vec, bytes));
    return a->parts > 1 && a->outputs > LARGEST_COUNT ? carat_step_aside("more than 2^31 elements") : CARAT_OK;
}

// ---- running

static void set_params(carat_key *key, const carat_reduce_lanes *plan)
{
    key->params[KEY_PART] = (uint8_t)plan->part;
    key->params[KEY_VECTOR] = (uint8_t)plan->vector;
    key->params[KEY_RANK] = (uint8_t)plan->rank;
}

// The second launch.
static void plan_combining(carat_reduce_lanes *plan)
{
    reduce_lanes_args *const a = &plan->args;
    carat_lanes_fill_space(&a->kept, &plan->kept, 1); // as large as before, in elements
    a->in = a->partial;
    a->partial = NULL;
    a->lanes_log2 = (uint32_t)smaller(log2_ceil(a->kept.count), WARP_LOG2);
    while (a->lanes_log2 > 0 && a->parts > (uint32_t)(PARTS_HELD * LANES) >> a->lanes_log2) --a->lanes_log2;
    plan->part = COMBINE;
    plan->vector = 0;
    plan->rank = 1;
    plan->groups = pieces(a->kept.count, INT64_C(1) << a->lanes_log2);
}

carat_status carat_reduce_lanes_run(const carat_frame *call, carat_key key, carat_reduce_lanes *plan, size_t joined_bytes)
{
    reduce_lanes_args *const a = &plan->args;
    set_params(&key, plan);
    if (a->parts == 1) return carat_run_kernel(call, &key, a, sizeof *a, plan->groups, 1);
    void *const scratch = carat_scratch_alloc(call, a->outputs * a->parts * joined_bytes);
    if (!scratch) return carat_step_aside("no memory for partial results");
    a->partial = scratch;
    carat_status status = carat_run_kernel(call, &key, a, sizeof *a, plan->groups, 1);
    plan_combining(plan);
    set_params(&key, plan);
    if (status == CARAT_OK) status = carat_run_kernel_after(call, &key, a, sizeof *a, plan->groups, 1);
    carat_scratch_free(call, scratch);
    return status;
}

// ---- keys

void carat_reduce_lanes_define(const carat_key *key, size_t bytes, carat_defines *defines)
{
    static const char *const parts[PART_COUNT] = { "rows", "columns", "combine" };
    const int64_t vec = INT64_C(1) << key->params[KEY_VECTOR];
    carat_define(defines, "PART", "%s", parts[key->params[KEY_PART]]);
    carat_define(defines, "IN_ROWS", "%d", key->params[KEY_PART] != COLUMNS);
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", vectors_held(vec, bytes));
    carat_define(defines, "VEC", "%d", (int)vec);
    carat_define(defines, "RANK", "%d", key->params[KEY_RANK]);
}

void carat_reduce_lanes_enumerate(carat_key key, size_t bytes, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    const int widest = log2_ceil(larger(VECTOR_BYTES / (int64_t)bytes, 1));
    for (int part = 0; part < PART_COUNT; ++part)
        for (int vector = 0; vector <= widest; vector += larger(widest, 1))
            for (int rank = 1; rank <= (part == COMBINE ? 1 : 2); ++rank) {
                if (part == COMBINE && vector) continue;
                key.params[KEY_PART] = (uint8_t)part;
                key.params[KEY_VECTOR] = (uint8_t)vector;
                key.params[KEY_RANK] = (uint8_t)rank;
                emit(arg, &key);
            }
}

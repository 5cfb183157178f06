// SPDX-License-Identifier: Apache-2.0
// Joined rows in groups of many lanes (kernels/move_lanes.k.c).
#include "core/integer.h"
#include "ops/lanes.h"
#include "ops/move.h"
#include "move_lanes_args.h"

#include <string.h>

_Static_assert(sizeof(move_lanes_args) < 4096, "arguments of a kernel on a device");

enum {
    LANES = 128,
    KEEP = 4,
    RANK_KEY = 1,    // key.params[RANK_KEY]
    NARROW = 512,    // bytes of a row's part below which parts should be written together
};

static carat_key make_key(carat_dtype word, int rank)
{
    carat_key key = { .family = CARAT_FAMILY_move };
    key.dtypes[0] = (uint8_t)word;
    key.params[RANK_KEY] = (uint8_t)rank;
    return key;
}

void carat_move_describe_lanes(const carat_key *key, carat_defines *defines)
{
    carat_define(defines, "T", "%s", carat_dtype_name((carat_dtype)key->dtypes[0]));
    carat_define(defines, "RANK", "%d", key->params[RANK_KEY]);
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", KEEP);
}

void carat_move_enumerate_lanes(void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int w = 0; w < CARAT_RAW_DTYPE_COUNT; ++w)
        for (int rank = 1; rank <= MOVE_RANK; rank += MOVE_RANK - 1) {
            const carat_key key = make_key(carat_raw_dtypes[w], rank);
            emit(arg, &key);
        }
}

static bool fill_part(move_lanes_part *to, const move_part *from, int64_t rows)
{
    to->data = from->data;
    to->at = from->at;
    memcpy(to->stride, from->stride, sizeof to->stride);
    if (from->width == 0 || rows > INT32_MAX / from->width) return false;
    to->width = (uint32_t)from->width;
    to->count = (uint32_t)(from->width * rows);
    carat_lanes_divisor(to->width, &to->magic, &to->shift);
    return true;
}

carat_status carat_move_launch_lanes(const carat_frame *call, const move_args *a, carat_dtype word)
{
    move_lanes_args b;
    int64_t groups = 0;
    b.out = a->out;
    b.row_width = a->row_width;
    b.parts = 0;
    b.rank = (uint32_t)a->rank;
    for (int i = 0; i < 2; ++i) memcpy(&b.fill[i], &a->fill, sizeof a->fill);
    b.alternate = 1;
    for (int d = 0; d < MOVE_RANK; ++d) {
        b.size[d] = d < a->rank ? (uint32_t)a->size[d] : 1;
        carat_lanes_divisor(b.size[d], &b.magic[d], &b.shift[d]);
    }
    for (int p = 0; p < a->parts; ++p) {
        move_lanes_part *const part = &b.part[b.parts];
        if (a->part[p].width == 0) continue;
        if (!fill_part(part, &a->part[p], a->rows)) return carat_step_aside("more than 2^31 words");
        part->first_group = (uint32_t)groups;
        groups += pieces(part->count, LANES * KEEP);
        b.alternate &= part->count == b.part[0].count && part->width < NARROW / carat_dtype_size(word);
        ++b.parts;
    }
    const carat_key key = make_key(word, a->rank > 1 ? MOVE_RANK : 1);
    return carat_run_kernel(call, &key, &b, sizeof b, groups, 1);
}

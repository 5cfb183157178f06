// SPDX-License-Identifier: Apache-2.0
// Scans in groups of many lanes (kernels/scan_lanes.k.c): which dimension is consecutive, how wide the vectors, which lanes share
// a row or stand side by side on columns.
#include "ops/scan_lanes.h"

#include "core/integer.h"
#include "core/kernel_types.h"
#include "ops/reduce_lanes.h"
#include "scan_lanes_args.h"

#include <string.h>

enum {
    VECTOR_BYTES = 16,
    COLUMN_BYTES = 4,       // of a vector along columns: many lanes rather than wide ones
    LANES = 256,
    LANES_LOG2 = 8,
    WARP_LOG2 = 5,
    ENOUGH_LANES = 1 << 18, // on all multiprocessors together
    LONG_ROW = 1 << 13,     // rows beyond this are one group's work,
    ENOUGH_ROWS = 64,       // which so many must share in
};

enum { ROWS, COLUMNS, PART_COUNT };
enum { KEY_PART, KEY_VECTOR }; // key.params; the vector as a logarithm

// ---- keys

carat_dtype carat_scan_lanes_accumulator(const carat_scan_row *row, carat_dtype in)
{
    if (!carat_is_integral(in)) return carat_compute_dtype(in);
    return row->form == EXTREME && carat_dtype_size(in) < 8 ? CARAT_i32 : CARAT_i64;
}

// What is there before the first element.
static const char *identity(const carat_scan_row *row, carat_dtype acc)
{
    const bool max = row->combine[0] == '>';
    if (row->form == TOTALS) return strchr(row->combine, '*') ? "1" : "0";
    if (row->form == SELF) return "(-K_INFINITY)";
    if (acc == CARAT_i32) return max ? "(-2147483647 - 1)" : "2147483647";
    if (acc == CARAT_i64) return max ? "(-9223372036854775807 - 1)" : "9223372036854775807";
    return max ? "(-K_INFINITY)" : "K_INFINITY";
}

void carat_scan_lanes_define(const carat_key *key, const carat_scan_row *row, carat_dtype acc, carat_defines *defines)
{
    const bool columns = key->params[KEY_PART] == COLUMNS;
    carat_define(defines, "IDENTITY", "%s", identity(row, acc));
    carat_define(defines, "PART", "%s", columns ? "columns" : "rows");
    carat_define(defines, "LANES", "%d", LANES);
    carat_define(defines, "KEEP", "%d", columns ? (carat_dtype_size(acc) > 4 ? 8 : 16) : 4);
    carat_define(defines, "VEC", "%d", 1 << key->params[KEY_VECTOR]);
}

static int64_t widest_vector(int part, int64_t bytes)
{
    const int64_t room = part == COLUMNS ? COLUMN_BYTES : VECTOR_BYTES;
    return room > bytes ? room / bytes : 1;
}

void carat_scan_lanes_enumerate(carat_key key, size_t bytes, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int part = 0; part < PART_COUNT; ++part) {
        const int widest = log2_ceil(widest_vector(part, (int64_t)bytes));
        for (int vector = 0; vector <= widest; vector += widest > 0 ? widest : 1) {
            key.params[KEY_PART] = (uint8_t)part;
            key.params[KEY_VECTOR] = (uint8_t)vector;
            emit(arg, &key);
        }
    }
}

// ---- the plan

static bool aligned(const carat_tensor *tensor, int64_t vec)
{
    return (int64_t)(uintptr_t)carat_data(tensor) % (vec * (int64_t)carat_dtype_size(carat_dtype_of(tensor))) == 0;
}

static bool divides(const carat_reduce_dims *kept, int first, int64_t vec)
{
    for (int d = first; d < kept->rank; ++d)
        if (kept->in[d] % vec || kept->out[d] % vec) return false;
    return true;
}

// The longest vectors in which all may be read and written.
static int64_t choose_vector(const carat_tensor *in, const carat_tensor *out, const scan_lanes_args *a, const carat_reduce_dims *kept, int part)
{
    const int64_t in_bytes = (int64_t)carat_dtype_size(carat_dtype_of(in)), out_bytes = (int64_t)carat_dtype_size(carat_dtype_of(out));
    const bool columns = part == COLUMNS;
    const bool consecutive = columns ? kept->in[0] == 1 && kept->out[0] == 1 : a->in_step == 1 && a->out_step == 1;
    int64_t vec = consecutive ? widest_vector(part, in_bytes > out_bytes ? in_bytes : out_bytes) : 1;
    for (; vec > 1; vec /= 2) {
        const bool whole = columns ? kept->size[0] % vec == 0 && a->in_step % vec == 0 && a->out_step % vec == 0 : a->n % vec == 0;
        if (whole && divides(kept, columns, vec) && aligned(in, vec) && aligned(out, vec)) break;
    }
    return vec;
}

static int64_t share_lanes(scan_lanes_args *a, int part, int64_t vec)
{
    int log;
    if (part == COLUMNS) {
        log = WARP_LOG2;
        while (log > 0 && a->kept.count <= INT64_C(1) << (log - 1)) --log;
        a->lanes_log2 = (uint32_t)log;
        return pieces(a->kept.count, INT64_C(1) << log);
    }
    const int64_t units = a->n / vec, rows = a->kept.count;
    log = log2_ceil(units) < WARP_LOG2 ? log2_ceil(units) : WARP_LOG2;
    while (log < LANES_LOG2 && rows << log < ENOUGH_LANES && units > INT64_C(1) << log) ++log;
    a->lanes_log2 = (uint32_t)log;
    return pieces(rows, LANES >> log);
}

// Few rows leave most of a device idle; with small elements most of what an extreme along rows writes is places.
carat_status carat_scan_check_lanes(const carat_scan_row *row, const carat_tensor *in, int scanned)
{
    if (in->ndim == 0) return CARAT_OK;
    const int64_t n = in->shape[scanned];
    if (n > LONG_ROW && carat_numel(in) < ENOUGH_ROWS * n) return carat_step_aside("few long rows");
    if (row->form == EXTREME && in->strides[scanned] == 1 && carat_dtype_size(carat_dtype_of(in)) < 4)
        return carat_step_aside("extremes of small elements along rows");
    return CARAT_OK;
}

carat_status carat_scan_run_lanes(const carat_frame *call, const carat_key *key, const carat_tensor *in, const carat_tensor *out,
                                  void *second, int scanned)
{
    const carat_reduction space = { .in = in, .dims = in->ndim ? 1u << scanned : 0 };
    carat_reduce_dims kept, along;
    scan_lanes_args a;
    carat_key with = *key;
    carat_reduce_split(&space, out, true, &kept, &along);
    memset(&a, 0, sizeof a);
    a.in = carat_data(in);
    a.out = carat_data(out);
    a.second = second;
    const int64_t n = in->ndim ? in->shape[scanned] : 1;
    a.in_step = in->ndim ? in->strides[scanned] : 1;
    a.out_step = in->ndim ? out->strides[scanned] : 1;
    if (n > INT32_MAX || kept.rank > LANES_SPACE_RANK) return carat_step_aside("more than 2^31 elements");
    a.n = (uint32_t)n;
    const int part = kept.rank && kept.in[0] < a.in_step ? COLUMNS : ROWS;
    const int64_t vec = choose_vector(in, out, &a, &kept, part);
    if (!carat_lanes_fill_space(&a.kept, &kept, part == COLUMNS ? vec : 1)) return carat_step_aside("more than 2^31 elements");
    with.params[KEY_PART] = (uint8_t)part;
    with.params[KEY_VECTOR] = (uint8_t)log2_ceil(vec);
    return carat_run_kernel(call, &with, &a, sizeof a, share_lanes(&a, part, vec), 1);
}

// SPDX-License-Identifier: Apache-2.0
// Scans from arguments to results: cumsum, cumprod, logcumsumexp, cummax, cummin.
#include "core/integer.h"
#include "core/kernel_types.h"
#include "core/tensor.h"
#include "jit/jit.h"
#include "ops/scan_lanes.h"
#include "scan_args.h"

#include <string.h>

enum {
    GROUP_ELEMENTS = 16384,  // a group's work
    THREAD_ELEMENTS = 32768, // below this a second thread costs more than it brings
    LONG_ROW = 4096,         // a single row beyond this is one chain, in which ATen is as fast
};

static const carat_scan_row rows[] = {
#define SCAN(id, overloads, dtypes, form, combine) { { #id, overloads, dtypes, NULL }, form, #combine },
#include "scan.def"
#undef SCAN
};
enum { ROWS = sizeof rows / sizeof *rows };

// ---- kernels

enum { KEY_IN, KEY_OUT };

static carat_key make_key(int row, carat_dtype in, carat_dtype out)
{
    carat_key key = { .family = CARAT_FAMILY_scan, .row = (uint16_t)row };
    key.dtypes[KEY_IN] = (uint8_t)in;
    key.dtypes[KEY_OUT] = (uint8_t)out;
    return key;
}

static carat_dtype accumulator(const carat_scan_row *row, carat_dtype in)
{
    const carat_dtype compute = carat_compute_dtype(in);
    if (row->form == EXTREME) return compute == CARAT_b8 ? CARAT_u8 : compute;
    if (carat_is_integral(in)) return CARAT_i64;
    return in == CARAT_f32 && row->form == TOTALS ? CARAT_f64 : compute;
}

static void describe(const carat_key *key, const carat_target *target, carat_defines *defines)
{
    const carat_scan_row *row = &rows[key->row];
    const bool lanes = target->lanes > 1;
    const carat_dtype in = (carat_dtype)key->dtypes[KEY_IN], acc = lanes ? carat_scan_lanes_accumulator(row, in) : accumulator(row, in);
    carat_define(defines, "T_IN", "%s", carat_dtype_name(in));
    carat_define(defines, "T_OUT", "%s", carat_dtype_name((carat_dtype)key->dtypes[KEY_OUT]));
    carat_define(defines, "T_ACC", "%s", carat_dtype_name(acc));
    carat_define(defines, "FLOATING", "%d", !carat_is_integral(acc) && !carat_is_complex(acc));
    carat_define(defines, "INDEXED", "%d", row->form == EXTREME);
    carat_define(defines, row->form == EXTREME ? "COMPARE" : "COMBINE", "%s", row->combine);
    if (lanes) carat_scan_lanes_define(key, row, acc, defines);
}

static void enumerate(const carat_target *target, void (*emit)(void *arg, const carat_key *key), void *arg)
{
    for (int row = 0; row < ROWS; ++row)
        for (carat_dtype in = 0; in < CARAT_DTYPE_COUNT; ++in) {
            if (!carat_dtype_in(in, rows[row].base.dtypes)) continue;
            const carat_key key = make_key(row, in, rows[row].form == TOTALS && carat_is_integral(in) ? CARAT_i64 : in);
            if (target->lanes > 1) carat_scan_lanes_enumerate(key, carat_dtype_size(in), emit, arg);
            else emit(arg, &key);
        }
}

// ---- the plan

typedef struct dims { // but the scanned one, innermost of the output first
    int rank;
    int64_t size[CARAT_MAX_DIMS], in[CARAT_MAX_DIMS], out[CARAT_MAX_DIMS];
} dims;

static void collect(const carat_tensor *in, const carat_tensor *out, int scanned, dims *to)
{
    to->rank = 0;
    for (int d = in->ndim; d-- > 0;) {
        if (d == scanned || in->shape[d] == 1) continue;
        const int last = to->rank - 1;
        if (last >= 0 && in->strides[d] == to->size[last] * to->in[last] && out->strides[d] == to->size[last] * to->out[last]) {
            to->size[last] *= in->shape[d];
            continue;
        }
        to->size[to->rank] = in->shape[d];
        to->in[to->rank] = in->strides[d];
        to->out[to->rank++] = out->strides[d];
    }
}

// The dimension that is contiguous in the output if there is one, else the largest, becomes the columns.
static int choose_columns(const dims *d)
{
    int best = 0;
    for (int i = 1; i < d->rank; ++i)
        if (d->out[best] != 1 && (d->out[i] == 1 || d->size[i] > d->size[best])) best = i;
    return best;
}

static void plan(const carat_tensor *in, const carat_tensor *out, int scanned, scan_args *a, int64_t *groups, int64_t *grain)
{
    dims d;
    collect(in, out, scanned, &d);
    const int columns = choose_columns(&d);
    memset(a, 0, sizeof *a);
    a->in = carat_data(in);
    a->out = carat_data(out);
    a->n = in->ndim ? in->shape[scanned] : 1;
    a->n_in = in->ndim ? in->strides[scanned] : 1;
    a->n_out = in->ndim ? out->strides[scanned] : 1;
    a->cols = d.rank ? d.size[columns] : 1;
    a->col_in = d.rank ? d.in[columns] : 1;
    a->col_out = d.rank ? d.out[columns] : 1;
    int64_t outer = 1;
    for (int i = 0, at = 0; i < d.rank; ++i) {
        if (i == columns) continue;
        outer *= a->outer_size[at] = d.size[i];
        a->outer_in[at] = d.in[i];
        a->outer_out[at++] = d.out[i];
    }
    const bool contiguous = a->col_in == 1 && a->col_out == 1;
    const int64_t wanted = contiguous ? larger(GROUP_ELEMENTS / a->n, 128) : larger(GROUP_ELEMENTS / a->n, 1);
    a->tile = smaller(a->cols, smaller(SCAN_TILE, (wanted + SCAN_SIDE - 1) / SCAN_SIDE * SCAN_SIDE));
    a->tiles = (a->cols + a->tile - 1) / a->tile;
    *groups = outer * a->tiles;
    *grain = larger(THREAD_ELEMENTS / (a->n * a->tile), 1);
}

// ---- running

static carat_status launch(const carat_frame *call, const carat_key *key, const carat_tensor *in, const carat_tensor *out,
                           void *second, int scanned)
{
    scan_args a;
    int64_t groups, grain;
    if (carat_numel(in) == 0) return CARAT_OK;
    if (carat_has_lanes(call)) return carat_scan_run_lanes(call, key, in, out, second, scanned);
    plan(in, out, scanned, &a, &groups, &grain);
    a.second = second;
    return carat_run_kernel(call, key, &a, sizeof a, groups, grain);
}

static carat_status find(const carat_frame *call, const carat_key *key, const carat_tensor *in, int dim)
{
    carat_kernel kernel;
    if (carat_has_lanes(call)) return carat_scan_check_lanes(&rows[key->row], in, dim); // layouts have kernels of their own
    return carat_kernel_get(call->backend, call->device, key, &kernel);
}

// (self, values, indices, dim): both results are arguments, made by cummax itself.
static carat_status run_extreme(carat_frame *call)
{
    const carat_tensor *in = carat_tensor_arg(call, 0), *values = carat_tensor_arg(call, 1), *indices = carat_tensor_arg(call, 2);
    if (!in || !values || !indices || call->nargs < 4) return carat_step_aside("argument kind");
    const carat_dtype dtype = carat_dtype_of(in);
    const int dim = carat_wrap_dim(carat_int_arg(call, 3, 0), in->ndim);
    if (dim < 0) return carat_step_aside("dim out of range");
    if (!carat_dtype_in(dtype, call->op->row->dtypes) || carat_dtype_of(values) != dtype || carat_dtype_of(indices) != CARAT_i64)
        return carat_step_aside("dtype");
    if (in->ndim > SCAN_RANK + 2 || !carat_same_shape(in, values) || !carat_same_shape(in, indices)) return carat_step_aside("shape");
    if (!carat_is_contiguous(values) || !carat_is_contiguous(indices)) return carat_step_aside("layout of the output");
    if (carat_overlap_of(in, values) || carat_overlap_of(in, indices) || carat_overlap_of(values, indices))
        return carat_step_aside("output overlaps the input");
    const carat_key key = make_key(call->op->row_index, dtype, dtype);
    CARAT_TRY(find(call, &key, in, dim));
    return launch(call, &key, in, values, carat_data(indices), dim);
}

static carat_status settle_dtype(const carat_frame *call, const carat_scan_row *row, carat_dtype in, carat_dtype *out)
{
    if (!carat_dtype_in(in, row->base.dtypes)) return carat_step_aside("dtype");
    *out = in;
    if (row->form == SELF) return CARAT_OK;
    const carat_arg *asked = call->nargs > 2 ? &call->args[2] : NULL;
    const bool given = asked && asked->kind == CARAT_ARG_DTYPE;
    if (carat_is_integral(in)) *out = call->op->in_place ? in : CARAT_i64;
    if (given) *out = (carat_dtype)asked->i;
    const bool natural = carat_is_integral(in) ? *out == CARAT_i64 : *out == in;
    return natural ? CARAT_OK : carat_step_aside("dtype=");
}

static carat_status run(carat_frame *call)
{
    const carat_scan_row *row = &rows[call->op->row_index];
    if (row->form == EXTREME) return run_extreme(call);
    const carat_tensor *in = carat_tensor_arg(call, 0);
    if (!in || call->nargs < 2) return carat_step_aside("argument kind");
    const int dim = carat_wrap_dim(carat_int_arg(call, 1, 0), in->ndim);
    carat_dtype dtype;
    if (dim < 0) return carat_step_aside("dim out of range");
    if (in->ndim > SCAN_RANK + 2) return carat_step_aside("rank");
    if (row->form == TOTALS && in->ndim && in->shape[dim] > LONG_ROW && carat_numel(in) == in->shape[dim])
        return carat_step_aside("one long row");
    CARAT_TRY(settle_dtype(call, row, carat_dtype_of(in), &dtype));
    CARAT_TRY(carat_output_check(call, 0, dtype, in->ndim, in->shape));
    const carat_tensor *given = carat_output_given(call, 0);
    if (given && carat_overlap_of(given, in) == CARAT_PARTIAL) return carat_step_aside("output overlaps the input");
    const carat_key key = make_key(call->op->row_index, carat_dtype_of(in), dtype);
    CARAT_TRY(find(call, &key, in, dim));
    carat_output out;
    CARAT_TRY(carat_output_make(call, 0, dtype, in->ndim, in->shape, NULL, &out));
    return launch(call, &key, in, &out.view, NULL, dim);
}

const carat_family carat_family_scan = {
    .name = "scan",
    .source = "scan.k.c",
    .lanes_source = "scan_lanes.k.c",
    .rows = &rows[0].base,
    .row_size = sizeof *rows,
    .row_count = ROWS,
    .run = run,
    .describe = describe,
    .enumerate = enumerate,
};

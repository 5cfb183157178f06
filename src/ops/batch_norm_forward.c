// SPDX-License-Identifier: Apache-2.0
// Batch norm from arguments to results, forward. The statistics that a call uses stand in its arguments; in training they
// are those of the batch, which also move the running ones.
#include "ops/batch_norm.h"

enum { X, WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR, INPUTS };

typedef struct forward {
    const carat_tensor *in[INPUTS];
    bool training;
    double momentum, eps;
    int results; // 3, or 4: then the last is empty
} forward;

// Running statistics are written: they must share nothing with what is read.
static carat_status check_running(const forward *f)
{
    for (int i = RUNNING_MEAN; i < INPUTS; ++i)
        for (int j = 0; j < i; ++j)
            if (f->in[i] && f->in[j] && carat_overlap_of(f->in[i], f->in[j]) != CARAT_DISJOINT) return carat_step_aside("statistics overlap");
    return CARAT_OK;
}

static carat_status check(const carat_frame *call, const forward *f, carat_batch_norm *b)
{
    enum { KERNELS = 1 << CARAT_BATCH_NORM_channels | 1 << CARAT_BATCH_NORM_planes | 1 << CARAT_BATCH_NORM_row_moments
                     | 1 << CARAT_BATCH_NORM_tables | 1 << CARAT_BATCH_NORM_write_rows };
    const bool running = f->in[RUNNING_MEAN] && f->in[RUNNING_VAR];
    if (!f->training && !running) return carat_step_aside("no statistics");
    CARAT_TRY(carat_batch_norm_settle(call, f->in[X], f->in + 1, INPUTS - 1, f->training, KERNELS, b));
    if (f->training) CARAT_TRY(check_running(f));
    const bool saves = f->training || carat_has_lanes(call); // on devices the running statistics are saved
    b->result_channels = saves ? b->args.channels : 0;
    if (carat_has_lanes(call)) b->result_dtype = carat_compute_dtype(b->dtypes.x);
    for (int i = 0; i < 3; ++i) CARAT_TRY(carat_batch_norm_check_output(call, i, b, f->in[X], f->in, INPUTS));
    const int64_t none = 0;
    return f->results < 4 ? CARAT_OK : carat_output_check(call, 3, CARAT_u8, 1, &none);
}

static carat_status make_outputs(carat_frame *call, const forward *f, carat_batch_norm *b)
{
    void **const data[3] = { &b->args.out, &b->args.mean, &b->args.rstd };
    for (int i = 0; i < 3; ++i) CARAT_TRY(carat_batch_norm_make_output(call, i, b, f->in[X], data[i]));
    const int64_t none = 0;
    carat_output reserve;
    return f->results < 4 ? CARAT_OK : carat_output_make(call, 3, CARAT_u8, 1, &none, NULL, &reserve);
}

// A group owns a channel from its moments to its result; with few channels the results are shared out anew.
static carat_status run_planes(const carat_frame *call, const carat_batch_norm *b)
{
    enum { FEW_CHANNELS = 8 };
    batch_norm_args a = b->args;
    carat_status status = CARAT_OK;
    if (!a.training) status = carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_tables, &a, carat_batch_norm_table_groups(b));
    else if (a.channels >= FEW_CHANNELS) return carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_channels, &a, a.channels);
    a.out = NULL;
    if (a.training) status = carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_channels, &a, a.channels);
    return status == CARAT_OK ? carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_planes, &b->args, carat_batch_norm_write_groups(b)) : status;
}

static carat_status run_rows(const carat_frame *call, const carat_batch_norm *b)
{
    const batch_norm_args *a = &b->args;
    if (a->training) CARAT_TRY(carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_row_moments, a, carat_batch_norm_part_groups(b)));
    CARAT_TRY(carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_tables, a, carat_batch_norm_table_groups(b)));
    return carat_batch_norm_launch(call, b->dtypes, CARAT_BATCH_NORM_write_rows, a, carat_batch_norm_write_groups(b));
}

static carat_status run(carat_frame *call, const forward *f)
{
    carat_batch_norm b;
    CARAT_TRY(check(call, f, &b));
    CARAT_TRY(make_outputs(call, f, &b));
    if (!carat_has_lanes(call)) CARAT_TRY(carat_batch_norm_alloc(&b));
    const void *data[INPUTS];
    for (int i = 0; i < INPUTS; ++i) data[i] = f->in[i] ? carat_data(f->in[i]) : NULL;
    b.args.x = data[X];
    b.args.weight = data[WEIGHT];
    b.args.bias = data[BIAS];
    b.args.running_mean = (void *)data[RUNNING_MEAN];
    b.args.running_var = (void *)data[RUNNING_VAR];
    b.args.training = f->training;
    b.args.momentum = f->momentum;
    b.args.eps = f->eps;
    if (carat_has_lanes(call)) return carat_batch_norm_forward_lanes(call, f->in[X], &b);
    const carat_status status = b.by_planes ? run_planes(call, &b) : run_rows(call, &b);
    carat_free(b.scratch);
    return status;
}

static forward read_tensors(const carat_frame *call, int count)
{
    forward f = { .training = true, .results = 3 };
    for (int i = 0; i < count; ++i) f.in[i] = carat_tensor_arg(call, i);
    return f;
}

// (input, weight, bias, running_mean, running_var, training, momentum, eps)
carat_status carat_batch_norm_run_statistics(carat_frame *call)
{
    forward f = read_tensors(call, INPUTS);
    f.training = carat_int_arg(call, 5, 0);
    f.momentum = carat_float_arg(call, 6, 0.1);
    f.eps = carat_float_arg(call, 7, 1e-5);
    return run(call, &f);
}

// (input, weight, bias, training, momentum, eps)
carat_status carat_batch_norm_run_no_statistics(carat_frame *call)
{
    forward f = read_tensors(call, RUNNING_MEAN);
    f.training = carat_int_arg(call, 3, 0);
    f.eps = carat_float_arg(call, 5, 1e-5);
    return run(call, &f);
}

// (input, weight, bias, running_mean, running_var, momentum, eps)
static carat_status run_without_choice(carat_frame *call, bool training, int results)
{
    forward f = read_tensors(call, INPUTS);
    f.training = training;
    f.momentum = carat_float_arg(call, 5, 0.1);
    f.eps = carat_float_arg(call, 6, 1e-5);
    f.results = results;
    return run(call, &f);
}

// What a device's ATen reserves for its own backward pass may be of use to it alone.
carat_status carat_batch_norm_run_update(carat_frame *call)
{
    return carat_has_lanes(call) ? carat_step_aside("reserve for the backward pass") : run_without_choice(call, true, 4);
}

carat_status carat_batch_norm_run_no_update(carat_frame *call) { return run_without_choice(call, false, 4); }
carat_status carat_batch_norm_run_no_training(carat_frame *call) { return run_without_choice(call, false, 3); }

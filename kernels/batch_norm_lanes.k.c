// SPDX-License-Identifier: Apache-2.0
// Batch norm and group norm for groups of many lanes, by the formulas of batch_norm.k.c and norm.k.c, in three steps:
//   a reduction (moments_lanes.k.c, sums_lanes.k.c) leaves each channel's moments or sums,
//   tables make of them what elements need, the saved moments and the parameters' gradients: little work,
//   write and write_backward pass over the tensor a second time:
//     y = (x - center) * scale + shift        grad_x = grad * scale - (x - center) * slope - shift
// Group norm's tables have a number for each channel of each image.
//
// PLANES: a vector lies within a plane, that of one channel. Else vectors hold VEC neighbouring channels of one place. A lane reads
// KEEP vectors before it uses the first; those beyond the end are the last one.
// Floor: forward two reads and a write, backward two reads of two tensors and a write: a tensor is larger than what a device holds.
// Reached on an H200, 205 MB of f32: forward 0.90, backward 0.98, channels last 0.86 and 0.93, group norm 0.92 both ways; of bf16
// 0.81, 0.92, 0.60 and 0.74, 0.80.
//
// Defines: T, P (type of weight, bias and running statistics), M (of saved moments), PART, PLANES, LANES, KEEP, VEC.
#include "batch_norm_lanes_args.h"

#define ACC CAT(acc_, T)
#define LOAD(v) ((ACC)CAT(load_, T)(v))
#define STORE(v) CAT(store_, T)(v)
#define LOADP(v) ((ACC)CAT(load_, P)(v))
#define STOREP(v) CAT(store_, P)(v)
#define LOADM(v) ((ACC)CAT(load_, M)(v))
#define STOREM(v) CAT(store_, M)(v)

// ---- tables

WORD ACC LOCAL_NAME(weight_of)(const batch_norm_lanes_args *a, i64 c) { return a->weight ? LOADP(((const P *)a->weight)[c]) : 1; }

WORD void LOCAL_NAME(set_forward)(const batch_norm_lanes_args *a, i64 at, i64 c, ACC mean, ACC rstd)
{
    ((ACC *)a->center)[at] = mean;
    ((ACC *)a->scale)[at] = rstd * LOCAL_NAME(weight_of)(a, c);
    ((ACC *)a->shift)[at] = a->bias ? LOADP(((const P *)a->bias)[c]) : 0;
}

// A lane makes a channel's.
WORD void LOCAL_NAME(tables)(const batch_norm_lanes_args *a, i64 group)
{
    const i64 c = group * LANES + lane();
    if (c >= a->channels) return;
    P *const means = (P *)a->running_mean, *const variances = (P *)a->running_var;
    AWAIT_EARLIER();
    const ACC mean = a->training ? ((const ACC *)a->first)[c] : LOADP(means[c]);
    const ACC variance = a->training ? ((const ACC *)a->second)[c] : LOADP(variances[c]);
    const ACC rstd = k_rsqrt(variance + (ACC)a->eps);
    if (a->training && means) means[c] = STOREP((ACC)a->momentum * mean + (ACC)(1 - a->momentum) * LOADP(means[c]));
    if (a->training && variances)
        variances[c] = STOREP((ACC)a->momentum * (variance * (ACC)(a->count / (a->count - 1))) + (ACC)(1 - a->momentum) * LOADP(variances[c]));
    ((M *)a->mean)[c] = STOREM(mean);
    ((M *)a->rstd)[c] = STOREM(rstd);
    LOCAL_NAME(set_forward)(a, c, c, mean, rstd);
}

WORD void LOCAL_NAME(tables_backward)(const batch_norm_lanes_args *a, i64 group)
{
    const i64 c = group * LANES + lane();
    if (c >= a->channels) return;
    AWAIT_EARLIER();
    const ACC mean = a->training ? LOADM(((const M *)a->mean)[c]) : LOADP(((const P *)a->running_mean)[c]);
    const ACC rstd = a->training ? LOADM(((const M *)a->rstd)[c]) : k_rsqrt(LOADP(((const P *)a->running_var)[c]) + (ACC)a->eps);
    const ACC scale = rstd * LOCAL_NAME(weight_of)(a, c);
    const ACC sum = a->first ? ((const ACC *)a->first)[c] : 0, product = a->first ? ((const ACC *)a->second)[c] : 0;
    if (a->grad_weight) ((P *)a->grad_weight)[c] = STOREP(product * rstd);
    if (a->grad_bias) ((P *)a->grad_bias)[c] = STOREP(sum);
    ((ACC *)a->center)[c] = mean;
    ((ACC *)a->scale)[c] = scale;
    ((ACC *)a->shift)[c] = a->training ? scale * (sum / (ACC)a->count) : 0;
    ((ACC *)a->slope)[c] = a->training ? scale * rstd * rstd * (product / (ACC)a->count) : 0;
}

// A lane makes those of a channel of an image.
WORD void LOCAL_NAME(group_tables)(const batch_norm_lanes_args *a, i64 group)
{
    const i64 at = group * LANES + lane(), span = a->channels / a->groups;
    if (at >= a->images * a->channels) return;
    const i64 row = at / span;
    AWAIT_EARLIER();
    const ACC mean = ((const ACC *)a->first)[row], rstd = k_rsqrt(((const ACC *)a->second)[row] + (ACC)a->eps);
    if (at == row * span) ((M *)a->mean)[row] = STOREM(mean), ((M *)a->rstd)[row] = STOREM(rstd);
    LOCAL_NAME(set_forward)(a, at, at % a->channels, mean, rstd);
}

// A group makes those of the channels of a group of an image.
WORD void LOCAL_NAME(group_tables_backward)(const batch_norm_lanes_args *a, i64 row)
{
    const i64 span = a->channels / a->groups, first = row * span, channel = row % a->groups * span;
    const ACC *const sums = (const ACC *)a->first + first, *const products = (const ACC *)a->second + first;
    const ACC mean = LOADM(((const M *)a->mean)[row]), rstd = LOADM(((const M *)a->rstd)[row]);
    ACC sum = 0, product = 0;
    AWAIT_EARLIER();
    FOR_LANES(i, span) {
        const ACC w = LOCAL_NAME(weight_of)(a, channel + i);
        sum += w * sums[i];
        product += w * products[i];
    }
    sum = group_sum(sum);
    product = group_sum(product);
    FOR_LANES(i, span) {
        ((ACC *)a->center)[first + i] = mean;
        ((ACC *)a->scale)[first + i] = rstd * LOCAL_NAME(weight_of)(a, channel + i);
        ((ACC *)a->shift)[first + i] = rstd * (sum / (ACC)a->count);
        ((ACC *)a->slope)[first + i] = rstd * rstd * rstd * (product / (ACC)a->count);
    }
}

// A lane adds up a channel's images.
WORD void LOCAL_NAME(group_parameters)(const batch_norm_lanes_args *a, i64 group)
{
    const i64 c = group * LANES + lane(), span = a->channels / a->groups;
    ACC weight = 0, bias = 0;
    if (c >= a->channels) return;
    AWAIT_EARLIER();
    _Pragma("unroll 4") for (i64 image = 0; image < a->images; ++image) {
        weight += ((const ACC *)a->second)[image * a->channels + c] * LOADM(((const M *)a->rstd)[image * a->groups + c / span]);
        bias += ((const ACC *)a->first)[image * a->channels + c];
    }
    if (a->grad_weight) ((P *)a->grad_weight)[c] = STOREP(weight);
    if (a->grad_bias) ((P *)a->grad_bias)[c] = STOREP(bias);
}

// ---- results

// Where the numbers of a vector stand in the tables.
WORD i64 LOCAL_NAME(table_of)(const batch_norm_lanes_args *a, u32 unit)
{
    const u32 row = quotient(unit, a->cols_magic, a->cols_shift), over = quotient(row, a->period_magic, a->period_shift);
    return PLANES ? row - over * a->period : (i64)over * a->channels + (i64)(unit - row * a->cols) * VEC;
}

WORD void LOCAL_NAME(numbers)(ACC *v, const void *table, i64 at)
{
    if (PLANES) splat_vec(v, (const ACC *)table + at);
    else fetch_vec(v, (const ACC *)table + at);
}

#define UNIT(t) ((u32)group * (KEEP * LANES) + (u32)((t) * LANES + lane()))
#define WITHIN(t) (UNIT(t) < a->units ? UNIT(t) : a->units - 1)

WORD void LOCAL_NAME(write)(const batch_norm_lanes_args *a, i64 group)
{
    T x[KEEP][VEC];
    FOR_KEEP(t) fetch_vec(x[t], (const T *)a->x + (i64)WITHIN(t) * VEC);
    AWAIT_EARLIER();
    FOR_KEEP(t) {
        ACC center[VEC], scale[VEC], shift[VEC];
        T made[VEC];
        const i64 at = LOCAL_NAME(table_of)(a, WITHIN(t));
        LOCAL_NAME(numbers)(center, a->center, at);
        LOCAL_NAME(numbers)(scale, a->scale, at);
        LOCAL_NAME(numbers)(shift, a->shift, at);
        FOR_VEC(k) made[k] = STORE((LOAD(x[t][k]) - center[k]) * scale[k] + shift[k]);
        if (UNIT(t) < a->units) put_vec((T *)a->out + (i64)UNIT(t) * VEC, made);
    }
}

WORD void LOCAL_NAME(write_backward)(const batch_norm_lanes_args *a, i64 group)
{
    T x[KEEP][VEC], g[KEEP][VEC];
    FOR_KEEP(t) fetch_vec(x[t], (const T *)a->x + (i64)WITHIN(t) * VEC);
    FOR_KEEP(t) fetch_vec(g[t], (const T *)a->grad + (i64)WITHIN(t) * VEC);
    AWAIT_EARLIER();
    FOR_KEEP(t) {
        ACC center[VEC], scale[VEC], shift[VEC], slope[VEC];
        T made[VEC];
        const i64 at = LOCAL_NAME(table_of)(a, WITHIN(t));
        LOCAL_NAME(numbers)(center, a->center, at);
        LOCAL_NAME(numbers)(scale, a->scale, at);
        LOCAL_NAME(numbers)(shift, a->shift, at);
        LOCAL_NAME(numbers)(slope, a->slope, at);
        FOR_VEC(k) made[k] = STORE(LOAD(g[t][k]) * scale[k] - (LOAD(x[t][k]) - center[k]) * slope[k] - shift[k]);
        if (UNIT(t) < a->units) put_vec((T *)a->out + (i64)UNIT(t) * VEC, made);
    }
}

KERNEL(batch_norm_lanes_args, a)
{
    LOCAL_NAME(PART)(a, group_id());
}

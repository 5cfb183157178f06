// SPDX-License-Identifier: Apache-2.0
// One step of Adam (Kingma and Ba) or AdamW (Loshchilov and Hutter) over many parameters:
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  p -= step_size m / (sqrt(v) / second_correction + eps)
// with the decay p *= 1 - lr weight_decay before (DECOUPLED) or g += weight_decay p (else).
//
// The parameters lie one after another in a space of groups of group_elements elements; a group finds its parameter by
// bisection. Everything is read once and written once: 7 element accesses an element, which is the floor.
//
// Defines: T element type, DECOUPLED 0 or 1.
#include "optimizer_args.h"

#define ACC CAT(acc_, T)

WORD const optimizer_parameter *LOCAL_NAME(find)(const optimizer_args *a, i64 group)
{
    i64 low = 0, high = a->count;
    while (high - low > 1) {
        const i64 middle = (low + high) / 2;
        if (a->parameters[middle].first_group <= group) low = middle;
        else high = middle;
    }
    return &a->parameters[low];
}

KERNEL(optimizer_args, a)
{
    const optimizer_parameter *const at = LOCAL_NAME(find)(a, group_id());
    const i64 first = (group_id() - at->first_group) * a->group_elements;
    const i64 left = at->numel - first, n = left < a->group_elements ? left : a->group_elements;
    T *const p = (T *)at->param + first, *const m = (T *)at->exp_avg + first, *const v = (T *)at->exp_avg_sq + first;
    const T *const g = (const T *)at->grad + first;
    const ACC decay = (ACC)(DECOUPLED ? 1 - a->lr * a->weight_decay : a->weight_decay);
    const ACC weight1 = (ACC)(1 - a->beta1), beta2 = (ACC)a->beta2, weight2 = (ACC)(1 - a->beta2), eps = (ACC)a->eps;
    const ACC step_size = (ACC)at->step_size, correction = (ACC)at->second_correction, sign = a->maximize ? -1 : 1;
    const ACC near = weight1 < (ACC)0.5; // lerp from the nearer end, as ATen does

    FOR_LANES(i, n) {
        const ACC p0 = CAT(load_, T)(p[i]), m0 = CAT(load_, T)(m[i]);
        const ACC g0 = sign * CAT(load_, T)(g[i]);
        const ACC grad = DECOUPLED ? g0 : g0 + decay * p0;
        const ACC m1 = near ? m0 + weight1 * (grad - m0) : grad - (grad - m0) * (1 - weight1);
        const ACC v1 = beta2 * CAT(load_, T)(v[i]) + weight2 * grad * grad;
        const ACC denominator = k_sqrt(v1) / correction + eps;
        p[i] = CAT(store_, T)((DECOUPLED ? p0 * decay : p0) - step_size * m1 / denominator);
        m[i] = CAT(store_, T)(m1);
        v[i] = CAT(store_, T)(v1);
    }
}
#undef ACC

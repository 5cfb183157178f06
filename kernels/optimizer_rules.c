// SPDX-License-Identifier: Apache-2.0
// The rules by which optimizers change an element, a part of optimizer.k.c and optimizer_lanes.k.c: p is the parameter, g its gradient,
// m and v its state, `most` the largest v so far (AMSGrad).
//   adam      m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr / (1 - b1^step) m / (sqrt(v / (1 - b2^step)) + eps)
//             (Kingma and Ba), with the decay p *= 1 - lr decay before (DECOUPLED: Loshchilov and Hutter) or g += decay p
//   sgd       g += decay p;  m = momentum m + (1 - dampening) g;  p -= lr (m, or g + momentum m: Nesterov)
//   adagrad   g += decay p;  v += g^2;  p -= lr / (1 + (step - 1) lr_decay) g / (sqrt(v) + eps)
//   unscale   p *= scale, of gradients before an optimizer's step
// Of the including kernel: T, RULE, DECOUPLED, LISTS (p, g and as many states), SCALED (gradients are divided by a scale first),
// SPREADS (a v that isn't a number is the largest, as in ATen on CPUs; on devices only a `most` that isn't one stays).
#define ACC CAT(acc_, T)
#define LOAD(x) CAT(load_, T)(x)
#define STORE(x) CAT(store_, T)(x)
#define UNSCALES (LISTS == 1)

// What a rule's numbers come to for one parameter.
typedef struct LOCAL_NAME(rule) {
    ACC scale, sign, decay, first, second, rest, eps, step_size, correction;
    int near, nesterov, first_step;
} LOCAL_NAME(rule);

// base^exponent, which is a whole number as long as nobody makes it another.
WORD f64 LOCAL_NAME(power)(f64 base, f64 exponent)
{
    if (!(exponent >= 0 && exponent < 4e9) || exponent != (f64)(u32)exponent) return k_pow(base, exponent);
    f64 power = 1;
    SCALAR_LOOP for (u32 n = (u32)exponent; n; n /= 2) {
        if (n & 1) power *= base;
        base *= base;
    }
    return power;
}

WORD void LOCAL_NAME(prepare_adam)(LOCAL_NAME(rule) *r, const optimizer_numbers *n, f64 lr, f64 step)
{
    r->decay = (ACC)(DECOUPLED ? 1 - lr * n->weight_decay : n->weight_decay);
    r->first = (ACC)(1 - n->first);
    r->near = r->first < (ACC)0.5; // lerp from the nearer end, as ATen does
    r->second = (ACC)n->second;
    r->rest = (ACC)(1 - n->second);
    r->step_size = (ACC)(lr / (1 - LOCAL_NAME(power)(n->first, step)));
    r->correction = (ACC)(1 / k_sqrt(1 - LOCAL_NAME(power)(n->second, step)));
}

WORD void LOCAL_NAME(adam)(const LOCAL_NAME(rule) *r, ACC *p, ACC *g, ACC *m, ACC *v, ACC *most)
{
    ACC grad = r->sign * *g;
    if (DECOUPLED) *p *= r->decay;
    else grad = r->decay == 0 ? grad : grad + r->decay * *p;
    *m = r->near ? *m + r->first * (grad - *m) : grad - (grad - *m) * (1 - r->first);
    *v = r->second * *v + r->rest * grad * grad;
    *most = LISTS == 5 && !((*most < *v) | (SPREADS && *v != *v)) ? *most : *v;
    *p -= r->step_size * *m / (k_sqrt(*most) * r->correction + r->eps);
}

WORD void LOCAL_NAME(prepare_sgd)(LOCAL_NAME(rule) *r, const optimizer_numbers *n, f64 lr, f64 step)
{
    (void)step;
    r->decay = (ACC)n->weight_decay;
    r->first = (ACC)n->first;
    r->rest = (ACC)(1 - n->second);
    r->step_size = (ACC)lr;
}

WORD void LOCAL_NAME(sgd)(const LOCAL_NAME(rule) *r, ACC *p, ACC *g, ACC *m, ACC *v, ACC *most)
{
    (void)v, (void)most;
    const ACC one = r->sign * *g, grad = r->decay == 0 ? one : one + r->decay * *p;
    *m = r->first_step ? grad : r->first * *m + r->rest * grad;
    *p -= r->step_size * (LISTS == 2 ? grad : r->nesterov ? grad + r->first * *m : *m);
}

WORD void LOCAL_NAME(prepare_adagrad)(LOCAL_NAME(rule) *r, const optimizer_numbers *n, f64 lr, f64 step)
{
    r->decay = (ACC)n->weight_decay;
    r->step_size = (ACC)(lr / (1 + (step - 1) * n->first));
}

WORD void LOCAL_NAME(adagrad)(const LOCAL_NAME(rule) *r, ACC *p, ACC *g, ACC *m, ACC *v, ACC *most)
{
    (void)v, (void)most;
    const ACC one = r->sign * *g, grad = r->decay == 0 ? one : one + r->decay * *p;
    *m += grad * grad;
    *p -= r->step_size * grad / (k_sqrt(*m) + r->eps);
}

WORD void LOCAL_NAME(prepare_unscale)(LOCAL_NAME(rule) *r, const optimizer_numbers *n, f64 lr, f64 step)
{
    (void)r, (void)n, (void)lr, (void)step;
}

WORD void LOCAL_NAME(unscale)(const LOCAL_NAME(rule) *r, ACC *p, ACC *g, ACC *m, ACC *v, ACC *most)
{
    (void)g, (void)m, (void)v, (void)most;
    *p = r->scale == 1 ? *p : *p * r->scale;
}

// Whether the step is to be left out.
WORD int LOCAL_NAME(stops)(const optimizer_numbers *n) { return !UNSCALES && n->found_inf && *n->found_inf == 1; }

WORD LOCAL_NAME(rule) LOCAL_NAME(prepare)(const optimizer_numbers *n, const void *step)
{
    LOCAL_NAME(rule) r = { 0 };
    const f64 lr = n->lr_tensor ? *n->lr_tensor : n->lr, at = !step ? 0 : n->wide_steps ? *(const f64 *)step : *(const f32 *)step;
    r.scale = n->scale ? (ACC)*n->scale : 1;
    r.sign = n->maximize ? -1 : 1;
    r.eps = (ACC)n->eps;
    r.nesterov = n->nesterov;
    r.first_step = n->first_step;
    LOCAL_NAME(CAT(prepare_, RULE))(&r, n, lr, at);
    return r;
}

// One element, in place; whether it was finite is what `unscale` wants to know.
WORD int LOCAL_NAME(update)(const LOCAL_NAME(rule) *r, ACC *p, ACC *g, ACC *m, ACC *v, ACC *most)
{
    const int finite = *p - *p == 0;
    if (SCALED) *g /= r->scale;
    LOCAL_NAME(RULE)(r, p, g, m, v, most);
    return finite;
}

// SPDX-License-Identifier: Apache-2.0
// A row's numbers, which the kernels of one lane and of many share. T, L and ACC are the types of scores, losses and arithmetic.
#define LOAD(v) ((ACC)CAT(load_, T)(v))
#define STORE(v) CAT(store_, T)(v)

WORD ACC LOCAL_NAME(weight_of)(const cross_entropy_args *a, i64 label)
{
    return a->weight ? LOAD(((const T *)a->weight)[label]) : 1;
}

// Loss and weight of a row with its largest score and `rest`, the logarithm of the sum of exponentials below that: two numbers,
// as their sum would lose the digits of small scores beside large ones. `all` is the sum of weight * x over all classes, `weights`
// that of weight, both for smoothing.
WORD void LOCAL_NAME(finish_row)(const cross_entropy_args *a, i64 r, i64 label, ACC top, ACC rest, ACC all, ACC weights)
{
    const int counts = label != a->ignore;
    const ACC w = counts ? LOCAL_NAME(weight_of)(a, label) : 0, smoothing = (ACC)a->smoothing;
    ACC loss = counts ? w * (top - LOAD(((const T *)a->x)[r * a->x_row + label]) + rest) : 0;
    if (counts && smoothing > 0) loss = (1 - smoothing) * loss + smoothing / (ACC)a->cols * (rest * weights + (top * weights - all));
    ((ACC *)a->tops)[2 * r] = top;
    ((ACC *)a->tops)[2 * r + 1] = rest;
    if (r == 0) ((ACC *)a->total)[1] = weights;
    if (a->reduction == LOSS_NONE) {
        ((L *)a->loss)[r] = CAT(store_, L)(loss);
        if (r == 0) ((ACC *)a->total)[0] = 0;
    } else {
        ((ACC *)a->pairs)[2 * r] = loss;
        ((ACC *)a->pairs)[2 * r + 1] = w;
    }
}

WORD void LOCAL_NAME(write_loss)(const cross_entropy_args *a, ACC loss, ACC total)
{
    *(L *)a->loss = CAT(store_, L)(a->reduction == LOSS_MEAN ? loss / total : loss);
    *(ACC *)a->total = total;
}

// The gradient of element x of class c is exp(x - top - rest) * factor - smooth * weight[c], at the label less by `hit`.
typedef struct LOCAL_NAME(slope) {
    i64 label; // -1: the row doesn't count
    ACC top, rest, factor, smooth, hit;
} LOCAL_NAME(slope);

WORD LOCAL_NAME(slope) LOCAL_NAME(slope_of)(const cross_entropy_args *a, i64 r)
{
    LOCAL_NAME(slope) s;
    const i64 label = a->target[r];
    const ACC g = (ACC)CAT(load_, L)(((const L *)a->grad)[a->reduction == LOSS_NONE ? r : 0]), smoothing = (ACC)a->smoothing;
    const ACC scaled = a->reduction == LOSS_MEAN ? g / *(const ACC *)a->total : g;
    s.label = label == a->ignore ? -1 : label;
    s.top = ((const ACC *)a->tops)[2 * r];
    s.rest = ((const ACC *)a->tops)[2 * r + 1];
    s.smooth = scaled * smoothing / (ACC)a->cols;
    s.hit = s.label < 0 ? 0 : scaled * (1 - smoothing) * LOCAL_NAME(weight_of)(a, label);
    s.factor = s.hit + (smoothing > 0 ? s.smooth * ((const ACC *)a->total)[1] : 0);
    return s;
}

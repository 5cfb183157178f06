# SPDX-License-Identifier: Apache-2.0
"""Softmax along any dimension, batch norm, group norm and cross-entropy on the GPU that isn't there."""

import itertools

import pytest
import torch

import carat._operators  # noqa: F401: defines carat::cross_entropy
from fake_gpu import StepsAside, capture, check, run
from test_lanes import FLOATS, HALF_AND_FULL, dtypes

aten = torch.ops.aten


# ---- softmax

def check_softmax(x, dim, served=True):
    for op, backward in ((aten._softmax, aten._softmax_backward_data), (aten._log_softmax, aten._log_softmax_backward_data)):
        check(op.default, x, dim, False, served=served)
        y, grad = op(x, dim, False), torch.randn(x.shape).to(x.dtype)
        check(backward.default, grad, y, dim, x.dtype, served=served)


@pytest.mark.parametrize("shape", [(1, 5, 3), (7, 1, 9), (3, 17, 8), (2, 100, 64), (40, 12, 7), (1, 1000, 33), (3, 300, 49), (1, 2048, 24), (1, 5000, 9), (2, 3000, 5)],
                         ids=lambda s: "x".join(map(str, s)))
@dtypes(*FLOATS)
def test_softmax_columns(shape, dtype):
    check_softmax((torch.randn(shape) * 3).to(dtype), 1)


@dtypes(*HALF_AND_FULL)
def test_softmax_long_rows(dtype):
    check_softmax(torch.randn(2, 300000).to(dtype), 1)


@dtypes(*HALF_AND_FULL)
def test_softmax_strides(dtype):
    x = torch.randn(3, 20, 5, 32).to(dtype)
    for view, dim in ((x.transpose(1, 3), 3), (x.transpose(1, 3), 1), (x[:, ::2], 1), (x[..., ::2], 3), (x[..., 1:], 1), (x[0, 0, 0].expand(9, 32), 0)):
        check_softmax(view, dim)
    y, grad = aten._softmax(x, 1, False), torch.randn(32, 5, 20, 3).to(dtype).permute(3, 2, 1, 0)
    check(aten._softmax_backward_data.default, grad, y, 1, dtype)
    odd = torch.randn(1 + 20 * 4001).to(dtype)[1:].view(20, 4001)
    check(aten._softmax_backward_data.default, odd, torch.randn(20, 4001).to(dtype), 0, dtype)
    check(aten._softmax_backward_data.default, torch.randn(1 + 5000 * 8).to(dtype)[1:].view(5000, 8), torch.randn(5000, 8).to(dtype), 0, dtype)
    check(aten._softmax_backward_data.default, grad[:1, :1, :1, :1].expand(3, 20, 5, 32), y, 3, dtype)


@pytest.mark.parametrize("shape", [(4, 6, 40), (2, 4000, 3)], ids=str)
@dtypes(*FLOATS)
def test_softmax_special_columns(shape, dtype):
    inf = float("inf")
    x = torch.randn(shape)
    x[0, 3, 0], x[0, :, 1], x[1, 2, 1], x[1, 3, 2], x[1, :, 0] = float("nan"), -inf, inf, -inf, -inf
    x[1, 2, 0] = 5
    check(aten._softmax.default, x.to(dtype), 1, False)
    check(aten._log_softmax.default, x.to(dtype), 1, False)


# ---- norms of channels

def at(values, dtype, moment):
    """Results as a GPU has them: the first in x's dtype, moments in another."""
    return [values[0].to(dtype), *(v.to(moment) for v in values[1:])]


LAYOUTS = [((6, 10), None), ((40, 33), None), ((3, 4, 50), None), ((2, 4, 182, 184), None), ((2, 4, 181, 183), None), ((4, 8, 6, 8), None), ((2, 8, 7, 7), None), ((4, 8, 6, 8), torch.channels_last), ((3, 5, 7, 7), torch.channels_last),
           ((2, 3, 4, 6, 10), torch.channels_last_3d)]


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("shape, layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("pair", [*zip(FLOATS, FLOATS), (torch.bfloat16, torch.float32)], ids=str)
def test_batch_norm(shape, layout, pair, training):
    dtype, of_params = pair
    moment = torch.float64 if dtype == torch.float64 else torch.float32
    x, grad = ((torch.randn(shape) * 2 + mean).to(dtype) for mean in (1, 0))
    if layout:
        x, grad = x.to(memory_format=layout), grad.to(memory_format=layout)
    if training and x.numel() // shape[1] < 8:
        x, grad = (torch.cat([t, t + 1]) for t in (x, grad))
    weight, bias, mean, var = (torch.randn(shape[1]).to(of_params) for _ in range(4))
    var = var.abs() + 0.5
    double = [t.double() for t in (x, weight, bias, mean.clone(), var.clone())]
    if training:
        y, m, r = aten.native_batch_norm(*double, True, 0.1, 1e-5)
        check(aten._native_batch_norm_legit.default, x, weight, bias, mean, var, True, 0.1, 1e-5, theirs=at(double[3:], of_params, of_params))
        check(aten.native_batch_norm.default, x, weight, bias, None, None, True, 0.1, 1e-5, theirs=at((y, m, r), dtype, moment))
        y = aten.native_batch_norm(double[0], None, double[2], None, None, True, 0.1, 1e-5)[0]
        check(aten.native_batch_norm.default, x, None, bias, None, None, True, 0.1, 1e-5, theirs=at((y, m, r), dtype, moment))
    else:
        y, m, r = aten.native_batch_norm(*double, False, 0.1, 1e-5)[0], double[3], 1 / (double[4] + 1e-5).sqrt()
        check(aten.native_batch_norm.default, x, weight, bias, mean, var, False, 0.1, 1e-5, theirs=at((y, m, r), dtype, moment))
    m, r = m.to(moment), r.to(moment)
    for mask in ([True] * 3, [True, False, False], [False, True, True]):
        g = grad
        exact = aten.native_batch_norm_backward(g.double(), double[0], double[1], mean.double(), var.double(), m.double(), r.double(), training, 1e-5, mask)
        # of small planes ATen's one launch is faster, and in evaluation its gradient is contiguous
        served = training if layout else len(shape) == 2 or x.numel() >= 1 << 18
        check(aten.native_batch_norm_backward.default, g, x, weight, mean, var, m, r, training, 1e-5, mask, served=bool(served),
              theirs=[t.to(dtype if i == 0 else of_params) for i, t in enumerate(exact) if t is not None])


def test_batch_norm_with_a_reserve():
    x, numbers = torch.randn(4, 2, 6, 6), torch.rand(4, 2)
    check(aten._batch_norm_with_update.default, x, *numbers, 0.1, 1e-5, served=False)


def test_batch_norm_in_capture():
    """Of all kernels only the one that writes results isn't loaded: running statistics must not move before ATen moves them."""
    def call(shape, params):
        c, x = shape[1], torch.randn(shape).half()
        weight, bias, mean, var = torch.randn(4, c).to(params).unbind()
        results = dict(out=torch.empty_like(x), save_mean=torch.empty(c), save_invstd=torch.empty(c))
        return run(aten._native_batch_norm_legit.out, x, *(t.clone() for t in (weight, bias, mean, var)), True, 0.1, 1e-5, **results)
    call((4, 2, 4, 4), torch.float32)
    call((4, 2, 5, 5), torch.float16)
    with capture():
        call((4, 2, 4, 4), torch.float32)
        with pytest.raises(StepsAside):
            call((4, 2, 5, 5), torch.float32)


@pytest.mark.parametrize("shape, groups", [((2, 6, 5, 5), 3), ((1, 8, 16, 32), 2), ((3, 12, 33), 4), ((3, 16), 2), ((2, 4, 8, 8), 4)], ids=str)
@dtypes(*FLOATS)
def test_group_norm(shape, groups, dtype):
    x, grad = ((torch.randn(shape) * 2 + 1).to(dtype) for _ in range(2))
    n, c, hxw = shape[0], shape[1], x[0, 0].numel()
    weight, bias = (torch.randn(c).to(dtype) for _ in range(2))
    for w, b in ((weight, bias), (None, None)):
        exact = aten.native_group_norm(x.double(), w if w is None else w.double(), b if b is None else b.double(), n, c, hxw, groups, 1e-5)
        results = [t.to(dtype) for t in exact]
        check(aten.native_group_norm.default, x, w, b, n, c, hxw, groups, 1e-5, theirs=results)
        for mask in ([True] * 3, [True, False, False]):
            if mask[1] and w is None:
                continue
            exact = aten.native_group_norm_backward(grad.double(), x.double(), *(t.double() for t in results[1:]), w if w is None else w.double(), n, c, hxw, groups, mask)
            check(aten.native_group_norm_backward.default, grad, x, *results[1:], w, n, c, hxw, groups, mask, theirs=[t.to(dtype) for t in exact if t is not None])


def test_group_norm_of_many_images():
    x, moments = torch.randn(4097, 2, 8), torch.rand(2, 4097, 1)
    for mask in ([True, True, False], [False, False, True]):
        check(aten.native_group_norm_backward.default, x, x, *moments, torch.ones(2), 4097, 2, 8, 1, mask, served=False)
    check(aten.native_group_norm_backward.default, x, x, *moments, torch.ones(2), 4097, 2, 8, 1, [True, False, False])


# ---- rows that several parts of a group hold

@pytest.mark.parametrize("rows, cols", [(40, 12288), (20, 20000), (18, 40000), (35, 65536), (3, 100000)])
@dtypes(*HALF_AND_FULL)
def test_long_rows_backward(rows, cols, dtype):
    x, grad, weight, bias = (torch.randn(shape).to(dtype) for shape in ((rows, cols), (rows, cols), (cols,), (cols,)))
    _, mean, rstd = aten.native_layer_norm(x.float(), [cols], None, None, 1e-5)
    theirs = aten.native_layer_norm_backward(grad.float(), x.float(), [cols], mean, rstd, weight.float(), bias.float(), [True] * 3)
    check(aten.native_layer_norm_backward.default, grad, x, [cols], mean, rstd, weight, bias, [True] * 3, theirs=[t.to(dtype) for t in theirs])


# ---- cross-entropy

@pytest.mark.parametrize("rows, cols", [(1, 1), (7, 10), (40, 33), (3, 1000), (2, 5001), (9000, 3)])
@dtypes(*FLOATS)
def test_cross_entropy(rows, cols, dtype):
    operator, backward = torch.ops.carat.cross_entropy.default, torch.ops.carat.cross_entropy_backward.default
    scores, target, weight = (torch.randn(rows, cols) * 3).to(dtype), torch.randint(0, cols, (rows,)), torch.rand(cols).to(dtype)
    target[rows // 2] = -100
    for reduction, w, smoothing in itertools.product((0, 1, 2), (None, weight), (0.0, 0.1)):
        loss, tops, total = operator(scores, target, w, reduction, -100, smoothing, False)
        check(operator, scores, target, w, reduction, -100, smoothing, False, theirs=[loss, tops, total])
        grad = torch.rand(loss.shape).to(dtype)
        check(backward, grad, scores, target, w, reduction, -100, smoothing, tops, total)
    wide = torch.cat([scores, scores], 1)[:, cols // 3:cols // 3 + cols]
    check(operator, wide, target, None, 1, -100, 0.0, True)
    check(backward, torch.ones((), dtype=tops.dtype), wide, target, None, 1, -100, 0.0, tops, total)

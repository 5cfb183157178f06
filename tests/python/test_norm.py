# SPDX-License-Identifier: Apache-2.0
"""The norm family against ATen: values, dtypes and strides of all results, masks, mixed dtypes, layouts."""

import itertools

import pytest
import torch

import carat

aten = torch.ops.aten
KINDS = [  # dtype of x, of the parameters
    (torch.float32, torch.float32), (torch.float64, torch.float64), (torch.bfloat16, torch.bfloat16),
    (torch.float16, torch.float16), (torch.bfloat16, torch.float32), (torch.float16, torch.float32),
]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 3e-2, torch.float16: 4e-3}
PRESENT = [(True, True), (True, False), (False, True), (False, False)]
LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "sliced": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]],
    "expanded": lambda x: x[:1].expand_as(x),
}


def calls(name):
    stats = carat.stats()
    return stats[name].calls if name in stats else 0


def close(got, want, exact, tolerance):
    assert (got is None) == (want is None)
    if got is None:
        return
    assert got.dtype == want.dtype and got.shape == want.shape and got.stride() == want.stride()
    scale = max(1.0, exact.abs().max().item()) if exact.numel() else 1.0
    torch.testing.assert_close(got.double(), exact, atol=tolerance * scale, rtol=tolerance)


def check(name, op, args, exact_args, x_dtype, exact=None):
    before = calls(name)
    with carat.use():
        got = op(*args)
    if calls(name) == before:  # ATen is as fast there
        assert set(carat.stats()[name].reasons) <= {"strided operand", "short planes"}
        return
    for g, w, e in zip(got, op(*args), exact or op(*exact_args)):
        close(g, w, e, TOLERANCE[x_dtype])


def doubled(args):
    return [a.double() if isinstance(a, torch.Tensor) else a for a in args]


def make(shape, dtype, offset=0.0):
    return (torch.randn(shape, dtype=torch.float64) + offset).to(dtype)


@pytest.mark.parametrize("x_dtype,dtype", KINDS, ids=str)
def test_layer_norm(x_dtype, dtype):
    torch.manual_seed(0)
    shapes = [((5,), 1), ((3, 7), 1), ((2, 3, 8), 1), ((4, 6, 5), 2), ((32, 384), 1), ((70, 1000), 1), ((3, 4099), 1), ((0, 8), 1), ((200, 33), 1)]
    for (shape, dims), (w, b), layout in itertools.product(shapes, PRESENT, LAYOUTS.values()):
        if x_dtype != dtype and not (w or b):
            continue
        normalized = list(shape[-dims:])
        x = layout(make(shape, x_dtype, 3.0))
        weight, bias = (make(normalized, dtype) if p else None for p in (w, b))
        args = [x, normalized, weight, bias, 1e-5]
        check("native_layer_norm", aten.native_layer_norm, args, doubled(args), x_dtype)


@pytest.mark.parametrize("x_dtype,dtype", KINDS, ids=str)
def test_layer_norm_backward(x_dtype, dtype):
    torch.manual_seed(1)
    shapes = [((5,), 1), ((3, 7), 1), ((2, 3, 8), 1), ((4, 6, 5), 2), ((300, 384), 1), ((70, 1000), 1), ((3, 4099), 1), ((600, 33), 1)]
    for (shape, dims), (w, b), (name, layout) in itertools.product(shapes, PRESENT, LAYOUTS.items()):
        if (x_dtype != dtype and not w) or (name != "contiguous" and not b):
            continue
        normalized = list(shape[-dims:])
        x, grad = layout(make(shape, x_dtype, 1.0)), layout(make(shape, x_dtype))
        weight, bias = (make(normalized, dtype) if p else None for p in (w, b))
        _, mean, rstd = aten.native_layer_norm(x, normalized, weight, bias, 1e-5)
        masks = itertools.product([True, False], [True, False] if w else [False], [True, False] if b else [False])
        for mask in masks if shape == (3, 7) else [(True, w, b)]:
            args = [grad, x, normalized, mean, rstd, weight, bias, list(mask)]
            check("native_layer_norm_backward", aten.native_layer_norm_backward, args, doubled(args), x_dtype)


@pytest.mark.parametrize("x_dtype,dtype", KINDS, ids=str)
def test_group_norm(x_dtype, dtype):
    torch.manual_seed(2)
    for (shape, groups), (w, b) in itertools.product([((2, 4), 2), ((3, 6, 5), 3), ((2, 8, 3, 7), 4), ((2, 32, 16, 16), 8), ((1, 3, 2, 3, 4), 1)], PRESENT):
        if x_dtype != dtype and not w:
            continue
        x, grad = make(shape, x_dtype, 2.0), make(shape, x_dtype)
        weight, bias = (make(shape[1:2], dtype) if p else None for p in (w, b))
        sizes = [shape[0], shape[1], x[0, 0].numel(), groups]
        args = [x, weight, bias, *sizes, 1e-5]
        check("native_group_norm", aten.native_group_norm, args, doubled(args), x_dtype)
        _, mean, rstd = aten.native_group_norm(*args)
        for mask in itertools.product([True, False], [True, False] if w else [False], [True, False] if w else [False]):
            args = [grad, x, mean, rstd, weight, *sizes, list(mask)]
            check("native_group_norm_backward", aten.native_group_norm_backward, args, doubled(args), x_dtype)


def test_large_mean_keeps_its_digits():
    x = torch.randn(8, 512, dtype=torch.float64) + 1e4
    with carat.use():
        got = torch.layer_norm(x.float(), [512])
    torch.testing.assert_close(got.double(), torch.layer_norm(x.float().double(), [512]), atol=2e-3, rtol=0)


def test_autograd():
    x = torch.randn(4, 3, 6, dtype=torch.float64, requires_grad=True)
    w, b = torch.randn(6, dtype=torch.float64, requires_grad=True), torch.randn(6, dtype=torch.float64, requires_grad=True)
    c, d = torch.randn(3, dtype=torch.float64, requires_grad=True), torch.randn(3, dtype=torch.float64, requires_grad=True)
    with carat.use():
        assert torch.autograd.gradcheck(lambda *v: torch.nn.functional.layer_norm(v[0], [6], v[1], v[2]), (x, w, b))
        assert torch.autograd.gradcheck(lambda *v: torch.nn.functional.group_norm(v[0], 3, v[1], v[2]), (x, c, d))


def test_steps_aside():
    x = torch.randn(4, 6)
    with carat.use():
        with pytest.raises(RuntimeError, match="normalized_shape"):
            torch.layer_norm(x, [5])
        with pytest.raises(RuntimeError):
            torch.layer_norm(x, [6], torch.ones(6, dtype=torch.float64))
        assert torch.layer_norm(torch.empty(3, 0), [0]).shape == (3, 0)
        image = torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last)
        assert torch.group_norm(image, 2).is_contiguous(memory_format=torch.channels_last)


def test_threads_do_not_change_results():
    x, g, w = torch.randn(700, 300), torch.randn(700, 300), torch.randn(300)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with carat.use():
                y, mean, rstd = aten.native_layer_norm(x, [300], w, w, 1e-5)
                results.append([y, *aten.native_layer_norm_backward(g, x, [300], mean, rstd, w, w, [True] * 3)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize("dtype", [d for d, p in KINDS if d == p], ids=str)
@pytest.mark.parametrize("shape", [(3, 5), (64, 300), (8, 4, 3, 3), (1, 9000)], ids=str)
def test_weight_norm(shape, dtype):
    v, g, grad = make(shape, dtype, 0.5), make((shape[0], *[1] * (len(shape) - 1)), dtype, 2), make(shape, dtype)
    check("_weight_norm_interface", aten._weight_norm_interface, (v, g, 0), (v.double(), g.double(), 0), dtype)
    norms = aten._weight_norm_interface(v, g, 0)[1]
    args = (grad, v, g, norms, 0)
    check("_weight_norm_interface_backward", aten._weight_norm_interface_backward, args, doubled(args), dtype)


def test_weight_norm_of_columns_is_atens():
    before = calls("_weight_norm_interface")
    with carat.use():
        aten._weight_norm_interface(torch.randn(4, 6), torch.randn(1, 6), 1)
    assert calls("_weight_norm_interface") == before

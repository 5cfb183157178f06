# SPDX-License-Identifier: Apache-2.0
"""The batch norm family against ATen: layouts, dtypes, absent parameters, running statistics, and stepping aside."""

import itertools
import math

import pytest
import torch

import carat
from test_norm import KINDS, TOLERANCE, calls, close

aten = torch.ops.aten
# Long planes and short ones, folded rows with a ragged rest, many rows, no plane at all.
SHAPES = [(4, 5, 6, 7), (2, 9, 40, 41), (32, 40, 3, 3), (3, 2, 2, 3, 4), (300, 7), (9, 3, 50), (40, 600), (3, 2, 700, 3)]
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def batches(shape, dtype):
    x = (torch.randn(shape, dtype=torch.float64) * 2 + 3).to(dtype)
    yield x
    if len(shape) in FORMATS:
        yield x.contiguous(memory_format=FORMATS[len(shape)])


def parameters(shape, dtype, affine, running):
    c = shape[1]
    vectors = [torch.rand(c) + 0.5, torch.randn(c), torch.randn(c), torch.rand(c) + 0.5]
    return [v.to(dtype) if there else None for v, there in zip(vectors, [affine, affine, running, running])]


def copies(values, dtype=None):
    return [v.to(dtype or v.dtype, copy=True) if isinstance(v, torch.Tensor) else v for v in values]


def compare(name, op, args, tolerance):
    """Results and arguments afterwards: running statistics move."""
    ours, theirs, exact = copies(args), copies(args), copies(args, torch.float64)
    before = calls(name)
    with carat.use():
        mine = op(*ours)
    assert calls(name) > before, carat.stats()[name].reasons
    for got, want, true in zip([*mine, *ours], [*op(*theirs), *theirs], [*op(*exact), *exact]):
        if isinstance(want, torch.Tensor):
            close(got, want, true, tolerance)
    return mine


@pytest.mark.parametrize("x_dtype,dtype", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(shape, x_dtype, dtype):
    tolerance = TOLERANCE[x_dtype]
    # Gradients of parameters are sums of so many terms of both signs.
    gradient_tolerance = 2 * tolerance * max(1, math.sqrt(math.prod(shape) / shape[1]) / 16)
    for x, training, affine in itertools.product(batches(shape, x_dtype), (True, False), (True, False)):
        for running in (True, False) if training and affine else (True,):
            weight, bias, mean, var = parameters(shape, dtype, affine, running)
            compare("native_batch_norm", aten.native_batch_norm, (x, weight, bias, mean, var, training, 0.3, 1e-5), tolerance)
            saved = aten.native_batch_norm(x, weight, bias, *copies((mean, var)), training, 0.3, 1e-5)[1:]
            for g in (torch.randn_like(x), x.new_ones(()).expand(shape)):
                mask = [True, affine, True]
                compare("native_batch_norm_backward", aten.native_batch_norm_backward,
                        (g, x, weight, mean, var, *saved, training, 1e-5, mask), gradient_tolerance)


def test_masks():
    x = torch.randn(6, 4, 50)
    weight, _, mean, var = parameters(x.shape, x.dtype, True, True)
    _, *saved = aten.native_batch_norm(x, weight, None, None, None, True, 0.1, 1e-5)
    for mask in itertools.product((True, False), repeat=3):
        for training in (True, False):
            compare("native_batch_norm_backward", aten.native_batch_norm_backward,
                    (torch.randn_like(x), x, weight, mean, var, *saved, training, 1e-5, list(mask)), 2e-5)


def test_large_means_lose_nothing():
    for shape in ((8, 4, 500), (2000, 4), (2, 4, 30, 30)):
        x = torch.randn(shape, dtype=torch.float64) + 1000
        exact = aten.native_batch_norm(x.float().double(), None, None, None, None, True, 0.1, 0)
        with carat.use():
            got = aten.native_batch_norm(x.float(), None, None, None, None, True, 0.1, 0)
        torch.testing.assert_close(got[2].double(), exact[2], rtol=1e-5, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_special_values(training):
    x = torch.randn(4, 5, 40)
    x[0, 0, 0], x[0, 1, 0], x[:, 2] = float("nan"), float("inf"), 1.5
    for eps in (1e-5, 0.0):
        _, _, mean, var = parameters(x.shape, x.dtype, False, True)
        var[3] = 0 if eps else 1  # ATen's answer to 0 / 0 depends on the layout
        args = (x, None, None, mean, var, training, 0.1, eps)
        ours, theirs = copies(args), copies(args)
        with carat.use():
            got = aten.native_batch_norm(*ours)
        for g, w in zip([*got, *ours[3:5]], [*aten.native_batch_norm(*theirs), *theirs[3:5]]):
            torch.testing.assert_close(g, w, rtol=1e-5, atol=1e-4, equal_nan=True)  # ATen's own rounding errors


def test_what_is_left_to_aten():
    x, c = torch.randn(10, 6, 9), torch.ones(6)
    shared = torch.ones(6)
    for args in ((x, c, c, shared, shared, True, 0.1, 1e-5), (x.transpose(0, 2), None, None, None, None, True, 0.1, 1e-5),
                 (x, torch.ones(12)[::2], c, None, None, True, 0.1, 1e-5), (x[:0], c, c, c.clone(), c.clone(), False, 0.1, 1e-5)):
        before = calls("native_batch_norm")
        with carat.use():
            aten.native_batch_norm(*args)
        assert calls("native_batch_norm") == before


def test_module_in_training_and_evaluation():
    x = torch.randn(8, 16, 12, 12, requires_grad=True)
    outcomes = []
    for scope in (carat.use(only=[]), carat.use()):
        torch.manual_seed(1)
        module = torch.nn.BatchNorm2d(16)
        with scope:
            for mode in (True, False):
                y = module.train(mode)(x)
                outcomes.append([y, *torch.autograd.grad(y.square().sum(), (x, *module.parameters())), *module.buffers()])
    for theirs, ours in zip(outcomes[:2], outcomes[2:]):
        for a, b in zip(theirs, ours):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)

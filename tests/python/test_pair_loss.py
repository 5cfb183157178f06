# SPDX-License-Identifier: Apache-2.0
"""What is special about losses of an input and a target: overflow of half types, layouts, weights, bad input, out= tensors."""

import contextlib
import itertools

import pytest
import torch
import torch.nn.functional as F

import carat
from same_call import served

aten = torch.ops.aten
LOSSES = [F.mse_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy]


def both(function):
    expected = function()
    with carat.use():
        return function(), expected


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_layouts_and_sizes(loss):
    torch.manual_seed(0)
    for shape, swapped, reduction in itertools.product([(1,), (1023,), (130, 257), (3, 90, 300)], [False, True], ["none", "mean", "sum"]):
        x, y = torch.rand(shape).requires_grad_(), torch.rand(shape)
        if swapped:
            x, y = x.transpose(0, -1), y.transpose(0, -1)
        before = served()
        got, expected = both(lambda: loss(x, y, reduction=reduction))
        assert served() > before
        assert got.stride() == expected.stride()
        torch.testing.assert_close(got, expected)


def test_losses_beyond_the_range_of_half_are_infinite():
    x, y = torch.tensor([300.0, 0.0], dtype=torch.float16), torch.zeros(2, dtype=torch.float16)
    got, expected = both(lambda: F.mse_loss(x, y))
    assert got == expected == torch.inf


def test_sums_do_not_depend_on_threads():
    x, y = torch.rand(900, 1000), torch.rand(900, 1000)
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with carat.use():
            results.append(F.mse_loss(x, y))
    torch.set_num_threads(1)
    assert torch.equal(*results)


def test_weights_and_saturated_probabilities():
    x, y = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, 1e-30]], dtype=torch.float64), torch.tensor([[0.0, 1.0, 0.3], [0.2, 1.0, 1.0]], dtype=torch.float64)
    for dtype, reduction, weight in itertools.product([torch.float64, torch.float32, torch.float16, torch.bfloat16], [0, 1, 2], [None, torch.tensor([1.0, 2, 3])]):
        weight = weight if weight is None else weight.to(dtype)
        got, expected = both(lambda: aten.binary_cross_entropy(x.to(dtype), y.to(dtype), weight, reduction))
        torch.testing.assert_close(got, expected)
        grad = expected.new_tensor(2.0) if reduction else torch.ones_like(x, dtype=dtype)
        got, expected = both(lambda: aten.binary_cross_entropy_backward(grad, x.to(dtype), y.to(dtype), weight, reduction))
        torch.testing.assert_close(got, expected, equal_nan=True)


@pytest.mark.parametrize("bad", [1.5, -0.1, torch.nan])
def test_elements_out_of_range_are_left_to_aten(bad):
    good, bad_one = torch.rand(70000), torch.rand(70000)
    bad_one[69999] = bad
    before = served("binary_cross_entropy")
    for x, y, reduction in itertools.product([good, bad_one], [good, bad_one], ["none", "mean"]):
        with carat.use():
            if x is bad_one:
                with pytest.raises(RuntimeError, match="between 0 and 1"):
                    F.binary_cross_entropy(x, y, reduction=reduction)
            elif y is bad_one:  # an error in some versions
                with contextlib.suppress(RuntimeError):
                    F.binary_cross_entropy(x, y, reduction=reduction)
    assert served("binary_cross_entropy") == before


def test_out_may_be_the_input_but_not_overlap_it():
    for loss in (aten.mse_loss, aten.smooth_l1_loss, aten.huber_loss):
        def in_place():
            x = torch.linspace(0, 3, 500)
            return loss(x, torch.ones(500), reduction=0, out=x)
        torch.testing.assert_close(*both(in_place))
    whole = torch.rand(501)
    with carat.use(), pytest.raises(RuntimeError, match="overlap|single memory location"):
        aten.mse_loss(whole[:500], torch.ones(500), 0, out=whole[1:])


def test_gradients_pass_gradcheck():
    x, y = torch.rand(4, 3, dtype=torch.float64) * 0.8 + 0.1, torch.rand(4, 3, dtype=torch.float64)
    with carat.use():
        for loss, reduction in itertools.product(LOSSES, ("none", "mean", "sum")):
            assert torch.autograd.gradcheck(lambda v: loss(v, y, reduction=reduction), x.clone().requires_grad_())

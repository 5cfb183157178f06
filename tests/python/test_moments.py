# SPDX-License-Identifier: Apache-2.0
"""Variances and means against ATen."""

import pytest
import torch
from against_aten import check
from test_reduce import FLOATS, dim_sets, walk

aten = torch.ops.aten
SHAPES = [(7,), (300,), (5, 3), (33, 65), (3, 5, 7), (2, 3, 4, 5), (70, 4, 40), (600, 3), (40000,), (300, 257), (9000, 5), (5, 2, 9000), (70000, 2)]


@pytest.mark.parametrize("op", [aten.var.correction, aten.std.correction, aten.var_mean.correction, aten.std_mean.correction], ids=str)
def test_moments(op):
    for x in walk(FLOATS, SHAPES):
        check(op, x)
        for dims in dim_sets(x.dim()):
            check(op, x + 3, list(dims), correction=0, keepdim=True)


def test_cancellation():
    """A mean that is large against the deviation."""
    for shape, dim in (((50, 3000), 1), ((3000, 50), 0), ((200000,), 0)):
        x = torch.randn(shape) + 1000
        y = check(aten.var.correction, x, [dim])
        torch.testing.assert_close(y.double(), x.double().var(dim), rtol=1e-4, atol=0)


def test_special_values():
    for value in (float("nan"), float("inf")):
        x = torch.randn(4, 100)
        x[1, 50] = value
        for d in (0, 1):
            check(aten.var.correction, x, [d])
    check(aten.var.correction, torch.ones(1), served=False)


def test_autograd():
    x, y = (torch.arange(600.0).reshape(20, 30).sin().requires_grad_() for _ in range(2))
    import carat
    x.var(1).sum().backward()
    with carat.use():
        y.var(1).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)

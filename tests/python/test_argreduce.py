# SPDX-License-Identifier: Apache-2.0
"""argmax, argmin, max.dim and min.dim against ATen: first index among equals, NaN, layouts."""

import pytest
import torch
from against_aten import check
from test_reduce import FLOATS, INTS, layouts, values, walk

aten = torch.ops.aten
SHAPES = [(), (1,), (7,), (64,), (300,), (5, 3), (33, 65), (3, 5, 7), (2, 3, 4, 5), (70, 4, 40), (1, 1, 256), (600, 3), (40000,),
          (300, 257), (9000, 5), (5, 2, 9000), (2, 70000), (70000, 2)]


@pytest.mark.parametrize("op", [aten.argmax.default, aten.argmin.default], ids=str)
def test_index(op):
    for x in walk(FLOATS + INTS[:-1], SHAPES):
        check(op, x)
        for d in range(-x.dim(), x.dim()):
            check(op, x, d, d % 2 == 0)


@pytest.mark.parametrize("op", [aten.max.dim, aten.min.dim], ids=str)
def test_value_and_index(op):
    for x in walk(FLOATS + INTS, SHAPES):
        for d in range(-x.dim(), max(x.dim(), 1)):
            check(op, x, d, d % 2 == 0)


def test_special_values():
    for dtype in FLOATS:
        for at in (0, 1, 63, 64, 200):
            x = torch.randn(4, 201).to(dtype)
            x[1, at:] = float("nan")
            x[2, at:] = float("inf")
            x[3] = -float("inf")
            for y, d in ((x, 1), (x.t(), 0), (x.t().contiguous(), 0)):
                for op in (aten.argmax.default, aten.argmin.default):
                    check(op, y, d)
                    check(op, y)
                for op in (aten.max.dim, aten.min.dim):
                    check(op, y, d)
    for zeros in (torch.tensor([0.0, -0.0, 0.0]), torch.tensor([-0.0, 0.0]).repeat(50)):
        for op in (aten.max.dim, aten.min.dim):
            assert torch.equal(check(op, zeros, 0)[0].signbit(), op(zeros, 0)[0].signbit())


def test_out():
    x = torch.randn(30, 40)
    check(aten.max.dim_max, x, 1, max=torch.empty(30), max_values=torch.empty(30, dtype=torch.int64))
    check(aten.argmax.out, x, 0, out=torch.empty(40, dtype=torch.int64))
    check(aten.max.dim_max, x, 1, max=torch.empty(60)[::2], max_values=torch.empty(30, dtype=torch.int64), served=False)


def test_autograd():
    x, y = (torch.arange(600.0).reshape(20, 30).sin().requires_grad_() for _ in range(2))
    import carat
    x.max(1).values.sum().backward()
    with carat.use():
        y.max(1).values.sum().backward()
    assert torch.equal(x.grad, y.grad)

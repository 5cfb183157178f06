# SPDX-License-Identifier: Apache-2.0
"""The scan family against ATen."""

import pytest
import torch
from against_aten import check
from test_reduce import FLOATS, INTS, values, walk

aten = torch.ops.aten
SHAPES = [(), (1,), (7,), (300,), (5, 3), (33, 65), (3, 5, 7), (2, 3, 4, 5), (70, 4, 40), (1, 256), (600, 3), (40000,), (20, 700), (9, 5000)]


@pytest.mark.parametrize("op", [aten.cumsum.default, aten._logcumsumexp.default, aten.cummax.default, aten.cummin.default], ids=str)
def test_scan(op):
    name = str(op).split(".")[1]
    for x in walk(FLOATS + ([] if op == aten._logcumsumexp.default else INTS), SHAPES):
        for d in range(-x.dim(), x.dim()):
            if name in ("cummax", "cummin"):
                check_extreme(op, x, d)
            else:
                check(op, x, d, scale=x.numel() ** 0.5, served=x.numel() < 40000 or None)


def check_extreme(op, x, d):
    """cummax calls its helper below the dispatcher's entry."""
    import carat
    helper = "_" + str(op).split(".")[1] + "_helper"
    theirs = op(x, d)
    carat.stats(reset=True)
    with carat.use():
        mine = op(x, d)
    assert x.dim() == 0 or carat.stats()[helper].calls == 1
    for m, t in zip(mine, theirs):
        assert m.dtype == t.dtype and m.stride() == t.stride()
        assert torch.equal(m.nan_to_num(99) if m.is_floating_point() else m, t.nan_to_num(99) if t.is_floating_point() else t), (x.shape, d)


def test_cumprod():
    g = torch.Generator().manual_seed(0)
    for shape in [(5,), (8, 3), (3, 4, 5), (33, 20)]:
        for dtype in FLOATS + INTS:
            x = values(shape, dtype, g)
            x = x / 4 + 1 if dtype.is_floating_point else x
            for d in range(-1, len(shape)):
                check(aten.cumprod.default, x, d)


def test_special_values():
    for dtype in FLOATS:
        for at in (0, 3, 299):
            x = torch.randn(9, 300).to(dtype)
            x[1, at:at + 2] = float("nan")
            x[2, at] = float("inf")
            x[3, :at] = -float("inf")
            for y, d in ((x, 1), (x.t(), 0), (x.t().contiguous(), 0)):
                check(aten.cumsum.default, y, d, scale=20)
                check(aten._logcumsumexp.default, y, d)
                check_extreme(aten.cummax.default, y, d)
                check_extreme(aten.cummin.default, y, d)


def test_in_place_and_out():
    for x, d in ((torch.randn(30, 40), 0), (torch.randn(30, 40), 1), (torch.randn(30, 40).t(), 1), (torch.randn(3000), 0)):
        import carat
        expected = x.cumsum(d)
        with carat.use():
            y = x.clone(memory_format=torch.preserve_format)
            y.cumsum_(d)
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
        check(aten.cumsum.out, x, d, out=torch.empty_like(x), scale=20)
    check(aten.cumsum.default, torch.ones(3, dtype=torch.int32), 0, dtype=torch.float32, served=False)
    check(aten.cumsum.default, torch.empty(0, 3), 0)


def test_autograd():
    x, y = (torch.arange(600.0).reshape(20, 30).sin().requires_grad_() for _ in range(2))
    import carat
    x.cumsum(1).pow(2).sum().backward()
    with carat.use():
        y.cumsum(1).pow(2).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-4)

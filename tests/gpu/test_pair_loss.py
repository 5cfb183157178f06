# SPDX-License-Identifier: Apache-2.0
"""Losses of an input and a target on CUDA: reductions, gradients, layouts, sizes around the groups' bounds."""

import pytest
import torch

import carat
from test_cuda import assert_stops_the_device, both, sample
from test_norm import floats

aten = torch.ops.aten
NONE, MEAN, SUM = 0, 1, 2
LOSSES = {"mse_loss": (), "smooth_l1_loss": (0.5,), "huber_loss": (0.7,)}


def run(name, x, y, reduction, extra, weight=None):
    more = (weight,) if name == "binary_cross_entropy" else ()
    return getattr(aten, name)(x, y, *more, reduction, *extra)


@pytest.mark.parametrize("shape", [(1,), (), (7,), (1000,), (4096, 3), (1 << 14,), (1 << 20,), (3, 700001), (1 << 23,)], ids=str)
@floats
def test_losses(shape, dtype):
    x, y = sample(shape, dtype), sample(shape, dtype, 1)
    grad = sample(shape, dtype, 2)
    for name, extra in LOSSES.items():
        for reduction in (NONE, MEAN, SUM):
            loss = both(lambda: run(name, x, y, reduction, extra), name, truth=lambda: run(name, x.double(), y.double(), reduction, extra))
            backward = getattr(aten, f"{name}_backward")
            g = grad if reduction == NONE else torch.full_like(loss, 0.5)
            both(lambda: backward(g, x, y, reduction, *extra), truth=lambda: backward(g.double(), x.double(), y.double(), reduction, *extra))
    p, target, weight = x.sigmoid(), (y > 0).to(dtype), grad.abs()
    for w in (None, weight):
        for reduction in (NONE, MEAN, SUM):
            wide = w if w is None else w.double()
            both(lambda: run("binary_cross_entropy", p, target, reduction, (), w), "binary_cross_entropy" if reduction != NONE else None,
                 truth=lambda: run("binary_cross_entropy", p.double(), target.double(), reduction, (), wide))
            g = grad if reduction == NONE else torch.full((), 0.5, device="cuda", dtype=dtype)
            both(lambda: aten.binary_cross_entropy_backward(g, p, target, w, reduction), "binary_cross_entropy_backward",
                 truth=lambda: aten.binary_cross_entropy_backward(g.double(), p.double(), target.double(), wide, reduction))


@floats
def test_layouts(dtype):
    x, y = sample((64, 100), dtype), sample((64, 100), dtype, 1)
    wide = torch.cat([x, y], 1)
    for a, b in ((x.t(), y.t()), (x.t(), y.view(100, 64)), (wide[:, :100], y), (x.flatten()[1:], y.flatten()[1:]), (x, y[:1]), (x, y[:, :1])):
        for reduction in (NONE, MEAN, SUM):
            both(lambda: aten.mse_loss(a, b, reduction), truth=lambda: aten.mse_loss(a.double(), b.double(), reduction))


def test_the_same_every_time():
    x, y = sample((5000, 999), torch.float32), sample((5000, 999), torch.float32, 1)
    with carat.use():
        first = aten.mse_loss(x, y, MEAN)
        assert all(torch.equal(first, aten.mse_loss(x, y, MEAN)) for _ in range(5))


def test_an_input_out_of_range_stops_the_device():
    assert_stops_the_device("import torch, carat; x = torch.full((9,), 2.0, device='cuda'); y = torch.zeros(9, device='cuda')\n"
                            "with carat.use(): torch.ops.aten.binary_cross_entropy(x, y, None, 1)")

# SPDX-License-Identifier: Apache-2.0
"""The loss family against ATen: reductions, weights, ignored targets, layouts, gradients, errors."""

import itertools

import pytest
import torch

import carat

aten = torch.ops.aten
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 1e-2, torch.float16: 2e-3}
SHAPES = [(5,), (1, 3), (7, 4), (300, 17), (700, 70), (9000, 5), (2, 3, 4, 5), (3, 6, 9, 70), (1, 2, 100, 90)]


def calls(name):
    stats = carat.stats()
    return stats[name].calls if name in stats else 0


def check(name, op, args, dtype):
    before = calls(name)
    with carat.use():
        got = op(*args)
    if calls(name) == before:  # ATen is as fast there
        assert set(carat.stats()[name].reasons) <= {"many targets", "strides"}
        return op(*args) if "forward" in name else None
    want, exact = op(*args), op(*[a.double() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args])
    if isinstance(got, torch.Tensor):
        got, want, exact = [got], [want], [exact]
    for g, w, e in zip(got, want, exact):
        assert g.dtype == w.dtype and g.shape == w.shape and g.stride() == w.stride()
        torch.testing.assert_close(g.double(), e, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype], equal_nan=True)
    return got


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nll(dtype):
    torch.manual_seed(0)
    for shape, weighted, reduction, ignore, strided in itertools.product(SHAPES, [False, True], [0, 1, 2], [-100, 1], [False, True]):
        x = torch.log_softmax(torch.randn(shape, dtype=torch.float64), 1 if len(shape) > 1 else 0).to(dtype)
        if strided:
            x = x.transpose(0, -1).contiguous().transpose(0, -1)
        classes = shape[1] if len(shape) > 1 else shape[0]
        target = torch.randint(classes, shape[:1] + shape[2:] if len(shape) > 1 else ())
        weight = torch.rand(classes).to(dtype) if weighted else None
        name = "nll_loss2d" if len(shape) == 4 else "nll_loss"
        args = [x, target, weight, reduction, ignore]
        out, total = check(f"{name}_forward", getattr(aten, f"{name}_forward"), args, dtype)
        if strided and len(shape) == 4:
            continue  # ATen refuses the gradient of most of these
        total = getattr(aten, f"{name}_forward")(*args)[1]
        grad = torch.randn(out.shape).to(dtype)
        check(f"{name}_backward", getattr(aten, f"{name}_backward"), [grad, *args, total], dtype)


def test_all_ignored():
    x, target = torch.randn(4, 3), torch.full((4,), -100)
    with carat.use():
        assert torch.nn.functional.nll_loss(x, target).isnan()
        assert torch.nn.functional.nll_loss(x, target, reduction="sum") == 0


def test_cross_entropy_trains():
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randint(5, (6,))
    with carat.use():
        assert torch.autograd.gradcheck(lambda v: torch.nn.functional.cross_entropy(v, target), x)
    logits = torch.randn(384, 256, requires_grad=True)
    labels = torch.randint(256, (384,))
    (want,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)
    before = calls("nll_loss_backward")
    with carat.use():
        (got,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)
    assert calls("nll_loss_backward") == before + 1
    torch.testing.assert_close(got, want)


def test_steps_aside():
    x = torch.randn(4, 3)
    with carat.use():
        with pytest.raises(IndexError, match="out of bounds"):
            torch.nn.functional.nll_loss(x, torch.tensor([0, 1, 2, 3]))
        with pytest.raises(IndexError, match="out of bounds"):
            torch.nn.functional.nll_loss(x, torch.tensor([0, 1, -1, 2]))
        with pytest.raises((RuntimeError, ValueError)):
            torch.nn.functional.nll_loss(x, torch.tensor([0, 1]))
        assert torch.nn.functional.nll_loss(torch.empty(0, 3), torch.empty(0, dtype=torch.int64)).isnan()
        labels = torch.tensor([0, 1, 2, 0], dtype=torch.uint8)
        torch.testing.assert_close(torch.nn.functional.nll_loss(x, labels), torch.nn.functional.nll_loss(x, labels.long()))

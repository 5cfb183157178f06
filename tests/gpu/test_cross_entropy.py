# SPDX-License-Identifier: Apache-2.0
"""carat.nn's cross-entropy on CUDA: values and gradients of all forms, long and odd rows, memory, graphs, compiled graphs."""

import itertools

import pytest
import torch

import carat
import carat.nn
from carat.nn import functional
from test_cuda import sample
from test_norm import floats

NAMES = ("carat::cross_entropy", "carat::cross_entropy_backward")


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(functional, "_LEAST", {"cuda": (1, 1)})


def step(function, scores, target, weight, **how):
    leaf = scores.detach().clone().requires_grad_()
    loss = function(leaf, target, weight, **how)
    loss.backward(torch.linspace(1, 1.5, loss.numel(), dtype=loss.dtype, device="cuda").view(loss.shape))
    return loss.detach(), leaf.grad


def assert_near(mine, theirs, truth):
    """As near to the truth as PyTorch's, whose sums over classes of float16 may be infinite."""
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape and mine.stride() == theirs.stride()
    assert torch.equal(mine.isnan(), truth.isnan())
    finite = truth.isfinite() & mine.isfinite()
    ours, atens = ((value.double() - truth)[finite].abs().nan_to_num(0, torch.inf).sum() for value in (mine, theirs))
    slack = 1000 if mine.dtype == torch.float64 else 8
    assert torch.equal(mine.isinf(), truth.to(mine.dtype).isinf())
    assert ours <= max(2 * atens, slack * torch.finfo(mine.dtype).eps * truth[finite].abs().sum().clamp(min=0.1)), (ours, atens)


def compare(scores, target, weight, **how):
    wide = None if weight is None else weight.double()
    truth = step(torch.nn.functional.cross_entropy, scores.double(), target, wide, **how)
    theirs = step(torch.nn.functional.cross_entropy, scores, target, weight, **how)
    carat.stats(reset=True)
    mine = step(functional.cross_entropy, scores, target, weight, **how)
    assert all(carat.stats()[name].calls == 1 for name in NAMES), carat.stats()
    for one, other, exact in zip(mine, theirs, truth):
        assert_near(one, other, exact)


@pytest.mark.parametrize("rows, cols", [(1, 1), (3, 2), (100, 10), (9000, 33), (64, 1000), (5, 4099), (20, 50257), (16, 128256), (3, 300001)])
@floats
def test_values(rows, cols, dtype):
    scores, weight = sample((rows, cols), dtype) * 3, sample((cols,), dtype, 1).abs() + 0.2
    target = torch.randint(0, cols, (rows,), device="cuda", generator=torch.Generator("cuda").manual_seed(2))
    target[rows // 2] = -100
    for reduction, w, smoothing in itertools.product(("mean", "sum", "none"), (None, weight), (0.0, 0.1)):
        compare(scores, target, w, reduction=reduction, label_smoothing=smoothing)
    compare(torch.cat([scores, scores], 1)[:, cols // 3:cols // 3 + cols], target, weight)
    compare(scores + 1000, target.clamp(min=0), weight, ignore_index=0)


def test_special_scores():
    inf = float("inf")
    for dtype in (torch.float32, torch.bfloat16):
        scores, target = sample((6, 5000), dtype), torch.arange(6, device="cuda")
        scores[0, 3], scores[1, 4], scores[2, 5], scores[3] = float("nan"), inf, -inf, -inf
        scores[4, 1:], target[4] = -inf, 0
        compare(scores, target, None, reduction="none")


def test_memory():
    rows, cols = 512, 128256
    scores = sample((rows, cols), torch.bfloat16).requires_grad_()
    target = torch.randint(0, cols, (rows,), device="cuda")
    others, peaks = torch.cuda.memory_allocated() - scores.nbytes, []
    for function in (torch.nn.functional.cross_entropy, functional.cross_entropy):
        scores.grad = None
        torch.cuda.reset_peak_memory_stats()
        function(scores, target).backward()
        peaks.append(torch.cuda.max_memory_allocated() - others)
    assert peaks[1] <= 0.52 * peaks[0], peaks


def test_graph_compile_and_autocast():
    scores, target = sample((64, 3000), torch.bfloat16), torch.randint(0, 3000, (64,), device="cuda")
    loss = carat.nn.CrossEntropyLoss(label_smoothing=0.1)
    first = step(lambda s, t, w: loss(s, t), scores, target, None)
    torch.cuda.synchronize()
    leaf = scores.clone().requires_grad_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = loss(leaf, target)
        grad, = torch.autograd.grad(made, leaf)
    grad.zero_()
    graph.replay()
    assert torch.equal(made.detach(), first[0]) and torch.equal(grad, first[1])
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for one, other in zip(step(lambda s, t, w: compiled(s, t), scores, target, None), first):
        assert torch.equal(one, other)
    with torch.autocast("cuda", torch.bfloat16):
        mine, theirs = (step(f, scores, target, None) for f in (functional.cross_entropy, torch.nn.functional.cross_entropy))
    assert mine[0].dtype == theirs[0].dtype == torch.float32
    torch.testing.assert_close(mine, theirs, rtol=2e-2, atol=2e-2)  # PyTorch's rounds to bfloat16 on the way

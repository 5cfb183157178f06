# SPDX-License-Identifier: Apache-2.0
"""carat.nn's cross-entropy against PyTorch's: every form of the arguments, what goes to PyTorch's own, tracing and gradients."""

import itertools

import pytest
import torch

import carat
import carat.nn
from carat.nn import functional

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
floats = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: str(d)[6:])
BOTH_SIDES = (None, [])  # Carat's kernels, and what stands in for them


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(functional, "_LEAST", {"cpu": (1, 1)})


def inputs(rows, cols, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = (torch.randn(rows, cols, generator=generator, dtype=torch.float64) * 3).to(dtype)
    target = torch.randint(0, cols, (rows,), generator=generator)
    return scores, target, (torch.rand(cols, generator=generator, dtype=torch.float64) + 0.2).to(dtype)


def step(function, scores, target, weight, **how):
    leaf = scores.detach().clone().requires_grad_()
    loss = function(leaf, target, weight, **how)
    slopes = torch.linspace(1, 1.5, loss.numel(), dtype=loss.dtype, device=loss.device).view(loss.shape)
    loss.backward(slopes)
    return loss.detach(), leaf.grad


def assert_near(mine, theirs, truth):
    """As near to double precision as PyTorch's result, or as the dtype allows."""
    for own, other, exact in zip(mine, theirs, truth):
        assert own.dtype == other.dtype and own.shape == other.shape and own.stride() == other.stride()
        assert torch.equal(own.isnan(), other.isnan())
        ours, torchs = ((t.double() - exact).nan_to_num().abs().max() for t in (own, other))
        slack = 1000 if own.dtype == torch.float64 else 4  # PyTorch's own result stands for the truth then
        assert ours <= max(torchs, slack * torch.finfo(own.dtype).eps * max(exact.nan_to_num().abs().max(), 0.1)), (ours, torchs)


def compare(scores, target, weight, served=True, **how):
    wide = lambda t: None if t is None else t.double()
    truth = step(torch.nn.functional.cross_entropy, scores.double(), target, wide(weight), **how)
    with carat.use([]):
        theirs = step(torch.nn.functional.cross_entropy, scores, target, weight, **how)
    for side in BOTH_SIDES:
        carat.stats(reset=True)
        with carat.use(side):
            mine = step(functional.cross_entropy, scores, target, weight, **how)
        stats = carat.stats()
        for name in ("carat::cross_entropy", "carat::cross_entropy_backward"):
            assert (name in stats and stats[name].calls == 1) == (served and side is None), (name, stats)
        assert_near(mine, theirs, truth)


@pytest.mark.parametrize("rows, cols", [(1, 1), (3, 2), (7, 10), (64, 33), (5, 4096), (3, 4099), (2, 50257), (200, 1000)])
@floats
def test_values(rows, cols, dtype):
    scores, target, weight = inputs(rows, cols, dtype)
    for reduction, w, smoothing in itertools.product(("mean", "sum", "none"), (None, weight), (0.0, 0.1, 1.0)):
        compare(scores, target, w, reduction=reduction, label_smoothing=smoothing)


@floats
def test_ignored_targets(dtype):
    scores, target, weight = inputs(40, 30, dtype)
    target[::3] = -100
    for reduction, w, smoothing in itertools.product(("mean", "sum", "none"), (None, weight), (0.0, 0.2)):
        compare(scores, target, w, reduction=reduction, label_smoothing=smoothing)
        compare(scores, target.clamp(min=0), w, reduction=reduction, label_smoothing=smoothing, ignore_index=0)
        compare(scores, torch.full_like(target, -100), w, reduction=reduction, label_smoothing=smoothing)


@floats
def test_special_scores(dtype):
    inf = float("inf")
    scores, target, _ = inputs(6, 20, dtype)
    scores[0, 3], scores[1, 4], scores[2, 5], scores[3] = float("nan"), inf, -inf, -inf
    scores[4, 1:], target[4] = -inf, 0
    for reduction in ("none", "sum"):
        compare(scores, target, None, reduction=reduction)
    compare(scores * 1e4 if dtype == torch.float64 else scores.nan_to_num(0, 0, 0) * 100, target, None)


@pytest.mark.parametrize("side", BOTH_SIDES, ids=("kernels", "stand-in"))
@floats
def test_ignored_rows_have_no_gradient(dtype, side):
    """Unlike PyTorch's, not even where their scores are no numbers."""
    scores, target, _ = inputs(6, 20, dtype)
    scores[2, 3], target[2] = float("nan"), -100
    with carat.use(side):
        _, slope = step(functional.cross_entropy, scores, target, None, reduction="sum")
    assert not slope[2].any() and slope[[0, 1, 3, 4, 5]].all()


def test_scores_changed_in_place():
    scores, target, _ = inputs(6, 20, torch.float32)
    made = scores.requires_grad_() * 1.0
    loss = functional.cross_entropy(made, target)
    made.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@floats
def test_layouts(dtype):
    scores, target, weight = inputs(24, 64, dtype)
    compare(torch.cat([scores, scores], 1)[:, 3:67], target, weight)
    compare(scores.t().contiguous().t(), target, weight, served=False)
    compare(scores[::2], target[::2], weight, served=False)
    compare(scores, target.repeat_interleave(2)[::2], weight, served=False)


def test_what_goes_to_torch():
    scores, target, weight = inputs(12, 5, torch.float32)
    carat.stats(reset=True)
    with carat.use():
        for call in (lambda f: f(scores, scores.softmax(1)), lambda f: f(scores[0], target[0]), lambda f: f(scores.view(2, 5, 6), target.view(2, 6)),
                     lambda f: f(scores, target, reduce=False), lambda f: f(scores[:0], target[:0], reduction="sum")):
            assert torch.equal(call(functional.cross_entropy), call(torch.nn.functional.cross_entropy))
    assert "carat::cross_entropy" not in carat.stats()
    for bad in (lambda f: f(scores, target + 5), lambda f: f(scores, target, reduction="median"), lambda f: f(scores, target[:3]),
                lambda f: f(scores, target, label_smoothing=2.0), lambda f: f(scores, target, weight[:3]), lambda f: f(scores.int(), target),
                lambda f: f(scores, target.float()), lambda f: f(scores.bfloat16(), target, weight), lambda f: f(scores, target, weight.double())):
        errors = []
        for function in (torch.nn.functional.cross_entropy, functional.cross_entropy):
            with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
                bad(function)
            errors.append((caught.type, str(caught.value)))
        assert errors[0] == errors[1]


def test_weights_of_another_dtype():
    """Are PyTorch's where it refuses them; autocast makes them alike."""
    scores, target, weight = inputs(12, 5, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(functional.cross_entropy(scores.bfloat16(), target, weight),
                                   torch.nn.functional.cross_entropy(scores.bfloat16(), target, weight))
        for call in (lambda f: f(scores.double(), target, weight), lambda f: f(scores, target, weight.double())):
            with pytest.raises(RuntimeError) as theirs:
                call(torch.nn.functional.cross_entropy)
            with pytest.raises(RuntimeError) as mine:
                call(functional.cross_entropy)
            assert str(mine.value) == str(theirs.value)


def test_module_and_switching():
    scores, target, weight = inputs(12, 5, torch.float32)
    mine = carat.nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1, ignore_index=2, reduction="sum")
    theirs = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1, ignore_index=2, reduction="sum")
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    carat.disable()
    carat.stats(reset=True)
    torch.testing.assert_close(mine(scores, target), theirs(scores, target))
    assert carat.stats()["carat::cross_entropy"].calls == 1 and not carat.is_enabled()


def test_small_matrices_go_to_torch(monkeypatch):
    monkeypatch.undo()
    carat.stats(reset=True)
    for rows, cols in ((12, 5), (100, 600), (40000, 10)):
        scores, target, _ = inputs(rows, cols, torch.float32)
        assert torch.equal(functional.cross_entropy(scores, target), torch.nn.functional.cross_entropy(scores, target))
    assert "carat::cross_entropy" not in carat.stats()
    scores, target, _ = inputs(70, 1000, torch.float32)
    torch.testing.assert_close(functional.cross_entropy(scores, target), torch.nn.functional.cross_entropy(scores, target))
    assert carat.stats()["carat::cross_entropy"].calls == 1


def test_second_derivatives():
    scores, target, weight = inputs(4, 5, torch.float64)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: functional.cross_entropy(s, target, weight, label_smoothing=0.1), scores)
    assert torch.autograd.gradgradcheck(lambda s: functional.cross_entropy(s, target, weight, label_smoothing=0.1), scores)


@pytest.mark.parametrize("autocast", (False, True))
def test_hooks_of_scores_run_once_in_a_pass(autocast):
    """Those of the first gradient's graph as well as those of the second's."""
    scores, target, weight = inputs(4, 5, torch.float32)

    def second(function):
        leaf, seen = scores.clone().requires_grad_(), []
        made = leaf * 1.0
        made.register_hook(lambda g: seen.append(g) or 2 * g)
        made.retain_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = function(made, target, weight, label_smoothing=0.1)
        slope, = torch.autograd.grad(loss, leaf, create_graph=True)
        slope.square().sum().backward()
        return [slope, leaf.grad, made.grad, *seen]
    torch.testing.assert_close(second(functional.cross_entropy), second(torch.nn.functional.cross_entropy))


def test_operator_is_sound():
    scores, target, weight = inputs(4, 5, torch.float32)
    torch.library.opcheck(torch.ops.carat.cross_entropy, (scores.requires_grad_(), target, weight, 1, -100, 0.1, False))
    torch.library.opcheck(torch.ops.carat.cross_entropy, (scores.bfloat16(), target, None, 0, -100, 0.0, True))


def test_compile_autocast_and_transforms():
    scores, target, _ = inputs(16, 9, torch.float32)
    loss = carat.nn.CrossEntropyLoss()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(step(lambda s, t, w: compiled(s, t), scores, target, None), step(lambda s, t, w: loss(s, t), scores, target, None))
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = (step(f, scores.bfloat16(), target, None) for f in (functional.cross_entropy, torch.nn.functional.cross_entropy))
    assert mine[0].dtype == theirs[0].dtype
    torch.testing.assert_close(mine, theirs, rtol=2e-2, atol=2e-2)
    batched = torch.func.vmap(lambda s: functional.cross_entropy(s, target))(scores.expand(3, 16, 9))
    torch.testing.assert_close(batched, loss(scores, target).expand(3))
    torch.testing.assert_close(torch.func.grad(lambda s: functional.cross_entropy(s, target))(scores), step(lambda s, t, w: loss(s, t), scores, target, None)[1])

# SPDX-License-Identifier: Apache-2.0
"""Norms and their gradients on CUDA: rows of all lengths, dtypes, layouts, which gradients are wanted; against double precision,
since sums over rows have no order that both must have."""

import pytest
import torch

import carat
from test_cuda import sample

aten = torch.ops.aten
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
floats = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: str(d)[6:])


def assert_sound(mine, theirs, truth):
    """Looks like ATen's result, and is about as near to the truth."""
    assert (mine is None) == (theirs is None)
    if mine is None:
        return
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape and mine.stride() == theirs.stride() and mine.device == theirs.device
    assert torch.equal(mine.isfinite(), theirs.isfinite())
    finite = truth.isfinite() & mine.isfinite()
    if mine.dtype == torch.float64:
        torch.testing.assert_close(mine, theirs, equal_nan=True)
    elif finite.any():
        ours, atens = ((value.double() - truth)[finite].abs().max() for value in (mine, theirs))
        assert ours <= max(2 * atens, 8 * torch.finfo(mine.dtype).eps * max(1, truth[finite].abs().max())), (ours, atens)


def both(function, *names):
    """function(to) with tensors as they are, by ATen and by Carat, and in double precision."""
    theirs, truth = function(lambda t: t), function(lambda t: t.double() if t.is_floating_point() else t)
    carat.stats(reset=True)
    with carat.use():
        mine = function(lambda t: t)
    stats = carat.stats()
    for name in names:
        assert stats[name].calls > 0, (name, stats[name])
    for one, other, exact in zip(mine, theirs, truth, strict=True):
        assert_sound(one, other, exact)
    return mine


def optional(to, tensor):
    return None if tensor is None else to(tensor)


COLUMNS = [2, 5, 64, 200, 768, 1000, 1024, 4096, 5001, 12288, 32768, 65536]


@pytest.mark.parametrize("cols", COLUMNS)
@floats
def test_rms_norm(cols, dtype):
    x, weight = sample((3, 50, cols), dtype) * 3, sample((cols,), dtype, 1)
    for w in (weight, None):
        for eps in (None, 1e-3):
            both(lambda to: aten._fused_rms_norm(to(x), [cols], optional(to, w), eps if eps or dtype == torch.float64 else 2.0**-23), "_fused_rms_norm")
    none = x[:1] * 0  # what remains is the default of eps
    theirs = aten._fused_rms_norm(none, [cols], weight, None)
    with carat.use():
        torch.testing.assert_close(aten._fused_rms_norm(none, [cols], weight, None), theirs)


@pytest.mark.parametrize("rows", [1, 3, 700, 5000])
@pytest.mark.parametrize("cols", COLUMNS)
@floats
def test_backward(rows, cols, dtype):
    rows = min(rows, (1 << 23) // cols)
    x, g, weight, bias = (sample(shape, dtype, seed) for seed, shape in enumerate([(rows, cols), (rows, cols), (cols,), (cols,)]))
    x = x + 2
    served = () if dtype == torch.float64 and cols > 32768 or cols % 2 and cols > 4096 else ("native_layer_norm_backward",)
    for w, mask in ((weight, [True] * 3), (None, [True, False, False]), (weight, [True, False, False]), (weight, [False, True, True]), (weight, [True, True, False])):
        def layer(to):
            _, mean, rstd = torch.native_layer_norm(to(x), [cols], None, None, 1e-5)
            return aten.native_layer_norm_backward(to(g), to(x), [cols], mean, rstd, optional(to, w), optional(to, bias) if w is not None else None, mask)
        both(layer, *served)
    for w, mask in ((weight, [True, True]), (None, [True, False]), (weight, [False, True])):
        def rms(to):
            _, rstd = aten._fused_rms_norm(to(x), [cols], None, 1e-5)
            return aten._fused_rms_norm_backward(to(g), to(x), [cols], rstd, optional(to, w), mask)
        both(rms, *(("_fused_rms_norm_backward",) if served else ()))


@floats
def test_layouts_and_outputs(dtype):
    x, weight, bias = sample((7, 6, 5, 64), dtype), sample((5, 64), dtype, 1), sample((5, 64), dtype, 2)
    both(lambda to: aten.native_layer_norm(to(x), [5, 64], to(weight), to(bias), 1e-5), "native_layer_norm")
    both(lambda to: aten.native_layer_norm(to(x).transpose(0, 1), [5, 64], to(weight), to(bias), 1e-5))
    both(lambda to: aten.native_layer_norm(to(x)[:, ::2], [5, 64], to(weight), to(bias), 1e-5))
    both(lambda to: aten._fused_rms_norm(to(x).transpose(0, 1), [5, 64], to(weight), 1e-5))
    both(lambda to: aten._fused_rms_norm(to(x)[..., 1:], [63], None, 1e-5))
    both(lambda to: aten._fused_rms_norm(to(x)[:0], [5, 64], to(weight), 1e-5))
    both(lambda to: aten.native_layer_norm(to(x)[:0], [5, 64], to(weight), to(bias), 1e-5))

    def given(to):
        wide = to(x)
        moments = [torch.empty(7, 6, 1, 1, device="cuda", dtype=torch.float64 if wide.dtype == torch.float64 else torch.float32) for _ in range(2)]
        return aten.native_layer_norm.out(wide, [5, 64], to(weight), to(bias), 1e-5, out0=torch.empty_like(wide), out1=moments[0], out2=moments[1])
    both(given)


@floats
def test_autograd(dtype):
    x, weight, bias = sample((20, 30, 300), dtype), sample((300,), dtype, 1), sample((300,), dtype, 2)

    def step(to, norm):
        leaves = [to(t).detach().clone().requires_grad_() for t in (x, weight, bias)]
        y = norm(*leaves)
        (y * y).sum().backward()
        return [y.detach()] + [leaf.grad for leaf in leaves if leaf.grad is not None]
    both(lambda to: step(to, lambda x, w, b: torch.nn.functional.layer_norm(x, (300,), w, b)), "native_layer_norm_backward")
    both(lambda to: step(to, lambda x, w, b: torch.nn.functional.rms_norm(x, (300,), w, 1e-6)), "_fused_rms_norm", "_fused_rms_norm_backward")


def test_special_values():
    x = sample((9, 1000), torch.float32)
    x[0, 3], x[1, 5], x[2, 7], x[3] = float("nan"), float("inf"), -float("inf"), 0
    x[4], x[5] = 1e18, 1e-30
    for dtype in FLOATS[:3]:
        y = x.to(dtype)
        both(lambda to: aten.native_layer_norm(to(y), [1000], None, None, 1e-5), "native_layer_norm")


def test_repeats_and_graphs():
    x, g, weight = (sample(shape, torch.bfloat16, seed) for seed, shape in enumerate([(3000, 1024), (3000, 1024), (1024,)]))
    with carat.use():
        _, mean, rstd = torch.native_layer_norm(x, [1024], weight, weight, 1e-5)

        def run():
            return aten.native_layer_norm_backward(g, x, [1024], mean, rstd, weight, weight, [True] * 3)
        first = run()
        for _ in range(5):
            assert all(torch.equal(a, b) for a, b in zip(first, run()))
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        carat.stats(reset=True)
        with torch.cuda.graph(graph):
            captured = run()
        assert carat.stats()["native_layer_norm_backward"].calls == 1
    for result in captured:
        result.zero_()
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(first, captured))

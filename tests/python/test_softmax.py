# SPDX-License-Identifier: Apache-2.0
"""The softmax family against ATen: values, dtypes, strides, special rows, out=, and what it leaves to ATen."""

import itertools

import pytest
import torch

import carat

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
TOLERANCE = {torch.float32: 2e-6, torch.float64: 5e-14, torch.bfloat16: 1e-2, torch.float16: 2e-3}
SHAPES = [
    ((), 0), ((1,), 0), ((7,), 0), ((5, 1), 1), ((3, 24), 1), ((70, 25), -1), ((9, 48), 1), ((4, 1000), 1), ((3, 4097), 1),
    ((2, 50257), 1), ((64, 3), 1), ((130, 9), 1), ((6, 10, 2), 1), ((3, 30, 9), 1), ((2, 33, 70), 1), ((2, 70, 300), 1),
    ((257, 300), 0), ((2, 3, 4, 5), 2), ((0, 4), 1), ((4, 0), 1), ((2, 0, 3), 0), ((1, 5000, 65), 1), ((3, 500, 64), 1),
]
LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1) if x.dim() > 1 else x,
    "sliced": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]] if x.dim() else x,
    "reversed": lambda x: torch.stack([x, x], 0)[1],
    "expanded": lambda x: x[:1].expand_as(x) if x.dim() and x.shape[0] else x,
}


def cases():
    """Every shape contiguous, the moderate ones in every layout."""
    for (shape, dim), (name, layout) in itertools.product(SHAPES, LAYOUTS.items()):
        if name == "contiguous" or torch.Size(shape).numel() < 5000:
            yield (shape, dim), layout


def served(*names):
    stats = carat.stats()
    return sum(stats[n].calls for n in names if n in stats)


def check(call, reference, dtype, names):
    before = served(*names)
    with carat.use():
        got = call()
    if served(*names) == before:  # ATen is as fast there
        assert set(carat.stats()[names[0]].reasons) <= {"strided operand", "short rows", "narrow columns"}
        return
    want = call()
    assert got.dtype == want.dtype and got.shape == want.shape and got.stride() == want.stride()
    exact = reference()
    finite = exact.isfinite()
    assert torch.equal(got.isfinite(), finite)
    if finite.any():  # no further from the truth than ATen, but for a rounding
        worst = (want.double() - exact)[finite].abs().max()
        error = (got.double() - exact)[finite].abs().max()
        assert error <= 1.2 * worst + TOLERANCE[dtype] * exact[finite].abs().max().clamp(max=32), (error, worst)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("log", [False, True])
def test_forward(dtype, log):
    torch.manual_seed(0)
    op, exact = (torch.ops.aten._log_softmax, torch.log_softmax) if log else (torch.ops.aten._softmax, torch.softmax)
    for (shape, dim), layout in cases():
        x = layout((torch.randn(shape, dtype=torch.float64) * 4).to(dtype))
        check(lambda: op(x, dim, False), lambda: exact(x.double(), dim), dtype, ["_log_softmax" if log else "_softmax"])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("log", [False, True])
def test_backward(dtype, log):
    torch.manual_seed(0)
    name = "_log_softmax_backward_data" if log else "_softmax_backward_data"
    op = getattr(torch.ops.aten, name)
    for (shape, dim), layout in cases():
        y = (torch.log_softmax if log else torch.softmax)(torch.randn(shape, dtype=torch.float64) * 2, dim).to(dtype)
        y, g = layout(y), layout(torch.randn(shape, dtype=torch.float64).to(dtype))
        check(lambda: op(g, y, dim, dtype), lambda: op(g.double(), y.double(), dim, torch.float64), dtype, [name])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_special_values(dtype, dim):
    inf, nan = float("inf"), float("nan")
    for width in (5, 40, 300):
        x = torch.randn(6, width, dtype=torch.float64).to(dtype)
        x[0] = -inf
        x[1, 2] = inf
        x[2, 3] = nan
        x[3, 1:] = -inf
        x[4] = 60000.0 if dtype == torch.float16 else 1e30
        x[5, 0] = -inf
        x = x if dim else x.t().contiguous()
        for op in (torch.softmax, torch.log_softmax):
            with carat.use():
                got = op(x, dim)
            torch.testing.assert_close(got, op(x, dim), equal_nan=True, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
            assert torch.equal(got == 0, op(x, dim) == 0)


def test_autograd_and_out():
    x = torch.randn(8, 30, dtype=torch.float64, requires_grad=True)
    with carat.use():
        assert torch.autograd.gradcheck(lambda v: torch.softmax(v, 1), x)
        assert torch.autograd.gradcheck(lambda v: torch.log_softmax(v, 0), x)
        out = torch.empty(8, 30, dtype=torch.float64)
        torch._softmax(x.detach(), 1, False, out=out)
    torch.testing.assert_close(out, torch.softmax(x, 1).detach())


def test_steps_aside():
    x = torch.randn(4, 6)
    with carat.use():
        with pytest.raises(IndexError, match="Dimension out of range"):
            torch.softmax(x, 2)
        with pytest.raises(RuntimeError, match="softmax"):
            torch._softmax(torch.arange(6), 0, False)
        inside = x.clone()
        torch._softmax(inside, 1, False, out=inside)
        torch.testing.assert_close(inside, torch.softmax(x, 1))


def test_threads_do_not_change_results():
    x = torch.randn(300, 700)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with carat.use():
                results.append([torch.softmax(x, d) for d in (0, 1)] + [torch.softmax(x.bfloat16().repeat(1, 20), 1)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))

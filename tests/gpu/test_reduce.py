# SPDX-License-Identifier: Apache-2.0
"""Reductions on CUDA: shapes and layouts that choose how groups share the work, ties, NaN, results given, captures."""

import math

import pytest
import torch

import carat
from test_cuda import LAYOUTS, assert_sums_near, sample, several

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
name_of = lambda d: str(d)[6:]

# From rows of one element to one that takes many groups; columns from one to many, beside short and long ones; several
# dimensions reduced and kept in turn.
SHAPES = [
    ((), None), ((1,), 0), ((7,), 0), ((1000003,), 0), ((1 << 20,), None), ((300, 1), 1), ((300, 3), 1), ((5000, 17), 1), ((5000, 32), 1),
    ((999, 64), 1), ((400, 129), 1), ((300, 1000), 1), ((70, 4096), 1), ((9, 65536), 1), ((3, 300001), 1), ((2, 1 << 20), 1),
    ((3, 5000), 0), ((17, 300), 0), ((300, 17), 0), ((70001, 1), 0), ((100000, 2), 0), ((30001, 3), 0), ((1000, 256), 0), ((8192, 1024), 0),
    ((5000, 33), 0), ((4, 100, 64), 1), ((50, 7, 8), 1), ((5, 3000, 40), 1), ((6, 10, 49), (0, 2)), ((30, 12, 784), (0, 2)), ((20, 30, 40), (0, 1)),
    ((6, 7, 8, 9), (1, 3)), ((6, 7, 8, 9), (0, 2)), ((5, 6, 7, 8, 9), (1, 3)), ((4, 5, 6, 7, 8), (0, 2, 4)), ((20, 30, 40), None),
]


def inputs(shape, dtype, full):
    x = sample(shape, dtype)
    yield x
    if full and len(shape) >= 2 and min(shape) > 1:
        for name, layout in LAYOUTS.items():
            if name != "contiguous":
                yield layout(x)


def check(function, overload, x):
    """function(x) on ATen and on Carat, which must serve the overload."""
    theirs = function(x)
    carat.stats(reset=True)
    with carat.use():
        mine = function(x)
        again = function(x)
    stat = carat.stats()[overload]
    assert stat.calls == 2, (overload, stat)
    truths = function(x.double()) if x.dtype.is_floating_point else theirs
    for m, a, t, truth in zip(several(mine), several(again), several(theirs), several(truths), strict=True):
        assert_sums_near(m, t, truth, 4 * max(1.0, float(x.nan_to_num(0, 0, 0).abs().double().sum()) ** 0.5))
        assert torch.equal(m.nan_to_num(), a.nan_to_num()), "not the same twice"


def dims(dim):
    return {} if dim is None else {"dim": dim}


@pytest.mark.parametrize("shape, dim", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=name_of)
def test_shapes(shape, dim, dtype):
    full = dtype in (torch.float32, torch.bfloat16, torch.int64, torch.uint8)
    for x in inputs(shape, dtype, full):
        check(lambda x: torch.sum(x, **dims(dim)), "sum" if dim is None else "sum.dim_IntList", x)
        check(lambda x: torch.amax(x, **dims(dim)), "amax", x)
        check(lambda x: torch.any(x, **dims(dim)), "any" if dim is None else "any.dims" if isinstance(dim, tuple) else "any.dim", x)
        if dtype != torch.bool and not isinstance(dim, tuple):
            check(lambda x: torch.argmax(x, **dims(dim)), "argmax", x)
        if isinstance(dim, int):
            check(lambda x: torch.min(x, dim, keepdim=True), "min.dim", x)
        if dtype.is_floating_point and math.prod(shape) > 1:
            count = math.prod(shape if dim is None else [shape[d] for d in ((dim,) if isinstance(dim, int) else dim)])
            if count > 1:
                check(lambda x: torch.var_mean(x, **dims(dim)), "var_mean.correction", x + 3)


ROWS = {
    "mean.dim": lambda x, dim: torch.mean(x, dim), "nansum": lambda x, dim: torch.nansum(x, dim), "prod.dim_int": lambda x, dim: torch.prod(x / 3, dim),
    "amin": lambda x, dim: torch.amin(x, dim, keepdim=True), "all.dim": lambda x, dim: torch.all(x, dim),
    "count_nonzero": lambda x, dim: torch.count_nonzero(x, dim), "argmin": lambda x, dim: torch.argmin(x, dim, keepdim=True),
    "max.dim": lambda x, dim: torch.max(x, dim), "var.correction": lambda x, dim: torch.var(x, dim), "std.correction": lambda x, dim: torch.std(x, dim, unbiased=False),
    "logsumexp": lambda x, dim: torch.logsumexp(x * 20, dim), "std_mean.correction": lambda x, dim: torch.std_mean(x, dim),
}
for order in (0, 1, 2, 3, 0.5, float("inf"), -float("inf")):
    ROWS[f"linalg_vector_norm {order}"] = lambda x, dim, order=order: torch.linalg.vector_norm(x, order, dim)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("dtype", FLOATS, ids=name_of)
def test_rows(row, dtype):
    for shape in ((200, 700), (64, 24), (3, 70000)):
        x = sample(shape, dtype)
        for dim in (0, 1, -1):
            check(lambda x: ROWS[row](x, dim), row.split()[0], x)


@pytest.mark.parametrize("dtype", INTEGERS, ids=name_of)
def test_integer_rows(dtype):
    x = sample((300, 257), dtype)
    x[:, 3] = 0
    for dim in (0, 1):
        for name in ("prod.dim_int", "all.dim", "count_nonzero"):
            check({"prod.dim_int": lambda x: torch.prod(x, dim)}.get(name, lambda x: ROWS[name](x, dim)), name, x)
        check(lambda x: torch.sum(x, dim, dtype=torch.float32), "sum.dim_IntList", x)
        check(lambda x: torch.mean(x, dim, dtype=torch.float64), "mean.dim", x)


@pytest.mark.parametrize("dtype", (torch.complex64, torch.complex128), ids=name_of)
def test_complex(dtype):
    x = torch.complex(*(sample((300, 40), torch.float64, seed) for seed in (0, 1))).to(dtype)
    for function in (torch.sum, torch.mean, torch.any, torch.count_nonzero, lambda x, dim: torch.prod(x[:9, :9], dim)):
        for dim in (0, 1):
            theirs = function(x, dim)
            with carat.use():
                torch.testing.assert_close(function(x, dim), theirs)


def test_narrow_integers_do_not_overflow():
    """More than a lane may add up in 32 bits, in memory and as one element seen many times."""
    for x in (torch.full((1 << 22,), -32768, dtype=torch.int16, device="cuda"), torch.tensor([-32768], dtype=torch.int16, device="cuda").expand(600, 1 << 22)):
        with carat.use():
            assert bool((x.sum(-1) == -32768 << 22).all())


def test_more_than_32_bits():
    x = torch.zeros(2**31 + 4099, dtype=torch.uint8, device="cuda")
    x[-3:] = 1
    carat.stats(reset=True)
    with carat.use():
        assert int(x.sum()) == 3 and bool(x.any()) and int(x.amax()) == 1 and int(x.count_nonzero()) == 3
        assert int(x.argmax()) == 2**31 + 4096
    assert carat.stats()["sum"].calls == 1


@pytest.mark.parametrize("dtype", FLOATS, ids=name_of)
def test_special_values(dtype):
    x = sample((65, 1030), dtype)
    x[1, 5] = x[1, 800] = float("nan")
    x[2] = -float("inf")
    x[3] = float("inf")
    x[4] = 0.0
    x[4, ::2] = -0.0
    x[5, 700] = float("inf")
    x[:, 7] = -float("inf")
    for y in (x, x.t().contiguous().t(), x.t().contiguous(), x[:, 1:], x[:, :24].contiguous()):
        for dim in (0, 1):
            for row in ("max.dim", "argmin", "amin", "nansum", "mean.dim", "all.dim", "count_nonzero", "linalg_vector_norm inf", "var.correction", "logsumexp"):
                check(lambda x: ROWS[row](x, dim), row.split()[0], y)
    check(torch.argmax, "argmax", x)
    check(torch.amax, "amax", x[2:3])


def test_ties_take_the_first():
    for shape, dim in (((4000, 300), 0), ((300, 4000), 1), ((3, 500000), 1), ((500000, 3), 0), ((100, 20), 1), ((1000, 1000), None)):
        x = sample(shape, torch.uint8) // 64
        for dtype in (torch.uint8, torch.float32, torch.int64):
            check(lambda x: torch.argmax(x, dim), "argmax", x.to(dtype))


def test_results_given():
    x = sample((200, 300), torch.float32)
    out = torch.empty(300, 2, device="cuda")[:, 0]
    with carat.use():
        carat.stats(reset=True)
        assert torch.sum(x, 0, out=out) is out
        values, indices = torch.max(x, 1, out=(torch.empty(200, device="cuda"), torch.empty(200, dtype=torch.int64, device="cuda")))
        small = torch.empty(3, device="cuda")
        with pytest.warns(UserWarning, match="resized"):
            torch.sum(x, 1, out=small)
        assert carat.stats()["sum.IntList_out"].calls == 1 and carat.stats()["max.dim_max"].calls == 1
        with pytest.raises(IndexError):
            torch.sum(x, 2)
        with pytest.raises(RuntimeError, match="twice|multiple times"):
            torch.sum(x, (0, 0))
    torch.testing.assert_close(out, x.sum(0))
    assert torch.equal(values, x.max(1).values) and torch.equal(indices, x.max(1).indices) and torch.equal(small, x.sum(1))


def test_graph_capture_and_replay():
    """Also where parts are joined by a second launch, through memory of the capture's own pool."""
    static = sample((1 << 22,), torch.float32)
    step = lambda: (static.sum(), static.view(1 << 12, 1 << 10).var(0), static.view(1 << 10, 1 << 12).argmax(0))
    with carat.use():
        step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        carat.stats(reset=True)
        with torch.cuda.graph(graph):
            made = step()
        assert all(carat.stats()[name].calls == 1 for name in ("sum", "var.correction", "argmax"))
        for seed in range(3):
            static.copy_(sample((1 << 22,), torch.float32, seed))
            graph.replay()
            for mine, expected in zip(made, step()):
                assert torch.equal(mine, expected)


def test_autograd():
    def step(x):
        x = x.clone().requires_grad_()
        (x.mean() + x.amax(1).sum() + x.var(0).sum() + torch.linalg.vector_norm(x)).backward()
        return x.grad
    x = sample((64, 48), torch.float32)
    theirs = step(x)
    with carat.use():
        torch.testing.assert_close(step(x), theirs)

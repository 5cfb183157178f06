# SPDX-License-Identifier: Apache-2.0
"""Scans on CUDA: shapes and layouts that choose how lanes share a row or stand side by side, ties, NaN, in place."""

import math

import pytest
import torch

import carat
from test_cuda import LAYOUTS, assert_sums_near, sample, several

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
SHAPES = [((), 0), ((7,), 0), ((4000,), 0), ((300, 3), 1), ((5000, 17), 1), ((5, 300), 1), ((3, 1030), 1), ((300, 4096), 1), ((100, 30000), 1), ((300, 33), 0),
          ((5000, 2), 0), ((70, 64), 0), ((3000, 1000), 0), ((4, 100, 64), 1), ((50, 7, 8), 1), ((6, 7, 8, 9), 2), ((6, 7, 8, 9), 1), ((300, 1), 0)]


def check(function, overload, x):
    theirs = function(x)
    carat.stats(reset=True)
    with carat.use():
        mine = function(x)
    stat = carat.stats()[overload]
    assert stat.calls == ("extremes of small elements along rows" not in stat.reasons), stat
    truths = several(function(x.double())) if x.dtype.is_floating_point else several(theirs)
    slack = 16 * max(1.0, float(x.nan_to_num(0, 0, 0).abs().double().sum()))
    for m, t, truth in zip(several(mine), several(theirs), truths, strict=True):
        assert_sums_near(m, t, truth, slack)


@pytest.mark.parametrize("shape, dim", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_shapes(shape, dim, dtype):
    x = sample(shape, dtype)
    layouts = LAYOUTS.values() if len(shape) >= 2 and min(shape) > 1 and math.prod(shape) < 100000 else [LAYOUTS["contiguous"]]
    for layout in layouts:
        y = layout(x)
        check(lambda x: torch.cumsum(x, dim), "cumsum", y)
        if shape:  # of one number they are itself
            check(lambda x: torch.cummax(x, dim), "_cummax_helper", y)
            check(lambda x: torch.cummin(x, dim), "_cummin_helper", y)
        if dtype.is_floating_point:
            check(lambda x: torch.cumprod(x, dim), "cumprod", (1 + y.double() / 256).to(dtype))  # far from overflow
            check(lambda x: torch.logcumsumexp(x, dim), "_logcumsumexp", y)
        if dtype == torch.float32 and len(shape) and 0 not in y.stride():
            mine, theirs = y.clone(), y.clone().cumsum_(dim)
            with carat.use():
                assert mine.cumsum_(dim) is mine
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES[:4], ids=lambda d: str(d)[6:])
def test_special_values(dtype):
    x = sample((65, 1030), dtype)
    x[1, 5] = x[1, 800] = float("nan")
    x[2] = -float("inf")
    x[3, 100] = float("inf")
    x[4] = 0.0
    x[4, ::2] = -0.0
    x[5, 3:] = x[5, 3].clone()
    for y in (x, x.t().contiguous().t(), x[:, 1:]):
        for dim in (0, 1):
            for name, function in (("cumsum", torch.cumsum), ("_cummax_helper", torch.cummax), ("_cummin_helper", torch.cummin), ("_logcumsumexp", torch.logcumsumexp)):
                check(lambda x: function(x, dim), name, y)


def test_ties_take_the_last():
    x = sample((300, 5000), torch.uint8) // 64
    for dim in (0, 1):
        for dtype in (torch.uint8, torch.float32, torch.int64):
            check(lambda x: torch.cummax(x, dim), "_cummax_helper", x.to(dtype))


def test_graph_capture_and_replay():
    static = sample((1000, 1000), torch.float32)
    step = lambda: (static.cumsum(0), static.cumsum(1), *static.cummax(1))
    with carat.use():
        step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = step()
        static.copy_(sample((1000, 1000), torch.float32, 3))
        graph.replay()
        for mine, expected in zip(made, step()):
            assert torch.equal(mine, expected)

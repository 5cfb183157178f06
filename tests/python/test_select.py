# SPDX-License-Identifier: Apache-2.0
"""The select family's indices at the edges of its arithmetic, and what it leaves to ATen."""

import pytest
import torch

import carat
from same_call import served

SHAPES = [[511], [513], [3, 5, 7, 11], [100, 255], [100, 257], [70, 512], [2, 300, 3], [2, 1000, 3], [5, 1, 255, 1], [60, 2, 2, 2, 2, 2],
          [1, 1, 70000], [70000, 1], [17, 512, 3], [3, 513, 2, 1, 4]]


def both(function):
    expected = function()
    with carat.use():
        return function(), expected


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nonzero(shape):
    for share in (0.02, 0.5, 1.0):
        x = torch.rand(shape) < share
        for tensor in (x, x.to(torch.complex64) * 1j, -x.half(), x.transpose(0, -1), x[:1].expand(7, *shape[1:])):
            got, expected = both(tensor.nonzero)
            assert torch.equal(got, expected) and got.stride() == expected.stride()
    assert served("nonzero") == 15


def test_nothing_selected():
    x = torch.zeros(40, 30)
    for function in (x.nonzero, lambda: x.masked_select(x > 0), lambda: torch.repeat_interleave(torch.zeros(9, dtype=torch.int64))):
        got, expected = both(function)
        assert got.shape == expected.shape and got.stride() == expected.stride() and got.dtype == expected.dtype
    assert served() == 5  # with x > 0 and zeros


def test_masks_are_broadcast():
    x, rows, columns = torch.rand(200, 300), torch.rand(200, 1) < 0.5, torch.rand(300) < 0.5
    for function in (lambda: x.masked_select(rows), lambda: x.t().masked_select(rows.t()), lambda: x[0].masked_select(rows),
                     lambda: rows.masked_select(columns)):
        assert torch.equal(*both(function))
    assert served("masked_select") == 4


def test_results_for_a_given_tensor():
    x = torch.rand(500)
    mask = x > 0.5
    out = torch.empty(mask.sum())
    with carat.use():
        torch.masked_select(x, mask, out=out)
        indices = torch.nonzero(x > 0.5, out=torch.full((int(mask.sum()), 1), -1))
    assert torch.equal(out, x[mask]) and torch.equal(x[indices[:, 0]], x[mask])
    assert served("masked_select") == served("nonzero") == 1


def test_repeats():
    for dtype in (torch.int32, torch.int64):
        repeats = torch.randint(9, (40000,), dtype=dtype)
        for given in (repeats, repeats[::3]):
            assert torch.equal(*both(lambda: torch.repeat_interleave(given)))
            assert torch.equal(*both(lambda: torch.repeat_interleave(given, output_size=int(given.sum()))))
    with carat.use(), pytest.raises(RuntimeError, match="negative"):
        torch.repeat_interleave(torch.tensor([3, -1, 2]))
    with carat.use(), pytest.raises(RuntimeError, match="size"):
        torch.repeat_interleave(torch.tensor([3, 1, 2]), output_size=5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16], ids=str)
def test_unique(dtype):
    for size, below in ((1, 5), (77, 5), (16384, 2), (16385, 100000), (50000, 300)):
        x = torch.randint(below, (size,)).to(dtype)
        for given in (x, x.expand(3, size).t(), torch.zeros(size, dtype=dtype)):
            for inverse, counts in ((False, False), (True, False), (False, True), (True, True)):
                got, expected = both(lambda: torch._unique2(given, True, inverse, counts))
                for g, e in zip(got, expected):
                    assert torch.equal(g, e) and g.shape == e.shape and g.stride() == e.stride() and g.dtype == e.dtype
    assert served("_unique2") == 60


def test_unique_nan_and_zeros():
    x = torch.tensor([torch.nan, -0.0, 0.0, torch.inf, torch.nan, 1.0, -0.0])
    got, expected = both(lambda: torch._unique2(x, True, True, True))
    for g, e in zip(got, expected):
        torch.testing.assert_close(g, e, equal_nan=True)
    assert torch.equal(got[0].signbit(), expected[0].signbit())

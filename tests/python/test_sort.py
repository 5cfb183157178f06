# SPDX-License-Identifier: Apache-2.0
"""sort, topk and kthvalue against ATen. Equal elements: sort is compared in its stable form, the others by values."""

import itertools

import pytest
import torch

from same_call import check, same
from test_index import make

import carat

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
def test_sort(dtype, layout):
    for shape in [(1,), (7,), (48,), (49,), (3, 300), (5, 2, 70), (2000,)]:
        for dim in range(len(shape)):
            for descending in (False, True):
                x = make(shape, dtype, layout)
                if dtype.is_floating_point and x.numel() > 4:
                    x.select(-1, 0).fill_(float("nan"))
                    x.select(-1, 2).fill_(-0.0)
                    x.select(-1, 3).fill_(0.0)
                    x.select(-1, 4).fill_(float("-inf"))
                check("sort", lambda t: torch.sort(t, dim=dim, descending=descending, stable=True), x)
    x = make((4, 9), dtype)
    check("sort", lambda t, v, i: torch.sort(t, stable=True, out=(v, i)), x, torch.empty_like(x), torch.empty(4, 9, dtype=torch.int64))


@pytest.mark.parametrize("dtype", DTYPES[:4])
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
def test_topk(dtype, layout):
    for shape in [(1,), (7,), (3, 300), (5, 2, 700), (20000,)]:
        for dim in range(len(shape)):
            for k in {1, min(5, shape[dim]), shape[dim]}:
                for largest in (False, True):
                    x = make(shape, dtype, layout)
                    if x.numel() > 2:
                        x.select(-1, 1).fill_(float("nan"))
                    values, indices = torch.topk(x, k, dim, largest)
                    with carat.use():
                        before = carat.stats().get("topk")
                        before = before.calls if before else 0
                        mine = torch.topk(x, k, dim, largest)
                        assert carat.stats()["topk"].calls == before + 1
                    same(values, mine.values)
                    assert mine.indices.stride() == indices.stride()
                    same(torch.gather(x, dim, mine.indices), mine.values)
                    assert mine.indices.sort(dim).values.diff(dim=dim).ne(0).all()


def test_autograd():
    for function in (lambda t: t.sort(0).values, lambda t: t.topk(2).values, lambda t: t.msort(), lambda t: t.sort(descending=True)[0]):
        gradients = []
        for mine in (False, True):
            x = torch.tensor([[3.0, 1, 2], [0, 5, 4]]).requires_grad_()
            if mine:
                with carat.use():
                    (function(x) * torch.arange(function(x).numel()).view_as(function(x))).sum().backward()
            else:
                (function(x) * torch.arange(function(x).numel()).view_as(function(x))).sum().backward()
            gradients.append(x.grad)
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(1,), (300,), (7, 50), (6, 24, 30)], ids=str)
def test_kthvalue(shape, dtype):
    x = torch.randn(shape).mul(20).to(dtype)
    x.view(-1)[::17], x.view(-1)[-1] = float("nan"), float("inf")
    for dim, keepdim in itertools.product(range(len(shape)), (True, False)):
        for k in {1, (shape[dim] + 1) // 2, shape[dim]}:
            want = torch.ops.aten.kthvalue(x, k, dim, keepdim)
            with carat.use(only=["kthvalue"]):
                got = torch.ops.aten.kthvalue(x, k, dim, keepdim)
            for g, w in zip(got, want):
                assert g.dtype == w.dtype and g.stride() == w.stride()
            torch.testing.assert_close(got[0], want[0], rtol=0, atol=0, equal_nan=True)
            at = x.gather(dim, got[1] if keepdim else got[1].unsqueeze(dim))  # of equal ones any may be the k-th
            torch.testing.assert_close(at.reshape(got[0].shape), want[0], rtol=0, atol=0, equal_nan=True)

# SPDX-License-Identifier: Apache-2.0
"""Numbers that a dtype can't hold: ATen raises an error for some, and rounds others to an infinity."""

import pytest
import torch
import torch.nn.functional as F

import carat
from same_call import check, raises_alike, served

INF = float("inf")
FLOATS = {torch.float16: (1e9, -1e9, 65505.0), torch.bfloat16: (1e39, 3.395e38), torch.float32: (1e300, 3.4028235e38)}
BEYOND = [(dtype, number) for dtype, numbers in FLOATS.items() for number in numbers]
MASK = torch.tensor([True, False, True])
FILLS = {
    "fill_": lambda x, n: x.fill_(n), "full": lambda x, n: torch.full((3,), n, dtype=x.dtype), "full_like": torch.full_like,
    "constant_pad_nd": lambda x, n: torch.constant_pad_nd(x, (1, 2), n), "masked_fill": lambda x, n: x.masked_fill(MASK, n),
    "clamp": lambda x, n: x.clamp(min=n), "clamp_min": torch.clamp_min, "threshold": lambda x, n: F.threshold(x, 0, n),
    "add": lambda x, n: torch.add(x, x, alpha=n),
}


@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("dtype, number", BEYOND)
def test_number_beyond_the_dtype(name, dtype, number):
    raises_alike(lambda x: FILLS[name](x, number), torch.zeros(3, dtype=dtype))


@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_number_at_the_edge(name, dtype):
    for number in (INF, -INF, float("nan"), torch.finfo(dtype).max, torch.finfo(dtype).min):
        check(name, FILLS[name], torch.zeros(3, dtype=dtype), number)


@pytest.mark.parametrize("dtype, number", [(torch.uint8, 300), (torch.int8, 128), (torch.int16, 40000), (torch.int32, 2**31)])
def test_scalar_beyond_whole_numbers(dtype, number):
    for name in ("threshold", "add"):
        raises_alike(lambda x: FILLS[name](x, number), torch.zeros(3, dtype=dtype))
    raises_alike(lambda x: torch.addcmul(x, x, x, value=number), torch.zeros(3, dtype=dtype))


def test_halves_that_aten_computes_in_f32():
    x = torch.tensor([0, 1, -2], dtype=torch.float16)
    for op in (torch.add, torch.mul, torch.eq, torch.lt, lambda a, n: torch.where(MASK, a, n)):
        check(None, op, x, -1e9)


def test_linspace_beyond_the_dtype():
    raises_alike(lambda: torch.linspace(0, 1e300, 5))
    raises_alike(lambda: torch.arange(0, 1e39, 1e39, dtype=torch.bfloat16))


def test_isin_out_shares_memory():
    x = torch.arange(40, dtype=torch.uint8)
    elements = torch.arange(40, dtype=torch.uint8) % 7
    before = served("isin")
    with carat.use():
        torch.ops.aten.isin.Tensor_Tensor_out(elements, x[:6], out=x.view(torch.bool))
    assert served("isin") == before

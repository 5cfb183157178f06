# SPDX-License-Identifier: Apache-2.0
"""The first k of short rows on CUDA: every share of lanes, NaN and infinities, ties, out=."""

import pytest
import torch

import carat
from test_cuda import both, sample


@pytest.mark.parametrize("cols", (1, 3, 8, 17, 64, 100, 128, 256, 300, 1000, 1024))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16), ids=lambda d: str(d)[6:])
def test_topk(cols, dtype):
    rank = torch.stack([torch.randperm(cols, device="cuda") for _ in range(60)])
    x = (torch.where(rank < 64, rank, torch.where(rank >= cols - 64, rank - cols + 256, 128)) / 8 - 20).to(dtype)  # both ends distinct after rounding
    x[3, 0], x[4, -1], x[5, 0] = float("nan"), float("inf"), -float("inf")
    for k in {1, min(8, cols), min(32, cols)}:
        for largest in (True, False):
            both(lambda: torch.topk(x, k, largest=largest), "topk")
            both(lambda: torch.topk(x[::3], k, largest=largest), "topk")
            both(lambda: torch.topk(x.view(3, 20, cols), k, largest=largest), "topk")
    out = torch.empty(60, 1, dtype=dtype, device="cuda"), torch.empty(60, 1, dtype=torch.int64, device="cuda")
    both(lambda: tuple(t.clone() for t in torch.topk(x, 1, out=out)), "topk.values")


def test_ties():
    x = sample((500, 200), torch.bfloat16).round()
    with carat.use():
        values, indices = torch.topk(x, 20)
    assert torch.equal(values, torch.topk(x, 20).values) and torch.equal(x.gather(1, indices), values)
    assert all(len(set(row)) == 20 for row in indices.tolist())


def test_what_is_atens():
    x = sample((4, 5000), torch.float32)
    both(lambda: torch.topk(x, 100), "topk", served=False)
    both(lambda: torch.topk(x.double(), 5), "topk", served=False)
    both(lambda: torch.topk(x.t(), 2, 0), "topk", served=False)

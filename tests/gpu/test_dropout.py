# SPDX-License-Identifier: Apache-2.0
"""Dropout on CUDA: ATen's very bits, and the generator left where ATen leaves it."""

import pytest
import torch

import carat
from test_cuda import sample

DTYPES = pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16, torch.float64), ids=lambda d: str(d)[6:])
DEVICE = "cuda:0"


def drawn(function, scope):
    torch.cuda.manual_seed(1234567890123)
    torch.rand(5, device=DEVICE)  # not at the beginning
    with scope:
        results = function()
    return (*results, torch.cuda.get_rng_state(DEVICE))


def alike(function, served=True, only=None):
    theirs = drawn(function, carat.use([]))
    carat.stats(reset=True)
    mine = drawn(function, carat.use(only))
    stat = carat.stats().get("native_dropout")
    assert served is None or (stat.calls > 0) == served, stat
    for i, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        assert one.dtype == other.dtype and one.stride() == other.stride()
        assert torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8)), (i, stat)


@pytest.mark.parametrize("shape", [(8,), (7,), (1000,), (4096, 3), (4096, 513), (64, 1000, 77), (1 << 24,), (3, 1 << 22)], ids=str)
@DTYPES
def test_bits(shape, dtype):
    x = sample(shape, dtype)
    x.flatten()[:3] = torch.tensor([float("nan"), float("inf"), -0.0], device="cuda")
    for p in (0.0, 0.1, 0.5, 0.999, 1.0):
        alike(lambda: torch.native_dropout(x, p, True), None if dtype == torch.float64 or x.numel() % 8 or p == 1 else True)
    alike(lambda: torch.native_dropout(x, 0.5, False), False)


@DTYPES
def test_layouts(dtype):
    x = sample((64, 3, 8, 16), dtype)
    for view in (x.transpose(1, 2), x.contiguous(memory_format=torch.channels_last), x[..., ::2], x[:, :, 1:], x.flatten()[1:9], x[:, :1].expand(64, 3, 8, 16)):
        alike(lambda: torch.native_dropout(view, 0.3, True), None)


def test_a_module_and_its_gradient():
    layer = torch.nn.Dropout(0.25)

    def step():
        x = sample((100, 1000), torch.bfloat16).requires_grad_()
        y = layer(x)
        y.sum().backward()
        return y.detach(), x.grad
    alike(step)


@pytest.mark.parametrize("only", [["native_dropout"], None], ids=["dropout", "everything"])
def test_capture(only):
    """A captured call is ATen's; with everything, what PyTorch writes the graph's seed and offset with is Carat's."""
    x = sample((1 << 16,), torch.float32)

    def replayed():
        graph = torch.cuda.CUDAGraph()
        torch.native_dropout(x, 0.5, True)
        with torch.cuda.graph(graph):
            results = torch.native_dropout(x, 0.5, True)
        taken = []
        for _ in range(3):
            graph.replay()
            taken += [t.clone() for t in results]
        assert not torch.equal(taken[1], taken[3])
        return taken
    alike(replayed, only=only)

# SPDX-License-Identifier: Apache-2.0
"""Softmax on CUDA along any dimension: columns that registers hold, rows and columns that none holds, strided operands."""

import pytest
import torch

import carat
from test_cuda import sample
from test_norm import both, floats

aten = torch.ops.aten
NAMES = ("softmax", "log_softmax")


def run_all(x, dim, **given):
    """Both forms and their gradients."""
    for name in NAMES:
        forward, backward = getattr(aten, f"_{name}"), getattr(aten, f"_{name}_backward_data")
        both(lambda to: (forward(to(x), dim, False),), f"_{name}")
        y, grad = forward(x, dim, False), given.get("grad", sample(x.shape, x.dtype, 5))
        both(lambda to: (backward(to(grad), to(y), dim, to(x).dtype),), f"_{name}_backward_data")


# (outer, size, inner): narrow and odd inner sizes, columns shorter than a lane's share and longer than any group's
COLUMNS = [(1, 5, 3), (7, 1, 9), (3, 17, 8), (2, 100, 64), (2, 64, 100), (300, 12, 7), (4096, 16, 8), (1, 1000, 33), (5, 300, 1024), (64, 128, 49),
           (2, 1024, 40), (2, 2048, 24), (1, 4096, 16), (1, 5000, 65), (3, 20000, 5), (1, 100003, 8), (1, 1, 70000)]


@pytest.mark.parametrize("shape", COLUMNS, ids=lambda s: "x".join(map(str, s)))
@floats
def test_columns(shape, dtype):
    run_all(sample(shape, dtype) * 4, 1)


@pytest.mark.parametrize("shape", [(3, 262145), (2, 300000), (2, 1 << 20), (1, 1 << 22)], ids=str)
@floats
def test_long_rows(shape, dtype):
    run_all(sample(shape, dtype), 1)


@floats
def test_strides(dtype):
    x = sample((6, 40, 5, 64), dtype)
    for view, dim in ((x.transpose(1, 3), 3), (x.transpose(1, 3), 1), (x.permute(2, 0, 3, 1), 2), (x[:, ::2], 1), (x[..., ::2], 3), (x[..., 1:], 1), (x[:, :, 1], 1),
                      (x[0, 0, 0].expand(9, 64), 0), (x[:, 3:4].expand(6, 7, 5, 64), 1), (x.flatten()[5:5 + 30 * 64].view(30, 64), 0)):
        run_all(view, dim)
        run_all(view.contiguous(), dim, grad=sample(view.shape[::-1], dtype, 3).permute(*range(view.ndim - 1, -1, -1)))
        run_all(view.contiguous(), dim, grad=sample((), dtype, 3).expand(view.shape))


@floats
def test_autograd_and_outputs(dtype):
    x = sample((30, 50, 20), dtype)

    def step(to, function, dim):
        leaf = to(x).detach().clone().requires_grad_()
        y = function(leaf, dim)
        y.square().sum().backward()
        return y.detach(), leaf.grad
    for name in NAMES:
        for dim in (0, 1, 2, -2):
            both(lambda to: step(to, getattr(torch, name), dim), f"_{name}", f"_{name}_backward_data")
            both(lambda to: (getattr(aten, f"_{name}").out(to(x), dim, False, out=torch.full_like(to(x), 7)),), f"_{name}.out")


def test_half_to_float():
    x = sample((5, 60, 44), torch.float16)
    for dim in (0, 1):
        with carat.use():
            mine = torch.softmax(x, dim, dtype=torch.float32)
        torch.testing.assert_close(mine, torch.softmax(x, dim, dtype=torch.float32))


@pytest.mark.parametrize("shape", [(4, 6, 40), (2, 40000, 3), (2, 300000)], ids=str)
def test_special_values(shape):
    inf, nan = float("inf"), float("nan")
    for dtype in (torch.float32, torch.bfloat16):
        x = sample(shape, dtype)
        flat = x.transpose(1, -1).reshape(-1, shape[1])
        flat[0, 3], flat[1], flat[1, 2] = nan, -inf, 5
        if len(flat) > 4:
            flat[2], flat[3, 1], flat[4, 1] = -inf, inf, -inf
        y = flat.view(*x.transpose(1, -1).shape).transpose(1, -1).contiguous()
        for name in NAMES:
            both(lambda to: (getattr(aten, f"_{name}")(to(y), 1, False),), f"_{name}")


def test_graph_and_repeats():
    x = sample((40, 3000, 16), torch.float32)
    with carat.use():
        first = torch.softmax(x, 1)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = torch.softmax(x, 1)
    captured.zero_()
    graph.replay()
    assert torch.equal(first, captured)

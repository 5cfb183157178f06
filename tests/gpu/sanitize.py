# SPDX-License-Identifier: Apache-2.0
"""Small calls of every family on CUDA, for compute-sanitizer: each tensor with memory of its own, so that an access beyond it is
seen. Prints how many calls Carat served; `tests/gpu/run sanitize` runs it."""

import os

os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"

import torch

import carat

aten = torch.ops.aten
DTYPES = (torch.float32, torch.bfloat16)


def pointwise(make):
    x, y = make(33, 70), make(33, 70)
    x + y, x.t() * y.t().contiguous(), x[:, ::2] - y[:, 1::2], x[1:, 1:] * 3, x.exp(), torch.where(x > 0, x, y)


def rows(make):
    for cols in (5, 64, 1000, 4096, 20000):
        x, weight = make(3, cols), make(cols)
        y = x.softmax(-1)
        aten._softmax_backward_data(x, y, -1, x.dtype)
        aten._log_softmax_backward_data(x, x.log_softmax(-1), -1, x.dtype)
        out, mean, rstd = torch.native_layer_norm(x, [cols], weight, weight, 1e-5)
        aten.native_layer_norm_backward(out, x, [cols], mean, rstd, weight, weight, [True] * 3)


def reductions(make):
    for shape, dim in (((7, 300), 1), ((300, 70), 0), ((3, 50, 20), 1), ((40000,), 0)):
        x = make(*shape)
        x.sum(dim), x.amax(dim), x.argmax(dim), x.max(dim), x.var(dim), x.logsumexp(dim), x.cumsum(dim), x.cummax(dim)


def losses(make):
    x, target = make(300, 37).log_softmax(1).requires_grad_(), torch.randint(37, (300,), device="cuda")
    for reduction in ("none", "mean", "sum"):
        torch.nn.functional.nll_loss(x, target, reduction=reduction).sum().backward()


with carat.use():
    for dtype in DTYPES:
        for family in (pointwise, rows, reductions, losses):
            family(lambda *shape: torch.randn(*shape, device="cuda").to(dtype))
torch.cuda.synchronize()
served = sum(stat.calls for stat in carat.stats().values())
print(f"{served} calls served")
assert served > 100

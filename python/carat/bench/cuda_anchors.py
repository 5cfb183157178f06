# SPDX-License-Identifier: Apache-2.0
"""The operators that decide whether a GPU library is worth having: one each, 4096 x 4096 (bf16 unless the name says f32), with the
bytes that have to move. `carat bench --device cuda --against aten,inductor` times them, see cuda_cases.py for what a case is."""

import torch
from torch.nn import functional

import carat

from .cuda_cases import randn

SIDE = 4096
N = SIDE * SIDE
BF16, F32 = torch.bfloat16, torch.float32


def matrix(dtype=BF16):
    """A random matrix."""
    return randn(SIDE, SIDE, dtype=dtype)


def row():
    """A random row."""
    return randn(SIDE, dtype=BF16)


def mask():
    """Half of it true."""
    return randn(SIDE, SIDE) > 0


def places(*shape, below=SIDE):
    """Random indices."""
    return torch.randint(0, below, shape, device="cuda")


def anchors():
    """All of them, by family."""
    yield from pointwise()
    yield from rows()
    yield from reductions()
    yield from moves()
    yield from selections()


def expression(x, y):
    """Five operators in one."""
    swiglu = carat.pointwise("x / (1 + exp(-x)) * y")

    def call():
        return swiglu(x, y)

    call.instead_of = lambda x=x, y=y: x / (1 + torch.exp(-x)) * y
    return call


def pointwise():
    """Elementwise, fills and random numbers."""
    yield "add", 6 * N, lambda: (lambda x=matrix(), y=matrix(): x + y)
    yield "div", 6 * N, lambda: (lambda x=matrix(), y=matrix(): x / y)
    yield "add f32", 12 * N, lambda: (lambda x=matrix(F32), y=matrix(F32): x + y)
    yield "mul scalar", 4 * N, lambda: (lambda x=matrix(): x * 1.5)
    yield "clamp", 4 * N, lambda: (lambda x=matrix(): x.clamp(-1, 1))
    yield "gelu", 4 * N, lambda: (lambda x=matrix(): functional.gelu(x))
    yield "silu", 4 * N, lambda: (lambda x=matrix(): functional.silu(x))
    yield "exp", 4 * N, lambda: (lambda x=matrix(): x.exp())
    yield "tanh f32", 8 * N, lambda: (lambda x=matrix(F32): x.tanh())
    yield "where", 7 * N, lambda: (lambda c=mask(), x=matrix(), y=matrix(): torch.where(c, x, y))
    yield "masked_fill", 5 * N, lambda: (lambda x=matrix(), c=mask(): x.masked_fill(c, 0.0))
    yield "add broadcast", 4 * N, lambda: (lambda x=matrix(), y=row(): x + y)
    yield "add transposed", 6 * N, lambda: (lambda x=matrix(), y=matrix(): x + y.t())
    yield "to f32", 6 * N, lambda: (lambda x=matrix(): x.float())
    yield "contiguous(t)", 4 * N, lambda: (lambda x=matrix(): x.t().contiguous())
    yield "expression", 6 * N, lambda: expression(matrix(), matrix())
    yield "expression f32", 12 * N, lambda: expression(matrix(F32), matrix(F32))
    yield "triu", 3 * N, lambda: (lambda x=matrix(): x.triu())
    yield "dropout", 5 * N, lambda: (lambda x=matrix(): functional.dropout(x, 0.1, True))
    yield "randn f32", 4 * N, lambda: (lambda x=matrix(F32): torch.randn_like(x))


def rows():
    """Softmax, norms, losses, scans."""
    yield "softmax dim 1", 4 * N, lambda: (lambda x=matrix(): x.softmax(1))
    yield "softmax dim 0", 4 * N, lambda: (lambda x=matrix(): x.softmax(0))
    yield "log_softmax f32", 8 * N, lambda: (lambda x=matrix(F32): x.log_softmax(1))
    yield "layer_norm", 4 * N, lambda: (lambda x=matrix(), w=row(), b=row(): functional.layer_norm(x, (SIDE,), w, b))
    yield "rms_norm", 4 * N, lambda: (lambda x=matrix(), w=row(): functional.rms_norm(x, (SIDE,), w))
    yield "cross_entropy 1024x128256", 2 * 1024 * 128256, lambda: (
        lambda x=randn(1024, 128256, dtype=BF16), t=places(1024, below=128256): functional.cross_entropy(x, t))
    yield "cumsum f32", 8 * N, lambda: (lambda x=matrix(F32): x.cumsum(1))


def reductions():
    """To numbers, rows or columns."""
    yield "sum", 2 * N, lambda: (lambda x=matrix(): x.sum())
    yield "sum dim 0", 2 * N, lambda: (lambda x=matrix(): x.sum(0))
    yield "sum dim 1", 2 * N, lambda: (lambda x=matrix(): x.sum(1))
    yield "mean", 2 * N, lambda: (lambda x=matrix(): x.mean(1))
    yield "argmax dim 1", 2 * N, lambda: (lambda x=matrix(): x.argmax(1))
    yield "max dim 0", 2 * N, lambda: (lambda x=matrix(): x.max(0))


def moves():
    """Elements in other places."""
    yield "flip", 4 * N, lambda: (lambda x=matrix(): x.flip(1))
    yield "cat", 8 * N, lambda: (lambda x=matrix(), y=matrix(): torch.cat((x, y)))
    yield "index_select", 4 * N, lambda: (lambda x=matrix(), i=places(SIDE): x.index_select(0, i))
    yield "gather", 12 * N, lambda: (lambda x=matrix(), i=places(SIDE, SIDE): x.gather(1, i))
    yield "embedding 1024 rows", 4 * 1024 * SIDE, lambda: (lambda w=randn(32000, SIDE, dtype=BF16), i=places(1024, below=32000): functional.embedding(i, w))


def selections():
    """Sorted, and those whose size only the device knows."""
    yield "topk 50 f32", 4 * N, lambda: (lambda x=matrix(F32): x.topk(50))
    yield "sort f32", 16 * N, lambda: (lambda x=matrix(F32): x.sort(1))
    yield "masked_select", 4 * N, lambda: (lambda x=matrix(), c=mask(): x.masked_select(c))
    yield "nonzero", 9 * N, lambda: (lambda c=mask(): c.nonzero())

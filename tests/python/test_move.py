# SPDX-License-Identifier: Apache-2.0
"""The move and create families against ATen."""

import pytest
import torch

from same_call import check, raises_alike
from test_index import DTYPES, make

aten = torch.ops.aten
LAYOUTS = ["plain", "transposed", "strided"]
SHAPES = [(), (0,), (5,), (3, 4), (2, 3, 7), (4, 2, 33, 5), (2, 0, 3)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_copies(dtype, shape):
    for layout in LAYOUTS if shape else ["plain"]:
        x = make(shape, dtype, layout)
        check("clone", torch.clone, x)
        check("clone", lambda t: t.clone(memory_format=torch.contiguous_format), x)
        check("copy_", lambda t, s: t.copy_(s), make(shape, dtype), x)
        if shape:
            check("copy_", lambda t, s: t.copy_(s), x, make(shape[-1:], dtype))
        for to in DTYPES:
            serves = not (dtype.is_complex and not to.is_complex)
            small = x.clamp(0, 100) if not dtype.is_complex and dtype != torch.bool else x
            check("_to_copy", lambda t: aten._to_copy(t, dtype=to), small, serves=serves)
        if shape and x.numel():
            for dims in [(0,), (-1,), tuple(range(len(shape)))]:
                check("flip", torch.flip, x, dims)
            check("roll", torch.roll, x, 2 * (shape[0] > 2) + 1, 0, serves=None)
        check("repeat", lambda t: t.repeat(2, *([3] * len(shape))), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_cat_stack(dtype, layout):
    for shape in [(4, 3), (2, 3, 8), (2, 4, 6, 32)]:
        for dim in range(len(shape)):
            for count in (1, 2, 3, 40):
                sizes = [[s + (i % 3 if d == dim else 0) for d, s in enumerate(shape)] for i in range(count)]
                check("cat", lambda *t: torch.cat(t, dim), *[make(s, dtype, layout) for s in sizes])
                check("stack", lambda *t: torch.stack(t, dim), *[make(shape, dtype, layout) for _ in sizes],
                      serves=None if layout == "transposed" else True)  # what looks like channels last steps aside
    check("stack", lambda *t: torch.stack(t, -1), *[make((3, 4), dtype, layout) for _ in range(3)])
    check("stack", lambda *t: torch.stack(t), *[make((), dtype) for _ in range(38)])
    check("cat", lambda *t: torch.cat(t, -2), torch.empty(0, dtype=dtype), make((4, 2, 96, 64), dtype, layout))
    check("cat", lambda *t: torch.cat(t), make((3,), dtype), make((4,), torch.float64 if not dtype.is_complex else dtype))
    check("cat", lambda o, *t: torch.cat(t, out=o), make((7, 3), dtype), make((3, 3), dtype, layout), make((4, 3), dtype))


def test_cat_large():
    for shape in [(300, 1000), (3, 70000)]:
        for dim in (0, 1):
            check("cat", lambda *t: torch.cat(t, dim), make(shape, torch.float32), make(shape, torch.float32))
    x = make((4, 96, 4, 64), torch.float32).transpose(1, 2)
    check("cat", lambda t: torch.cat((t[..., 32:], t[..., :32]), -1), x)


def test_cat_errors():
    raises_alike(lambda *t: torch.cat(t), make((2, 3), torch.float32), make((2, 4), torch.float32))
    raises_alike(lambda *t: torch.cat(t, 3), make((2, 3), torch.float32), make((2, 4), torch.float32))
    raises_alike(lambda *t: torch.stack(t), make((2, 3), torch.float32), make((2, 4), torch.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts(dtype, layout):
    for dim in (0, 1, 2, -1):
        sizes = [4, 6, 70]
        for start, end, step in [(0, 2, 1), (1, 9223372036854775807, 1), (-3, -1, 1), (0, 6, 2), (2, 2, 1), (0, 99, 1)]:
            grad = make(list(torch.empty(sizes).transpose(0, dim)[slice(start, end, step)].transpose(0, dim).shape), dtype, layout)
            check("slice_backward", aten.slice_backward, grad, sizes, dim, start, end, step)
            if layout != "strided":
                check("slice_scatter", lambda t, s: aten.slice_scatter(t, s, dim, start, end, step), make(sizes, dtype, layout), grad)
        for index in (0, -1, 2):
            grad = make(list(torch.empty(sizes).select(dim, index).shape), dtype, layout)
            check("select_backward", aten.select_backward, grad, sizes, dim, index)
            if layout != "strided":
                check("select_scatter", lambda t, s: aten.select_scatter(t, s, dim, index), make(sizes, dtype, layout), grad)
    x = make((3, 5, 7), dtype, layout)
    for pad in [(1, 2), (0, 3), (0, 0, 2, 0), (1, 1, 0, 0, 2, 2), (1, 2, 3, 4)]:
        check("constant_pad_nd", aten.constant_pad_nd, x, pad)
        check("constant_pad_nd", aten.constant_pad_nd, x, pad, 1)
    for offset in (0, 1, -2, 9):
        grad = make(list(torch.empty(3, 5, 7).diagonal(offset, 1, 2).shape), dtype, layout)
        check("diagonal_backward", aten.diagonal_backward, grad, [3, 5, 7], offset, 1, 2)
        check("diag_embed", torch.diag_embed, x, offset)
        for tri in ("tril", "triu"):
            check(tri, getattr(torch, tri), x, offset)
            check(tri + "_", lambda t: getattr(t, tri + "_")(offset), x, serves=layout == "plain")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_fills(dtype, shape):
    x = make(shape, dtype)
    t = make(shape, dtype, "transposed") if len(shape) > 1 else x
    for like in (x, t):
        check("fill_", lambda a: a.fill_(3), like)
        check("fill_", lambda a, v: a.fill_(v), like, torch.tensor(1.0))
        check("zeros_like", torch.zeros_like, like)
        check("ones_like", torch.ones_like, like)
        check("full_like", torch.full_like, like, 2)
        check("ones_like", lambda a: torch.ones_like(a, dtype=torch.float64, memory_format=torch.contiguous_format), like)
        check("new_zeros", lambda a: a.new_zeros((3, 4)), like)
        check("new_ones", lambda a: a.new_ones((3,), dtype=torch.int32), like)
        check("new_full", lambda a: a.new_full((3, 2), 1), like)
    check("zeros", lambda: torch.zeros(shape, dtype=dtype))
    check("ones", lambda: torch.ones(shape, dtype=dtype))
    check("full", lambda: torch.full(shape, 3, dtype=dtype))
    for value in (True, 3, 2.5):
        check("full", lambda: torch.full(shape, value))


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bfloat16])
def test_ranges(dtype):
    near = dict(exact=dtype in (None, torch.int64, torch.int32, torch.uint8), rtol=1e-6, atol=1e-6)
    for args in [(0,), (5,), (2, 9), (0, 100, 3), (9, 2, -2), (0, 70000, 1) if dtype != torch.uint8 else (0, 200)]:
        if dtype == torch.bfloat16 and max(args) > 1000:
            continue
        check("arange", lambda: torch.arange(*args, dtype=dtype), **near)
    if dtype in (None, torch.float32, torch.float64):
        for args in [(0.5, 9.1, 0.3), (5.5,), (0.0, 100.0, 0.01)]:
            check("arange", lambda: torch.arange(*args, dtype=dtype), exact=False, rtol=1e-6, atol=1e-5)
        for args in [(0, 1, 11), (-3.5, 7, 1000), (1, 2, 1), (1, 2, 0), (0, 1, 2)]:
            check("linspace", lambda: torch.linspace(*args, dtype=dtype), exact=False, rtol=1e-6, atol=1e-6)
    raises_alike(lambda: torch.arange(1, 5, -1))


def test_isin():
    for dtype in (torch.int64, torch.float32, torch.int32, torch.uint8):
        x = make((30, 70), dtype)
        check("isin", torch.isin, x, make((5,), dtype))
        check("isin", torch.isin, x, make((), dtype))
        check("isin", lambda a, b: torch.isin(a, b, invert=True), x, make((5,), dtype))
    check("isin", lambda a: torch.isin(a, 2), torch.arange(10))
    check("isin", torch.isin, torch.tensor([1.0, float("nan")]), torch.tensor([float("nan")]))


def test_autograd():
    import carat

    for function in [lambda t: torch.cat((t[:, 1:], t), 1), lambda t: torch.stack((t, t * 2), -1), lambda t: t[:, 1].clone(),
                     lambda t: torch.nn.functional.pad(t, (1, 2, 3, 4)), lambda t: t.flip(0) * 2, lambda t: t.roll(1, 0), lambda t: t.repeat(2, 3),
                     lambda t: t.to(torch.float64), lambda t: torch.tril(t), lambda t: t.diagonal(1)]:
        gradients = []
        for mine in (False, True):
            x = torch.arange(12.0).reshape(3, 4).requires_grad_()
            if mine:
                with carat.use():
                    (function(x) ** 2).sum().backward()
            else:
                (function(x) ** 2).sum().backward()
            gradients.append(x.grad)
        torch.testing.assert_close(*gradients)
        assert gradients[0].stride() == gradients[1].stride()

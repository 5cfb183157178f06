# SPDX-License-Identifier: Apache-2.0
"""The index family against ATen."""

import pytest
import torch

from same_call import check, raises_alike

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
          torch.bool, torch.complex64, torch.complex128]
NUMBERS = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int8, torch.uint8]


def make(shape, dtype, layout="plain"):
    if layout == "transposed" and len(shape) > 1:
        return make([*shape[:-2], shape[-1], shape[-2]], dtype).transpose(-1, -2)
    if layout == "strided":
        return make([*shape[:-1], shape[-1] * 2 + 1], dtype)[..., 1::2]
    if dtype == torch.bool:
        return torch.randint(0, 2, shape).bool()
    return (torch.randn(shape) * 8).to(dtype) if dtype.is_floating_point else (torch.randn(shape) * 8).round().to(dtype)


def indices(size, shape, layout="plain", low=0):
    if layout == "transposed" and len(shape) > 1:
        return torch.randint(low, size, [*shape[:-2], shape[-1], shape[-2]]).transpose(-1, -2)
    return torch.randint(low, size, shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3,), (2, 5), (4, 1, 3), ()])
def test_embedding(dtype, shape):
    for layout in ("plain", "transposed", "strided"):
        check("embedding", torch.ops.aten.embedding, make((50, 33), dtype, layout), indices(50, shape))
    check("embedding", torch.ops.aten.embedding, make((50, 33), dtype), indices(50, shape).int())


def test_embedding_large():
    check("embedding", torch.ops.aten.embedding, make((3000, 384), torch.float32), indices(3000, (32, 51)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_index_select_gather(dtype, layout, dim):
    x = make((7, 9, 130), dtype, layout)
    check("index_select", torch.index_select, x, dim, indices(x.shape[dim], (13,)))
    for index_layout in ("plain", "transposed"):
        shape = [5, 6, 77]
        shape[dim] = 19
        check("gather", torch.gather, x, dim, indices(x.shape[dim], shape, index_layout))
    check("take", torch.take, make((7, 20), dtype), indices(140, (5, 8), low=-140))


def test_out_of_range():
    x = make((5, 6), torch.float32)
    for bad in (torch.tensor([0, 5]), torch.tensor([-1, 0])):
        raises_alike(torch.ops.aten.embedding, x, bad)
        raises_alike(torch.index_select, x, 0, bad)
        raises_alike(torch.gather, x, 0, bad.reshape(2, 1))
        raises_alike(torch.scatter, x, 0, bad.reshape(2, 1), x)
        raises_alike(torch.index_add, x, 0, bad, x[:2])
    raises_alike(lambda a, b: a[b], x, torch.tensor([5]))
    raises_alike(lambda a, b: a[b], x, torch.tensor([-6]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
def test_subscripts(dtype, layout):
    x = make((6, 7, 8, 9), dtype, layout)
    a, b, c = indices(6, (4,), low=-6), indices(6, (3, 4), low=-6), indices(6, (3, 1))
    for subscript in [(a,), (None, a), (a, b), (None, b, c), (a, None, b), (None, None, None, a), (a, b, c, a), (None, a, None, c),
                      (None, None, b, a), (b,)]:
        check("index", torch.ops.aten.index.Tensor, x, list(subscript))
    check("index", lambda t, i, j: t[i, j], make((32, 51), dtype, layout), torch.arange(32).view(32, 1, 1, 1), torch.arange(51))


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_scatter(dtype, layout, dim):
    x = make((7, 9, 31), dtype, layout)
    shape = [5, 6, 20]
    shape[dim] = 25
    index, src = indices(x.shape[dim], shape), make([s + 2 for s in shape], dtype, layout)
    exact = dtype not in (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    near = dict(exact=exact, rtol=1e-5, atol=1e-5)
    check("scatter", torch.scatter, x, dim, index, src)
    check("scatter_", lambda t, i, s: t.scatter_(dim, i, s), x, index, src)
    check("scatter", torch.scatter, x, dim, index, 3)
    for reduce in ("amin", "amax"):
        check("scatter_reduce", torch.scatter_reduce, x.clamp(-1, 1), dim, index, src.clamp(-1, 1), reduce, **near)
    if dtype in (torch.bfloat16, torch.float16):  # their sums are left to ATen
        return
    check("scatter_add", torch.scatter_add, x, dim, index, src, **near)
    check("scatter_add_", lambda t, i, s: t.scatter_add_(dim, i, s), x, index, src, **near)
    for reduce in ("sum", "prod"):
        check("scatter_reduce", torch.scatter_reduce, x.clamp(-1, 1), dim, index, src.clamp(-1, 1), reduce, **near)
    check("scatter", lambda t, i, s: torch.scatter(t, dim, i, s, reduce="add"), x, index, src, **near)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_index_writes(dtype, layout, dim):
    x = make((7, 9, 70), dtype, layout)
    index = indices(x.shape[dim], (12,))
    shape = list(x.shape)
    shape[dim] = 12
    source = make(shape, dtype, layout)
    near = dict(exact=not dtype.is_floating_point, rtol=2e-2 if dtype.itemsize == 2 else 1e-5, atol=0.2 if dtype.itemsize == 2 else 1e-5)
    check("index_add", torch.index_add, x, dim, index, source, **near)
    check("index_add", lambda t, i, s: torch.index_add(t, dim, i, s, alpha=2), x, index, source, **near)
    check("index_add_", lambda t, i, s: t.index_add_(dim, i, s), x, index, source, **near)
    once = torch.randperm(x.shape[dim])[:5]
    check("index_copy", torch.index_copy, x, dim, once, source.narrow(dim, 0, 5))
    check("index_fill", lambda t, i: torch.index_fill(t, dim, i, 3), x, index)
    check("index_fill_", lambda t, i: t.index_fill_(dim, i, 3), x, index)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("layout", ["plain", "transposed", "strided"])
def test_index_put(dtype, layout):
    x = make((6, 7, 8), dtype, layout)
    near = dict(exact=not dtype.is_floating_point, rtol=2e-2 if dtype.itemsize == 2 else 1e-5, atol=0.2 if dtype.itemsize == 2 else 1e-5)
    a, b = torch.randperm(6)[:4], torch.randperm(7)[:4]
    for subscript, shape in [((a,), (4, 7, 8)), ((None, b), (6, 4, 8)), ((a, b), (4, 8)), ((a, None, b), (4, 7)), ((a, b), (8,)), ((a,), ())]:
        check("index_put", torch.ops.aten.index_put, x, list(subscript), make(shape, dtype) if shape else make((1,), dtype)[0])
    a, b = indices(6, (50,), low=-6), indices(7, (50,), low=-7)
    for subscript, shape in [((a,), (50, 7, 8)), ((None, b), (6, 50, 8)), ((a, b), (50, 8)), ((a, None, b), (50, 7))]:
        check("index_put", lambda t, i, v: torch.ops.aten.index_put(t, i, v, True), x, list(subscript), make(shape, dtype), **near)


def test_empty():
    x = make((5, 6), torch.float32)
    none = torch.empty(0, dtype=torch.int64)
    check("index_select", torch.index_select, x, 0, none)
    check("embedding", torch.ops.aten.embedding, x, none)
    check("index", torch.ops.aten.index.Tensor, x, [none])
    check("gather", torch.gather, x, 0, none.reshape(0, 6))
    check("scatter_add", torch.scatter_add, x, 0, none.reshape(0, 6), x)
    check("index_add", torch.index_add, x, 0, none, x[:0])


def test_autograd():
    for function in [lambda t: torch.gather(t, 1, torch.tensor([[0, 1], [2, 2]])), lambda t: t[torch.tensor([0, 0, 1])],
                     lambda t: torch.index_select(t, 1, torch.tensor([2, 0])), lambda t: torch.nn.functional.embedding(torch.tensor([1, 1, 0]), t)]:
        gradients = []
        import carat
        for mine in (False, True):
            x = torch.arange(6.0).reshape(2, 3).requires_grad_()
            if mine:
                with carat.use():
                    (function(x) ** 2).sum().backward()
            else:
                (function(x) ** 2).sum().backward()
            gradients.append(x.grad)
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(3,), (4, 7), (32, 51), ()])
def test_embedding_backward(dtype, shape):
    # ATen adds halves one by one: sums of small whole numbers are exact on both.
    near = dict(exact=False, rtol=1e-5, atol=1e-4)
    def grad_of(*of):
        return torch.randint(-1, 2, of).to(dtype) if dtype.itemsize == 2 else make(of, dtype)
    for rows in (1, 2, 50, 700):
        for cols, layout in ((33, "plain"), (300, "plain"), (64, "transposed"), (20, "strided")):
            grad, index = grad_of(*shape, cols), indices(rows, shape, "transposed")
            if layout == "transposed" and shape:
                grad = grad.transpose(-1, -2).contiguous().transpose(-1, -2)
            check("embedding_dense_backward", torch.ops.aten.embedding_dense_backward, grad, index, rows, -1, False, **near)
            check("embedding_dense_backward", torch.ops.aten.embedding_dense_backward, grad, index, rows, 0, False, **near)
            expanded = grad_of(cols).expand(*shape, cols)
            if dtype.itemsize > 2 or len(shape) < 2:
                check("embedding_dense_backward", torch.ops.aten.embedding_dense_backward, expanded, index, rows, -1, False, **near)


def test_result_strides_of_single_places():
    x = torch.randn(50, 30)
    for index in (indices(50, (40, 1)).t(), indices(50, (1, 40)).t(), indices(50, (1, 1, 7)), indices(50, (7, 1, 2))[:, :, :1]):
        check("index", lambda a, i: a[i], x, index)
        check("index", lambda a, i: a[:, i], x[:1].t().contiguous().t(), index % 30)
        check("index", lambda a, i: a[:, i, :, 0], torch.randn(1, 50, 1, 2), index)


def test_out_shares_memory():
    x, i, source = torch.randn(6, 6), torch.tensor([[0, 2], [1, 3]]), torch.randn(6, 6)
    raises_alike(lambda a: torch.ops.aten.scatter.src_out(a, 0, i, source, out=a.t()), x)
    raises_alike(lambda a: torch.ops.aten.index_copy.out(a, 0, i[0], source[:2], out=a.t()), x)
    check("scatter", lambda a: torch.ops.aten.scatter.src_out(a, 0, i, source, out=a), x)
    i = torch.randint(4, (8,))
    check("embedding_dense_backward", lambda a: torch.ops.aten.embedding_dense_backward.out(source[:4], a[:4], 4, -1, False, out=a.view(torch.float32)[:24].view(4, 6)),
          torch.randint(4, (12,)), serves=None)
    check("embedding_dense_backward", lambda a: torch.ops.aten.embedding_dense_backward.out(torch.ones(8, 2), a, 4, -1, False, out=torch.empty(4, 2)), i)


BEYOND = [(torch.uint8, 300), (torch.int8, 128), (torch.int16, 40000), (torch.int32, 2**31), (torch.float16, 1e9), (torch.float16, -65505.0),
          (torch.bfloat16, 1e39), (torch.float32, 1e300)]


@pytest.mark.parametrize("dtype, number", BEYOND)
def test_number_beyond_the_dtype(dtype, number):
    x, i, ones = torch.zeros(5, dtype=dtype), torch.tensor([0, 2]), torch.ones(2, dtype=dtype)
    raises_alike(lambda a: a.scatter_(0, i, number), x)
    raises_alike(lambda a: a.index_fill_(0, i, number), x)
    raises_alike(lambda a: a.index_add_(0, i, ones, alpha=number), x)


@pytest.mark.parametrize("number", [float("inf"), -float("inf"), float("nan"), 65504.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_number_at_the_edge(dtype, number):
    i = torch.tensor([0, 2])
    check("scatter_", lambda a: a.scatter_(0, i, number), torch.zeros(5, dtype=dtype))
    check("index_fill_", lambda a: a.index_fill_(0, i, number), torch.zeros(5, dtype=dtype))

# SPDX-License-Identifier: Apache-2.0
"""Reads and writes through indices on CUDA: layouts that choose words, vectors and ranks, sums by atomics, indices out of range."""

import pytest
import torch

import carat
from test_cuda import LAYOUTS, assert_stops_the_device, both, sample

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64,
          torch.complex128)


def make(shape, dtype, seed=0):
    if dtype.is_complex:
        return torch.complex(*(sample(shape, torch.float64, seed + i) for i in (0, 7))).to(dtype)
    return sample(shape, dtype, seed)


def places(shape, size, seed=1, dtype=torch.int64):
    return torch.randint(0, size, shape, device="cuda", dtype=dtype, generator=torch.Generator("cuda").manual_seed(seed))


def distinct(count, size, seed=1):
    return torch.randperm(size, device="cuda", generator=torch.Generator("cuda").manual_seed(seed))[:count]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_reading(dtype):
    for shape in ((50, 64), (33, 7), (70, 100), (20, 3, 34), (5, 1), (4, 6, 5, 7)):
        x = make(shape, dtype)
        for name, layout in LAYOUTS.items():
            y = layout(x)
            for dim in range(y.dim()):
                i = places((41,), y.size(dim))
                both(lambda: torch.index_select(y, dim, i), "index_select")
                both(lambda: torch.index_select(y, dim, i.int()), "index_select")
                k = places([13 if d == dim else size for d, size in enumerate(y.shape)], y.size(dim))
                both(lambda: torch.gather(y, dim, k), "gather" if y.stride(dim) == 1 else None)
                row = places([13 if d == dim else 1 for d in range(y.dim())], y.size(dim)).expand([13 if d == dim else size for d, size in enumerate(y.shape)])
                both(lambda: torch.gather(y, dim, row), "gather" if (dim < y.dim() - 1 or y.stride(dim) == 1) and 1 not in y.shape else None)
            i, j = places((17,), y.size(0)) - y.size(0) // 2, places((17,), y.size(1)) - y.size(1) // 2
            both(lambda: y[i], "index.Tensor")
            both(lambda: y[:, j], "index.Tensor")
            both(lambda: y[i, j], "index.Tensor")
            both(lambda: y[i[:, None], j[None]], "index.Tensor")
            both(lambda: y[i.view(17, 1), j[:3]], "index.Tensor")
            if y.dim() > 2:
                both(lambda: y[i, :, places((17,), y.size(2))], "index.Tensor")
        if dtype != torch.bool:
            both(lambda: torch.take(x, places((3, 5), x.numel()) - x.numel() // 2), "take")


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float64, torch.uint8), ids=lambda d: str(d)[6:])
@pytest.mark.parametrize("cols", (1, 3, 64, 100, 384, 4096))
def test_embedding(cols, dtype):
    weight = make((1000, cols), dtype)
    for index in (places((4, 33), 1000), places((7,), 1000, dtype=torch.int32), places((1,), 1000)[0], places((0,), 1000), places((8, 8), 1000).t()):
        both(lambda: torch.embedding(weight, index), "embedding")
        both(lambda: torch.embedding(weight.t().contiguous().t(), index))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
def test_writing(dtype):
    for shape in ((50, 64), (33, 7), (20, 3, 34)):
        x = make(shape, dtype)
        for layout in ("contiguous", "transposed", "sliced", "permuted"):
            y = LAYOUTS[layout](x)
            for dim in range(y.dim()):
                i = distinct(min(3, y.size(dim)), y.size(dim))
                source = make([i.numel() if d == dim else size for d, size in enumerate(y.shape)], dtype, 2)
                k = torch.argsort(torch.rand(y.shape, device="cuda"), dim).narrow(dim, 0, i.numel())
                both(lambda: y.index_copy(dim, i, source), "index_copy")
                both(lambda: y.clone().index_copy_(dim, i, source), "index_copy_")
                both(lambda: y.index_fill(dim, i, 1), "index_fill.int_Scalar")
                both(lambda: y.index_fill(dim, i - y.size(dim), torch.tensor(1, dtype=dtype)), "index_fill.int_Tensor")
                both(lambda: y.scatter(dim, k, source), "scatter.src")
                both(lambda: y.clone().scatter_(dim, k, source), "scatter_.src")
                both(lambda: y.scatter(dim, k, 1), "scatter.value")
            i, j = distinct(5, y.size(0)), distinct(min(5, y.size(1)), y.size(1))
            values = make((5,) + tuple(y.shape[1:]), dtype, 3)
            both(lambda: torch.index_put(y, (i,), values), "index_put")
            both(lambda: y.clone().index_put_((i,), values[0]), "index_put_")
            both(lambda: torch.index_put(y, (i[: j.numel()], j), values[: j.numel(), 0]), "index_put")

            def assign(to, *at):
                to[at] = 1
                return to
            both(lambda: assign(y.clone(), i), "index_put_")
            both(lambda: assign(y.clone(), slice(None), j), "index_put_")


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
                         ids=lambda d: str(d)[6:])
def test_combining(dtype):
    """Small whole numbers, whose sums every dtype holds exactly: they are the same in any order."""
    for shape in ((50, 64), (33, 7), (20, 3, 40), (20, 12), (20, 6)):
        whole = lambda shape, seed: torch.randint(0, 3, shape, device="cuda", generator=torch.Generator("cuda").manual_seed(seed)).to(dtype)
        x = whole(shape, 0)
        for layout in ("contiguous", "transposed", "sliced"):
            y = LAYOUTS[layout](x)
            for dim in range(y.dim()):
                i = places((9,), y.size(dim))
                source = whole([9 if d == dim else size for d, size in enumerate(y.shape)], 2)
                k = places(source.shape, y.size(dim))
                half = dtype.is_floating_point and dtype.itemsize == 2
                pairs = not half or (y.numel() % 2 == 0 and dim < y.dim() - 1)  # other sums of halves are ATen's
                both(lambda: y.index_add(dim, i, source), "index_add", pairs)
                both(lambda: y.clone(memory_format=torch.contiguous_format).index_add_(dim, i, source, alpha=2), "index_add_", pairs)
                both(lambda: y.scatter_add(dim, k, source), "scatter_add", not half)
                both(lambda: y.scatter_add(dim, i.view([9 if d == dim else 1 for d in range(y.dim())]).expand_as(source), source), "scatter_add", pairs)
                for reduce in ("sum", "amin", "amax", "prod"):
                    both(lambda: y.scatter_reduce(dim, k, source + (reduce == "prod"), reduce), "scatter_reduce.two", not half or reduce != "sum")
            i = places((9,), y.size(0))
            both(lambda: torch.index_put(y, (i,), whole((9,) + tuple(y.shape[1:]), 3), accumulate=True), "index_put", served=not dtype.is_floating_point)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16), ids=lambda d: str(d)[6:])
def test_sums_and_extremes_of_floats(dtype):
    x, source = sample((100, 64), dtype), sample((5000, 64), dtype, 1)
    i = places((5000,), 100)
    truth = x.double().index_add(0, i, source.double())
    with carat.use():
        mine = x.index_add(0, i, source)
    theirs = x.index_add(0, i, source)
    off, atens = (mine.double() - truth).abs().max(), (theirs.double() - truth).abs().max()
    assert off <= 2 * atens + 1e-6, (off, atens)
    source[7, 3] = float("nan")
    source[8, 5] = -float("inf")
    k = i[:, None].expand_as(source)
    for reduce in ("amin", "amax"):
        both(lambda: x.scatter_reduce(0, k, source, reduce), "scatter_reduce.two")


def test_gradients():
    weight, x = sample((100, 48), torch.float32).requires_grad_(), sample((100, 48), torch.float32, 1).requires_grad_()
    i = places((30,), 100)

    def step():
        weight.grad = x.grad = None
        y = torch.nn.functional.embedding(i, weight) * x.index_select(0, i) + x.gather(1, places((30, 48), 48))[:30]
        y.square().sum().backward()
        return weight.grad, x.grad
    both(step, "index_select")


@pytest.mark.parametrize("rows, cols, tokens", [(50, 33, 7), (1000, 768, 3000), (32000, 512, 8192), (30522, 384, 20000), (2, 100, 5000), (300, 1, 4000)], ids=str)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16, torch.float64), ids=lambda d: str(d)[6:])
def test_embedding_backward(rows, cols, tokens, dtype):
    grad, index = sample((tokens, cols), dtype), places((tokens,), rows)
    often = torch.where(torch.rand(tokens, device="cuda") < 0.5, rows // 2, index)
    for i in (index, often, torch.full_like(index, rows - 1), index.int()):
        for padding in (-1, rows // 2):
            backward = lambda: torch.ops.aten.embedding_dense_backward(grad, i, rows, padding, False)
            theirs = backward()
            truth = torch.ops.aten.embedding_dense_backward(grad.double(), i, rows, padding, False)
            carat.stats(reset=True)
            with carat.use():
                mine, again = backward(), backward()
            assert carat.stats()["embedding_dense_backward"].calls == 2 and torch.equal(mine, again)
            assert mine.dtype == theirs.dtype and mine.stride() == theirs.stride()
            off, atens = (mine.double() - truth).abs(), (theirs.double() - truth).abs()
            slack = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps * 8 * tokens ** 0.5 * 30
            assert bool((off <= torch.finfo(dtype).eps * truth.abs() + slack).all()), (off.max(), atens.max())


def test_deterministic_algorithms_are_atens():
    x, i = sample((50, 8), torch.float32), places((90,), 50)
    source = sample((90, 8), torch.float32, 1)
    torch.use_deterministic_algorithms(True)
    try:
        both(lambda: x.index_add(0, i, source), "index_add", served=False)
        both(lambda: x.index_select(0, i), "index_select")
    finally:
        torch.use_deterministic_algorithms(False)


def test_more_than_32_bits():
    x = torch.arange(2**31 + 4096, device="cuda").remainder_(251).to(torch.uint8).view(-1, 64)
    i = torch.tensor([0, 5, x.size(0) - 1, x.size(0) // 2], device="cuda")
    both(lambda: x.index_select(0, i), "index_select")
    both(lambda: x[i, i % 64], "index.Tensor")


@pytest.mark.parametrize("call", ("x.index_select(0, i)", "x.gather(0, i[:, None])", "x[i]", "torch.embedding(x, i)", "x.index_add_(0, i, x[:1].clone())", "x.take(i)"))
def test_an_index_out_of_range_stops_the_device(call):
    program = f"import torch, carat\nx = torch.ones(7, 5, device='cuda')\ni = torch.tensor([{99 if call != 'x.take(i)' else 35}], device='cuda')\n" \
              f"carat.enable()\n{call}"
    assert_stops_the_device(program)


def test_graph_capture_and_replay():
    weight, i, total = sample((100, 64), torch.float32), places((50,), 100), torch.zeros(100, 64, device="cuda")

    def step():
        rows = torch.embedding(weight, i)
        return rows, torch.cat([rows, rows], 1), total.index_add(0, i, rows)
    with carat.use():
        step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        carat.stats(reset=True)
        with torch.cuda.graph(graph):
            made = step()
        assert all(carat.stats()[name].calls == 1 for name in ("embedding", "cat", "index_add"))
    i.copy_(places((50,), 100, 5))
    graph.replay()
    for mine, expected in zip(made, step()):
        torch.testing.assert_close(mine, expected)

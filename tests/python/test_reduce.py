# SPDX-License-Identifier: Apache-2.0
"""The reduce family against ATen: dims, keepdim, dtypes, layouts, special values, out=."""

import itertools
import random

import pytest
import torch
from against_aten import check

aten = torch.ops.aten
FLOATS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
INTS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool]
COMPLEX = [torch.complex64, torch.complex128]


def values(shape, dtype, generator):
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) > 0.3
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, generator=generator, dtype=torch.complex128 if dtype.is_complex else torch.float64).to(dtype)
    return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape, generator=generator).to(dtype)


def layouts(shape, dtype, seed):
    """Tensors of one shape in different layouts."""
    g = torch.Generator().manual_seed(seed)
    yield values(shape, dtype, g)
    if len(shape) > 1:
        order = list(range(len(shape)))
        random.Random(seed).shuffle(order)
        yield values([shape[i] for i in order], dtype, g).permute([order.index(i) for i in range(len(shape))])
        yield values([2 * s for s in shape], dtype, g)[tuple(slice(None, None, 2) for _ in shape)]
        yield values([1] + list(shape[1:]), dtype, g).expand([min(shape[0], 50)] + list(shape[1:])) # more, and ATen loses digits


SHAPES = [(), (1,), (7,), (64,), (300,), (5, 3), (33, 65), (3, 5, 7), (2, 3, 4, 5), (70, 4, 40), (1, 1, 256), (3, 1, 130), (600, 3),
          (3, 700), (40000,), (300, 257), (9000, 5), (5, 2, 9000), (2, 70000), (70000, 2), (40, 30, 50)]


def served(op, x):
    """Many extremes of f32 and f64 are left to ATen: None where that may be so."""
    return None if op in (aten.amax.default, aten.amin.default, aten.max.default, aten.min.default) and x.dtype in (torch.float32, torch.float64) else True


def dim_sets(ndim):
    for r in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), r)


def walk(dtypes, shapes=SHAPES):
    for seed, shape in enumerate(shapes):
        for dtype in dtypes:
            big = len(shape) and torch.Size(shape).numel() > 5000
            if big and dtype not in (torch.float32, torch.bfloat16, torch.int8):
                continue
            for x in itertools.islice(layouts(shape, dtype, seed), 3 if big else 4):
                yield x


@pytest.mark.parametrize("op", [aten.sum.dim_IntList, aten.mean.dim, aten.amax.default, aten.amin.default, aten.nansum.default,
                                aten.any.dims, aten.all.dims], ids=str)
def test_dims(op):
    floating = op in (aten.mean.dim, aten.nansum.default)
    complexes = [] if op in (aten.amax.default, aten.amin.default, aten.nansum.default) else COMPLEX
    for x in walk(FLOATS + complexes + ([] if floating else INTS)):
        for dims in dim_sets(x.dim()):
            check(op, x, list(dims), random.random() < 0.5, scale=x.numel() ** 0.5, served=served(op, x))
        check(op, x, [-1], scale=x.numel() ** 0.5, served=served(op, x))


@pytest.mark.parametrize("op", [aten.sum.default, aten.mean.default, aten.max.default, aten.min.default, aten.any.default,
                                aten.all.default, aten.count_nonzero.default], ids=str)
def test_full(op):
    for x in walk(FLOATS + ([] if op == aten.mean.default else INTS)):
        check(op, x, scale=x.numel() ** 0.5, served=served(op, x))


def test_prod():
    g = torch.Generator().manual_seed(0)
    for shape in [(), (5,), (8, 3), (3, 4, 5), (33, 20)]:
        for dtype in FLOATS + INTS:
            x = values(shape, dtype, g)
            x = x / 2 + 1 if dtype.is_floating_point else x
            check(aten.prod.default, x)
            for d in range(-1, len(shape)):
                check(aten.prod.dim_int, x, d, True)
                check(aten.prod.dim_int, x.t() if x.dim() == 2 else x, d)


def test_any_all_and_counts():
    for x in walk(INTS + FLOATS, [(), (9,), (3, 40), (40, 3), (300, 257), (40000,)]):
        for d in range(-x.dim(), x.dim()):
            check(aten.any.dim, x, d, True)
            check(aten.all.dim, x, d)
            check(aten.count_nonzero.dim_IntList, x, [d])
            check(aten.count_nonzero.default, x, d)
    for at in (0, 39999, 17000):
        x = torch.zeros(40000, dtype=torch.bool)
        x[at] = True
        assert check(aten.any.default, x).item()
        assert not check(aten.all.default, ~x).item()


@pytest.mark.parametrize("p", [2, 1, 0, float("inf"), -float("inf"), 3, 0.5, -1.5, 2.5])
def test_vector_norm(p):
    for x in walk(FLOATS, [(), (7,), (38,), (33, 65), (3, 5, 7), (600, 3), (40000,), (300, 257)]):
        if p < 0:
            x = x.abs() + 1
        check(aten.linalg_vector_norm.default, x, p, scale=20)
        for dims in dim_sets(x.dim()):
            check(aten.linalg_vector_norm.default, x, p, list(dims), True, scale=20)
        if x.dtype in (torch.bfloat16, torch.float16):
            check(aten.linalg_vector_norm.default, x, p, None, False, dtype=torch.float32)


def test_foreach_norm():
    g = torch.Generator().manual_seed(0)
    for dtype in FLOATS:
        xs = [values(s, dtype, g) for s in [(3,), (256, 300), (), (704, 256), (100000,)]] + [values((40, 50), dtype, g).t()]
        for p in (2, 1, float("inf")):
            check(aten._foreach_norm.Scalar, xs, p)
    check(aten._foreach_norm.Scalar, [torch.ones(3), torch.ones(4).bfloat16()])


def test_special_values():
    for dtype in FLOATS:
        for at in (0, 1, 63, 64, 200):
            x = torch.randn(3, 201).to(dtype)
            x[1, at] = float("nan")
            x[2, at] = float("inf")
            for y, d in ((x, 1), (x.t(), 0), (x.t().contiguous(), 0)):
                for op in (aten.amax.default, aten.amin.default, aten.sum.dim_IntList, aten.nansum.default, aten.mean.dim):
                    check(op, y, [d], served=served(op, y))
                for op in (aten.max.default, aten.min.default, aten.sum.default):
                    check(op, y)
                for p in (2, 1, float("inf"), -float("inf"), 0):
                    check(aten.linalg_vector_norm.default, y, p, [d])
    check(aten.sum.default, torch.tensor([-0.0, -0.0]))
    check(aten.amax.default, torch.tensor([[127, -128], [-1, -2]], dtype=torch.int8), [0])
    check(aten.amin.default, torch.full((3, 70), torch.iinfo(torch.int64).max))


def test_dtype_argument():
    g = torch.Generator().manual_seed(0)
    for source, target in itertools.product(FLOATS + INTS, [torch.float32, torch.float64, torch.bfloat16]):
        x = values((30, 40), source, g)
        check(aten.sum.dim_IntList, x, [0], dtype=target)
        check(aten.mean.dim, x, [1], True, dtype=target)
        check(aten.sum.default, x, dtype=target)
    check(aten.sum.default, torch.tensor([1.7, 2.7]), dtype=torch.int32, served=False)
    check(aten.sum.dim_IntList, torch.ones(4, 4, dtype=torch.int32), [1], dtype=torch.int64)
    check(aten.sum.dim_IntList, torch.ones(4, 300, dtype=torch.bool), [1])


def test_out():
    for shape, dims in [((30, 40), [0]), ((30, 40), [1]), ((6, 5, 40), [1])]:
        x = torch.randn(shape)
        kept = [s for d, s in enumerate(shape) if d not in dims]
        wide = torch.zeros([2 * k for k in kept])
        for op, name in ((aten.sum.IntList_out, "out"), (aten.mean.out, "out"), (aten.amax.out, "out")):
            out = wide[tuple(slice(None, None, 2) for _ in kept)]
            assert check(op, x, dims, out=out, served=None if op == aten.amax.out else True) is out
    x = torch.randn(4, 4)
    check(aten.sum.IntList_out, x, [0], out=x[0].clone(), served=True)
    check(aten.all.all_out, x, out=torch.empty((), dtype=torch.bool))
    check(aten.linalg_vector_norm.out, x, 2, [1], out=torch.empty(4))


def test_precision():
    """Not worse than ATen, measured against float64."""
    for shape, dims in [((1 << 20,), [0]), ((3000, 64), [0]), ((64, 30000), [1])]:
        x = torch.rand(shape)
        exact = x.double().sum(dims)
        import carat
        theirs = (x.sum(dims).double() - exact).abs().max()
        with carat.use(only=["sum"]):
            mine = (x.sum(dims).double() - exact).abs().max()
        assert mine <= 2 * theirs + 1e-7 * exact.abs().max()


def test_autograd():
    x = torch.randn(20, 30, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    import carat
    for f in (lambda t: t.sum(0).pow(2).sum(), lambda t: t.pow(2).mean(-1, keepdim=True).sum(), lambda t: t.amax(1).sum(),
              lambda t: torch.linalg.vector_norm(t, dim=1).sum(), lambda t: t.prod(1).sum()):
        x.grad = y.grad = None
        f(x).backward()
        with carat.use():
            f(y).backward()
        torch.testing.assert_close(y.grad, x.grad)


def test_steps_aside():
    check(aten.sum.default, torch.empty(0, 3), served=False)
    check(aten.any.dims, torch.ones(3, 4), [], served=False)
    with pytest.raises(IndexError, match="out of range"):
        check(aten.sum.dim_IntList, torch.ones(3), [1])

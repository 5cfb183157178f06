# SPDX-License-Identifier: Apache-2.0
"""The matmul family: values against a double-precision product, all else (dtype, shape, strides) against ATen."""

import random

import carat
import pytest
import torch

aten = torch.ops.aten
FLOATS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
NARROW = [torch.uint8, torch.int8, torch.int16]
INTS = NARROW + [torch.int32, torch.int64]
SIZES = [1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 64, 100, 129, 193, 260]


def values(shape, dtype, layout="dense"):
    """A matrix, or a batch of them, whose last two dimensions are dense, transposed or strided."""
    shape = list(shape)
    if layout == "transposed" and len(shape) > 1:
        return values(shape[:-2] + shape[:-3:-1], dtype).transpose(-1, -2)
    if layout == "strided":
        wide = shape[:-2] + [2 * s for s in shape[-2:]]
        return values(wide, dtype)[(..., *(slice(None, None, 2) for _ in shape[-2:]))]
    if dtype.is_floating_point:
        return torch.randn(shape, dtype=torch.float64).to(dtype)
    return torch.randint(0 if dtype == torch.uint8 else -100, 100, shape).to(dtype)


def name_of(op):
    return op._schema.name.removeprefix("aten::") + (f".{op._overloadname}" if op._overloadname != "default" else "")


def serve(op, *args, **kwargs):
    """Carat's result; it must not step aside but from few rows of narrow integers, from large products of halves where the
    processor has instructions for them, from large or batched ones of floats where its vectors have 512 bits, and from batches of
    tiny ones."""
    name = name_of(op)
    carat.stats(reset=True)
    with carat.use(only=[name]):
        result = op(*args, **kwargs)
    stat = carat.stats()[name]
    aside = "".join(stat.reasons)
    narrow = result.dtype in NARROW and aside == "few rows of narrow integers"
    native = result.dtype in (torch.bfloat16, torch.float16) and "multiplies natively" in aside
    wide = result.dtype in (torch.float32, torch.float64) and "512-bit" in aside
    small = name.startswith(("bmm", "baddbmm")) and aside == "few multiply-adds"
    assert stat.calls > 0 or narrow or native or wide or small, (name, stat)
    serve.by_aten = native or wide or small
    return result


def assert_close(mine, a, b, input=None, alpha=1, beta=1):
    """Against the exact result: one rounding to the dtype, and float sums whose errors grow like a random walk's."""
    wide = torch.float64  # holds the sums of small integers too
    product = a.to(wide) @ b.to(wide)
    exact = alpha * product + (beta * input.to(wide) if input is not None else 0)
    if not mine.dtype.is_floating_point:
        assert torch.equal(mine, exact.to(torch.int64).to(mine.dtype))
        return
    size = abs(alpha) * (a.abs().to(wide) @ b.abs().to(wide)) + (abs(beta * input.to(wide)) if input is not None else 0)
    info = torch.finfo(mine.dtype)
    step = torch.finfo(torch.float64 if mine.dtype == torch.float64 else torch.float32).eps
    allowed = 0.51 * info.eps * exact.abs() + info.smallest_normal * info.eps + 4 * step * max(1, a.shape[-1]) ** 0.5 * size
    wrong = (mine.to(wide) - exact).abs() > allowed
    assert not wrong.any(), f"{tuple(a.shape)} {a.stride()} x {tuple(b.shape)} {b.stride()}: {int(wrong.sum())} wrong"


def same_layout(mine, theirs):
    assert (mine.dtype, mine.shape, mine.stride()) == (theirs.dtype, theirs.shape, theirs.stride())


def cases(seed, count):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    for i in range(count):
        m, n, k = (draw.choice(SIZES) for _ in range(3))
        if i % 7 == 0:
            k = draw.choice([0, 1, 511, 513, 1000])
        if i % 11 == 0:
            n = draw.choice([600, 1025])
        if i % 13 == 0:
            m = draw.choice([400, 1030])
        if i % 17 == 0:
            m, n, k = draw.choice([(4, 2000, 300), (3000, 3, 290), (1, 3000, 40), (7, 70, 3000)])
        yield draw, m, n, k


LAYOUTS = ["dense", "transposed", "strided"]


@pytest.mark.parametrize("dtype", FLOATS + INTS, ids=str)
def test_mm_bmm(dtype):
    for draw, m, n, k in cases(1, 70):
        batch = draw.choice([(), (1,), (3,)])
        a, b = values((*batch, m, k), dtype, draw.choice(LAYOUTS)), values((*batch, k, n), dtype, draw.choice(LAYOUTS))
        mine = serve(aten.bmm.default if batch else aten.mm.default, a, b)
        assert_close(mine, a, b)
        assert mine.is_contiguous()
        out = values((*batch, m, n), dtype, draw.choice(LAYOUTS))
        serve(aten.bmm.out if batch else aten.mm.out, a, b, out=out)
        assert serve.by_aten or torch.equal(out, mine)  # ATen rounds by how it was called


@pytest.mark.parametrize("dtype", FLOATS + INTS, ids=str)
def test_with_input(dtype):
    for draw, m, n, k in cases(2, 60):
        batch = draw.choice([(), (2,)])
        a, b = values((*batch, m, k), dtype, draw.choice(LAYOUTS)), values((*batch, k, n), dtype, draw.choice(LAYOUTS))
        shape = draw.choice([(m, n), (n,), (1, n), (m, 1), ()]) if not batch else draw.choice([(2, m, n), (2, m, 1), (1, 1, n), (m, n), (n,)])
        input = values(shape, dtype, draw.choice(LAYOUTS))
        alpha, beta = draw.choice([(1, 1), (2, -3), (1, 0), (0, 1)] + ([(0.5, 0.25)] if dtype.is_floating_point else []))
        op = aten.baddbmm if batch else aten.addmm
        mine = serve(op.default, input, a, b, alpha=alpha, beta=beta)
        assert_close(mine, a, b, input, alpha, beta)
        assert mine.is_contiguous()
        whole = input.expand(*batch, m, n).clone()
        in_place = serve(aten.baddbmm_.default if batch else aten.addmm_.default, whole, a, b, alpha=alpha, beta=beta)
        assert in_place is whole
        assert_close(whole, a, b, input, alpha, beta)


@pytest.mark.parametrize("dtype", FLOATS + [torch.int32, torch.int64], ids=str)
def test_vectors(dtype):
    for draw, m, _, k in cases(3, 60):
        a, x = values((m, k), dtype, draw.choice(LAYOUTS)), values((k,), dtype, draw.choice(["dense", "strided"]))
        mine = serve(aten.mv.default, a, x)
        assert_close(mine, a, x)
        same_layout(mine, aten.mv.default(a, x))
        input = values(draw.choice([(m,), (1,), ()]), dtype)
        assert_close(serve(aten.addmv.default, input, a, x, beta=3, alpha=2), a, x, input, 2, 3)
        if a.stride(1) == 1:
            for op in aten.dot.default, aten.vdot.default:
                mine = serve(op, a[0], x)
                assert_close(mine, a[0], x)
                assert mine.shape == ()


def test_strides_and_errors_are_atens():
    for shapes in [((0, 3), (3, 4)), ((3, 0), (0, 4)), ((3, 4), (4, 0)), ((1, 1), (1, 1))]:
        a, b = (torch.randn(s) for s in shapes)
        same_layout(serve(aten.mm.default, a, b), aten.mm.default(a, b))
        assert torch.equal(serve(aten.mm.default, a, b), aten.mm.default(a, b))
        same_layout(serve(aten.mm.default, a, torch.randn(b.shape[::-1]).t()), aten.mm.default(a, b))
    for bad in [(torch.randn(3, 4), torch.randn(3, 4)), (torch.randn(3), torch.randn(3, 4)), (torch.randn(3, 4), torch.randn(4, 2).double())]:
        with pytest.raises(RuntimeError) as theirs:
            aten.mm.default(*bad)
        with pytest.raises(RuntimeError) as mine, carat.use(only=["mm"]):
            aten.mm.default(*bad)
        assert str(mine.value) == str(theirs.value)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_special_values(dtype):
    a, b = values((20, 40), dtype), values((40, 30), dtype)
    poison = torch.full((20, 30), float("nan"), dtype=dtype)
    assert torch.equal(serve(aten.addmm.default, poison, a, b, beta=0), serve(aten.mm.default, a, b))
    a[3, 5], a[7, 2] = float("nan"), float("inf")
    mine = serve(aten.mm.default, a, b)
    assert mine[3].isnan().all() and (mine[7].isinf() | mine[7].isnan()).all()
    rest = [i for i in range(20) if i not in (3, 7)]
    assert mine[rest].isfinite().all()
    big = torch.full((2, 8), torch.finfo(dtype).max, dtype=dtype)
    assert serve(aten.mm.default, big, big.t()).isinf().all()


@pytest.mark.parametrize("m,n,k", [(64, 64, 64), (300, 500, 700), (1, 3000, 700), (4, 3000, 700), (6, 3000, 700), (2000, 1, 300), (33, 65, 1000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_threads_do_not_change_results(m, n, k, dtype):
    threads = torch.get_num_threads()
    a, b = values((m, k), dtype), values((k, n), dtype)
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results += [serve(aten.mm.default, a, b), serve(aten.mm.default, a, b.t().contiguous().t())]
    finally:
        torch.set_num_threads(threads)
    if serve.by_aten:
        return
    assert torch.equal(results[0], results[2]) and torch.equal(results[0], results[4])
    assert torch.equal(results[1], results[3]) and torch.equal(results[1], results[5])


def test_overlap_steps_aside():
    x = torch.randn(8, 8)
    theirs, mine = x.clone(), x.clone()
    torch.mm(theirs, x, out=theirs)
    carat.stats(reset=True)
    with carat.use(only=["mm.out"]):
        torch.mm(mine, x, out=mine)
    assert carat.stats()["mm.out"].calls == 0
    assert torch.equal(mine, theirs)

# SPDX-License-Identifier: Apache-2.0
"""A sample of each family's kernels for groups of many lanes, on a GPU that isn't there: pytest tests/cuda -k softmax"""

import pytest
import torch

import carat
from fake_gpu import StepsAside, check, run

aten = torch.ops.aten
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
HALF_AND_FULL = FLOATS[:2]


def dtypes(*which):
    return pytest.mark.parametrize("dtype", which, ids=lambda d: str(d)[6:])


# ---- pointwise

@dtypes(*FLOATS, torch.int32)
def test_pointwise_layouts(dtype):
    x, y = (torch.randn(33, 70) * 5).to(dtype), (torch.randn(33, 70) * 5).to(dtype)
    check(aten.add.Tensor, x, y, alpha=2)
    check(aten.mul.Tensor, x.t(), y.t().contiguous())
    check(aten.sub.Tensor, x[:, ::2], y[:, 1::2])
    check(aten.add.Tensor, x[:, :1], y[0])
    check(aten.add.Tensor, x[1:, 1:], y[1:, 1:])
    check(aten.mul.Tensor, x, 3)
    check(aten.add_.Tensor, x, y)
    check(aten.add.out, x, y, out=torch.empty(70, 33, dtype=dtype).t())


@dtypes(*HALF_AND_FULL)
def test_pointwise_maths(dtype):
    x = torch.randn(1027).to(dtype)
    x[:6] = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 30.0])
    for op in (aten.exp, aten.tanh, aten.sigmoid, aten.silu, aten.gelu, aten.log1p, aten.relu):
        check(op.default, x)
    for op in (aten.deg2rad, aten.rad2deg, aten.frac, aten.sinc, aten.isposinf, aten.isneginf, aten.signbit, aten.sgn, aten.special_entr, aten.hardshrink):
        check(op.default, x)
    y = torch.randn(1027).to(dtype)
    for op in (aten.hypot.default, aten.copysign.Tensor, aten.xlogy.Tensor, aten.special_xlog1py.default, aten.logaddexp.default, aten.logaddexp2.default):
        check(op, x, y)
    check(aten.add.Tensor, x, torch.randn(1027))
    check(aten.gt.Scalar, x, 0.5)
    check(aten.where.self, x > 0, x, -x)


# ---- expressions

SWIGLU = carat.pointwise("x / (1 + exp(-x)) * y")
SEVERAL = carat.pointwise("out0 = a * b + n; out1 = a > b; out2 = int32(c) + d; out3 = max(a, c)", scalars={"n": 0.5})


@dtypes(*FLOATS)
def test_expression_layouts(dtype):
    x, y = torch.randn(33, 70).to(dtype), torch.randn(33, 70).to(dtype)
    for p, q in ((x, y), (x.t(), y.t().contiguous()), (x[:, ::2], y[:, 1::2]), (x[:, :1], y[0]), (x[1:, 1:], y[1:, 1:]), (x.flip(1), y[:1]), (x[0, 0], y)):
        mine, = check(SWIGLU.op, p, q)
        torch.testing.assert_close(mine, torch.nn.functional.silu(p) * q, rtol=2e-2 if dtype.itemsize == 2 else 1e-5, atol=1e-2 if dtype.itemsize == 2 else 1e-5)
    check(SWIGLU._out, x, y, out0=torch.empty(70, 33).t(), theirs=[SWIGLU(x, y, out=torch.empty(70, 33).t())])


def test_expression_dtypes():
    a, b, c, d = torch.randn(40, 64), torch.randn(64).bfloat16(), torch.randn(40, 1, dtype=torch.float64), torch.arange(64, dtype=torch.uint8)
    for operands in ((a, b, c, d), (a.t().contiguous().t(), b, c, d), (a, b, c, d > 3), (a.half(), b, a.short(), d)):
        check(SEVERAL.op, *operands, n=1.5)
    many = carat.pointwise("a*b + c*d + e*f + g*h + i*j + k*l")
    check(many.op, *(torch.randn(5, 12) for _ in range(12)))


def test_expression_gradient():
    f = carat.pointwise("clamp(x, -1, 1) * tanh(y) + pow(x, y) % 3 + where(x > y, log(x), sqrt(y))")
    x, y = torch.rand(50, requires_grad=True), torch.rand(50, requires_grad=True)
    node = f(x, y).sum().grad_fn  # which makes the operator of its gradient
    gradient = [op for op in dir(torch.ops.carat) if op.startswith("gradient_")][-1]
    check(getattr(torch.ops.carat, gradient).default, x.detach(), y.detach(), torch.randn(50))
    assert node is not None


# ---- softmax

@pytest.mark.parametrize("cols", [1, 5, 64, 1000, 4096, 16384, 40000])
@dtypes(*FLOATS)
def test_softmax(cols, dtype):
    x = (torch.randn(3, cols) * 3).to(dtype)
    for op in (aten._softmax, aten._log_softmax):
        y, = check(op.default, x, -1, False)
        backward = aten._softmax_backward_data if op is aten._softmax else aten._log_softmax_backward_data
        check(backward.default, torch.randn(3, cols).to(dtype), y, -1, dtype)


def test_softmax_special_values():
    x = torch.randn(6, 300)
    x[0, 3], x[1, 5], x[2, 7], x[3] = float("nan"), float("inf"), -float("inf"), -float("inf")
    for dtype in FLOATS:
        check(aten._softmax.default, x.to(dtype), -1, False)
        check(aten._log_softmax.default, x.to(dtype), -1, False)


# ---- norms

def wide_moments(results):
    """As CUDA has them: of halves in single precision."""
    return [results[0], *(r.float() if r.dtype in (torch.float16, torch.bfloat16) else r for r in results[1:])]


@pytest.mark.parametrize("cols", [5, 64, 1000, 4096, 20000])
@dtypes(*HALF_AND_FULL)
def test_norm_forward(cols, dtype):
    x, weight, bias = (torch.randn(shape).to(dtype) for shape in ((4, cols), (cols,), (cols,)))
    theirs = aten.native_layer_norm(x.float(), [cols], weight.float(), bias.float(), 1e-5)
    check(aten.native_layer_norm.default, x, [cols], weight, bias, 1e-5, theirs=[theirs[0].to(dtype), *theirs[1:]])
    theirs = aten._fused_rms_norm(x.float(), [cols], weight.float(), 1e-5)
    check(aten._fused_rms_norm.default, x, [cols], weight, 1e-5, theirs=[theirs[0].to(dtype), *theirs[1:]])


@pytest.mark.parametrize("cols", [5, 64, 1000, 4096, 20000])
@dtypes(*HALF_AND_FULL)
def test_norm_backward(cols, dtype):
    x, grad, weight, bias = (torch.randn(shape).to(dtype) for shape in ((40, cols), (40, cols), (cols,), (cols,)))
    _, mean, rstd = aten.native_layer_norm(x.float(), [cols], None, None, 1e-5)
    served = None if cols % 2 else True
    theirs = aten.native_layer_norm_backward(grad.float(), x.float(), [cols], mean, rstd, weight.float(), bias.float(), [True] * 3)
    check(aten.native_layer_norm_backward.default, grad, x, [cols], mean, rstd, weight, bias, [True] * 3, served=served,
          theirs=[t.to(dtype) for t in theirs])


# ---- losses

@dtypes(*HALF_AND_FULL)
def test_loss(dtype):
    x, target, weight = torch.randn(300, 37).to(dtype), torch.randint(37, (300,)), torch.rand(37).to(dtype)
    target[5] = -100
    for reduction in (0, 1, 2):
        for w in (None, weight):
            out, total = check(aten.nll_loss_forward.default, x, target, w, reduction, -100)
            grad = torch.randn(300 if reduction == 0 else ()).to(dtype)
            check(aten.nll_loss_backward.default, grad, x, target, w, reduction, -100, total)


def test_loss_of_a_target_out_of_range(capfd):
    x, target = torch.randn(30, 7), torch.full((30,), 7)
    with pytest.raises(RuntimeError):
        run(aten.nll_loss_forward.default, x, target, None, 1, -100)
    assert "requires" in capfd.readouterr().err


# ---- reductions

SHAPES = [((7, 300), [1]), ((300, 70), [0]), ((3, 50, 20), [1]), ((20000,), [0]), ((3, 50, 20), [0, 2]), ((2, 3001), [1])]


@pytest.mark.parametrize("shape, dims", SHAPES)
@dtypes(*FLOATS, torch.int64)
def test_reduce(shape, dims, dtype):
    x = (torch.randn(shape) * 4).to(dtype)
    check(aten.sum.dim_IntList, x, dims, True)
    check(aten.amax.default, x, dims)
    if dtype.is_floating_point:
        check(aten.mean.dim, x, dims)
        check(aten.sum.default, x.transpose(0, -1))


@pytest.mark.parametrize("shape, dims", SHAPES)
@dtypes(*HALF_AND_FULL)
def test_argreduce(shape, dims, dtype):
    x = (torch.randn(shape) * 4).to(dtype).round()
    check(aten.argmax.default, x, dims[0])
    check(aten.max.dim, x + torch.arange(x.shape[dims[0]]).view(-1, *[1] * (x.dim() - dims[0] - 1)).to(dtype), dims[0])


@pytest.mark.parametrize("shape, dims", SHAPES)
@dtypes(*HALF_AND_FULL)
def test_moments(shape, dims, dtype):
    x = (torch.randn(shape) * 4 + 1).to(dtype)
    check(aten.var.correction, x, dims, correction=1)
    check(aten.var_mean.correction, x, dims, correction=0)


@pytest.mark.parametrize("shape, dims", SHAPES)
@dtypes(*HALF_AND_FULL)
def test_logsumexp(shape, dims, dtype):
    check(aten.logsumexp.default, (torch.randn(shape) * 4).to(dtype), dims)


# ---- scans

@pytest.mark.parametrize("shape, dims", SHAPES)
@dtypes(*HALF_AND_FULL, torch.int64)
def test_scan(shape, dims, dtype):
    x = (torch.randn(shape) * 2).to(dtype)
    check(aten.cumsum.default, x, dims[0], served=None)
    check(aten.cummax.default, x, dims[0], served=None)
    if dtype.is_floating_point:
        check(aten.logcumsumexp.default, x, dims[0], served=None)


# ---- the fake device itself finds what is wrong

def test_steps_aside_are_told():
    with pytest.raises(StepsAside):
        run(aten._softmax.default, torch.randn(3, 4).to(torch.complex64), -1, False)


# ---- moves, fills and ranges

RAW = (torch.float32, torch.bfloat16, torch.uint8, torch.complex128)


def values(shape, dtype):
    return torch.randint(0, 100, shape).to(dtype) if not dtype.is_floating_point else torch.randn(shape).to(dtype)


@dtypes(*RAW)
def test_move(dtype):
    for shape in ((6, 64), (5, 7), (3, 4, 33)):
        x, y = values(shape, dtype), values(shape, dtype)
        for a, b in ((x, y), (x.transpose(-1, -2), y.transpose(-1, -2)), (x[..., 1:], y[..., 1:]), (x[:, 1:], y[:, 1:])):
            for dim in range(a.dim()):
                served = True if a is x and dim == 0 else None  # a few strided elements are ATen's, and NHWC
                check(aten.cat.default, [a, b, a.narrow(dim, 0, 2)], dim, served=served)
                check(aten.stack.default, [a, b], dim, served=served)
                check(aten.roll.default, a, [2], [dim], served=served)
                check(aten.flip.default, a, [dim])
            check(aten.clone.default, a)
            check(aten.repeat.default, a, [2] + [3] * a.dim())
            check(aten.constant_pad_nd.default, a, [1, 2], 1)
            check(aten.constant_pad_nd.default, a, [1, 2, 0, 3], 1)
            check(aten.slice_backward.default, a, [*a.shape[:-1], 100], a.dim() - 1, 3, 3 + a.size(-1), 1)
            check(aten.diag_embed.default, a, 1)
    many = [values((3, n % 5), dtype) for n in range(40)]
    check(aten.cat.default, many, 1, served=False)  # ATen joins many faster
    check(aten.cat.default, many[:8], 1)
    check(aten.cat.out, [values((4, 3), dtype), values((4, 5), dtype)], 1, out=values((4, 8), dtype))
    check(aten.cat.default, [values((300, 500), dtype), values((500, 300), dtype).t()], 1)


@dtypes(*RAW)
def test_create(dtype):
    x = values((33, 40), dtype)
    check(aten.zeros_like.default, x.t())
    check(aten.fill_.Scalar, x[:, ::2], 3)
    check(aten.fill_.Tensor, x, values((), dtype))
    check(aten.full.default, [3, 5], 2, dtype=dtype)
    check(aten.eye.m_out, 7, 9, out=torch.empty(7, 9, dtype=dtype))
    for a in (x, x.t(), x[:, 1:], values((3, 5, 7), dtype), values((2, 3, 8, 16), dtype)):
        for diagonal in (-90, -2, 0, 3, 90):
            check(aten.tril.default, a, diagonal, served=dtype.itemsize >= 4 or None)
            check(aten.triu.default, a, diagonal, served=dtype.itemsize >= 4 or None)
    check(aten.tril_.default, values((5, 3, 32, 64), dtype), 5)
    if not dtype.is_complex:
        check(aten.arange.start_step, 3, 5000 if dtype != torch.uint8 else 200, 7, dtype=dtype)
        check(aten.arange.start_out, 3, 100, 1, out=torch.empty(98, dtype=dtype)[1:])
        check(aten.isin.Tensor_Tensor, x, x[0, :5].clone())
        check(aten.isin.Tensor_Scalar, x, 3, invert=True)
    if dtype == torch.float32:
        check(aten.linspace.default, 0.5, -3, 1001, dtype=dtype)


# ---- indices

@dtypes(*RAW)
def test_index_reads(dtype):
    for shape in ((50, 64), (33, 7), (9, 3, 34), (4, 6, 5, 7)):
        x = values(shape, dtype)
        for a in (x, x.transpose(0, 1), x[..., 1:], x[:, :1].expand(x.shape)):
            for dim in range(a.dim()):
                check(aten.index_select.default, a, dim, torch.randint(a.size(dim), (21,)))
                check(aten.gather.default, a, dim, torch.randint(a.size(dim), [5 if d == dim else n for d, n in enumerate(a.shape)]), served=a.stride(dim) == 1 or None)
            i, j = torch.randint(-a.size(0), a.size(0), (17,)), torch.randint(-a.size(1), a.size(1), (17,))
            check(aten.index.Tensor, a, [i])
            check(aten.index.Tensor, a, [None, j])
            check(aten.index.Tensor, a, [i, j])
        check(aten.take.default, x, torch.randint(x.numel(), (3, 5)))
    for cols in (1, 3, 100, 384):
        check(aten.embedding.default, values((30, cols), dtype), torch.randint(30, (4, 9)))
        check(aten.embedding.default, values((30, cols), dtype), torch.randint(30, (7,), dtype=torch.int32))


@dtypes(*RAW)
def test_index_writes(dtype):
    for shape in ((50, 64), (33, 7), (9, 3, 34)):
        for a in (values(shape, dtype), values(shape, dtype).transpose(0, 1)):
            for dim in range(a.dim()):
                i = torch.randperm(a.size(dim))[:3]
                source = values([3 if d == dim else n for d, n in enumerate(a.shape)], dtype)
                k = torch.argsort(torch.rand(a.shape), dim).narrow(dim, 0, 3)
                check(aten.index_copy.default, a, dim, i, source)
                check(aten.index_fill_.int_Scalar, a, dim, i, 1)
                check(aten.scatter.src, a, dim, k, source)
                check(aten.scatter_.value, a, dim, k, 1)
            i, j = torch.randperm(a.size(0))[:3], torch.randperm(a.size(1))[:3]
            check(aten.index_put_.default, a, [i], values((3, *a.shape[1:]), dtype))
            check(aten.index_put.default, a, [i, j], values((3, *a.shape[2:]), dtype))


@dtypes(torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int16, torch.uint8)
def test_index_combines(dtype):
    """Whole numbers, whose sums are the same in any order."""
    whole = lambda shape: torch.randint(0, 3, shape).to(dtype)
    for shape in ((50, 64), (33, 7), (9, 3, 40), (20, 12), (20, 6)):
        for a in (whole(shape), whole(shape).transpose(0, 1)):
            for dim in range(a.dim()):
                i, size = torch.randint(a.size(dim), (9,)), [9 if d == dim else n for d, n in enumerate(a.shape)]
                pairs = None if dtype.itemsize == 2 and (a.numel() % 2 or dim == a.dim() - 1) else True
                check(aten.index_add.default, a, dim, i, whole(size), alpha=2, served=pairs)
                check(aten.scatter_add.default, a, dim, torch.randint(a.size(dim), size), whole(size), served=None if dtype.itemsize == 2 else True)
                for reduce in ("sum", "amin", "amax", "prod"):
                    check(aten.scatter_reduce.two, a, dim, torch.randint(a.size(dim), size), whole(size) + (reduce == "prod"), reduce, served=None if dtype.itemsize == 2 and reduce == "sum" else True)


def test_an_index_out_of_range(capfd):
    for op, arguments in ((aten.embedding.default, ()), (aten.index.Tensor, None)):
        i = torch.tensor([3, 7])
        with pytest.raises(RuntimeError):
            run(op, torch.randn(7, 5), i if arguments is not None else [i])
        assert "requires" in capfd.readouterr().err


# ---- topk

@pytest.mark.parametrize("cols", [1, 5, 8, 33, 64, 128, 300, 1024])
@dtypes(*FLOATS[:3])
def test_topk(cols, dtype):
    rank = torch.stack([torch.randperm(cols) for _ in range(5)])
    x = (torch.where(rank < 64, rank, torch.where(rank >= cols - 64, rank - cols + 256, 128)) / 8 - 20).to(dtype)  # both ends distinct after rounding
    x[3, 0], x[4, -1] = float("nan"), float("inf")
    for k in {1, min(8, cols), min(32, cols)}:
        for largest in (True, False):
            check(aten.topk.default, x, k, -1, largest, True)
    check(aten.topk.default, x[::2], 1)
    check(aten.topk.default, torch.ones(3, 50, dtype=dtype), 2, theirs=[torch.ones(3, 2, dtype=dtype), torch.tensor([[0, 1]] * 3)])


# ---- embedding's gradient

@pytest.mark.parametrize("rows, cols, tokens", [(7, 8, 5), (300, 33, 700), (1000, 64, 300), (3, 40, 900), (600, 1, 2000), (257, 16, 33)])
@dtypes(*HALF_AND_FULL)
def test_embedding_backward(rows, cols, tokens, dtype):
    grad = torch.randn(tokens, cols).to(dtype)
    index = torch.randint(rows, (tokens,))
    often = torch.where(torch.rand(tokens) < 0.7, rows // 2, index)
    for i in (index, often, torch.full_like(index, rows - 1), torch.zeros_like(index), index.int(), torch.arange(tokens) * 7 % rows):
        for padding in (-1, rows // 2):
            theirs = aten.embedding_dense_backward(grad.double(), i, rows, padding, False).to(dtype)
            check(aten.embedding_dense_backward.default, grad, i, rows, padding, False, theirs=[theirs])
    check(aten.embedding_dense_backward.default, torch.ones(3, 8), torch.tensor([-1, 0, 1]), 4, -1, False)  # no token, rather than a bad one

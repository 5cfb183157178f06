# SPDX-License-Identifier: Apache-2.0
"""What is special to CUDA: layouts and sizes that choose kernels, numbers of the host, streams, graphs, several threads."""

import itertools
import subprocess
import sys
import threading

import pytest
import torch

import carat

if not torch.cuda.is_available():
    pytest.skip("no CUDA device here", allow_module_level=True)

REALS = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def sample(shape, dtype, seed=0):
    generator = torch.Generator("cuda").manual_seed(seed)
    if dtype.is_floating_point:
        return torch.randn(shape, device="cuda", generator=generator, dtype=torch.float64 if dtype == torch.float64 else torch.float32).to(dtype)
    if dtype == torch.bool:
        return torch.rand(shape, device="cuda", generator=generator) > 0.5
    return torch.randint(0 if dtype == torch.uint8 else -100, 100, shape, device="cuda", generator=generator).to(dtype)


def assert_near(mine, theirs, truth):
    """By the usual tolerances; or no farther from the truth in double precision than ATen is, which rounds halves more often."""
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape and mine.stride() == theirs.stride() and mine.device == theirs.device
    try:
        torch.testing.assert_close(mine, theirs, equal_nan=True)
    except AssertionError:
        if truth is None or mine.dtype not in (torch.float16, torch.bfloat16):
            raise
        finite = truth.isfinite()
        assert torch.equal(mine.isfinite(), theirs.isfinite())
        ours, atens = ((value.double() - truth)[finite].abs() for value in (mine, theirs))
        assert bool((ours <= torch.maximum(1.05 * atens, torch.finfo(mine.dtype).eps * truth[finite].abs())).all()) or ours.max() <= 1.05 * atens.max()


def assert_sums_near(mine, theirs, truth, slack):
    """Like ATen's in everything that can be seen; floating values about as near to the truth as ATen's, but for `slack` roundings
    of what was added up, in the precision that is computed in."""
    for field in ("dtype", "shape", "device"):
        assert getattr(mine, field) == getattr(theirs, field), field
    assert mine.stride() == theirs.stride()
    if not mine.dtype.is_floating_point:
        assert torch.equal(mine, theirs)
        return
    assert torch.equal(mine.isnan(), theirs.isnan()) and torch.equal(mine.isinf(), theirs.isinf())
    finite = theirs.isfinite()
    if not bool(finite.any()):
        return
    truth = truth.double()[finite]
    ours, atens = ((value.double()[finite] - truth).abs() for value in (mine, theirs))
    computed = torch.float64 if mine.dtype == torch.float64 else torch.float32
    roundings = 64 if mine.dtype == torch.float64 else 16  # the truth of f64 has some of its own
    allowed = 2 * atens.max() + roundings * torch.finfo(mine.dtype).eps * truth.abs() + slack * torch.finfo(computed).eps
    assert bool((ours <= allowed).all()), (ours.max(), atens.max())


def assert_stops_the_device(program):
    """As in PyTorch; in a process of its own, since none of the device's work goes on after that."""
    done = subprocess.run([sys.executable, "-c", program + "\ntorch.cuda.synchronize()"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0 and "device-side assert" in done.stderr, done.stderr[-2000:]


def several(value):
    """The tensors of a result."""
    return (value,) if torch.is_tensor(value) else tuple(value)


def both(function, name=None, served=True, truth=None):
    """function() on ATen and on Carat, equal in everything that can be seen; `name` is an overload that must be served, truth()
    the same in double precision."""
    theirs = function()
    carat.stats(reset=True)
    with carat.use():
        mine = function()
    if name:
        stat = carat.stats().get(name)
        assert stat is not None and (stat.calls > 0) == served, (name, stat)
    exact = truth() if truth else None
    if torch.is_tensor(mine):
        assert_near(mine, theirs, exact)
    else:
        for i, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            assert_near(one, other, exact[i] if exact else None)
    return mine


LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2),
    "sliced": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "offset": lambda x: torch.cat([x[..., :1], x], -1)[..., 1:],
    "row": lambda x: x[..., :1, :].expand_as(x),
    "column": lambda x: x[..., :1].expand_as(x),
    "permuted": lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
}


@pytest.mark.parametrize("shape", [(64, 64), (33, 65), (3, 257), (2, 3, 48, 40), (1, 1), (5, 0), (7, 100, 8)], ids=str)
@pytest.mark.parametrize("dtype", REALS, ids=lambda d: str(d)[6:])
def test_layouts(shape, dtype):
    x, y = sample(shape, dtype), sample(shape, dtype, 1)
    for (left, f), (right, g) in itertools.product(LAYOUTS.items(), LAYOUTS.items()):
        if 0 in shape and "offset" in (left, right):
            continue
        a, b = f(x), g(y)
        both(lambda: a + b, "add.Tensor")
        out = f(torch.zeros_like(x)) if left not in ("row", "column") else torch.zeros_like(x)
        both(lambda: torch.mul(a, b, out=out.clone(memory_format=torch.preserve_format)), "mul.out")


@pytest.mark.parametrize("dtypes", list(itertools.permutations([torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.float64], 2)), ids=str)
def test_mixed_dtypes(dtypes):
    x, y = sample((33, 40), dtypes[0]), sample((33, 40), dtypes[1], 1)
    both(lambda: x + y)
    both(lambda: x.t() * y.t())
    both(lambda: torch.where(x > 0, x, y), "where.self")
    both(lambda: x == y)


@pytest.mark.parametrize("dtype", REALS, ids=lambda d: str(d)[6:])
def test_numbers(dtype):
    x = sample((1000,), dtype)
    both(lambda: x * 3, "mul.Tensor")
    both(lambda: x + torch.tensor(2), "add.Tensor")
    both(lambda: x > 1, "gt.Scalar")
    both(lambda: torch.clamp(x, 1, 5), "clamp")
    both(lambda: x.clone().add_(x, alpha=2), "add_.Tensor")
    if dtype.is_floating_point:
        both(lambda: 2.5 / x, None)
        both(lambda: torch.where(x > 0, x, 0.5))
        both(lambda: x * torch.tensor(0.1), "mul.Tensor")
    zero_d = sample((), dtype)
    both(lambda: x + zero_d, "add.Tensor")
    both(lambda: zero_d + zero_d, "add.Tensor")
    both(lambda: zero_d * 2, "mul.Tensor")


def test_unary_rows():
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int32, torch.bool):
        x = sample((777,), dtype)
        for name in "exp log sqrt rsqrt sin cos tan tanh sigmoid erf erfc expm1 log1p log2 log10 asin acos atan sinh cosh asinh acosh atanh".split():
            both(lambda: getattr(torch, name)(x), name)


def test_special_values():
    special = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-40, 3.4e38, 1.0], device="cuda")
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        x = special.to(dtype)
        a, b = x[:, None].expand(8, 8), x[None].expand(8, 8)
        for op in (torch.add, torch.mul, torch.div, torch.maximum, torch.minimum, torch.fmod, torch.remainder, torch.pow, torch.atan2, torch.eq):
            both(lambda: op(a, b))
        for op in (torch.exp, torch.log, torch.tanh, torch.abs, torch.neg, torch.floor, torch.round, torch.sigmoid, torch.nan_to_num, torch.isnan):
            both(lambda: op(x))


def test_complex():
    x, y = (torch.randn(50, 40, dtype=torch.complex64, device="cuda") for _ in range(2))
    both(lambda: x * y, "mul.Tensor")
    both(lambda: x + y.t().contiguous().t() * 2)
    both(lambda: x == y, "eq.Tensor")
    both(lambda: torch.polar(x.real.contiguous(), y.real.contiguous()), "polar")


def test_more_than_32_bits():
    """Beyond 2^31 elements and 2^31 vectors of one element."""
    x = torch.full((2**31 + 4099,), 3, dtype=torch.uint8, device="cuda")
    with carat.use():
        y = x + x
        z = torch.empty(2 * x.numel(), dtype=torch.uint8, device="cuda")[1::2]
        torch.add(x, x, out=z)
    for result in (y, z):
        assert int(result[-1]) == 6 and int(result[2**31 - 1]) == 6 and bool((result[-5000:] == 6).all()) and bool((result[:5000] == 6).all())


def test_streams():
    stream = torch.cuda.Stream()
    x = torch.zeros(1 << 22, device="cuda")
    with carat.use(), torch.cuda.stream(stream):
        for _ in range(50):
            x += 1
        total = x.clone()
    stream.synchronize()
    assert bool((total == 50).all())


def test_graph_capture_and_replay():
    x = torch.randn(4096, device="cuda")
    with carat.use():
        static = x.clone()
        (torch.tanh(static) * 2 + 1)  # compiled before the capture
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        carat.stats(reset=True)
        with torch.cuda.graph(graph):
            y = torch.tanh(static) * 2 + 1
        assert carat.stats()["tanh"].calls == 1
    for seed in range(3):
        static.copy_(sample((4096,), torch.float32, seed))
        graph.replay()
        torch.testing.assert_close(y, torch.tanh(static) * 2 + 1)


def test_first_call_inside_a_capture_steps_aside():
    x = sample((4096,), torch.float64)
    graph = torch.cuda.CUDAGraph()
    with carat.use():
        carat.stats(reset=True)
        with torch.cuda.graph(graph):
            y = torch.addcdiv(x, x, x)  # nothing else here calls it on f64
    stat = carat.stats()["addcdiv"]
    assert stat.calls == 0 and any("capture" in reason for reason in stat.reasons)
    graph.replay()
    torch.testing.assert_close(y, torch.addcdiv(x, x, x))


def test_autograd_and_autocast():
    x = sample((64, 48), torch.float32).requires_grad_()

    def step():
        x.grad = None
        with torch.autocast("cuda", torch.bfloat16):
            y = torch.nn.functional.gelu(x @ x.t()) * 0.5
        y.float().sum().backward()
        return x.grad
    both(step, "gelu_backward")


def test_threads():
    x, results = sample((1 << 16,), torch.float32), [None] * 8

    def work(i):
        with carat.use(), torch.cuda.stream(torch.cuda.Stream()):
            y = x
            for _ in range(20):
                y = torch.sin(y) + i
            torch.cuda.current_stream().synchronize()
            results[i] = y
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    for i, mine in enumerate(results):
        y = x
        for _ in range(20):
            y = torch.sin(y) + i
        torch.testing.assert_close(mine, y)


ROWS = [1, 3, 16, 17, 100, 256, 1000, 1024, 4096, 5000, 8192, 32768, 65536, 100001, 262144]


@pytest.mark.parametrize("cols", ROWS)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16, torch.float64), ids=lambda d: str(d)[6:])
def test_softmax_rows(cols, dtype):
    rows = max(2, min(300, (1 << 20) // cols))
    x, g = sample((rows, cols), dtype), sample((rows, cols), dtype, 1)
    x[0, 0] = float("inf") if rows > 2 else x[0, 0]
    x[-1] *= 30
    long = dtype == torch.float64 and cols > 65536
    served = not long and cols <= 131072
    for name in ("softmax", "log_softmax"):
        forward, backward = getattr(torch, name), getattr(torch.ops.aten, f"_{name}_backward_data")
        y = both(lambda: forward(x, -1), f"_{name}" if not long else None, truth=lambda: forward(x.double(), -1))
        both(lambda: forward(x.t().contiguous().t()[:, : cols // 2], -1), truth=lambda: forward(x[:, : cols // 2].double(), -1))
        both(lambda: backward(g, y, -1, dtype), f"_{name}_backward_data" if served else None,
             truth=lambda: backward(g.double(), y.double(), -1, torch.float64))
        both(lambda: forward(x, -1, dtype=torch.float32 if dtype == torch.float16 else None))
        if dtype == torch.float16:
            y = forward(x, -1, dtype=torch.float32)
            both(lambda: backward(g.float(), y, -1, dtype), truth=lambda: backward(g.double(), y.double(), -1, torch.float64))
        masked = x.masked_fill(g > 0, float("-inf"))
        both(lambda: forward(masked, -1), truth=lambda: forward(masked.double(), -1))


@pytest.mark.parametrize("cols", [2, 5, 64, 768, 1000, 4096, 12288, 20001, 65536])
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16, torch.float16, torch.float64), ids=lambda d: str(d)[6:])
def test_layer_norm(cols, dtype):
    x, weight, bias = sample((3, 50, cols), dtype) + 5, sample((cols,), dtype, 1), sample((cols,), dtype, 2)
    long = dtype == torch.float64 and cols > 16384
    for parameters in ((weight, bias), (weight, None), (None, None)):
        for name, view in (("native_layer_norm" if not long else None, x), (None, x[:, ::2]), (None, torch.cat([x, x], -1)[..., :cols])):
            run = lambda to: torch.native_layer_norm(to(view), (cols,), *(p if p is None else to(p) for p in parameters), 1e-5)
            both(lambda: run(lambda t: t), name, truth=lambda: run(torch.Tensor.double))
    both(lambda: torch.nn.functional.layer_norm(x.transpose(0, 1), (cols,), weight, bias), truth=lambda:
         torch.nn.functional.layer_norm(x.transpose(0, 1).double(), (cols,), weight.double(), bias.double()))

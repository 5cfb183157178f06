# SPDX-License-Identifier: Apache-2.0
"""carat.pointwise: calls, out=, layouts and dtypes; autograd, torch.compile, vmap, autocast and meta tensors; errors."""

import os
import subprocess
import sys
import threading

import pytest
import torch

import carat
from carat import _adapter
from same_value import close, eager

swiglu = carat.pointwise("x / (1 + exp(-x)) * y")


# ---- calls

def test_examples():
    x = torch.randn(40, 3, requires_grad=True)
    leaky = carat.pointwise("x > 0 ? x : alpha * x", scalars={"alpha": 0.01}, backward="x > 0 ? grad : alpha * grad")
    for alpha in (0.01, 0.3):
        close(leaky(x, alpha=alpha).detach(), torch.nn.functional.leaky_relu(x, alpha).detach())
        assert torch.equal(torch.autograd.grad(leaky(x, alpha=alpha).sum(), x)[0], torch.where(x > 0, 1.0, alpha))
    sine, cosine = carat.pointwise("out0 = sin(x); out1 = cos(x)", outputs=2)(x)
    close(sine.detach(), x.detach().sin())
    close(cosine.detach(), x.detach().cos())
    assert carat.pointwise("s = 1 / (1 + exp(-x)); x * s").inputs == ("x",)


def test_scalars_do_not_recompile():
    f = carat.pointwise("x * alpha + n - 12345.5", scalars={"alpha": 0.5, "n": 2})
    x = torch.randn(9)
    f(x)
    before = _adapter.library().carat_cache_size()
    for alpha, n in ((1.5, 3), (-2.0, 0), (float("inf"), -7)):
        close(f(x, alpha=alpha, n=n), x * alpha + n - 12345.5)
    assert _adapter.library().carat_cache_size() == before
    with pytest.raises(RuntimeError):
        f(x, n=2.5)


def test_calls_are_counted():
    x = torch.randn(4, requires_grad=True)
    result = swiglu(x, x)
    result.sum().backward()
    stats = carat.stats()
    assert stats[f"carat::{swiglu.op._schema.name.split('::')[1]}"].calls == 1
    assert sum(stat.calls for name, stat in stats.items() if name.startswith("carat::gradient_")) == 1


def test_many_inputs():
    inputs = [torch.randn(6, 11).to(d) for d in (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.float32, torch.float32, torch.float32)]
    inputs.append(torch.arange(11))
    f = carat.pointwise("a + b * c - d / e + f * g - h")
    a, b, c, d, e, g, h, i = inputs
    close(f(*inputs), a + b.float() * c.float() - d / e + g * h - i)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (1000,), (33, 65), (2, 3, 4, 5), (70000,)])
def test_shapes_and_strides(shape):
    x, y = torch.randn(shape), torch.randn(shape)
    for p, q in ((x, y), (x, y[..., :1] if shape else y), (x.movedim(0, -1), y.movedim(0, -1)) if shape else (x, y), (x.flip(0), y) if shape else (x, y)):
        mine, theirs = swiglu(p, q), p * q
        assert mine.stride() == theirs.stride()
        close(mine, eager(p, q))


def test_channels_last():
    x = torch.randn(2, 5, 4, 4).to(memory_format=torch.channels_last)
    assert swiglu(x, x).stride() == (x * x).stride()
    y = torch.randn(1, 5, 1, 1)
    close(swiglu(x, y), eager(x, y))


def test_out_and_in_place():
    x, y = torch.randn(30, 20), torch.randn(20)
    expected = eager(x, y)
    out = torch.empty(20, 30).t()
    version = out._version
    assert swiglu(x, y, out=out) is out and out._version == version + 1
    close(out, expected)
    wide = torch.empty(30, 20, dtype=torch.float64)
    close(swiglu(x, y, out=wide).float(), expected)
    halves = x.bfloat16()
    assert torch.equal(carat.pointwise("x * 1.1")(halves, out=torch.empty(30, 20)), (halves * 1.1).float())
    changed = x.clone()
    swiglu(changed, y, out=changed)
    close(changed, expected)
    pair = (torch.empty(30, 20), x.clone())
    f = carat.pointwise("out0 = x + y; out1 = x - y")
    f(pair[1], y, out=pair)
    close(pair[0], x + y)
    close(pair[1], x - y)
    for wrong in (torch.empty(20, 30), torch.empty(1, 20).expand(30, 20), torch.empty(30, 20, dtype=torch.int32)):
        with pytest.raises((RuntimeError, TypeError)):
            swiglu(x, y, out=wrong)
    memory = torch.randn(601)
    with pytest.raises(RuntimeError, match="overlaps"):
        swiglu(memory[:600].view(30, 20), y, out=memory[1:].view(30, 20))
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        swiglu(x.clone().requires_grad_(), y, out=out)


def test_dtypes_of_outputs():
    x = torch.randn(100).bfloat16()
    f = carat.pointwise("out0 = x * x; out1 = x > 0; out2 = x", dtype=[torch.float32, None, torch.float16])
    square, positive, half = f(x)
    assert (square.dtype, positive.dtype, half.dtype) == (torch.float32, torch.bool, torch.float16)
    assert torch.equal(square, x.float() ** 2) and torch.equal(positive, x > 0) and torch.equal(half, x.half())
    assert carat.pointwise("x", dtype=torch.int8)(torch.tensor([1.5, -2.5])).tolist() == [1, -2]


def test_threads():
    results = [None] * 8
    f = carat.pointwise("tanh(x) * 0.987 + y")
    x, y = torch.randn(5000), torch.randn(5000)

    def work(i):
        results[i] = [f(x.to(d), y) for d in (torch.float32, torch.float64, torch.bfloat16)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert all(torch.equal(p, q) for p, q in zip(result, results[0]))


# ---- as an operator of PyTorch

def test_double_backward():
    x, y = torch.randn(12, dtype=torch.float64, requires_grad=True), torch.randn(4, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(swiglu, (x, y))
    assert torch.autograd.gradgradcheck(swiglu, (x, y))
    with pytest.raises(RuntimeError, match="second time"):
        result = swiglu(x, y).sum()
        result.backward()
        result.backward()


def test_saved_tensors_are_watched():
    x, y = torch.randn(12, requires_grad=True), torch.randn(12)
    result = swiglu(x, y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.sum().backward()


def test_gradients_of_mixed_inputs():
    f = carat.pointwise("x * y + i")
    x, y, i = torch.randn(5, 7, requires_grad=True), torch.randn(7).bfloat16().requires_grad_(), torch.arange(7)
    f(x, y, i).sum().backward()
    assert y.grad.dtype == torch.bfloat16 and y.grad.shape == y.shape and torch.equal(x.grad, y.detach().float().expand(5, 7))
    many = carat.pointwise("a + b * c - d * e + f * g")
    inputs = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(7)]
    assert torch.autograd.gradcheck(many, inputs)


def test_compile():
    f = torch.compile(lambda x, y: swiglu(x, y) * 2 + leaky(x, alpha=0.3), fullgraph=True, backend="aot_eager", dynamic=True)
    leaky = carat.pointwise("x > 0 ? x : alpha * x", scalars={"alpha": 0.01})
    for shape in ((6, 5), (9, 4)):
        x, y = torch.randn(shape, requires_grad=True), torch.randn(shape[-1], requires_grad=True)
        theirs = eager(x, y) * 2 + torch.nn.functional.leaky_relu(x, 0.3)
        mine = f(x, y)
        close(mine.detach(), theirs.detach())
        for got, want in zip(torch.autograd.grad(mine.sum(), (x, y)), torch.autograd.grad(theirs.sum(), (x, y))):
            torch.testing.assert_close(got, want)


def test_opcheck():
    """PyTorch's own checks of schema, fake kernel and autograd registration."""
    f = carat.pointwise("out0 = x * y; out1 = x > n", scalars={"n": 1})
    torch.library.opcheck(swiglu.op, (torch.randn(4, 6).t(), torch.randn(4, requires_grad=True)))
    torch.library.opcheck(f.op, (torch.randn(3, 1, requires_grad=True), torch.randn(5)), {"n": 2})
    torch.library.opcheck(f._out, (torch.randn(5), torch.randn(5)), {"out0": torch.empty(5), "out1": torch.empty(5, dtype=torch.bool)})


def test_vmap_and_functional_gradients():
    x, y = torch.randn(6, 5), torch.randn(5)
    close(torch.vmap(swiglu, (0, None))(x, y), eager(x, y))
    close(torch.vmap(swiglu, (1, 0), out_dims=1)(x, y), eager(x, y))
    close(torch.vmap(torch.vmap(swiglu, (0, None)), (0, 0))(torch.stack([x, x]), torch.stack([y, 2 * y])), torch.stack([eager(x, y), eager(x, 2 * y)]))
    zero_dim = torch.vmap(carat.pointwise("x + y"), (None, 0))(torch.arange(3), torch.arange(4.0))
    close(zero_dim, torch.vmap(torch.add, (None, 0))(torch.arange(3), torch.arange(4.0)))
    mine = torch.vmap(torch.func.grad(lambda p, q: swiglu(p, q).sum()), (0, None))(x, y)
    theirs = torch.vmap(torch.func.grad(lambda p, q: eager(p, q).sum()), (0, None))(x, y)
    torch.testing.assert_close(mine, theirs)


def test_meta_and_autocast():
    result = swiglu(torch.empty(3, 4, device="meta", dtype=torch.bfloat16).t(), torch.empty(3, device="meta", dtype=torch.int32))
    assert result.device.type == "meta" and result.shape == (4, 3) and result.stride() == (1, 4) and result.dtype == torch.bfloat16
    x = torch.randn(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert swiglu(x, x.bfloat16()).dtype == torch.float32
        assert carat.pointwise("x * x", autocast=torch.bfloat16)(x).dtype == torch.bfloat16
    assert carat.pointwise("x * x", autocast=torch.bfloat16)(x).dtype == torch.float32


# ---- errors

def test_errors():
    with pytest.raises(SyntaxError, match=r"an operand is missing here\n    x \+ \* y\n        \^"):
        carat.pointwise("x + * y")
    for text in ("#include <stdio.h>", "x; system(y)", "return x", "x = {0}", "__builtin_trap()", "asm(x)", "x\\\n#define y"):
        with pytest.raises(SyntaxError):
            carat.pointwise(text)
    with pytest.raises(SyntaxError, match="gradient of y is missing"):
        carat.pointwise("x * y", backward={"x": "grad * y"})
    with pytest.raises(ValueError):
        carat.pointwise("x", outputs=2)
    with pytest.raises(TypeError):
        carat.pointwise("x * a", scalars={"a": "1"})
    with pytest.raises(TypeError, match="~ doesn't take float32"):
        carat.pointwise("~x")(torch.randn(3))
    with pytest.raises(TypeError, match="real tensors"):
        carat.pointwise("x * 2")(torch.randn(3, dtype=torch.complex64))
    with pytest.raises(RuntimeError, match="broadcast"):
        swiglu(torch.randn(3), torch.randn(4))


def test_without_a_compiler(tmp_path):
    program = "import torch, carat; carat.pointwise('x + 1.0625')(torch.ones(2))"
    environment = dict(os.environ, CARAT_CC="no-such-compiler", CARAT_CACHE_DIR=str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.returncode != 0 and "no-such-compiler" in ended.stderr and "apt-get install gcc" in ended.stderr

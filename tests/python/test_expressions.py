# SPDX-License-Identifier: Apache-2.0
"""carat.pointwise against PyTorch's evaluation of the same expression: values, dtypes, strides, gradients; what torch.compile, vmap,
autocast and meta tensors make of it; errors. CARAT_EXAMPLES sets how many random expressions are tried (each compiles a kernel)."""

import os
import subprocess
import sys
import threading

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import carat
from carat import _adapter

EXAMPLES = int(os.environ.get("CARAT_EXAMPLES", 25))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, derandomize="CARAT_EXAMPLES" not in os.environ, database=None,
                    suppress_health_check=list(HealthCheck))
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)
HALVES = (torch.bfloat16, torch.float16)

swiglu = carat.pointwise("x / (1 + exp(-x)) * y")


def eager(x, y):
    return x / (1 + torch.exp(-x)) * y


# ---- random expressions: text and what PyTorch makes of it

NAMES = ("a", "b", "c")
NUMBERS = ("2", "3", "0", "0.5", "-1.5", "0.25")


def leaf():
    return st.one_of(st.sampled_from(NAMES).map(lambda n: (n, lambda v: v[n], True)),
                     st.sampled_from(NUMBERS).map(lambda t: (t, lambda v: eval(t), False)))


def infix(mark, function=None):
    function = function or eval(f"lambda p, q: p {mark} q")
    return lambda p, q: (f"({p[0]} {mark} {q[0]})", lambda v: function(p[1](v), q[1](v)), p[2] or q[2])


def unary(name, function):
    return lambda p: (f"{name}({p[0]})", lambda v: function(p[1](v)), True) if p[2] else p


def tensor_of(value):
    return value if isinstance(value, torch.Tensor) else torch.tensor(value)


INFIXES = [infix(mark) for mark in ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=")]
INFIXES += [infix("&&", lambda p, q: torch.logical_and(tensor_of(p), tensor_of(q))), infix("||", lambda p, q: torch.logical_or(tensor_of(p), tensor_of(q)))]
UNARIES = [unary(name, getattr(torch, name)) for name in ("sin", "tanh", "sigmoid", "abs", "erf", "atan", "sign", "relu", "isnan")]
CASTS = [unary(name, lambda t, n=name: t.to(getattr(torch, n))) for name in ("float32", "float64", "int32", "bool")]
ROUND = [unary(name, lambda t, n=name: getattr(torch, n)(t)) for name in ("floor", "trunc")]


def choose(c, p, q):
    def value(v):
        condition = tensor_of(c[1](v)) != 0
        return torch.where(condition, p[1](v), q[1](v))
    return f"({c[0]} ? {p[0]} : {q[0]})", value, c[2] or p[2] or q[2]


def grow(inner):
    return st.one_of(st.builds(lambda f, p, q: f(p, q), st.sampled_from(INFIXES), inner, inner), st.builds(lambda f, p: f(p), st.sampled_from(UNARIES), inner),
                     st.builds(choose, inner, inner, inner),
                     st.builds(lambda f, n: f((n, lambda v: v[n], True)), st.sampled_from(CASTS + ROUND), st.sampled_from(NAMES)))


EXPRESSIONS = st.recursive(leaf(), grow, max_leaves=7).filter(lambda e: e[2])


def sample(dtype, layout, seed):
    shape = {"row": (7,), "zero": (), "column": (5, 1)}.get(layout, (5, 7))
    numbers = torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(seed)) / 4
    if dtype == torch.uint8:
        numbers = numbers.abs()
    tensor = numbers.to(dtype)
    return {"transposed": lambda: tensor.t().contiguous().t(), "sliced": lambda: tensor.repeat_interleave(2, 1)[:, ::2],
            "flipped": lambda: tensor}.get(layout, lambda: tensor)()


def close(mine, theirs):
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
    tolerance = {torch.bfloat16: 1e-2, torch.float16: 2e-3, torch.float32: 1e-5, torch.float64: 1e-12}.get(theirs.dtype, 0)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)


def widened(values):
    return {n: t.float() if t.dtype in HALVES else t for n, t in values.items()}


@SETTINGS
@given(st.lists(EXPRESSIONS, min_size=4, max_size=4), st.tuples(*[st.sampled_from(DTYPES)] * 3),
       st.tuples(*[st.sampled_from(("plain", "row", "zero", "column", "transposed", "sliced"))] * 3), st.integers(0, 99))
def test_values(expressions, dtypes, layouts, seed):
    """Each of four expressions in one kernel; halves are computed in f32 and rounded once."""
    values = {n: sample(d, l, seed + i) for i, (n, d, l) in enumerate(zip(NAMES, dtypes, layouts))}
    results, texts = [], []
    for text, evaluate, _ in expressions:
        try:
            dtype = tensor_of(evaluate(values)).dtype
            results.append(tensor_of(evaluate(widened(values))).to(dtype))
            texts.append(text)
        except (RuntimeError, TypeError, NotImplementedError):
            continue  # PyTorch has no such operator for these dtypes
    assume(texts)
    f = carat.pointwise("; ".join(f"out{k} = {t}" for k, t in enumerate(texts)))
    mine = f(*(values[n] for n in f.inputs))
    shape = torch.broadcast_shapes(*(values[n].shape for n in f.inputs))
    for got, expected in zip(mine if isinstance(mine, tuple) else (mine,), results):
        close(got, expected.expand(shape))


@SETTINGS
@given(EXPRESSIONS, st.tuples(*[st.sampled_from(("plain", "row", "column", "transposed"))] * 3), st.integers(0, 99))
def test_gradients(expression, layouts, seed):
    text, evaluate, _ = expression
    values = {n: (sample(torch.float64, l, seed + i) + 0.1 * i + 0.05).requires_grad_() for i, (n, l) in enumerate(zip(NAMES, layouts))}
    f = carat.pointwise(text)
    inputs = [values[n] for n in f.inputs]
    theirs = evaluate(values)
    assume(isinstance(theirs, torch.Tensor) and theirs.requires_grad)
    mine = f(*inputs)
    weight = torch.randn(mine.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    expected = torch.autograd.grad((theirs.expand(mine.shape) * weight).sum(), inputs, allow_unused=True)
    for got, want in zip(torch.autograd.grad((mine * weight).sum(), inputs), expected):
        want = torch.zeros_like(got) if want is None else want
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6, equal_nan=True)  # PyTorch rounds gradients of float32(x) to f32


# ---- every function, its gradient too

POSITIVE = ("sqrt", "rsqrt", "reciprocal", "log", "log2", "log10", "log1p")
FUNCTIONS = {name: getattr(torch, name) for name in
             ("abs", "sign", "floor", "ceil", "trunc", "round", "relu", "exp", "exp2", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
              "tanh", "asinh", "atanh", "erf", "erfc", "sigmoid", "isnan", "isinf", "isfinite") + POSITIVE}
FUNCTIONS |= {"acosh": torch.acosh, "silu": torch.nn.functional.silu, "gelu": torch.nn.functional.gelu}
BINARIES = {"min": torch.minimum, "max": torch.maximum, "fmin": torch.fmin, "fmax": torch.fmax, "pow": torch.pow, "atan2": torch.atan2,
            "hypot": torch.hypot, "copysign": torch.copysign, "fmod": torch.fmod, "remainder": torch.remainder,
            "floor_divide": torch.floor_divide}


def domain(name, dtype):
    """Numbers that a function is defined for, and what is special."""
    if name in POSITIVE or name in ("asin", "acos", "atanh", "acosh"):
        x = torch.linspace(0.03, 0.97, 301) + (name == "acosh")
    else:
        x = torch.linspace(-3.01, 3.02, 301)
    special = [0.0, -0.0, 1.0, -1.0, float("nan")] + [float("inf"), -float("inf")] * (name != "gelu")  # of which ATen's own differ
    return torch.cat([x, torch.tensor(special)]).to(dtype)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16), ids=str)
@pytest.mark.parametrize("first", range(0, len(FUNCTIONS), 4))
def test_functions(first, dtype):
    """Four functions in a kernel, each of an input of its own."""
    names = list(FUNCTIONS)[first:first + 4]
    f = carat.pointwise("; ".join(f"out{k} = {name}(x{k})" for k, name in enumerate(names)))
    inputs = [domain(name, dtype) for name in names]
    length = min(map(len, inputs))
    mine, theirs = ([t[-length:].clone().requires_grad_() for t in inputs] for _ in range(2))
    results, expected = f(*mine) if len(names) > 1 else (f(*mine),), [FUNCTIONS[name](t) for name, t in zip(names, theirs)]
    for got, want in zip(results, expected):
        close(got.detach(), want.detach())
    if dtype == torch.bfloat16:
        return
    torch.autograd.backward([r[:280].sum() for r in results if r.is_floating_point()])
    torch.autograd.backward([r[:280].sum() for r in expected if r.is_floating_point()])
    for name, got, want in zip(names, mine, theirs):
        want = torch.zeros_like(got) if want.grad is None else want.grad
        torch.testing.assert_close(got.grad[:280], want[:280], rtol=2e-5, atol=2e-6, msg=lambda m: f"{name}: {m}")


@pytest.mark.parametrize("name", BINARIES)
def test_binary_function(name):
    x, y = torch.linspace(-3.01, 3.02, 301), torch.linspace(2.9, -3.1, 301).roll(7)
    x = x.abs() if name == "pow" else x
    x[::10] = y[::10]  # ties
    x[::10] = x[::10].abs() if name == "pow" else x[::10]
    mine, theirs = [t.clone().requires_grad_() for t in (x, y)], [t.clone().requires_grad_() for t in (x, y)]
    f = carat.pointwise(f"{name}(x, y)")
    result, expected = f(*mine), BINARIES[name](*theirs)
    close(result.detach(), expected.detach())
    result.sum().backward()
    if name == "floor_divide":
        assert not mine[0].grad.any() and not mine[1].grad.any()
        return
    expected.sum().backward()
    for got, want in zip(mine, theirs):
        torch.testing.assert_close(got.grad, want.grad, rtol=2e-5, atol=1e-6)


def test_clamp_and_integers():
    x = torch.randn(50, requires_grad=True)
    low, high = torch.full((50,), -0.5), torch.full((50,), 0.5)
    mine, = torch.autograd.grad(carat.pointwise("clamp(x, l, h)")(x, low, high).sum(), x)
    theirs, = torch.autograd.grad(torch.clamp(x, low, high).sum(), x)
    assert torch.equal(mine, theirs)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        i, j = torch.arange(-60, 60).to(dtype), torch.arange(-7, 113).to(dtype)
        assert torch.equal(carat.pointwise("i * j + 3")(i, j), i * j + 3)
        assert torch.equal(carat.pointwise("i & j | i ^ 5")(i, j), i & j | i ^ 5)
        assert torch.equal(carat.pointwise("~i << 2 >> 1")(i), ~i << 2 >> 1)
        assert torch.equal(carat.pointwise("i % 7 + pow(i, 2)")(i), i % 7 + i**2)
        close(carat.pointwise("i / j")(i, j), i / j)


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


def test_documentation_lists_the_functions():
    tree = _adapter.TREE / "docs" / "expressions.md"
    if not tree.exists():
        pytest.skip("installed without the documentation")
    text = tree.read_text()
    for name in list(FUNCTIONS) + list(BINARIES) + ["clamp", "where", "float32", "bfloat16", "bool", "uint8"]:
        assert f"`{name}`" in text, name

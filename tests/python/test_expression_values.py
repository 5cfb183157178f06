# SPDX-License-Identifier: Apache-2.0
"""Random expressions, and every function, against PyTorch's evaluation: values, dtypes, gradients. CARAT_EXAMPLES sets how many random
expressions are tried (each compiles a kernel)."""

import os

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import carat
from carat import _adapter
from same_value import close

EXAMPLES = int(os.environ.get("CARAT_EXAMPLES", 25))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, derandomize="CARAT_EXAMPLES" not in os.environ, database=None,
                    suppress_health_check=list(HealthCheck))
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)
HALVES = (torch.bfloat16, torch.float16)

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


# ---- where C's rules aren't PyTorch's

def bits_equal(got, expected):
    assert got.dtype == expected.dtype
    torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("count", (-1, 0, 1, 7, 8, 9, 15, 16, 31, 32, 63, 64))
def test_shifts_by_any_count(count):
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        x = torch.tensor([0, 1, 100, 127] + ([200, 255] if dtype == torch.uint8 else [-1, -100, -128])).to(dtype)
        by = torch.full_like(x, count)
        for f, theirs in ((carat.pointwise("x >> y"), torch.bitwise_right_shift), (carat.pointwise("x << y"), torch.bitwise_left_shift)):
            bits_equal(f(x, by), theirs(x, by))
            with carat.use():
                mine = theirs(x, by)
            bits_equal(mine, theirs(x, by))


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16), ids=str)
def test_every_step_rounds(dtype):
    """A product fused with a difference would leave the product's rounding error."""
    x = torch.randn(4096, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    assert not carat.pointwise("x * x - y * y")(x, x.clone()).any()
    assert not carat.pointwise("sqrt(x * x - y * y)")(x, x.clone()).any()
    if dtype != torch.bfloat16:
        bits_equal(carat.pointwise("x * y + z")(x, x.flip(0), x.roll(1)), x * x.flip(0) + x.roll(1))


def test_conversions_out_of_range_wrap():
    x = torch.tensor([300.0, -300.0, 127.5, 128.0, -129.0, 255.0, 256.5, 40000.0, -40000.0, 65536.0, 1.5]).repeat(9)
    for dtype in (torch.float32, torch.float64, torch.int32):
        for name in ("int8", "int16", "uint8"):
            y, to = x.to(dtype), getattr(torch, name)
            bits_equal(carat.pointwise(f"float32({name}(x))")(y), y.to(to).float())
            bits_equal(carat.pointwise(f"{name}(x) * 0.5")(y), y.to(to) * 0.5)
            bits_equal(carat.pointwise(f"{name}(x) > 0")(y), y.to(to) > 0)


@pytest.mark.parametrize("exponent", ("2", "3", "2.0", "3.0", "0.5"))
def test_the_exponent_takes_part_in_promotion(exponent):
    for dtype in DTYPES + (torch.int8,):
        x = torch.arange(5).to(dtype)
        close(carat.pointwise(f"pow(x, {exponent})")(x), torch.pow(x, eval(exponent)))
    assert carat.pointwise("pow(x, 0.5)")(torch.ones(3, dtype=torch.float64)).dtype == torch.float64


def test_bools_among_numbers_are_counted():
    x = torch.arange(4.0)
    for text in ("x * (true + true)", "x + true * true", "x * (-true)", "x * (true - false + true)"):
        bits_equal(carat.pointwise(text)(x), eval(text, {"x": x, "true": True, "false": False}))
    i = torch.tensor([True, False])
    for text in ("i & (true | false)", "i + true", "i * (true + true)"):
        bits_equal(carat.pointwise(text)(i), eval(text, {"i": i, "true": True, "false": False}))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_computed_halves_are_compared_rounded(dtype):
    x, y = torch.linspace(0.5, 2, 97).to(dtype), torch.linspace(3, 1, 97).to(dtype)
    for text in ("x + 0.0001 == x", "x * y > y * x + 0.0001", "x + 0.0001 != x"):
        f = carat.pointwise(text)
        bits_equal(f(*[{"x": x, "y": y}[name] for name in f.inputs]), eval(text))
    large = torch.full((5,), 60000.0, dtype=torch.float16)
    bits_equal(carat.pointwise("isinf(x + x)")(large), torch.isinf(large + large))


def test_relu_hands_on_the_gradient_at_nan():
    x = torch.tensor([1.0, -1.0, 0.0, float("nan")])
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    carat.pointwise("relu(x)")(mine).sum().backward()
    torch.relu(theirs).sum().backward()
    assert torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("text, dtype", ((" + ".join(f"sin(x * {k}.5)" for k in range(100)), torch.float32),
                                         (" + ".join(f"(x * {k} < 0.25)" for k in range(1, 120)), torch.float16)), ids=("near", "halves"))
def test_long_expressions(text, dtype):
    """Nearly as many nodes as there may be, in long bodies, have a kernel."""
    x = torch.linspace(0, 1, 70).to(dtype)
    close(carat.pointwise(text)(x), eval(text, {"x": x, "sin": torch.sin}))


def test_documentation_lists_the_functions():
    tree = _adapter.TREE / "docs" / "expressions.md"
    if not tree.exists():
        pytest.skip("installed without the documentation")
    text = tree.read_text()
    for name in list(FUNCTIONS) + list(BINARIES) + ["clamp", "where", "float32", "bfloat16", "bool", "uint8"]:
        assert f"`{name}`" in text, name

# SPDX-License-Identifier: Apache-2.0
"""carat.pointwise beneath PyTorch's transformations, and what is refused of its arguments."""

import keyword
import threading
import time

import pytest
import torch

import carat


@pytest.mark.parametrize("arguments", [dict(expression="x + y\0"), dict(expression="x\0 + y"), dict(expression="x * y", backward="grad\0 * y"),
                                       dict(expression="x * y", backward={"x": "grad * y", "y\0": "grad * x"}),
                                       dict(expression="x * a", scalars={"a\0b": 1})])
def test_texts_end_where_they_end(arguments):
    with pytest.raises(SyntaxError, match="NUL"):
        carat.pointwise(**arguments)


@pytest.mark.parametrize("value", [2**63, -2**63 - 1, 2**64 + 1])
def test_scalars_have_64_bits(value):
    with pytest.raises(OverflowError):
        carat.pointwise("x + n", scalars={"n": value})
    assert carat.pointwise("x * 0 + n", scalars={"n": -2**63})(torch.zeros(1, dtype=torch.int64)).item() == -2**63


@pytest.mark.parametrize("name", [*keyword.kwlist, "self", "out"])
def test_names_that_python_reserves(name):
    with pytest.raises(SyntaxError, match="is a keyword"):
        carat.pointwise(f"{name} + x")
    with pytest.raises(SyntaxError, match="is a keyword"):
        carat.pointwise("x + 1", scalars={name: 1})


class NoGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return None


def test_undefined_gradients():
    for text in ("x + 1", "x * x"):
        x = torch.randn(3, requires_grad=True)
        NoGradient.apply(carat.pointwise(text)(x)).sum().backward()
        assert x.grad is None


def test_backward_twice_where_nothing_is_saved():
    x = torch.randn(3, requires_grad=True)
    result = carat.pointwise("2 * x + 1")(x).sum()
    result.backward()
    result.backward()
    assert torch.equal(x.grad, torch.full((3,), 4.0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64])
def test_vmap_of_zero_dim_tensors(dtype):
    x, y = torch.randn(2), torch.tensor(3, dtype=dtype)
    f = carat.pointwise("x + y")
    for dims, operands in (((0, None), (x, y)), ((None, 0), (y, x))):
        mine, theirs = torch.vmap(f, dims)(*operands), torch.vmap(torch.add, dims)(*operands)
        assert mine.dtype == theirs.dtype and torch.equal(mine, theirs)


def test_gradients_of_broadcast_inputs_are_summed_before_they_are_rounded():
    wide, f = torch.tensor([[1 + 2.0**-10], [-1.0]]), carat.pointwise("x * y")
    for shape in ((1,), ()):
        narrow = torch.ones(shape, dtype=torch.bfloat16, requires_grad=True)
        (mine,) = torch.autograd.grad(f(wide, narrow).sum(), narrow)
        (theirs,) = torch.autograd.grad((wide * narrow).sum(), narrow)
        assert mine.dtype == theirs.dtype and torch.equal(mine, theirs) and mine.item() == 2.0**-10
    narrow = torch.ones((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(f(wide, narrow).sum(), narrow)[0].dtype == torch.float64


def test_gradients_that_cannot_be_computed_do_not_stop_the_forward_pass():
    inputs = [torch.ones(2, requires_grad=True) for _ in range(12)]
    f = carat.pointwise(" + ".join(f"x{i}" for i in range(12)))
    for _ in range(2):
        result = f(*inputs)
        assert result.tolist() == [12, 12]
        with pytest.raises(RuntimeError, match="too many for a gradient"):
            result.sum().backward()


def test_views_that_share_no_element_do_not_overlap():
    f = carat.pointwise("x * 2 + 1")
    memory = torch.randn(6, 8)
    cases = [(memory[:, :4], memory[:, 4:]), (memory[:, 4:], memory[:, :4]), (memory[:, ::2], memory[:, 1::2]), (memory[::2, :3], memory[1::2, 5:]),
             (memory.t()[:4], memory.t()[4:]), (memory[:, 3], memory[:, 4]), (memory[None, :, :4], memory[None, :, :4].as_strided((1, 6, 4), (5, 8, 1)))]
    for out, x in cases:
        expected = x * 2 + 1
        f(x, out=out)
        assert torch.equal(out, expected)
    for out, x in [(memory[:, :4], memory[:, 3:7]), (memory[:, :5], memory[:, 3:]), (memory[:5, :4], memory[1:, :4]), (memory[:5, 4:], memory[:5, 4:].as_strided((5, 4), (8, 1), 6))]:
        with pytest.raises(RuntimeError, match="overlaps"):
            f(x, out=out)


def test_overlap_by_brute_force():
    f, generator = carat.pointwise("-x"), torch.Generator().manual_seed(1)
    for _ in range(300):
        n, m, row, a, b = (int(torch.randint(low, high, (), generator=generator)) for low, high in ((1, 5), (1, 5), (1, 12), (0, 25), (0, 25)))
        step = int(torch.randint(1, 4, (), generator=generator))
        memory = torch.arange(100.0)
        out, x = (memory.as_strided((n, m), (row, step), start) for start in (a, b))
        mine, theirs = set(out.flatten().tolist()), set(x.flatten().tolist())
        expected = -x
        try:
            f(x, out=out)
            assert (a == b or not mine & theirs) and torch.equal(out, expected)
        except RuntimeError:
            assert mine & theirs or row <= (m - 1) * step or step <= (n - 1) * row


def test_threads_find_an_operator_with_its_rules(monkeypatch):
    register = torch.library.register_fake

    def slowly(*arguments):
        time.sleep(0.2)
        register(*arguments)

    monkeypatch.setattr(torch.library, "register_fake", slowly)
    barrier, shapes = threading.Barrier(4), []

    def work():
        barrier.wait()
        shapes.append(carat.pointwise("x * 3 - 0.0625")(torch.empty(2, 3, device="meta")).shape)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == [(2, 3)] * 4

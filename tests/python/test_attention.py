# SPDX-License-Identifier: Apache-2.0
"""Attention: against double precision, and against ATen in dtypes, strides and special rows."""

import itertools

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

import carat

FORWARD = "_scaled_dot_product_flash_attention_for_cpu"
BACKWARD = FORWARD + "_backward"
forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
EPSILON = {torch.float32: 2**-23, torch.bfloat16: 2**-8, torch.float16: 2**-11, torch.float64: 2**-52}
INF = float("inf")
# batch, heads, key heads, queries, keys, elements
SHAPES = [
    (1, 1, 1, 1, 1, 1), (2, 4, 2, 5, 7, 16), (2, 3, 3, 51, 51, 32), (2, 4, 2, 96, 96, 64), (1, 2, 1, 300, 700, 40),
    (1, 2, 2, 3, 2000, 128), (1, 3, 1, 1, 1100, 20), (1, 7, 1, 1, 33, 19), (1, 2, 2, 130, 70, 80), (1, 1, 1, 33, 600, 256),
    (1, 8, 8, 16, 1024, 64),
]  # fmt: skip


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def tensors(shape, dtype, transposed=True):
    """Query, key and value; transposed: as models make them, heads and positions swapped in memory."""
    batch, heads, key_heads, queries, keys, elements = shape
    sizes = [(batch, heads, queries, elements), (batch, key_heads, keys, elements), (batch, key_heads, keys, elements)]
    if not transposed:
        return [torch.randn(s, dtype=dtype) for s in sizes]
    return [torch.randn(b, n, h, d, dtype=dtype).transpose(1, 2) for b, h, n, d in sizes]


def masks(shape, dtype):
    """Name and arguments of each way of masking."""
    batch, heads, _, queries, keys, _ = shape
    padded = torch.randn(batch, 1, queries, keys, dtype=dtype)
    padded[..., keys // 2 + 1 :] = -INF
    padded[:, :, queries // 2] = -INF  # sees no key
    yield "none", {}
    yield "causal", {"is_causal": True}
    yield "padded", {"attn_mask": padded}
    yield "matrix", {"attn_mask": torch.randn(queries, keys, dtype=dtype), "scale": 0.3}
    if dtype == torch.float32:
        yield "column", {"attn_mask": torch.randn(queries, 1, dtype=dtype)}
        yield "strided", {"attn_mask": torch.randn(batch, heads, keys, queries, dtype=dtype).mT}
    if dtype != torch.float64:
        yield "float row and causal", {"attn_mask": torch.randn(1, keys), "is_causal": True}


def exact(q, k, v, attn_mask=None, is_causal=False, scale=None):
    """Attention and logsumexp by their definition, in double precision. A row that sees no key gives zeros."""
    q, k, v = q.double(), k.double(), v.double()
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:
        scores = scores + attn_mask.double()
    if is_causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -INF)
    blind = (scores == -INF).all(-1)
    scores = scores.masked_fill(blind[..., None], 0)
    out = torch.softmax(scores, -1) @ v
    return out.masked_fill(blind[..., None], 0), scores.logsumexp(-1).masked_fill(blind, 0)


def gradients(q, k, v, grad, **options):
    """Of query, key and value, through the definition."""
    with torch.enable_grad():
        leaves = [t.double().detach().requires_grad_() for t in (q, k, v)]
        return torch.autograd.grad(exact(*leaves, **options)[0], leaves, grad.double())


def on_carat(call, overload=FORWARD):
    carat.stats(reset=True)
    with carat.use():
        result = call()
    stat = carat.stats()[overload]
    # A processor with instructions for products of halves leaves them to ATen.
    native = result[0].dtype in (torch.bfloat16, torch.float16) and "natively" in "".join(stat.reasons)
    assert stat.calls == 1 or native, stat
    return result


def compare(got, want, truth, dtype, sums=32):
    """Dtype, shape and strides of ATen's; no further from the truth than ATen but for a few roundings of sums."""
    assert (got.dtype, got.shape, got.stride()) == (want.dtype, want.shape, want.stride())
    size = truth.abs().max().clamp(min=1)
    error, theirs = (got.double() - truth).abs().max(), (want.double() - truth).abs().max()
    rounding = 2 * EPSILON[want.dtype] + sums * EPSILON[torch.float64 if dtype == torch.float64 else torch.float32]
    assert error <= 1.5 * theirs + rounding * size, (float(error), float(theirs))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(shape, dtype):
    for (name, options), transposed in itertools.product(masks(shape, dtype), (True, False)):
        if not transposed and name not in ("none", "causal"):
            continue
        q, k, v = tensors(shape, dtype, transposed)
        out, logsumexp = on_carat(lambda: forward(q, k, v, **options))
        out_aten, logsumexp_aten = forward(q, k, v, **options)
        out_exact, logsumexp_exact = exact(q, k, v, **options)
        compare(out, out_aten, out_exact, dtype)
        compare(logsumexp, logsumexp_aten, logsumexp_exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward(shape, dtype):
    for (name, options), transposed in itertools.product(masks(shape, dtype), (True, False)):
        if not transposed and name != "causal":
            continue
        q, k, v = tensors(shape, dtype, transposed)
        out, logsumexp = forward(q, k, v, **options)
        grad = torch.randn_like(out)
        causal, rest = options.get("is_causal", False), {n: o for n, o in options.items() if n != "is_causal"}
        call = lambda: backward(grad, q, k, v, out, logsumexp, 0.0, causal, **rest)  # noqa: B023, E731
        # The scores of the forward pass, whose logsumexp is ATen's here, were rounded otherwise.
        for got, want, truth in zip(on_carat(call, BACKWARD), call(), gradients(q, k, v, grad, **options)):
            compare(got, want, truth, dtype, sums=256)


def test_expanded_gradient():
    """What sum() and mean() send back: one number, or one row, for all."""
    q, k, v = tensors((2, 4, 2, 33, 50, 24), torch.float32)
    out, logsumexp = forward(q, k, v)
    for grad in (torch.randn(1).expand(out.shape), torch.randn(24).expand(out.shape), torch.randn(2, 4, 24, 33).mT):
        got = on_carat(lambda: backward(grad, q, k, v, out, logsumexp, 0.0, False), BACKWARD)
        for a, b in zip(got, gradients(q, k, v, grad)):
            torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


def test_layouts():
    """The result has the strides of empty_like(query), whatever these are."""
    shape = (2, 3, 3, 5, 5, 8)
    k = torch.randn(2, 3, 5, 8)
    for q in (
        torch.randn(2, 3, 5, 16)[..., :8], torch.randn(2, 3, 10, 8)[:, :, ::2], torch.randn(1, 3, 5, 8).expand(2, 3, 5, 8),
        torch.randn(5, 2, 3, 8).permute(1, 2, 0, 3), torch.randn(2, 5, 9, 8)[:, :, :3].transpose(1, 2), torch.randn(3, 2, 5, 8).transpose(0, 1),
    ):  # fmt: skip
        for a, b in zip(on_carat(lambda: forward(q, k, k)), forward(q, k, k)):
            assert a.stride() == b.stride(), shape
            torch.testing.assert_close(a, b)
        for a, b in zip(on_carat(lambda: forward(k, q, q)), forward(k, q, q)):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("queries", [1, 20])
def test_special_values(queries):
    """NaN and infinities spread to their rows only, as in ATen, whose logsumexp of an infinite score is NaN on some processors."""
    for where, value in itertools.product("qkvm", (float("nan"), INF, -INF)):
        q, k, v = tensors((1, 2, 2, queries, 40, 16), torch.float32)
        mask = torch.zeros(queries, 40)
        {"q": q[0, 0, 0], "k": k[0, 1, 3], "v": v[0, 0, 39], "m": mask[queries // 2]}[where][2] = value
        out, logsumexp = on_carat(lambda: forward(q, k, v, attn_mask=mask))
        out_aten, logsumexp_aten = forward(q, k, v, attn_mask=mask)
        torch.testing.assert_close(out, out_aten, equal_nan=True)
        infinite = exact(q, k, v, attn_mask=mask)[1] == INF
        torch.testing.assert_close(logsumexp[infinite], torch.full_like(logsumexp[infinite], INF))
        torch.testing.assert_close(logsumexp[~infinite], logsumexp_aten[~infinite], equal_nan=True)


def test_threads_agree():
    threads = torch.get_num_threads()
    for shape in ((1, 2, 1, 300, 700, 40), (1, 4, 4, 1, 3000, 64), (1, 8, 8, 16, 1024, 64)):
        q, k, v = tensors(shape, torch.float32)
        results = []
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            out, logsumexp = on_carat(lambda: forward(q, k, v))
            grads = on_carat(lambda: backward(v.new_ones(1).expand(out.shape), q, k, v, out, logsumexp, 0.0, False), BACKWARD)
            results.append((out, logsumexp, *grads))
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other))


def test_left_to_aten():
    q, k, v = tensors((2, 4, 2, 5, 7, 16), torch.float32)
    strange = [
        (q[:0], k[:0], v[:0], {}), (torch.randn(1, 1, 3, 300),) * 3 + ({},),
        (q.double(), k.double(), v.double(), {"attn_mask": torch.randn(5, 7)}),
    ]  # fmt: skip
    for a, b, c, options in strange:
        with carat.use():
            got = forward(a, b, c, **options)
        for x, y in zip(got, forward(a, b, c, **options)):
            assert x.stride() == y.stride()
            assert torch.equal(x, y)
    assert carat.stats()[FORWARD].calls == 0
    with carat.use(), pytest.raises(RuntimeError):
        forward(q, k, v, attn_mask=torch.zeros(5, 7, dtype=torch.bool))


def test_autograd():
    """Forward and backward on Carat beside both on ATen."""
    grads = {}
    for on in (False, True):
        torch.manual_seed(1)
        leaves = [t.requires_grad_() for t in tensors((2, 4, 2, 96, 96, 64), torch.float32, transposed=False)]
        if on:
            carat.enable()
        (scaled_dot_product_attention(*leaves, is_causal=True, enable_gqa=True) ** 2).sum().backward()
        carat.disable()
        grads[on] = [leaf.grad for leaf in leaves]
    assert carat.stats()[FORWARD].calls == 1 and carat.stats()[BACKWARD].calls == 1
    for a, b in zip(grads[True], grads[False]):
        assert a.stride() == b.stride()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_functional():
    """Through torch.nn.functional, with a boolean mask, which arrives as an additive one."""
    q, k, v = tensors((2, 4, 2, 33, 33, 64), torch.float32)
    mask = torch.rand(2, 1, 33, 33) > 0.3
    for options in ({"is_causal": True}, {"attn_mask": mask}, {}):
        got = on_carat(lambda: scaled_dot_product_attention(q, k, v, enable_gqa=True, **options))
        torch.testing.assert_close(got, scaled_dot_product_attention(q, k, v, enable_gqa=True, **options))

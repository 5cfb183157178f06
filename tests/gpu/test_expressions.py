# SPDX-License-Identifier: Apache-2.0
"""carat.pointwise on CUDA against PyTorch's evaluation of the same expression."""

import pytest
import torch

import carat

if not torch.cuda.is_available():
    pytest.skip("no CUDA device here", allow_module_level=True)

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
swiglu = carat.pointwise("x / (1 + exp(-x)) * y")


def eager(x, y):
    return x / (1 + torch.exp(-x)) * y


def close(mine, theirs):
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape and mine.device == theirs.device
    tolerance = {torch.bfloat16: 1e-2, torch.float16: 2e-3, torch.float32: 1e-5}.get(theirs.dtype, 1e-12)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 33), (64, 128), (3, 5, 2, 9), (1 << 20,), (2049, 1023)], ids=str)
def test_layouts(shape, dtype):
    x, y = torch.randn(shape, device="cuda").to(dtype), torch.randn(shape, device="cuda").to(dtype)
    for p, q in ((x, y), (x, y[..., :1]) if shape else (x, y), (x.movedim(0, -1), y.movedim(0, -1).contiguous()) if shape else (x, y),
                 (x, torch.tensor(2.5)), (x, y.float())):
        mine, wide = swiglu(p, q), [t.to(torch.float64 if dtype == torch.float64 else torch.float32) for t in (p, q)]
        assert mine.stride() == (p * q).stride()
        close(mine, eager(*wide).to((p * q).dtype))


def test_outputs_and_dtypes():
    f = carat.pointwise("out0 = a * b + n; out1 = a > b; out2 = int32(c) + d; out3 = max(a, c)", scalars={"n": 0.5})
    a, b = torch.randn(40, 64, device="cuda"), torch.randn(64, device="cuda")
    c, d = torch.randn(40, 1, dtype=torch.float64, device="cuda"), torch.arange(64, dtype=torch.uint8, device="cuda")
    for got, want in zip(f(a, b, c, d, n=2.0), (a * b + 2, a > b, (c.int() + d).expand(40, 64), torch.maximum(a.double(), c))):
        close(got, want)
    out = torch.empty(64, 40, device="cuda").t()
    swiglu(a, b, out=out)
    close(out, eager(a, b))
    swiglu(a, b, out=a)
    close(a, out)


def test_gradients():
    x, y = torch.randn(30, 20, device="cuda", dtype=torch.float64, requires_grad=True), torch.randn(20, device="cuda", dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(swiglu, (x, y))
    assert torch.autograd.gradgradcheck(swiglu, (x, y))


@pytest.mark.parametrize("backend", ("aot_eager", "inductor"))
def test_compile(backend):
    f = torch.compile(lambda x, y: swiglu(x, y) * 2, fullgraph=True, backend=backend)
    x, y = torch.randn(6, 5, device="cuda", requires_grad=True), torch.randn(5, device="cuda", requires_grad=True)
    mine, theirs = f(x, y), eager(x, y) * 2
    close(mine.detach(), theirs.detach())
    for got, want in zip(torch.autograd.grad(mine.sum(), (x, y)), torch.autograd.grad(theirs.sum(), (x, y))):
        torch.testing.assert_close(got, want)


def test_graphs_and_streams():
    x, y = torch.randn(1000, device="cuda"), torch.randn(1000, device="cuda")
    swiglu(x, y)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = swiglu(x, y)
    x.copy_(torch.randn(1000))
    graph.replay()
    close(result, eager(x, y))
    with torch.cuda.graph(torch.cuda.CUDAGraph()), pytest.raises(RuntimeError, match="capture"):
        carat.pointwise("x * 3.0625 + y")(x, y)  # whose kernel isn't there yet
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        result = swiglu(x, y)
    stream.synchronize()
    close(result, eager(x, y))


def test_devices_must_agree():
    with pytest.raises(RuntimeError):
        swiglu(torch.randn(3, device="cuda"), torch.randn(3))

# SPDX-License-Identifier: Apache-2.0
"""Carat under PyTorch's modes: same results as without it, and served where real tensors are computed with."""

import copy
import multiprocessing
import threading

import pytest
import torch
from torch import nn

import carat


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 32), nn.SiLU(), nn.LayerNorm(32), nn.Linear(32, 4))


def inputs(rows=8):
    return torch.randn(rows, 16, generator=torch.Generator().manual_seed(1))


def pointwise(x):
    return (x.neg().exp() * 2 + x).abs()


def calls():
    return sum(stat.calls for stat in carat.stats().values())


def both(function):
    """The function's result without and with Carat, which must have served something."""
    expected = function()
    carat.stats(reset=True)
    with carat.use():
        actual = function()
    assert calls() > 0
    return expected, actual


def same(function):
    torch.testing.assert_close(*reversed(both(function)))


# ---- autograd

def test_no_grad():
    with torch.no_grad():
        same(lambda: model()(inputs()))


def test_inference_mode():
    def run():
        with torch.inference_mode():
            result = pointwise(inputs())
            assert result.is_inference()
            return result.clone()
    same(run)


def gradients(net=None, x=None):
    net = net or model()
    net(inputs() if x is None else x).square().sum().backward()
    return [p.grad for p in net.parameters()]


def test_training():
    same(gradients)


def test_backward_is_served_in_a_scope_and_not_after_it():
    x = torch.randn(8, requires_grad=True)
    with carat.use():
        y = x.exp().sum()
        before = calls()
        y.backward(retain_graph=True)
    assert (inside := calls()) > before
    y.backward()
    assert calls() == inside


def test_backward_on_other_threads_is_served_in_a_scope():
    """A backward of a backward runs on a thread of its own when nested deeply enough; the scope follows it."""
    class Nested(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            with torch.enable_grad():
                inner = torch.ones(4, requires_grad=True)
                threads.add(threading.get_ident())
                (Nested.apply(inner).neg() if len(threads) < 2 and depth.pop() else inner.neg()).sum().backward()
            return grad

    threads, depth = set(), list(range(1, 120))
    x = torch.randn(4, requires_grad=True)
    with carat.use(only="neg"):
        Nested.apply(x).sum().backward()
    outside = [threading.get_ident() != ident for ident in threads]
    assert carat.stats()["neg"].stepped_aside == 0
    assert any(outside) and carat.stats()["neg"].calls >= 60


def test_double_backward_and_version_counter():
    def run():
        x = torch.linspace(-1, 1, 8, requires_grad=True)
        (grad,) = torch.autograd.grad(x.exp().mul(x).sum(), x, create_graph=True)
        return torch.autograd.grad(grad.sum(), x)[0]
    same(run)
    with carat.use():
        x = torch.ones(4, requires_grad=True)
        y = x.exp()
        version = y._version
        z = y * y
        y.neg_()
        assert y._version == version + 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()


def test_gradcheck():
    with carat.use():
        x = torch.randn(5, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: pointwise(x).tanh(), x)


def test_anomaly_mode_and_hooks():
    seen = []
    with carat.use(), torch.autograd.detect_anomaly(check_nan=True):
        x = torch.ones(4, requires_grad=True)
        x.register_hook(lambda grad: seen.append(grad.clone()))
        pointwise(x).sum().backward()
    assert len(seen) == 1


def test_activation_checkpoint():
    from torch.utils.checkpoint import checkpoint

    def run():
        net, x = model(), inputs().requires_grad_()
        checkpoint(net, x, use_reentrant=False).sum().backward()
        return x.grad
    same(run)


# ---- transforms

def test_autocast():
    def run():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = model()(inputs()).exp()
        assert result.dtype == torch.float32 or result.dtype == torch.bfloat16
        return result
    expected, actual = both(run)
    assert expected.dtype == actual.dtype
    torch.testing.assert_close(actual, expected, rtol=2e-2, atol=2e-2)


def test_vmap():
    same(lambda: torch.vmap(pointwise)(inputs()))
    same(lambda: torch.vmap(torch.vmap(pointwise))(inputs().reshape(8, 4, 4)))


def test_functional_gradients():
    x = inputs()[0]
    same(lambda: torch.func.grad(lambda x: pointwise(x).sum())(x))
    same(lambda: torch.func.jvp(pointwise, (x,), (torch.ones_like(x),)))
    same(lambda: torch.func.vjp(pointwise, x)[1](torch.ones_like(x)))
    same(lambda: torch.func.hessian(lambda x: pointwise(x).sum())(x))
    same(lambda: torch.func.functionalize(lambda x: pointwise(x).neg_())(x))
    same(lambda: torch.func.vmap(torch.func.grad(lambda x: pointwise(x).sum()))(inputs()))


def test_forward_mode():
    def run():
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(inputs()[0], torch.ones(16))
            return tuple(torch.autograd.forward_ad.unpack_dual(pointwise(dual)))
    same(run)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile(backend):
    torch._dynamo.reset()
    net = model()
    compiled = torch.compile(net, backend=backend)
    same(lambda: compiled(inputs()))

    def train():
        net.zero_grad()
        return gradients(compiled)
    same(train)


def test_compile_with_dynamic_shapes():
    torch._dynamo.reset()
    compiled = torch.compile(pointwise, backend="aot_eager", dynamic=True)
    for rows in (3, 5, 9):
        same(lambda: compiled(inputs(rows)))


def test_compile_once_for_each_state():
    torch._dynamo.reset()
    compilations = []

    def backend(graph, _):
        compilations.append(graph)
        return graph.forward

    compiled = torch.compile(pointwise, backend=backend)
    for _ in range(3):
        compiled(inputs())
        with carat.use():
            compiled(inputs())
    assert len(compilations) == 2
    carat.enable()
    compiled(inputs())
    assert len(compilations) == 2


def test_make_fx_and_export():
    from torch.fx.experimental.proxy_tensor import make_fx

    with carat.use():
        graph = make_fx(pointwise)(inputs())
        same(lambda: graph(inputs()))
        program = torch.export.export(model(), (inputs(),))
        torch.testing.assert_close(program.module()(inputs()), model()(inputs()))


def test_jit_trace():
    traced = torch.jit.trace(model(), inputs())
    same(lambda: traced(inputs()))


# ---- tensors that are not plain ones: never served, never wrong

def test_fake_and_meta_tensors():
    from torch._subclasses import FakeTensorMode

    carat.enable()
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(torch.zeros(4, 5))
        carat.stats(reset=True)
        assert pointwise(fake).shape == (4, 5)
        assert torch.ones(4).neg().shape == (4,)
    assert pointwise(torch.empty(4, 5, device="meta")).shape == (4, 5)
    assert calls() == 0


def test_dispatch_mode_sees_the_same_operators():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Log(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.names.append(str(func))
            return func(*args, **(kwargs or {}))

    def run():
        with Log() as log:
            log.names = []
            result = model()(inputs())
        return result, log.names

    (expected, names), (actual, names_on) = both(run)
    torch.testing.assert_close(actual, expected)
    assert names == names_on


def test_tensor_subclasses():
    class Sub(torch.Tensor):
        pass

    x = inputs().as_subclass(Sub)
    with carat.use():
        assert type(x.neg()) is Sub and type(nn.Parameter(inputs()).neg()) is torch.Tensor
    same(lambda: torch.Tensor.exp(x).as_subclass(torch.Tensor))


def test_conjugate_negative_and_other_views():
    z = torch.randn(6, dtype=torch.complex64)
    cases = [z.conj(), z.conj().imag, z.real, torch._efficientzerotensor(6), torch.randn(6)[::2], torch.randn(4, 6).t(),
             torch.randn(1, 6).expand(4, 6), torch.randn(()), torch.randn(0, 3), torch.randn(4, 6)[:, 1:3]]
    for x in cases:
        expected = (x.neg(), x + x, x * 2)
        with carat.use():
            actual = (x.neg(), x + x, x * 2)
        for a, e in zip(actual, expected):
            torch.testing.assert_close(a, e)
            assert a.stride() == e.stride() and a.is_conj() == e.is_conj() and a.is_neg() == e.is_neg()


def test_sparse_quantized_nested_mkldnn():
    x = torch.randn(4, 4)
    cases = [x.to_sparse(), x.to_sparse_csr(), x.to_mkldnn(), torch.nested.nested_tensor([x, x[:2]]),
             torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)]
    carat.enable()
    for case in cases:
        for function in (torch.Tensor.neg, torch.Tensor.abs, torch.Tensor.clone):
            with carat.use(only=[]):
                try:
                    expected = function(case)
                except Exception as failure:
                    with carat.use(), pytest.raises(type(failure)):
                        function(case)
                    continue
            assert type(function(case)) is type(expected) and function(case).layout == expected.layout


# ---- copies, threads, processes

def test_deepcopy_pickle_and_shared_memory(tmp_path):
    with carat.use():
        x = pointwise(inputs())
        assert torch.equal(copy.deepcopy(x), x)
        torch.save(x, tmp_path / "x.pt")
        assert torch.equal(torch.load(tmp_path / "x.pt"), x)
        y = x.clone().share_memory_()
        assert y.is_shared() and torch.equal(y, x)
        copy.deepcopy(model())(x[:, :16])


def test_results_can_be_resized_and_viewed():
    with carat.use():
        x = torch.ones(4, 4).neg()
    assert not x._is_view() and x.storage_offset() == 0 and x.data_ptr() % 64 == 0
    x.resize_(8, 8)
    assert x.untyped_storage().nbytes() == 256 and torch.equal(x.flatten()[:16], -torch.ones(16))
    x.set_(torch.zeros(3))
    y = torch.empty(0)
    y.set_(torch.ones(5))
    assert x.shape == (3,)


def test_threads():
    """The process-wide choice holds on every thread, a scope on its own only; counts don't get lost."""
    def work():
        for _ in range(200):
            torch.ones(8).neg()

    carat.enable(only="neg")
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert carat.stats(reset=True)["neg"].calls == 800
    carat.disable()
    with carat.use(only="neg"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "neg" not in carat.stats()


def test_switching_while_other_threads_compute():
    stop, failures = threading.Event(), []
    x = torch.linspace(0, 1, 1000)
    expected = pointwise(x)

    def work():
        while not stop.is_set():
            if not torch.allclose(pointwise(x), expected):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    [t.start() for t in threads]
    for _ in range(200):
        carat.enable()
        carat.disable()
        with carat.use():
            pointwise(x)
    stop.set()
    [t.join() for t in threads]
    assert not failures


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_set_num_threads(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x = torch.randn(1 << 20)
        same(lambda: pointwise(x))
        same(lambda: (x.view(1024, 1024).t() + x.view(1024, 1024)))
    finally:
        torch.set_num_threads(before)


class Doubling(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return pointwise(torch.full((64,), float(index)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_workers(method):
    def run():
        loader = torch.utils.data.DataLoader(Doubling(), batch_size=2, num_workers=2,
                                             multiprocessing_context=multiprocessing.get_context(method))
        return [batch.clone() for batch in loader]
    expected = run()
    carat.enable()
    pointwise(torch.randn(1 << 20))  # threads and pool in use before the fork
    torch.testing.assert_close(run(), expected)




def test_profiler_and_memory_reporting():
    from torch.profiler import ProfilerActivity, profile

    with carat.use(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        pointwise(inputs())
    names = {event.key for event in recorded.key_averages()}
    assert {"aten::neg", "aten::exp", "aten::mul"} <= names


def test_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        same(lambda: torch.arange(4).exp())
        torch.set_default_dtype(torch.bfloat16)
        expected = torch.arange(4).exp()
        with carat.use():
            actual = torch.arange(4).exp()
        assert actual.dtype == expected.dtype
        torch.testing.assert_close(actual, expected)
    finally:
        torch.set_default_dtype(torch.float32)

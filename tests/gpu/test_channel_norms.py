# SPDX-License-Identifier: Apache-2.0
"""Batch norm and group norm on CUDA: layouts, training and inference, running statistics, every dtype that ATen takes."""

import pytest
import torch

import carat
from test_cuda import sample
from test_norm import FLOATS, both, floats, optional

aten = torch.ops.aten
MIXES = [(dtype, dtype) for dtype in FLOATS] + [(torch.bfloat16, torch.float32), (torch.float16, torch.float32)]
mixes = pytest.mark.parametrize("dtypes", MIXES, ids=lambda pair: "-".join(str(d)[6:] for d in pair))
SHAPES = [(64, 10), (5000, 33), (3, 4, 50), (8, 16, 8, 8), (4, 64, 7, 7), (2, 3, 33, 65), (16, 256, 14, 14), (2, 8, 4, 6, 10), (1, 1, 100), (70000, 8), (3, 1000, 16), (8, 16, 50, 51)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))


def layouts(x):
    yield x
    if x.ndim == 4:
        yield x.to(memory_format=torch.channels_last)
    if x.ndim == 5:
        yield x.to(memory_format=torch.channels_last_3d)


def parameters(channels, dtype):
    return [sample((channels,), dtype, 1) + 1, sample((channels,), dtype, 2), sample((channels,), dtype, 3), sample((channels,), dtype, 4).abs() + 0.5]


@shapes
@mixes
def test_batch_norm(shape, dtypes):
    x = sample(shape, dtypes[0]) * 3 + 2
    weight, bias, mean, var = parameters(shape[1], dtypes[1])
    for y in layouts(x):
        for training in (True, False):
            for affine in (True, False):
                def run(to):
                    w, b = (to(weight), to(bias)) if affine else (None, None)
                    running = [to(mean).clone(), to(var).clone()]
                    return (*torch.native_batch_norm(to(y), w, b, *running, training, 0.1, 1e-5), *running)
                both(run, "native_batch_norm")
        both(lambda to: torch.native_batch_norm(to(y), to(weight), to(bias), None, None, True, 0.1, 1e-5))
        both(lambda to: aten._native_batch_norm_legit.no_stats(to(y), to(weight), to(bias), True, 0.1, 1e-5), "_native_batch_norm_legit.no_stats")
        both(lambda to: aten._native_batch_norm_legit_no_training(to(y), to(weight), to(bias), to(mean), to(var), 0.1, 1e-5))


@shapes
@mixes
def test_batch_norm_backward(shape, dtypes):
    x, grad = sample(shape, dtypes[0]) * 3 + 2, sample(shape, dtypes[0], 7)
    weight, bias, mean, var = parameters(shape[1], dtypes[1])
    for y in layouts(x):
        for g in (grad, torch.empty_like(y).copy_(grad)):
            contiguous = y.is_contiguous() and y.ndim > 2
            alike = g.stride() == y.stride() and not (contiguous and y.numel() < 1 << 18)
            for training, mask in ((True, [True] * 3), (True, [True, False, False]), (False, [True] * 3), (True, [False, True, True]), (False, [True, False, False])):
                def run(to):
                    _, save, invstd = torch.native_batch_norm(to(y), to(weight), to(bias), to(mean).clone(), to(var).clone(), training, 0.1, 1e-5)
                    made = aten.native_batch_norm_backward(to(g), to(y), to(weight), to(mean), to(var), save, invstd, training, 1e-5, mask)
                    return [result for result, wanted in zip(made, mask) if wanted]  # ATen may make others too
                served = alike and (training or y.is_contiguous())
                both(run, *(("native_batch_norm_backward",) if served else ()))


@mixes
def test_batch_norm_modules(dtypes):
    for shape in ((128, 24), (6, 24, 9, 11)):
        x = sample(shape, dtypes[0])
        for training in (True, False):
            def run(to):
                module = (torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d)(24, device="cuda").to(to(weight).dtype)
                module.weight.data.copy_(weight)
                module.train(training)
                leaf = to(x).detach().clone().requires_grad_()
                y = module(leaf)
                y.square().sum().backward()
                return y.detach(), leaf.grad, module.weight.grad, module.bias.grad, module.running_mean, module.running_var
            weight = sample((24,), dtypes[1], 1) + 1
            both(run)
            with torch.backends.cudnn.flags(enabled=False):
                both(run, "native_batch_norm")


GROUPS = [((4, 6, 5, 5), 3), ((2, 32, 64, 64), 8), ((8, 12, 33), 4), ((3, 16), 2), ((2, 40, 7, 7), 40), ((5, 16, 8), 1), ((1, 3, 100003), 1)]


@pytest.mark.parametrize("shape, groups", GROUPS, ids=str)
@floats
def test_group_norm(shape, groups, dtype):
    x, grad = sample(shape, dtype) * 2 + 1, sample(shape, dtype, 7)
    n, c, hxw = shape[0], shape[1], x[0, 0].numel()
    weight, bias = sample((c,), dtype, 1) + 1, sample((c,), dtype, 2)
    for w, b in ((weight, bias), (None, None)):
        both(lambda to: aten.native_group_norm(to(x), optional(to, w), optional(to, b), n, c, hxw, groups, 1e-5), "native_group_norm")
        for mask in ([True] * 3, [True, False, False], [False, True, True]):
            if w is None and mask[1]:
                continue

            def backward(to):
                _, mean, rstd = aten.native_group_norm(to(x), optional(to, w), optional(to, b), n, c, hxw, groups, 1e-5)
                return aten.native_group_norm_backward(to(grad), to(x), mean, rstd, optional(to, w), n, c, hxw, groups, mask)
            both(backward, "native_group_norm_backward")
    if len(shape) == 4:
        both(lambda to: (torch.nn.functional.group_norm(to(x).to(memory_format=torch.channels_last), groups, to(weight), to(bias)),))


def test_far_from_zero():
    x, grad = sample((16, 8, 50, 50), torch.float32) + 30, sample((16, 8, 50, 50), torch.float32, 1)
    weight, bias, mean, var = parameters(8, torch.float32)
    for y in layouts(x):
        grad = torch.empty_like(y).copy_(grad)

        def run(to):
            out, save, invstd = torch.native_batch_norm(to(y), to(weight), to(bias), None, None, True, 0.1, 1e-5)
            return (out, *aten.native_batch_norm_backward(to(grad), to(y), to(weight), None, None, save, invstd, True, 1e-5, [True] * 3))
        both(run, "native_batch_norm", "native_batch_norm_backward")


def test_graph():
    x, grad = sample((32, 16, 12, 12), torch.bfloat16), sample((32, 16, 12, 12), torch.bfloat16, 1)
    weight, bias, mean, var = parameters(16, torch.float32)
    with carat.use():
        def step():
            y, save, invstd = torch.native_batch_norm(x, weight, bias, mean, var, True, 0.0, 1e-5)
            return (y, *aten.native_batch_norm_backward(grad, x, weight, mean, var, save, invstd, True, 1e-5, [True] * 3))
        first = step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = step()
    for tensor in captured:
        tensor.zero_()
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(first, captured))

# SPDX-License-Identifier: Apache-2.0
"""Negative log likelihood and cross-entropy on CUDA: reductions, weights, targets left out, sizes around the groups' bounds."""

import pytest
import torch

import carat
from test_cuda import assert_stops_the_device, sample
from test_norm import both, floats

aten = torch.ops.aten
NONE, MEAN, SUM = 0, 1, 2


@pytest.mark.parametrize("batch, classes", [(1, 1), (1, 7), (5, 3), (1000, 10), (8192, 33), (8193, 8), (20000, 5), (37, 50257), (300, 4096), (70000, 65), (66000, 513)])
@floats
def test_nll(batch, classes, dtype):
    x, weight = sample((batch, classes), dtype) - 4, sample((classes,), dtype, 1).abs() + 0.1
    target = torch.randint(0, classes, (batch,), device="cuda", generator=torch.Generator("cuda").manual_seed(2))
    target[batch // 2] = -100
    for w in (weight, None):
        for reduction in (NONE, MEAN, SUM):
            def run(to, x=x, target=target, ignore=-100):
                wide = optional(to, w)
                out, total = aten.nll_loss_forward(to(x), target, wide, reduction, ignore)
                grad = aten.nll_loss_backward(torch.ones_like(out) * 0.5, to(x), target, wide, reduction, ignore, total)
                return out, total, grad
            both(run, "nll_loss_forward", "nll_loss_backward")
            both(lambda to: run(to, target=target.clamp(min=0), ignore=0))
            both(lambda to: run(to, x=x.t().contiguous().t()))


def optional(to, tensor):
    return None if tensor is None else to(tensor)


def test_targets_in_other_forms():
    x = sample((64, 10), torch.float32)
    target = torch.randint(0, 10, (128,), device="cuda")
    both(lambda to: aten.nll_loss_forward(to(x), target[::2], None, MEAN, -100))
    both(lambda to: aten.nll_loss_forward(to(x), target[:64].to(torch.uint8), None, MEAN, -100))
    both(lambda to: aten.nll_loss_forward(to(x)[0], target[0], None, MEAN, -100))
    both(lambda to: aten.nll_loss_forward(to(x)[0], target[0], None, MEAN, int(target[0])))
    both(lambda to: aten.nll_loss_forward(to(x), torch.full_like(target[:64], -100), None, MEAN, -100))
    both(lambda to: (aten.nll_loss_forward.output(to(x), target[:64], None, NONE, -100, output=to(torch.empty(64, device="cuda")),
                                                  total_weight=to(torch.empty((), device="cuda")))[0],))


@floats
def test_cross_entropy(dtype):
    x, target = sample((600, 1000), dtype), torch.randint(0, 1000, (600,), device="cuda")

    def step(to):
        leaf = to(x).detach().clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(leaf, target)
        loss.backward()
        return loss.detach(), leaf.grad
    first = both(step, "nll_loss_forward", "nll_loss_backward", "_log_softmax", "_log_softmax_backward_data")
    with carat.use():
        assert all(torch.equal(a, b) for a, b in zip(first, step(lambda t: t)))


def test_a_target_out_of_range_stops_the_device():
    assert_stops_the_device("import torch, carat; x = torch.randn(4, 5, device='cuda'); t = torch.tensor([0, 9, 1, 2], device='cuda')\n"
                            "with carat.use(): loss = torch.ops.aten.nll_loss_forward(x, t, None, 1, -100)")

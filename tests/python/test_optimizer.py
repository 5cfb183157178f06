# SPDX-License-Identifier: Apache-2.0
"""Fused optimizers and gradient scaling: every option, sizes around a group's, learning rates and scales in tensors."""
import itertools

import pytest
import torch

import carat

SIZES = [(7,), (64,), (33, 5), (9000,), (0,), ()]
FLOATS = pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16), ids=lambda d: str(d)[6:])
SCALINGS = [{}, {"grad_scale": torch.tensor(3.0)}, {"grad_scale": torch.tensor(3.0), "found_inf": torch.tensor(0.0)}, {"found_inf": torch.tensor(1.0)}]


def lists(dtype, count):
    """Parameters and gradients, then states, which are squares or their sums."""
    generator = torch.Generator().manual_seed(0)
    made = [[torch.randn(s, generator=generator).to(dtype) for s in SIZES] for _ in range(count)]
    return made[:2] + [[t.abs() for t in one] for one in made[2:]]


def check(name, op, given, served=True, **options):
    """One step on copies of `given`, whose lists are compared afterwards."""
    def run():
        copies = [[t.clone() for t in one] for one in given]
        op(*copies, **options)
        return [t for one in copies for t in one]
    theirs = run()
    carat.stats(reset=True)
    with carat.use():
        mine = run()
    calls = sum(stat.calls for key, stat in carat.stats().items() if key.split(".")[0] == name)
    assert calls == served, carat.stats()
    for one, other in zip(mine, theirs, strict=True):
        half = one.dtype in (torch.bfloat16, torch.float16)
        torch.testing.assert_close(one, other, equal_nan=True, rtol=2e-2 if half else 1e-5, atol=1e-2 if half else 1e-6)


def steps(dtype=torch.float32):
    return [torch.tensor(float(i + 1), dtype=dtype) for i in range(len(SIZES))]


@FLOATS
@pytest.mark.parametrize("name", ("_fused_adam_", "_fused_adamw_"))
def test_adam(name, dtype):
    for amsgrad, maximize, decay, scaling, lr in itertools.product((False, True), (False, True), (0.0, 0.1), SCALINGS, (0.1, torch.tensor(0.1))):
        given = lists(dtype, 5) if amsgrad else [*lists(dtype, 4), []]
        check(name, getattr(torch, name), [*given, steps()], lr=lr, beta1=0.9, beta2=0.999, weight_decay=decay, eps=1e-8, amsgrad=amsgrad, maximize=maximize, **scaling)


@FLOATS
def test_largest_that_is_no_number(dtype):
    """AMSGrad's state keeps it, and takes it over from the squares."""
    given = lists(dtype, 5)
    given[4][1][3] = given[3][1][40] = float("nan")
    check("_fused_adam_", torch._fused_adam_, [*given, steps()], lr=0.1, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=True, maximize=False)


@FLOATS
def test_sgd(dtype):
    """ATen's own halves are wrong on CPUs and differ from one memory to the next: left to it."""
    for momentum, nesterov, maximize, first, scaling in itertools.product((0.0, 0.9), (False, True), (False, True), (False, True), SCALINGS):
        given = lists(dtype, 3) if momentum else [*lists(dtype, 2), []]
        if dtype in (torch.float32, torch.float64) and (momentum or not nesterov):
            check("_fused_sgd_", torch._fused_sgd_, given, weight_decay=0.1, momentum=momentum, lr=0.1, dampening=0.0 if nesterov else 0.2, nesterov=nesterov,
                  maximize=maximize, is_first_step=first, **scaling)


@FLOATS
def test_adagrad(dtype):
    for maximize, decay, scaling in itertools.product((False, True), (0.0, 0.1), SCALINGS):
        check("_fused_adagrad_", torch._fused_adagrad_, [*lists(dtype, 3), steps()], lr=0.1, lr_decay=0.01, weight_decay=decay, eps=1e-10, maximize=maximize, **scaling)


@FLOATS
def test_unscale(dtype):
    for bad in (1.0, float("inf"), float("-inf"), float("nan")):
        given = lists(dtype, 1)
        given[0][3][5000] = bad

        def op(tensors, found):
            torch._amp_foreach_non_finite_check_and_unscale_(tensors, found[0], torch.tensor(0.25))
        check("_amp_foreach_non_finite_check_and_unscale_", op, [given[0], [torch.zeros(1)]])


def test_update_scale():
    for scale, tracker, found in ((8.0, 0, 0.0), (8.0, 2, 0.0), (8.0, 2, 1.0), (3e38, 2, 0.0)):
        state = [torch.tensor(scale), torch.tensor(tracker, dtype=torch.int32)]
        check("_amp_update_scale_", lambda s: torch._amp_update_scale_(*s, torch.tensor(found), 2.0, 0.5, 3), [state])


def test_what_is_left_to_aten():
    given = [*lists(torch.float32, 4), []]
    options = dict(lr=0.1, beta1=0.9, beta2=0.999, weight_decay=0.1, eps=1e-8, amsgrad=False, maximize=False)
    transposed = [[torch.randn(8, 4).t()], *([torch.rand(4, 8)] for _ in range(3)), []]
    check("_fused_adamw_", torch._fused_adamw_, [*transposed, steps()[:1]], served=False, **options)
    with carat.use(), pytest.raises(RuntimeError):
        torch._fused_adamw_(*given[:3], given[3][:2], [], steps(), **options)
    with carat.use(), pytest.raises(RuntimeError):
        torch._fused_adamw_(given[0], [t.double() for t in given[1]], *given[2:], steps(), **options)

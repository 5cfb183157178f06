# SPDX-License-Identifier: Apache-2.0
"""Kernels over lists of tensors, and losses of pairs, on a GPU that isn't there."""

import pytest
import torch

from fake_gpu import check, fresh, run, tensors_in
from test_lanes import FLOATS, HALF_AND_FULL, aten, dtypes

SIZES = [(), (1,), (7,), (0,), (1024,), (1025,), (33, 5), (4096, 3), (40, 64)]


def lists(count, dtype):
    made = [[torch.randn(s).to(dtype) for s in SIZES] for _ in range(count)]
    for one in made:
        one.append(torch.randn(4100).to(dtype)[1:])
        one[-2] = one[-2].t()
    return made


def check_written(op, *args, **kwargs):
    """An operator that returns nothing, by what it writes."""
    theirs = fresh(args)
    op(*theirs, **kwargs)
    written = [value for value, declared in zip(theirs, op._schema.arguments) if declared.alias_info is not None and declared.alias_info.is_write]
    return check(op, *args, theirs=list(tensors_in(written)), **kwargs)


@dtypes(*FLOATS)
def test_lists(dtype):
    x, y, z = lists(3, dtype)
    z = [t.abs() + 0.5 for t in z]
    numbers = [0.5 + i / 4 for i in range(len(x))]
    for name in ("sqrt", "exp", "neg", "abs", "round"):
        check(getattr(aten, f"_foreach_{name}").default, z)
    check_written(aten._foreach_sqrt_.default, z)
    for name in ("add", "mul", "div", "maximum", "clamp_min"):
        check(getattr(aten, f"_foreach_{name}").List, x, z)
        check(getattr(aten, f"_foreach_{name}").Scalar, x, 0.5)
        check_written(getattr(aten, f"_foreach_{name}_").ScalarList, x, numbers)
        check_written(getattr(aten, f"_foreach_{name}_").List, x, z)
    check(aten._foreach_add.List, x, y, alpha=0.25)
    check_written(aten._foreach_mul_.Tensor, x, torch.full((), 1.5, dtype=dtype))
    check_written(aten._foreach_addcmul_.Scalar, x, y, z, 0.5)
    check_written(aten._foreach_addcdiv_.ScalarList, x, y, z, numbers)
    check(aten._foreach_lerp.Scalar, x, y, 0.25)
    check_written(aten._foreach_lerp_.List, x, y, z)


def test_many_tensors():
    x = [torch.randn(n % 40) for n in range(500)]
    check_written(aten._foreach_addcmul_.Scalar, x, [t + 1 for t in x], [t - 1 for t in x], 0.5)


def test_lists_left_to_aten():
    x, y = lists(2, torch.float32)
    check(aten._foreach_add.List, x, [t.double() for t in y], served=False)
    check(aten._foreach_add.Scalar, x, 1j, served=False)
    check(aten._foreach_mul.Scalar, [t.int() for t in x], 2, served=False)
    check(aten._foreach_mul.Scalar, [torch.randn(8, 8)[:, ::2]], 2.0, served=False)
    check(aten._foreach_add.Scalar, x, 1e39, served=False)


def parameters(count, dtype):
    made = lists(count, dtype)
    return made[:2] + [[t.abs() for t in one] for one in made[2:]]


def steps(dtype=torch.float32):
    return [torch.tensor(2.0 + i, dtype=dtype) for i in range(len(SIZES) + 1)]


SCALINGS = [{}, {"grad_scale": torch.tensor(4.0)}, {"grad_scale": torch.tensor(4.0), "found_inf": torch.tensor(0.0)}, {"found_inf": torch.tensor(1.0)}]


@pytest.mark.parametrize("scaling", SCALINGS, ids=lambda s: "+".join(s))
@dtypes(torch.float32, torch.float64)  # halves are ATen's
def test_adam(dtype, scaling):
    for op, amsgrad, maximize in ((aten._fused_adamw_, False, False), (aten._fused_adamw_, True, True), (aten._fused_adam_, False, True)):
        given = parameters(5 if amsgrad else 4, dtype) + ([] if amsgrad else [[]])
        options = dict(beta1=0.9, beta2=0.99, weight_decay=0.1, eps=1e-6, amsgrad=amsgrad, maximize=maximize, **scaling)
        check_written(op.default, *given, steps(), lr=0.01, **options)
        check_written(op.tensor_lr, *given, steps(), lr=torch.tensor(0.01), **options)


@dtypes(torch.float32, torch.float64)  # halves are ATen's
def test_largest_that_is_no_number(dtype):
    """AMSGrad's state keeps it. From the squares devices don't take it over, as ATen's CPU does."""
    options = dict(lr=0.01, beta1=0.9, beta2=0.99, weight_decay=0.0, eps=1e-6, amsgrad=True, maximize=False)
    given = parameters(5, dtype)
    given[4][4][3] = float("nan")
    check_written(aten._fused_adam_.default, *given, steps(), **options)
    given[3][4][40] = float("nan")
    mine = fresh(given)
    run(aten._fused_adam_.default, *mine, steps(), **options)
    assert mine[3][4][40].isnan() and mine[4][4][40] == given[4][4][40] and mine[0][4][40].isfinite()


@pytest.mark.parametrize("scaling", SCALINGS, ids=lambda s: "+".join(s))
@dtypes(torch.float32, torch.float64)
def test_sgd_and_adagrad(dtype, scaling):
    for momentum, nesterov, first in ((0.0, False, False), (0.9, False, True), (0.9, True, False)):
        given = parameters(3 if momentum else 2, dtype) + ([] if momentum else [[]])
        check_written(aten._fused_sgd_.default, *given, weight_decay=0.1, momentum=momentum, lr=0.01, dampening=0.0, nesterov=nesterov, maximize=first,
                      is_first_step=first, **scaling)
    if "grad_scale" not in scaling:
        check_written(aten._fused_adagrad_.default, *parameters(3, dtype), steps(), lr=0.01, lr_decay=0.1, weight_decay=0.1, eps=1e-6, maximize=True, **scaling)


@dtypes(torch.float32, torch.float16, torch.float64)
def test_unscale(dtype):
    for bad in (0.0, float("inf"), float("nan")):
        x, = lists(1, dtype)
        x[-1][4000] = bad
        check_written(aten._amp_foreach_non_finite_check_and_unscale_.default, x, torch.tensor(0.0), torch.tensor(0.25))


# ---- losses of pairs

@pytest.mark.parametrize("shape", [(), (7,), (70, 30), (1 << 14,), (40001,), (1 << 18,)], ids=str)
@dtypes(*HALF_AND_FULL)
def test_pair_loss(shape, dtype):
    x, y, w = (torch.randn(shape).to(dtype) for _ in range(3))
    p, target = x.sigmoid(), (y > 0).to(dtype)
    for reduction in (0, 1, 2):
        check(aten.mse_loss.default, x, y, reduction)
        check(aten.smooth_l1_loss.default, x, y, reduction, 0.5)
        check(aten.huber_loss.default, x, y, reduction, 0.7)
        check(aten.binary_cross_entropy.default, p, target, None, reduction, served=reduction != 0)
        check(aten.binary_cross_entropy.default, p, target, w.abs(), reduction, served=reduction != 0)
        grad = torch.randn(shape if reduction == 0 else ()).to(dtype)
        check(aten.mse_loss_backward.default, grad, x, y, reduction)
        check(aten.binary_cross_entropy_backward.default, grad, p, target, w.abs(), reduction)
    if len(shape) == 2:
        check(aten.mse_loss.default, x.t(), y.t(), 1)
        check(aten.mse_loss.default, x.flatten()[1:], y.flatten()[1:], 1)
        check(aten.mse_loss.default, x, y[:1], 1, served=False)


# ---- the scale of losses

def test_loss_scale():
    for scale, tracker, found, interval in ((8.0, 0, 0.0, 3), (8.0, 2, 0.0, 3), (8.0, 2, 1.0, 3), (3e38, 2, 0.0, 3), (8.0, 5, 0.0, 3)):
        check_written(aten._amp_update_scale_.default, torch.tensor(scale), torch.tensor(tracker, dtype=torch.int32), torch.tensor(found), 2.0, 0.5, interval)

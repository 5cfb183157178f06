# SPDX-License-Identifier: Apache-2.0
"""Whether Carat's results are ATen's: dtypes, shapes and strides exactly, values by torch.testing's default tolerances.

A half-precision or float result that differs by more is held against the same computation in double precision: Carat
must then be as near to the truth as ATen is. That is no excuse, but a fact: Carat computes half types in single precision.
"""

import torch
from torch.utils._pytree import tree_flatten

# How much farther from the truth than ATen a result may be that is not within the ordinary tolerance.
SLACK = 1.05
# Gradients of attention hang on exponentials of rounded scores, up to hundreds in samples: which of two good results is nearer
# to the truth is chance. Over many inputs the errors are as large as ATen's for few keys and half as large for more.
CHANCE = {"scaled_dot_product": 3}


class Difference(AssertionError):
    pass


def leaves(value):
    return tree_flatten(value)[0]


def check_meta(actual, expected, what):
    for field in ("dtype", "shape", "device", "layout", "requires_grad"):
        a, e = getattr(actual, field), getattr(expected, field)
        if a != e:
            raise Difference(f"{what}: {field} is {a}, not {e}")
    if expected.layout is torch.strided and actual.stride() != expected.stride():
        raise Difference(f"{what}: strides are {actual.stride()}, not {expected.stride()} (shape {tuple(expected.shape)})")
    if type(actual.grad_fn) is not type(expected.grad_fn):
        raise Difference(f"{what}: grad_fn is {actual.grad_fn}, not {expected.grad_fn}")
    if actual.is_conj() != expected.is_conj() or actual.is_neg() != expected.is_neg():
        raise Difference(f"{what}: conjugate or negative bit")


def errors(value, truth):
    """Distance to the truth, element by element; where both are the same infinity or NaN there is none."""
    value, truth = value.detach().to(truth.dtype), truth.detach()
    distance = (value - truth).abs()
    return torch.where((value == truth) | (value.isnan() & truth.isnan()), torch.zeros_like(distance), distance)


def nearer(actual, expected, truth, slack):
    """Whether Carat's largest error is no larger than ATen's (with one rounding of the result's type to spare)."""
    if truth is None or truth.shape != actual.shape:
        return False
    ours, atens = errors(actual, truth), errors(expected, truth)
    step = torch.finfo(actual.dtype).eps * truth.abs().clamp(max=torch.finfo(actual.dtype).max)
    allowed = torch.maximum(atens * slack, step)
    worst = torch.nan_to_num(ours - allowed, nan=float("inf")).max()
    if worst <= 0:
        return True
    # Sums in another order differ element by element; then the largest errors must compare.
    return bool(ours.isfinite().all()) and bool(ours.max() <= atens.max() * slack)


def check_values(actual, expected, truth, what):
    actual, expected = actual.detach(), expected.detach()
    if actual.layout is not torch.strided:
        actual, expected, truth = actual.to_dense(), expected.to_dense(), None
    try:
        torch.testing.assert_close(actual, expected, equal_nan=True, check_stride=False)
    except AssertionError as failure:
        is_float = actual.dtype.is_floating_point or actual.dtype.is_complex
        if is_float and callable(truth):
            truth = truth()
        slack = max((factor for name, factor in CHANCE.items() if name in what), default=SLACK)
        if not (is_float and torch.is_tensor(truth) and nearer(actual, expected, truth, slack)):
            raise Difference(f"{what}: {str(failure).strip()}") from None


def check(actual, expected, what, truths=None):
    """Compares two structures of results. `truths()` gives the same structure in double precision, or None."""
    ours, atens = leaves(actual), leaves(expected)
    if len(ours) != len(atens):
        raise Difference(f"{what}: {len(ours)} results, not {len(atens)}")
    cached = []

    def truth(index):
        if not cached:
            cached.append(leaves(truths()) if truths else None)
        return cached[0][index] if cached[0] is not None and len(cached[0]) == len(atens) else None

    for index, (a, e) in enumerate(zip(ours, atens)):
        name = f"{what}, result {index}" if len(atens) > 1 else what
        if torch.is_tensor(e):
            if not torch.is_tensor(a):
                raise Difference(f"{name}: {a!r} instead of a tensor")
            check_meta(a, e, name)
            check_values(a, e, lambda: truth(index), name)
        elif a != e and not (a != a and e != e):
            raise Difference(f"{name}: {a!r}, not {e!r}")

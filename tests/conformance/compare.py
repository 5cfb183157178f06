# SPDX-License-Identifier: Apache-2.0
"""Whether Carat's results are ATen's: dtypes, shapes and strides exactly, values by torch.testing's default tolerances, zeros
of one operator with their signs.

A floating result that differs by more is held against the same computation in double precision: Carat must then be about
as near to the truth as ATen is, as it is nearer where ATen rounds half types between the steps of one operator.
"""

import torch
from torch.utils._pytree import tree_flatten

# What a result that is not within the ordinary tolerance may still be off. Half types: ATen's own error and hardly more, or
# one rounding, as Carat rounds once an operator. Others: twice ATen's largest error, since sums in another order err
# elsewhere, or a few roundings of the largest result, where ATen happens to be exact.
HALF = (torch.float16, torch.bfloat16)

# torch.testing's relative tolerances (the absolute one is 1e-5). A chain of operators has twice as much: both sides round at
# each step, and where dropout is in it there is no double precision to ask.
DEFAULTS = {torch.float32: 1.3e-6, torch.float16: 1e-3, torch.bfloat16: 1.6e-2}

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


def near_the_truth(actual, expected, truth, strict, factor, floor):
    """Whether Carat's largest error against double precision is of the size of ATen's, or of a few roundings, or below `floor`."""
    if truth is None or truth.shape != actual.shape:
        return False
    ours, atens = errors(actual, truth), errors(expected, truth)
    if bool(ours.isnan().any()) or not bool(torch.equal(actual.isfinite(), expected.isfinite())):
        return False
    finite = expected.isfinite()
    if not bool(finite.any()):
        return True
    ours, atens, truth = ours[finite], atens[finite], truth.detach()[finite].abs()
    eps = torch.finfo(actual.dtype).eps
    if strict:
        return bool(ours.max() <= 1.05 * atens.max()) or bool((ours <= torch.maximum(1.05 * atens, eps * truth)).all())
    return bool(ours.max() <= torch.maximum(factor * atens.max(), 4 * eps * truth.max()) + floor)


def rounding_of_others(result, truths):
    """The error that a chain of operators may leave on a result of a finer dtype than others have: theirs, which took part in it."""
    floats = [t for t in truths[0] if torch.is_tensor(t) and t.is_floating_point() and t.numel()]
    coarsest = max((torch.finfo(t.dtype).eps for t in floats), default=0)
    if not result.is_floating_point() or coarsest <= torch.finfo(result.dtype).eps or truths[1] is None:
        return 0
    return 4 * coarsest * max(float(t.detach().abs().max()) for t in truths[1] if torch.is_tensor(t) and t.numel())


def check_values(actual, expected, truth, what, chain, floor):
    actual, expected = actual.detach(), expected.detach()
    if actual.layout is not torch.strided:
        actual, expected, truth = actual.to_dense(), expected.to_dense(), None
    twice = {}
    if chain and actual.dtype in DEFAULTS and actual.dtype == expected.dtype:
        twice = {"rtol": 2 * DEFAULTS[actual.dtype], "atol": 2e-5}
    try:
        torch.testing.assert_close(actual, expected, equal_nan=True, check_stride=False, **twice)
    except AssertionError as failure:
        is_float = actual.dtype.is_floating_point or actual.dtype.is_complex
        if is_float and callable(truth):
            truth = truth()
        factor = max((factor for name, factor in CHANCE.items() if name in what), default=2)
        strict = actual.dtype in HALF and not chain and factor == 2
        if not (is_float and torch.is_tensor(truth) and near_the_truth(actual, expected, truth, strict, factor, floor())):
            raise Difference(f"{what}: {str(failure).strip()}") from None
    # A matrix product of zeros has the sign of whatever sum it starts from.
    if not chain and actual.is_floating_point() and not any(name in what for name in CHANCE):
        zeros = (actual == 0) & (expected == 0)
        if not torch.equal(actual.signbit() & zeros, expected.signbit() & zeros):
            raise Difference(f"{what}: zeros of the other sign")


def check(actual, expected, what, truths=None, chain=False):
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
            floor = (lambda e=e: rounding_of_others(e, (atens, cached[0]))) if chain else int
            check_values(a, e, lambda: truth(index), name, chain, floor)
        elif isinstance(e, torch.Generator):
            if not torch.equal(a.get_state(), e.get_state()):
                raise Difference(f"{name}: the generator is in another state")
        elif a != e and not (a != a and e != e):
            raise Difference(f"{name}: {a!r}, not {e!r}")

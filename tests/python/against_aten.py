# SPDX-License-Identifier: Apache-2.0
"""Runs an ATen operator on ATen and on Carat and compares everything that a program can see."""

import carat
import torch

TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 2e-5, torch.float64: 1e-12,
             torch.complex64: 2e-5, torch.complex128: 1e-12}


def tensors_of(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for t in (result or ()) if isinstance(t, torch.Tensor)]


def assert_same(mine, theirs, what, scale=1):
    assert mine.dtype == theirs.dtype, (what, mine.dtype, theirs.dtype)
    assert mine.shape == theirs.shape, (what, mine.shape, theirs.shape)
    assert mine.stride() == theirs.stride(), (what, mine.stride(), theirs.stride())
    tolerance = TOLERANCE.get(theirs.dtype, 0)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * scale, equal_nan=True, msg=lambda m: f"{what}: {m}")


def is_nearer(op, args, kwargs, mine, theirs):
    """Whether Carat's results are at least as near to the double-precision ones as ATen's: then there is no difference."""
    doubles = [a.double() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args]
    exact = tensors_of(op(*doubles, **{name: value for name, value in kwargs.items() if name not in ("dtype", "out")}))
    return all(torch.all((m.double() - e).abs() <= (t.double() - e).abs() * 1.01) for m, t, e in zip(mine, theirs, exact))


def check(op, *args, served=True, scale=1, **kwargs):
    """op is an OpOverload. Returns Carat's result after comparing it with ATen's; `served` says whether Carat must serve it.
    `scale` is the size of what was added up to make a result."""
    name = op._schema.name.removeprefix("aten::") + (f".{op._overloadname}" if op._overloadname != "default" else "")
    describe = [(tuple(a.shape), a.stride(), str(a.dtype)) if isinstance(a, torch.Tensor) else a for a in args]
    what = f"{name} {describe} {kwargs}"
    theirs = op(*args, **kwargs)
    carat.stats(reset=True)
    with carat.use(only=[name]):
        mine = op(*args, **kwargs)
    stat = carat.stats().get(name)
    if served is not None:
        assert stat is not None and (stat.calls > 0) == served, (what, stat)
    for mine_one, theirs_one in zip(tensors_of(mine), tensors_of(theirs), strict=True):
        try:
            assert_same(mine_one, theirs_one, what, scale)
        except AssertionError:
            if mine_one.stride() != theirs_one.stride() or not mine_one.is_floating_point():
                raise
            if not is_nearer(op, args, kwargs, tensors_of(mine), tensors_of(theirs)):
                raise
    return mine

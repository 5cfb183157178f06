# SPDX-License-Identifier: Apache-2.0
"""The same call on ATen and on Carat: values, dtype, shape and strides must agree, and Carat must have served it."""

import copy

import torch

import carat


def served(overload=None):
    return sum(stat.calls for name, stat in carat.stats().items() if overload is None or name.split(".")[0] == overload)


def clones(value):
    """Deep copies that keep strides and storage offsets."""
    if isinstance(value, torch.Tensor):
        if value.numel() == 0 or value.untyped_storage().size() == 0:
            return value.clone()
        return _with_storage(value)
    if isinstance(value, (list, tuple)):
        return type(value)(clones(v) for v in value)
    return copy.copy(value)


def _with_storage(tensor):
    storage = tensor.untyped_storage().clone()
    return torch.empty(0, dtype=tensor.dtype).set_(storage, tensor.storage_offset(), tensor.size(), tensor.stride())


def same(expected, got, exact=True, rtol=None, atol=None, strides=True):
    if isinstance(expected, (list, tuple)):
        assert len(expected) == len(got)
        for a, b in zip(expected, got):
            same(a, b, exact, rtol, atol, strides)
        return
    assert expected.dtype == got.dtype and expected.shape == got.shape, (expected.shape, got.shape, expected.dtype, got.dtype)
    if strides and expected.numel():
        assert expected.stride() == got.stride(), (expected.shape, expected.stride(), got.stride())
    options = {"rtol": 0, "atol": 0} if exact else {"rtol": rtol, "atol": atol}
    torch.testing.assert_close(got, expected, equal_nan=True, **options)


def check(overload, function, *args, serves=True, seed=None, **options):
    """Calls function(*args) on both and compares results and arguments (which may have been written). serves=None: no matter
    which of them answered."""
    ours, theirs = clones(args), clones(args)
    if seed is not None:
        torch.manual_seed(seed)
    expected = function(*theirs)
    if seed is not None:
        torch.manual_seed(seed)
    before = served(overload)
    with carat.use():
        got = function(*ours)
    assert serves is None or (served(overload) > before) == serves, (overload, "served" if served(overload) > before else "not served",
                                                   {k: v.reasons for k, v in carat.stats().items() if k.split(".")[0] == overload})
    same(expected, got, **options)
    for a, b in zip(theirs, ours):
        if isinstance(a, torch.Tensor):
            same(a, b, **options)
    return got


def raises_alike(function, *args):
    messages = []
    for mine in (False, True):
        try:
            if mine:
                with carat.use():
                    function(*clones(args))
            else:
                function(*clones(args))
            messages.append(None)
        except Exception as error:  # noqa: BLE001
            messages.append((type(error), str(error)))
    assert messages[0] == messages[1] and messages[0] is not None, messages

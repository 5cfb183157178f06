# SPDX-License-Identifier: Apache-2.0
"""Switching operators on and off, and saying what they did."""

import contextlib
import ctypes
import functools
import itertools
import typing
import warnings

from . import _adapter
from ._selection import UnknownOperator, select

_REASONS = 8  # kMaxReasons of torch/adapter.h


class Stat(typing.NamedTuple):
    """What became of an operator's calls since the last reset."""

    calls: int  # served by Carat
    stepped_aside: int  # passed on to PyTorch's own kernel
    reasons: dict  # why, with how many calls


class Operator(typing.NamedTuple):
    """A row of Carat's table."""

    overload: str
    family: str
    dtypes: tuple  # that the first tensor may have
    backends: tuple  # that have kernels for it, whatever is present here
    refused: typing.Optional[str]  # why the installed PyTorch's operator of that name can't be taken over


@functools.cache
def _rows():
    """[(overload, family)] in the order of Carat's table."""
    lib = _adapter.library()
    handles = [lib.carat_op_at(i) for i in range(lib.carat_op_count())]
    return [(lib.carat_op_name(op).decode(), lib.carat_op_family(op).decode()) for op in handles]


def _failed(lib):
    return RuntimeError(f"carat: {lib.carat_torch_failure().decode(errors='replace')}")


def _choose(mask):
    lib = _adapter.adapter()
    if lib.carat_torch_select(mask, len(mask)) != 0:
        raise _failed(lib)


def enable(only=None, *, exclude=None):
    """Lets Carat serve operators in the whole process, until the next enable() or disable().

    `only` and `exclude` name operators by ATen name with all its variants ("add": add.Tensor, add_.Tensor, add.out, ...),
    overload ("add.Tensor"), glob ("_softmax*") or family ("pointwise"), as a list or separated by commas; "-name" in
    `only` excludes.
    """
    _choose(select(_rows(), only, exclude))


def disable():
    """Gives all operators back to PyTorch, scopes of use() excepted."""
    _choose(bytes(len(_rows())))


def is_enabled():
    """Whether Carat may serve any operator on the calling thread."""
    return _adapter.adapter.cache_info().currsize > 0 and bool(_adapter.adapter().carat_torch_enabled())


def install_own():
    """Lets Carat serve its own operators; where the adapter can't be had, what they are made of in Python remains."""
    try:
        adapter = _adapter.adapter()
    except ImportError:
        return
    for index, (overload, _) in enumerate(_rows()):
        if "::" in overload:
            adapter.carat_torch_refused(index)


class use(contextlib.ContextDecorator):
    """Carat for a block or a function, on this thread and the autograd threads that work for it.

    Inside, exactly the chosen operators are served, whatever enable() chose; the choice is written as for enable().
    """

    def __init__(self, only=None, *, exclude=None):
        everything = only is None and exclude is None
        self._mask = None if everything else select(_rows(), only, exclude)
        self._scopes = []

    def _recreate_cm(self):
        return _copy_of(self)

    def __enter__(self):
        lib = _adapter.adapter()
        scope = lib.carat_torch_scope_open(self._mask, len(_rows()))
        if not scope:
            raise _failed(lib)
        self._scopes.append(scope)
        return self

    def __exit__(self, *_):
        _adapter.adapter().carat_torch_scope_close(self._scopes.pop())
        return False


def _copy_of(scope):
    """For a decorated function, which several threads may be in at a time."""
    copy = use.__new__(use)
    copy._mask, copy._scopes = scope._mask, []
    return copy


def enable_from_environment(text):
    """CARAT_ENABLE: "1" or "all", "0", or patterns as for enable(). A wrong name is no reason not to start."""
    if text.strip().lower() in ("0", "off", "false", "none"):
        return
    try:
        enable(None if text.strip().lower() in ("1", "all", "on", "true") else text)
    except UnknownOperator as unknown:
        warnings.warn(f"CARAT_ENABLE={text!r} is ignored: {unknown}", stacklevel=3)


def stats(*, reset=False):
    """{overload: Stat} of the operators that were called since the last reset. The calling program resets, if it wants."""
    if _adapter.adapter.cache_info().currsize == 0:
        return {}
    lib = _adapter.adapter()
    served, reasons, counts = ctypes.c_uint64(), (ctypes.c_char_p * _REASONS)(), (ctypes.c_uint64 * _REASONS)()
    result, rows = {}, _rows()
    i = lib.carat_torch_next_called(0)
    while i < len(rows):
        found = lib.carat_torch_counts(i, reset, ctypes.byref(served), reasons, counts, _REASONS)
        why = {reasons[k].decode(): counts[k] for k in range(found) if counts[k]}
        result[rows[i][0]] = Stat(served.value, sum(why.values()), why)
        i = lib.carat_torch_next_called(i + 1)
    return result | _expression_stats(lib, reset)


def _expression_stats(lib, reset):
    """{"carat::<name>": Stat} of the operators that carat.pointwise made, and of their gradients."""
    calls, result = ctypes.c_uint64(), {}
    for i in itertools.count():
        name = lib.carat_torch_expression_calls(i, reset, ctypes.byref(calls))
        if name is None:
            return result
        if calls.value:
            result[f"carat::{name.decode()}"] = Stat(calls.value, 0, {})


def _dtype_names(lib, mask):
    return tuple(lib.carat_dtype_name(d).decode() for d in range(32) if mask >> d & 1)


def _backends_of(lib, index):
    return tuple(name for name, device in (("cpu", 1), ("cuda", 2)) if lib.carat_op_runs_on(lib.carat_op_at(index), device))


def ops():
    """Every row of Carat's table, as a list of Operator."""
    lib = _adapter.library()
    try:
        refused = _adapter.adapter().carat_torch_refused
    except ImportError:  # no torch here
        refused = lambda index: None
    rows = []
    for i, (overload, family) in enumerate(_rows()):
        why = refused(i)
        dtypes = _dtype_names(lib, lib.carat_op_dtypes(lib.carat_op_at(i)))
        rows.append(Operator(overload, family, dtypes, _backends_of(lib, i), why.decode() if why else None))
    return rows

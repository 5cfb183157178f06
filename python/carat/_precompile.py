# SPDX-License-Identifier: Apache-2.0
"""Compiles kernels ahead of time into the disk cache, for a device that needn't be here."""
import ctypes
import os
from dataclasses import dataclass

from . import _adapter
from ._selection import select

COUNTS = ctypes.c_int64 * 4
DEVICE_TYPES = {"cpu": 1, "cuda": 2}  # of the C API


@dataclass(frozen=True)
class Precompiled:
    """Kernels: all that were wanted, found in the cache, compiled, failed."""

    total: int
    present: int
    compiled: int
    failed: int


class PrecompileError(RuntimeError):
    """The target is unknown, there is no compiler or cache, or a kernel failed to compile."""


def precompile(arch, ops=None, threads=0, trace=None, progress=lambda so_far: True):
    """Fills the disk cache with the kernels of `ops` (as in `carat.enable(only=...)`; None: all) for `arch`: "sm_90a", or a CPU level
    such as "x86-64-v4". Pointwise operators have kernels of their own, others those of their family.

    `trace`: only the kernels that this file of `carat.trace` lists for `arch`. `threads` 0: one a CPU. `progress` is called with a
    Precompiled after each kernel; False from it ends the work.
    Returns a Precompiled; raises PrecompileError.
    """
    library = _adapter.library()
    backend = "cuda" if arch.startswith("sm_") else "cpu"
    every = [library.carat_op_at(i) for i in range(library.carat_op_count())]
    rows = [(library.carat_op_name(op).decode(), library.carat_op_family(op).decode()) for op in every]
    chosen = [op for op, taken in zip(every, select(rows, ops)) if taken and library.carat_op_runs_on(op, DEVICE_TYPES[backend])]
    if trace and not ops:
        chosen = []  # a kernel may be nobody's own: fills, copies
    counts, failure = COUNTS(), []

    def report(_, so_far):
        try:
            return bool(progress(Precompiled(*so_far.contents)))
        except BaseException as problem:  # not through C: raised again below
            failure.append(problem)
            return 0

    status = library.carat_precompile(backend.encode(), arch.encode(), (ctypes.c_void_p * len(chosen))(*chosen), len(chosen),
                                      os.fsencode(trace) if trace else None, threads or os.cpu_count() or 1, _callback(report), None, counts)
    if failure:
        raise failure[0]
    if status:
        raise PrecompileError(library.carat_last_error().decode())
    return Precompiled(*counts)


def trace(path):
    """Writes the file `path`: every kernel that this process has used so far, for `carat precompile --model-trace` on this machine or on
    others with the same build of Carat. Call it after a step of the model.

    Raises OSError where the file can't be written.
    """
    library = _adapter.library()
    if library.carat_trace_write(os.fsencode(path)):
        raise OSError(library.carat_last_error().decode())


_callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(COUNTS))

# SPDX-License-Identifier: Apache-2.0
"""Finds and loads the two libraries: libcarat, and the adapter that fits the installed torch, building it if none does."""

import ctypes
import functools
import os
import pathlib

PACKAGE = pathlib.Path(__file__).parent
TREE = PACKAGE.parent.parent  # of a source checkout


class AdapterError(ImportError):
    """There is no adapter for the installed torch, and none could be built."""


def library_folder():
    given = os.environ.get("CARAT_LIBRARY_DIR")
    folders = [pathlib.Path(given)] if given else [PACKAGE, TREE / "build"]
    for folder in folders:
        if (folder / "libcarat.so").exists():
            return folder
    raise AdapterError(f"libcarat.so is in none of {', '.join(map(str, folders))}: build Carat first (make)")


def library_path():
    return library_folder() / "libcarat.so"


@functools.cache
def library():
    """libcarat, with the prototypes of what Python calls in it."""
    lib = ctypes.CDLL(str(library_path()))
    text, number, op = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
    texts = ctypes.POINTER(text)
    for name, result, *arguments in [
        ("carat_version", text),
        ("carat_op_count", number),
        ("carat_op_at", op, number),
        ("carat_op_name", text, op),
        ("carat_op_family", text, op),
        ("carat_op_dtypes", ctypes.c_uint32, op),
        ("carat_op_runs_on", ctypes.c_int, op, ctypes.c_int32),
        ("carat_dtype_name", text, ctypes.c_int),
        ("carat_backend_describe", text, ctypes.c_int, texts, texts),
        ("carat_cache_directory", text, texts),
        ("carat_cache_size", ctypes.c_int64),
        ("carat_last_error", text),
        ("carat_expression_op", ctypes.c_int, op, ctypes.POINTER(op)),
        ("carat_expression_inputs", ctypes.c_int, op),
        ("carat_expression_outputs", ctypes.c_int, op),
        ("carat_expression_input", text, op, ctypes.c_int),
        ("carat_expression_dtypes", ctypes.c_int, op, op, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int)),
        ("carat_precompile", ctypes.c_int, text, text, ctypes.POINTER(op), number, text, ctypes.c_int, op, op, ctypes.POINTER(ctypes.c_int64)),
        ("carat_trace_write", ctypes.c_int, text),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


@functools.cache
def adapter():
    """The adapter for the installed torch."""
    import torch

    library()  # first: the adapter is linked to it by its bare name
    path = _find_adapter(torch.__version__) or _build_adapter()
    lib = ctypes.CDLL(str(path))
    text, number, flags = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p
    for name, result, *arguments in [
        ("carat_torch_version", text),
        ("carat_torch_failure", text),
        ("carat_torch_select", ctypes.c_int, flags, number),
        ("carat_torch_scope_open", ctypes.c_void_p, flags, number),
        ("carat_torch_scope_close", None, ctypes.c_void_p),
        ("carat_torch_enabled", ctypes.c_int),
        ("carat_torch_expression_calls", text, number, ctypes.c_int, ctypes.POINTER(ctypes.c_uint64)),
        ("carat_torch_expression", text, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
        ("carat_torch_refused", text, number),
        ("carat_torch_signature", text, number, ctypes.POINTER(ctypes.c_int)),
        ("carat_torch_next_called", number, number),
        ("carat_torch_counts", ctypes.c_int, number, ctypes.c_int, ctypes.POINTER(ctypes.c_uint64),
         ctypes.POINTER(text), ctypes.POINTER(ctypes.c_uint64), ctypes.c_int),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    from . import _operators  # defined before the adapter looks for them

    del _operators
    return lib


def module_name(torch_version):
    major, minor = torch_version.split(".")[:2]
    return f"_carat_torch_{major}_{minor}"


def _find_adapter(torch_version):
    for folder in (PACKAGE, library_folder(), library_folder() / "torch"):
        found = folder / f"{module_name(torch_version)}.so"
        if found.exists():
            return found
    return None


def _build_adapter():
    from . import _build

    return _build.build_adapter()

# SPDX-License-Identifier: Apache-2.0
"""What is installed here and in use, for people and bug reports."""

import ctypes
import sys

from . import _adapter


def _cpu_model():
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith(("model name", "uarch", "Model")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def backends():
    """{name: {"target": ..., "remark": ...}}; target is None where the backend can't run, the remark then says why."""
    lib, found = _adapter.library(), {}
    target, why = ctypes.c_char_p(), ctypes.c_char_p()
    while name := lib.carat_backend_describe(len(found), ctypes.byref(target), ctypes.byref(why)):
        found[name.decode()] = {"target": target.value and target.value.decode(), "remark": why.value and why.value.decode()}
    return found


def _torch_versions():
    """The installed torch, and the version that the adapter for it was built for or why there is none."""
    try:
        import torch
    except ImportError as failure:
        return None, f"none: {failure}"
    try:
        return torch.__version__, _adapter.adapter().carat_torch_version().decode()
    except ImportError as failure:
        return torch.__version__, f"none: {failure}"


def info():
    """Versions, CPU and ISA level in use, backends present or why absent, place and size of the cache."""
    lib = _adapter.library()
    torch_version, adapter_version = _torch_versions()
    present = backends()
    why = ctypes.c_char_p()
    directory = lib.carat_cache_directory(ctypes.byref(why)).decode()
    return {
        "carat": lib.carat_version().decode(),
        "library": str(_adapter.library_path()),
        "python": sys.version.split()[0],
        "torch": torch_version,
        "adapter": adapter_version,
        "cpu": _cpu_model(),
        "isa": present.get("cpu", {}).get("target"),
        "backends": present,
        "cache": directory or f"none: {(why.value or b'').decode()}",
        "cache_bytes": lib.carat_cache_size() if directory else 0,
    }

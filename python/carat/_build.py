# SPDX-License-Identifier: Apache-2.0
"""Builds the adapter for a torch that the package has none for: PyTorch's C++ ABI holds within a minor version only."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch

from ._adapter import PACKAGE, TREE, AdapterError, library, library_path, module_name


def _source_folders():
    """The adapter's sources and Carat's headers: installed in the package, or of the checkout."""
    if (PACKAGE / "adapter").is_dir():
        return PACKAGE / "adapter", PACKAGE / "include"
    return TREE / "torch", TREE / "include"


def _cache_folder():
    """The folder of Carat's cache, if it is ours alone: what lies there is code that will be run."""
    base = os.environ.get("CARAT_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "carat")
    folder = pathlib.Path(base) / "adapter"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (folder, folder.parent):
        status = path.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise OSError(f"{path} belongs to another user or others may write to it")
    return folder


def _compile_command(source, output):
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None:
        raise AdapterError(f"no C++ compiler to build Carat's adapter for torch {torch.__version__} with (tried $CXX, c++, g++, clang++)")
    home = pathlib.Path(torch.__file__).parent
    sources, headers = _source_folders()
    minor = int(torch.__version__.split(".")[1])
    return [*compiler.split(), "-shared", "-fPIC", "-O2", "-fopenmp", "-fvisibility=hidden",
            "-std=c++20" if minor >= 12 else "-std=c++17",
            f"-I{sources}", f"-I{headers}", "-isystem", f"{home}/include", "-isystem", f"{home}/include/torch/csrc/api/include",
            str(source), "-o", str(output),
            str(library_path()), f"-L{home}/lib", "-ltorch_cpu", "-lc10"]


def _build_key():
    key = hashlib.sha256(f"{torch.__version__} {library().carat_version()}".encode())
    sources, headers = _source_folders()
    for path in sorted([*sources.glob("*.cpp"), *sources.glob("*.h"), *sources.glob("*.def"), headers / "carat/carat.h"]):
        key.update(path.read_bytes())
    return key.hexdigest()[:16]


def build_adapter():
    try:
        folder = _cache_folder()
    except OSError as failure:  # read-only or shared home: build for this process alone
        folder = pathlib.Path(tempfile.mkdtemp(prefix="carat-"))
        print(f"carat: building the torch adapter for this process only: {failure}", file=sys.stderr)
    output = folder / f"{module_name(torch.__version__)}-{_build_key()}.so"
    if output.exists():
        return output
    with tempfile.TemporaryDirectory(dir=folder) as work:
        source, built = pathlib.Path(work) / "adapter.cpp", pathlib.Path(work) / "adapter.so"
        source.write_text("".join(f'#include "{path.name}"\n' for path in sorted(_source_folders()[0].glob("*.cpp"))))
        done = subprocess.run(_compile_command(source, built), capture_output=True, text=True)
        if done.returncode != 0:
            raise AdapterError(f"Carat's adapter for torch {torch.__version__} does not build:\n{done.stderr[-4000:]}")
        os.replace(built, output)
    return output

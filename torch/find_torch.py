# SPDX-License-Identifier: Apache-2.0
# Prints torch's folder, major and minor version, one a line, or nothing. Importing torch would take seconds.
import importlib.util
import pathlib
import re

spec = importlib.util.find_spec("torch")
if spec and spec.submodule_search_locations:
    folder = pathlib.Path(spec.submodule_search_locations[0])
    version = re.search(r"__version__ = '(\d+)\.(\d+)", (folder / "version.py").read_text())
    if version and (folder / "include/ATen/core/dispatch/Dispatcher.h").exists():
        print(folder, *version.groups(), sep="\n")

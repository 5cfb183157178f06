# SPDX-License-Identifier: Apache-2.0
"""Finds the package in the source tree when it isn't installed."""

import importlib.util
import pathlib
import sys

if importlib.util.find_spec("carat") is None:
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))

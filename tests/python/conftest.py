# SPDX-License-Identifier: Apache-2.0
"""Finds the package in the source tree when it isn't installed, and gives each test Carat off with counters at zero."""

import importlib.util
import pathlib
import sys

import pytest

if importlib.util.find_spec("carat") is None:
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))

import carat


@pytest.fixture(autouse=True)
def carat_off():
    carat.disable()
    carat.stats(reset=True)
    yield
    carat.disable()


@pytest.fixture
def served():
    """How many calls of an overload Carat has served since the test began."""
    return lambda overload: carat.stats().get(overload, carat.Stat(0, 0, {})).calls

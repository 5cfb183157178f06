# SPDX-License-Identifier: Apache-2.0
"""Finds the package in the source tree when it isn't installed, and the sweep's options."""

import importlib.util
import pathlib
import sys

if importlib.util.find_spec("carat") is None:
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="every sample of every operator in every dtype, not a few")
    parser.addoption("--device", default="cpu", help="where the operator database makes its samples: cpu or cuda")
    parser.addoption("--only", default=None, help="operators to take over: the grammar of carat.enable()")


def pytest_configure(config):
    import samples

    samples.DEVICE = config.getoption("device")


def pytest_terminal_summary(terminalreporter):
    from served import summary

    for line in summary():
        terminalreporter.write_line(line)

# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

import fake_gpu


def pytest_ignore_collect(collection_path, config):
    """Needs what a build with a C++ compiler brings, and a PyTorch that doesn't know the real driver."""
    if torch.version.cuda or not (fake_gpu.BUILD / "tests" / "cuda" / "libcuda.so.1").exists():
        return True


def pytest_addoption(parser):
    parser.addoption("--all-lanes", action="store_true", help="every test of the fake device, not a third of them")


def pytest_collection_modifyitems(config, items):
    """A kernel takes a third of a second to compile for the fake device: a whole run takes every third test, one with -k all it names."""
    if config.getoption("--all-lanes") or config.getoption("keyword"):
        return
    config.hook.pytest_deselected(items=[item for i, item in enumerate(items) if i % 3])
    items[:] = items[::3]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)

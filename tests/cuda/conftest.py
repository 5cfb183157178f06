# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

import fake_gpu


def pytest_ignore_collect(collection_path, config):
    """Needs what a build with a C++ compiler brings, and a PyTorch that doesn't know the real driver."""
    if torch.version.cuda or not (fake_gpu.BUILD / "tests" / "cuda" / "libcuda.so.1").exists():
        return True


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)

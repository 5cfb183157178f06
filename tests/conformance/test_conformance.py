# SPDX-License-Identifier: Apache-2.0
"""Every overload that Carat takes over, against ATen, on the samples of PyTorch's own operator database: a few in four dtypes
as part of `make test`, all of them by --full (`make conformance`)."""

import warnings

import pytest
import torch

import carat
import samples
import served
import sweep
from compare import Difference

FEW = 3  # samples of an operator and dtype in the fast sweep


@pytest.fixture(scope="module", autouse=True)
def taken_over(pytestconfig):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sweep.choose(pytestconfig.getoption("only"))
        carat.stats(reset=True)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


def pytest_generate_tests(metafunc):
    if metafunc.function is test_operator:
        dtypes = samples.DTYPES if metafunc.config.getoption("full") else samples.FAST
        metafunc.parametrize("op, dtype", [pytest.param(op, dtype, id=f"{samples.label(op)}-{str(dtype)[6:]}")
                                           for op, dtype in samples.pairs(dtypes)])


def test_operator(op, dtype, pytestconfig):
    full = pytestconfig.getoption("full")
    differences = []
    for index, sample in enumerate(samples.few(op, dtype, None if full else FEW)):
        variants = [("", sample)]
        if full or index == 1:
            variants.append((" non-contiguous", sweep.non_contiguous(sample)))
        for name, variant in variants:
            if variant is None:
                continue
            try:
                sweep.check_sample(op, variant, f"{samples.label(op)} sample {index}{name}", full)
            except Difference as difference:
                differences.append(f"{difference}\n{sample.summary()[:1000]}")
    served.record()
    assert not differences, "\n\n".join(differences[:3])


@pytest.mark.parametrize("op", [pytest.param(op, id=samples.label(op)) for op in samples.operators()
                                if op.error_inputs_func is not None])
def test_error_inputs(op):
    sweep.check_errors(op)
    served.record()

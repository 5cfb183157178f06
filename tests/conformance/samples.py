# SPDX-License-Identifier: Apache-2.0
"""Inputs from PyTorch's own operator database, a deterministic few of them or all."""

import functools
import itertools
import random
import warnings

import numpy
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal import common_methods_invocations as database
    from torch.testing._internal import common_utils
    from torch.testing._internal.opinfo import core

# PyTorch's own seeding also queues a call for each kind of accelerator, with a stack trace, and its samples look for their
# test in the source of every caller: both cost several times what the sweep does.
def seed(value):
    torch.default_generator.manual_seed(value)
    if DEVICE == "cuda":
        torch.cuda.manual_seed(value)


def _seed_all(value=None):
    value = common_utils.SEED if value is None else value
    seed(value), random.seed(value), numpy.random.seed(value)


common_utils.set_rng_seed = _seed_all
common_utils.extract_test_fn = core.extract_test_fn = lambda: None

DEVICE = "cpu"  # of the samples; --device chooses

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool,
          torch.complex64)
FAST = (torch.float32, torch.bfloat16, torch.int64, torch.bool)  # of the fast sweep

# Results that are not determined, or that no backend operator is behind.
LEFT_OUT = {
    "empty": "uninitialised", "empty_like": "uninitialised", "empty_strided": "uninitialised", "empty_permuted": "uninitialised",
    "new_empty": "uninitialised", "new_empty_strided": "uninitialised", "resize_": "uninitialised", "resize_as_": "uninitialised",
    "grid_sampler_3d": "nothing of Carat's in it, and minutes in half types",
    "jiterator_unary": "needs CUDA", "jiterator_binary": "needs CUDA", "jiterator_2inputs_2outputs": "needs CUDA",
    "jiterator_4inputs_with_extra_args": "needs CUDA", "jiterator_binary_return_by_ref": "needs CUDA",
}
# On CUDA besides.
LEFT_OUT_ON_CUDA = {
    "take_along_dim": "an error input makes the device unusable for the process",
    "torch.ops.aten._efficient_attention_forward": "results that nobody writes", "torch.ops.aten._flash_attention_forward": "the same",
}


@functools.cache
def operators():
    foreach = itertools.chain(*(getattr(database, name) for name in dir(database)
                                if name.startswith("foreach_") and name.endswith("_op_db")))
    return [op for op in (*database.op_db, *foreach) if op.name not in LEFT_OUT and (DEVICE != "cuda" or op.name not in LEFT_OUT_ON_CUDA)]


def label(op):
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def pairs(dtypes=DTYPES):
    """(operator, dtype) for every one of the dtypes that the operator takes on the device."""
    return [(op, dtype) for op in operators() for dtype in dtypes if dtype in op.supported_dtypes(DEVICE)]


def spread(items, count):
    """`count` of them, evenly spread, the first and last included."""
    items = list(items)
    if count is None or len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def few(op, dtype, count):
    """`count` samples of an operator, all for None; inputs want gradients where the operator has them for the dtype."""
    wants_gradient = op.supports_autograd and dtype in op.supported_backward_dtypes(DEVICE)
    seed(0)
    return spread(op.sample_inputs(DEVICE, dtype, requires_grad=wants_gradient), count)

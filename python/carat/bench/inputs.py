# SPDX-License-Identifier: Apache-2.0
"""Arguments for an ATen overload, made from its schema.

Most overloads need no more than tensors of one shape and a default for each other argument. Where the meaning of an
argument can't be seen in the schema (an index, a mask, the weight of a matmul) `special.py` says so.
"""
import random
from dataclasses import dataclass
from typing import Callable, Optional

import torch

from . import special

# case -> (rows, columns, layout)
CASES = {
    "square": (1024, 1024, "contiguous"),
    "odd": (1023, 1025, "contiguous"),
    "transposed": (1024, 1024, "transposed"),
    "sliced": (1024, 1024, "sliced"),
    "tiny": (8, 8, "contiguous"),
}
# An overload that has no kernel for a dtype is measured on the first of these that it has one for.
OTHER_DTYPES = ("float32", "int64", "bool", "complex64")


PARTS = 8  # tensors in a list argument, together as large as one matrix


class NoInput(Exception):
    """No input could be made that ATen accepts."""


@dataclass
class Sample:
    """A ready call: `call()` runs the overload, `restore()` brings overwritten arguments back (or is None)."""

    call: Callable
    restore: Optional[Callable]
    dtype: str
    bytes: int
    flops: float


class Maker:
    """Makes tensors of one dtype in the shapes and layout of one case."""

    def __init__(self, dtype, case):
        self.dtype = getattr(torch, dtype)
        self.rows, self.cols, self.layout = CASES[case]
        self.generator = torch.Generator().manual_seed(1)

    def dense(self, *shape, dtype=None, low=0.05, high=0.95):
        """Random values inside the domain of every function (log, acos, atanh, ...): no NaN slows one side down."""
        dtype = dtype or self.dtype
        if dtype == torch.bool:
            return torch.randint(2, shape, generator=self.generator, dtype=torch.uint8).bool()
        if not (dtype.is_floating_point or dtype.is_complex):
            return torch.randint(1, 8, shape, generator=self.generator, dtype=dtype)
        real = torch.rand(shape, generator=self.generator) * (high - low) + low
        return real.to(dtype)

    def matrix(self, rows=None, cols=None, dtype=None):
        """A matrix in the layout of the case."""
        rows, cols = rows or self.rows, cols or self.cols
        if self.layout == "transposed":
            return self.dense(cols, rows, dtype=dtype).t()
        if self.layout == "sliced":
            return self.dense(rows, cols + 76, dtype=dtype)[:, 38 : 38 + cols]
        return self.dense(rows, cols, dtype=dtype)

    def list(self):
        """A list of tensors, like the parameters of a model."""
        return [self.matrix(self.rows // PARTS or 1) for _ in range(PARTS)]

    def index(self, *shape, below):
        """Random indices in [0, below)."""
        return torch.randint(below, shape, generator=self.generator)

    def mask(self, *shape):
        """Random booleans."""
        return self.dense(*shape, dtype=torch.bool)


def find(overload):
    """The torch.ops object of `add.Tensor` or `exp`."""
    name, _, variant = overload.partition(".")
    try:
        return getattr(getattr(torch.ops.aten, name), variant or "default")
    except (AttributeError, RuntimeError) as error:
        raise NoInput(f"this torch has no {overload}") from error


def make(overload, dtype, case):
    """A Sample that ATen accepts, in `dtype` or, where the overload has no kernel for it, another one."""
    op = find(overload)
    failure = "?"
    for candidate in dict.fromkeys((dtype, *OTHER_DTYPES)):
        try:
            return _sample(op, overload, candidate, case)
        except NoInput:
            raise
        except Exception as error:  # ATen raises several types for a dtype that it doesn't take
            failure = failure if failure != "?" else (str(error).strip() or repr(error)).splitlines()[0]
    raise NoInput(f"no input found: {failure[:120]}")


def _sample(op, overload, dtype, case):
    maker = Maker(dtype, case)
    schema = op._schema
    name = overload.partition(".")[0]
    given = special.arguments(name, overload, maker)
    args, kwargs, overwritten = [], {}, []
    for argument in schema.arguments:
        if argument.name in given:
            value = given[argument.name]
        elif argument.is_out:
            value = torch.empty(0, dtype=special.out_dtype(name, argument.name, maker.dtype))
        elif argument.has_default_value() and not _must_give(argument, schema):
            continue
        else:
            value = _value(argument, maker)
        if argument.alias_info is not None and argument.alias_info.is_write and not argument.is_out:
            overwritten.extend(value if isinstance(value, (list, tuple)) else [value])
        if argument.kwarg_only:
            kwargs[argument.name] = value
        else:
            args.append((argument.name, value))
    positional = _positional(args, kwargs, schema)
    random.seed(1)
    torch.manual_seed(1)
    restore = _restorer(overwritten)
    result = op(*positional, **kwargs)  # raises where ATen has no kernel for this dtype; sizes the out tensors too
    moved = special.bytes_moved(name, positional, kwargs, result)
    return Sample(lambda: op(*positional, **kwargs), restore, dtype, moved, special.flops(name, positional))


def _positional(args, kwargs, schema):
    """Once a defaulted argument was skipped, the later ones go by name."""
    order = [a.name for a in schema.arguments]
    positional = []
    for place, (name, value) in enumerate(args):
        if order[place] == name and len(positional) == place:
            positional.append(value)
        else:
            kwargs[name] = value
    return positional


def _must_give(argument, schema):
    """clamp needs min or max though both have defaults; everything else is fine with its default."""
    return schema.name.startswith("aten::clamp") and argument.name in ("min", "max")


def _value(argument, maker):
    """A plausible value for an argument that has no default."""
    kind = str(argument.type)
    if kind == "Optional[Tensor]":
        return None
    if kind.startswith("Optional["):
        kind = kind[9:-1]
    if kind == "Tensor":
        return maker.matrix()
    if kind == "List[Tensor]":
        return maker.list()
    if kind in ("number", "float"):
        return 2 if not maker.dtype.is_floating_point else 0.5
    if kind == "bool":
        return False
    if kind in ("int", "SymInt"):
        return -1 if argument.name.startswith("dim") else 1
    if kind in ("List[int]", "List[SymInt]"):
        return [-1] if argument.name.startswith("dim") else [maker.rows, maker.cols]
    if kind in ("List[number]", "List[float]"):
        return [0.5] * PARTS
    raise NoInput(f"no rule for argument {argument.name}: {kind}")


def _restorer(overwritten):
    """A function that copies the first contents back; None where nothing is overwritten."""
    if not overwritten:
        return None
    copies = [t.clone() for t in overwritten]

    def restore():
        for tensor, copy in zip(overwritten, copies):
            tensor.copy_(copy)

    return restore

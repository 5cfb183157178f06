# SPDX-License-Identifier: Apache-2.0
"""The rows of `carat.ops()` and `carat.stats()` as the benchmark and the demo read them."""
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


def plain_name(overload):
    """`aten::add.Tensor` -> `add.Tensor`, `exp.default` -> `exp`: the name a person writes."""
    return overload.removeprefix("aten::").removesuffix(".default")


def _read(row, name, default):
    return row.get(name, default) if isinstance(row, dict) else getattr(row, name, default)


@dataclass(frozen=True)
class Row:
    """One overload that Carat can take over."""

    overload: str
    family: str
    dtypes: tuple = ()

    @classmethod
    def of(cls, row):
        """From a row of carat.ops()."""
        return cls(plain_name(_read(row, "overload", "")), _read(row, "family", ""), tuple(_read(row, "dtypes", ())))

    def matches(self, pattern):
        """Does the pattern name this overload, its operator (all variants), a glob of either, or its family?"""
        name = self.overload.partition(".")[0]
        names = (self.overload, name, self.family, name.removesuffix("_"))
        return any(fnmatchcase(n, plain_name(pattern)) for n in names)


@dataclass
class Tally:
    """What happened to the calls of one overload."""

    calls: int = 0
    stepped_aside: int = 0
    reasons: dict = field(default_factory=dict)


def tallies(stats):
    """carat.stats() as a dict from plain overload names to Tally."""
    return {
        plain_name(name): Tally(_read(row, "calls", 0), _read(row, "stepped_aside", 0), dict(_read(row, "reasons", {})))
        for name, row in stats.items()
    }

# SPDX-License-Identifier: Apache-2.0
"""Which operators a user means: ATen names, overloads, globs and families, in one grammar for API and environment."""

import fnmatch


class UnknownOperator(ValueError):
    """A pattern that fits no operator of Carat."""


def _base(overload):
    """'add_.Tensor' -> 'add': what all forms of an operator have in common."""
    name = overload.split(".", 1)[0]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def _words(patterns):
    if isinstance(patterns, str):
        patterns = patterns.split(",")
    return [word.strip() for word in patterns if word.strip()]


def _fits(pattern, overload, family):
    if pattern in (family, overload):
        return True
    return any(fnmatch.fnmatchcase(name, pattern) for name in (overload, overload.split(".", 1)[0], _base(overload)))


def _matches(pattern, rows):
    name = pattern.removeprefix("aten::").removesuffix(".default")
    found = {i for i, (overload, family) in enumerate(rows) if name == "all" or _fits(name, overload, family)}
    if not found:
        import difflib

        names = {_base(overload) for overload, _ in rows} | {family for _, family in rows}
        near = difflib.get_close_matches(name, sorted(names), 3)
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        raise UnknownOperator(f"Carat has no operator or family {pattern!r}{hint}")
    return found


def select(rows, only=None, exclude=None):
    """One byte per row of [(overload, family)]: whether it is chosen. In `only`, "-name" excludes."""
    chosen, left_out = [], _words(exclude or ())
    for word in _words(only or ()):
        (left_out if word.startswith("-") else chosen).append(word.removeprefix("-"))
    # Only exclusions mean everything else; an empty `only=[]` means nothing.
    everything = only is None or bool(left_out) and not chosen
    taken = set(range(len(rows))) if everything else set().union(*(_matches(word, rows) for word in chosen))
    for word in left_out:
        taken -= _matches(word, rows)
    return bytes(i in taken for i in range(len(rows)))

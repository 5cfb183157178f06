# SPDX-License-Identifier: Apache-2.0
"""What the sweep saw of each overload: a test that passes with Carat stepping aside everywhere proves nothing."""

import collections

import carat

_calls = collections.Counter()
_asides = collections.defaultdict(collections.Counter)


def record():
    """Adds Carat's counts since the last call; returns the overloads that were served."""
    seen = carat.stats(reset=True)
    for overload, stat in seen.items():
        _calls[overload] += stat.calls
        _asides[overload].update(stat.reasons)
    return {overload for overload, stat in seen.items() if stat.calls}


def calls(overload):
    return _calls[overload]


def reasons(overload):
    return dict(_asides[overload])


def summary():
    if not _calls and not _asides:
        return []
    rows = [row for row in carat.ops() if not row.refused]
    served = [row.overload for row in rows if _calls[row.overload]]
    total, aside = sum(_calls.values()), sum(sum(why.values()) for why in _asides.values())
    lines = [f"carat: {len(served)} of {len(rows)} overloads served, {total} calls; {aside} calls stepped aside"]
    why = collections.Counter()
    for counts in _asides.values():
        why.update(counts)
    lines += [f"  {count:8d}  {reason}" for reason, count in why.most_common(12)]
    return lines

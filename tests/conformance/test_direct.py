# SPDX-License-Identifier: Apache-2.0
"""Every overload called by itself, so that none hides behind another's samples; and the proof that all were served."""

import pytest
import torch
from torch.utils._pytree import tree_map

import carat
import recorded
import served
import sweep
from compare import Difference
from test_conformance import taken_over  # noqa: F401: the fixture

ROWS = [row for row in carat.ops() if not row.refused]


def empty_outs(overload, names, args):
    """For an out= form without a functional one (eye.out): ATen sizes them."""
    missing = torch.int64 if "randperm" in overload._schema.name else torch.float32
    dtype = next((a.dtype for a in args if torch.is_tensor(a)), missing)
    return {name: torch.empty(0, dtype=dtype) for name in names}


def with_outs(overload, args, kwargs, how):
    """The out= arguments that fit a call, as keywords."""
    names = [a.name for a in overload._schema.arguments if a.is_out]
    args, kwargs = tree_map(sweep.detached, (args, kwargs))
    form = recorded.functional_form(overload)
    with sweep.OFF:
        outcome = sweep.Outcome(lambda: form(*args, **kwargs) if form else overload(*args, **kwargs, **empty_outs(overload, names, args)))
    results = sweep.leaves(outcome.value)
    if outcome.failure is not None or not all(torch.is_tensor(t) for t in results):
        return None
    outs = sweep.outs_like(results, how)
    return dict(zip(names, outs)) if len(names) == len(outs) else {names[0]: outs}


def check(overload, args, kwargs, what, how=None):
    outs = with_outs(overload, args, kwargs, how) if how else {}
    if outs is None:
        return

    def prepare(copy):
        ours = tree_map(copy, (args, {**kwargs, **outs}))
        # Results, and what became of the arguments.
        def run():
            result = overload(*ours[0], **ours[1])
            return sweep.settle(recorded.name_of(overload), *ours, result), () if how and result_is_unsettled else ours
        return run

    result_is_unsettled = recorded.name_of(overload) in sweep.UNSTABLE

    def truths():
        with sweep.OFF:
            return sweep.Outcome(prepare(lambda value: sweep.promoted(sweep.same_layout(value)))).value
    sweep.run_both(lambda: prepare(sweep.same_layout), what, truths)


# ATen's own defects, where Carat does what the operator's documentation says.
ATEN_IS_WRONG = {
    ("stack.out", "strided"): "ATen leaves a 1x1 out= with strides other than 1 unwritten",
}


@pytest.mark.parametrize("name", [row.overload for row in ROWS])
def test_overload(name):
    overload, differences = recorded.find(name), []
    writes_out = any(a.is_out for a in overload._schema.arguments)
    for index, (args, kwargs) in enumerate(recorded.arguments(name)):
        for how in ("same", "strided", "wrong") if writes_out else (None,):
            if (name, how) in ATEN_IS_WRONG:
                continue
            try:
                check(overload, args, kwargs, f"{name} call {index} {how or ''}", how)
            except Difference as difference:
                differences.append(f"{difference}\n{str((args, kwargs))[:1000]}")
    served.record()
    assert not differences, "\n\n".join(differences[:3])


# Overloads that nothing here makes Carat serve, with the reason.
NEVER_SERVED = {}


def test_every_overload_was_served(request):
    tests = request.session.testscollected
    if tests < len(ROWS):
        pytest.skip("only a part of the tests is run")
    missing = {row.overload: served.reasons(row.overload) for row in ROWS
               if "cpu" in row.backends and not served.calls(row.overload) and row.overload not in NEVER_SERVED}
    assert not missing, "\n".join(f"{name}: {why or 'never called'}" for name, why in missing.items())

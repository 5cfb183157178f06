# SPDX-License-Identifier: Apache-2.0
"""Which share of a model's operator calls, and of the time in them, Carat serves.

One run under torch.profiler with Carat on. Every call that the dispatcher sends to a backend kernel is an operator
call, nested ones too: views, allocations and reads of a number back to the host (`item`) are left out, and so are
composites that own no kernel, for their parts are counted. The time of a call is its self time, without the calls
nested in it. carat.stats() of the same run says how many calls of each overload Carat served. Where it served only some,
the longest calls are taken for those it didn't: the share of time is a lower bound.
"""
from collections import defaultdict
from dataclasses import dataclass, field

import torch
from torch.profiler import ProfilerActivity, profile

import carat

# Operators that only allocate, alias or answer the host; views are known by their schema.
NOT_COMPUTE = {
    "_local_scalar_dense", "_reshape_alias", "_resize_output_", "_unsafe_view", "alias", "detach", "detach_", "empty", "empty_like",
    "empty_strided", "is_same_size", "item", "lift_fresh", "new_empty", "new_empty_strided", "resize_", "result_type", "set_",
    "_fused_sdp_choice",
}  # fmt: skip


@dataclass
class Coverage:
    """Calls and nanoseconds, served and in all, and what ran on ATen and why."""

    calls: int = 0
    served_calls: int = 0
    time: float = 0.0
    served_time: float = 0.0
    aside: dict = field(default_factory=dict)  # overload -> (calls on ATen, their share of time, reasons)

    @property
    def call_share(self):
        """Share of operator calls served by Carat, 0..1."""
        return self.served_calls / self.calls if self.calls else 0.0

    @property
    def time_share(self):
        """Share of operator time served by Carat, 0..1, at least."""
        return self.served_time / self.time if self.time else 0.0


def measure(workload):
    """Runs `workload()` once with Carat on and says what Carat did in it."""
    options = torch._C._profiler._ExperimentalConfig(capture_overload_names=True)
    with carat.use():
        workload()  # kernels found, memory mapped
        before = carat.stats()
        with profile(activities=[ProfilerActivity.CPU], experimental_config=options) as profiler:
            workload()
        after = carat.stats()
    return account(operator_calls(profiler.events()), difference(before, after))


def operator_calls(events):
    """{overload: self times in microseconds} of the calls that reach a backend kernel."""
    calls = defaultdict(list)
    for event in events:
        if event.name.startswith("aten::"):
            overload = event.name.removeprefix("aten::") + (f".{event.overload_name}" if event.overload_name else "")
            if is_computing(overload):
                calls[overload].append(max(0.0, event.self_cpu_time_total))
    return calls


_computing = {}


def is_computing(overload):
    """Does this overload run a backend kernel that computes or moves data?"""
    if overload not in _computing:
        _computing[overload] = _examine(overload)
    return _computing[overload]


def _examine(overload):
    name, _, variant = overload.partition(".")
    if name in NOT_COMPUTE:
        return False
    try:
        schema = getattr(getattr(torch.ops.aten, name), variant or "default")._schema
    except (AttributeError, RuntimeError):
        return False
    if any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns):
        return False  # a view
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{overload}", "CPU")


def difference(before, after):
    """{overload: (served, {reason: calls})} between two readings of carat.stats()."""
    result = {}
    for overload, now in after.items():
        then = before.get(overload)
        reasons = {r: n - (then.reasons.get(r, 0) if then else 0) for r, n in now.reasons.items()}
        result[overload] = (now.calls - (then.calls if then else 0), {r: n for r, n in reasons.items() if n > 0})
    return result


def account(calls, counts):
    """A Coverage from the calls {overload: times} and the counts {overload: (served, reasons)}."""
    total = Coverage(calls=sum(map(len, calls.values())), time=sum(map(sum, calls.values())))
    for overload, times in calls.items():
        served, reasons = counts.get(overload, (0, {}))
        times = sorted(times)
        served = min(served, len(times))
        total.served_calls += served
        total.served_time += sum(times[:served])
        if served < len(times):
            reasons = reasons or {"Carat has no such operator": len(times) - served}
            total.aside[overload] = (len(times) - served, sum(times[served:]) / total.time if total.time else 0.0, reasons)
    return total

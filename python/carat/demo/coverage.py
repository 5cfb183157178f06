# SPDX-License-Identifier: Apache-2.0
"""Which share of a model's operator calls, and of the time in them, Carat serves.

One run under torch.profiler with Carat on. Every call that the dispatcher sends to a backend kernel is an operator
call, nested ones too. Left out are views, allocations and reads of a number back to the host (`item`), and composites
that only call other operators: those are counted themselves. The time of a call is its self time, without the calls
nested in it; the self time of explicit composites counts as not served. carat.stats() of the same run says how many
calls of each overload Carat served. Where it served only some, the longest calls are taken for those it didn't: the
share of time is a lower bound.
"""
import functools
from collections import defaultdict
from dataclasses import dataclass, field

import torch
from torch.profiler import ProfilerActivity, profile

import carat

EXPLICIT = ("CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")
# Operators that only allocate, alias or answer the host; views are known by their schema.
NOT_COMPUTE = {
    "_local_scalar_dense", "_reshape_alias", "_resize_output_", "_unsafe_view", "alias", "detach", "detach_", "empty", "empty_like",
    "empty_strided", "is_same_size", "item", "lift_fresh", "new_empty", "new_empty_strided", "resize_", "result_type", "set_",
    "_fused_sdp_choice",
}  # fmt: skip
# Explicit composites that do nothing but call other operators. (Others, like copy_ and sum, do the work themselves.)
WRAPPERS = {
    "_to_copy", "arange", "clone", "constant_pad_nd", "embedding", "full", "full_like", "masked_fill", "ones", "ones_like", "rand", "randn",
    "repeat", "scalar_tensor", "select_backward", "slice_backward", "stack", "zeros", "zeros_like",
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
    return account(*operator_calls(profiler.events()), difference(before, after))


def operator_calls(events):
    """({overload: self times in microseconds}, microseconds of composites' own) of what reaches a backend."""
    calls, composite_time = defaultdict(list), 0.0
    for event in events:
        overload = _overload(event)
        level = backend_level(overload)
        own = max(0.0, event.self_cpu_time_total)
        if level == "wrapper":
            composite_time += own
        elif level:
            calls[overload].append(own)
    return calls, composite_time


def _overload(event):
    variant = getattr(event, "overload_name", "")
    return event.name + (f".{variant}" if variant else "")


@functools.cache
def backend_level(overload):
    """'kernel' for an overload that computes, 'wrapper' for one that calls others to do so, '' for what isn't computing
    or isn't at the backend."""
    namespace, _, rest = overload.partition("::")
    name, _, variant = rest.partition(".")
    if namespace != "aten" or name in NOT_COMPUTE:
        return ""
    try:
        schema = getattr(getattr(torch.ops.aten, name), variant or "default")._schema
    except (AttributeError, RuntimeError):
        return ""
    if any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns):
        return ""  # a view
    if torch._C._dispatch_has_kernel_for_dispatch_key(overload, "CPU"):
        return "kernel"
    if not any(torch._C._dispatch_has_kernel_for_dispatch_key(overload, key) for key in EXPLICIT):
        return ""  # an implicit composite is taken apart above autograd
    wrapper = name in WRAPPERS or name.startswith(("_foreach_", "new_")) or variant.startswith("Scalar")
    return "wrapper" if wrapper else "kernel"


def difference(before, after):
    """{overload: (served, {reason: calls})} between two readings of carat.stats()."""
    result = {}
    for overload, now in after.items():
        then = before.get(overload)
        reasons = {r: n - (then.reasons.get(r, 0) if then else 0) for r, n in now.reasons.items()}
        result[overload] = (now.calls - (then.calls if then else 0), {r: n for r, n in reasons.items() if n > 0})
    return result


def account(calls, composite_time, counts):
    """A Coverage from what operator_calls() found and the counts {overload: (served, reasons)}."""
    refusals = {op.overload: op.refused or "not called through Carat" for op in carat.ops()}
    total = Coverage(calls=sum(map(len, calls.values())), time=composite_time + sum(map(sum, calls.values())))
    for overload, times in calls.items():
        overload = overload.removeprefix("aten::")
        served, reasons = counts.get(overload, (0, {}))
        times = sorted(times)
        served = min(served, len(times))
        total.served_calls += served
        total.served_time += sum(times[:served])
        if served < len(times):
            reasons = reasons or {refusals.get(overload, "not among Carat's operators"): len(times) - served}
            total.aside[overload] = (len(times) - served, sum(times[served:]) / total.time if total.time else 0.0, reasons)
    return total

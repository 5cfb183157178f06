# SPDX-License-Identifier: Apache-2.0
"""GPU time of operators on ATen, on Carat and, where asked for, as graphs of one operator by torch.compile's Inductor.

Inputs rotate through several times the L2 cache, so that they come from memory, as in a model; values are random. While the
device is kept busy by a short sleep, a call and the two events around it are queued, so that the host's time isn't in the
figure; the host's time is taken apart, of calls on 64 elements. All sides alternate in one process; figures are medians."""
import statistics
import time
from dataclasses import dataclass, field

import torch

import carat

from .cuda_anchors import anchors
from .cuda_cases import cases, host_cases

ROTATION = 256 << 20  # bytes that pass between two uses of an input, several times the L2 cache
COPIES = 64  # of an input at most
SLEEP_CYCLES = 60_000  # about 35 us: longer than the host needs to queue a call
ROUNDS = 30
TURNS = 3
SIDES = ("aten", "inductor")


@dataclass
class Case:
    """Medians in microseconds by side ("aten", "carat", "inductor")."""

    name: str
    moved: int  # bytes that any implementation has to read and write
    us: dict = field(default_factory=dict)
    aside: str = ""  # why Carat left it to ATen

    @property
    def speedup(self):
        """ATen's time over Carat's."""
        return self.us["aten"] / self.us["carat"]

    @property
    def against_best(self):
        """The best other side's time over Carat's."""
        return min(us for side, us in self.us.items() if side != "carat") / self.us["carat"]


@dataclass
class Run:
    """What `measure` found, and the bytes a second that a large copy reaches."""

    device: str
    ceiling: float
    cases: list = field(default_factory=list)
    host: dict = field(default_factory=dict)  # name -> (ATen us, Carat us)


def measure(words=(), against=("aten",), host=True, progress=lambda done, total, text: None):
    """Times the cases with one of `words` in their names (all without): the anchors alone where other sides than ATen take part.

    Raises RuntimeError where there is no CUDA device, ValueError for an unknown side or a word that no case has."""
    if not torch.cuda.is_available():
        raise RuntimeError("this machine has no CUDA device that PyTorch can use")
    for side in set(against) - set(SIDES):
        raise ValueError(f"no side is called {side}; there are {', '.join(SIDES)}")
    every = list(anchors()) if set(against) > {"aten"} else [*anchors(), *cases()]
    chosen = [case for case in every if not words or any(word in case[0] for word in words)]
    if not chosen:
        raise ValueError(f"no case has {' or '.join(words)} in its name")
    torch.manual_seed(0)
    outcome = Run(torch.cuda.get_device_name(), copy_ceiling())
    for done, (name, moved, make) in enumerate(chosen):
        progress(done, len(chosen), name)
        outcome.cases.append(time_case(name, moved, make, against))
        torch.cuda.empty_cache()
    if host:
        outcome.host = {name: host_times(call) for name, call in host_cases() if not words or any(word in name for word in words)}
    return outcome


def copy_ceiling():
    """Bytes a second of a copy of 1 GiB, read and written."""
    source = torch.randn(1 << 28, device="cuda")
    target = torch.empty_like(source)
    calls = [lambda: target.copy_(source)]
    median_us(calls, 4)
    return 2 * source.nbytes / median_us(calls, 20) * 1e6


def median_us(calls, rounds):
    """The device's median time of one of `calls`, taken in turn."""
    marks = []
    for i in range(rounds):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(SLEEP_CYCLES)
        start.record()
        calls[i % len(calls)]()
        end.record()
        marks.append((start, end))
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in marks) * 1e3


def time_case(name, moved, make, against):
    """A Case: every side warmed up, then in turns; the best turn's median counts."""
    case = Case(name, moved)
    copies = max(2, min(COPIES, -(-ROTATION // max(moved, 1)) + 1))
    calls = [make() for _ in range(copies)]
    theirs = [getattr(call, "instead_of", call) for call in calls]
    sides = {"aten": ([], theirs), "carat": (None, calls)}
    if "inductor" in against:
        sides["inductor"] = ([], compiled(theirs))
    carat.stats(reset=True)
    for chosen, functions in sides.values():
        with carat.use(chosen):
            median_us(functions, max(3, copies))
    case.aside = left_to_aten(carat.stats())
    for _ in range(TURNS):
        for side, (chosen, functions) in sides.items():
            with carat.use(chosen):
                case.us[side] = min(case.us.get(side, float("inf")), median_us(functions, ROUNDS))
    return case


def left_to_aten(stats):
    """Why, if Carat didn't serve all operators of a case, by what `carat.stats()` counted; "" if it did."""
    if not any(stat.calls for stat in stats.values()):
        return "; ".join(reason for stat in stats.values() for reason in stat.reasons) or "not taken over"
    return "; ".join(reason for stat in stats.values() if not stat.calls for reason in stat.reasons)


def compiled(calls):
    """The same calls as graphs; one graph serves all, as they share their code."""
    torch._dynamo.reset()
    graphs = [torch.compile(call, dynamic=False) for call in calls]
    return [lambda graph=graph, tensors=call.__defaults__: graph(*tensors) for graph, call in zip(graphs, calls)]


def host_times(call, calls=1000, turns=7):
    """Microseconds until a call returns, of ATen and Carat."""
    best = {False: float("inf"), True: float("inf")}
    for _ in range(turns):
        for on in best:
            with carat.use(None if on else []):
                call()
                torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(calls):
                    call()
                best[on] = min(best[on], (time.perf_counter() - start) / calls)
                torch.cuda.synchronize()
    return best[False] * 1e6, best[True] * 1e6

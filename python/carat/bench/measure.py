# SPDX-License-Identifier: Apache-2.0
"""Fair timing of two backends, and what the machine could do at best.

ATen and Carat alternate sample by sample in one process, so both see the same clock speed, the same cache
and the same neighbours. One exception: for the time of a 64-element call ATen is also timed before Carat registers
anything, since a registered but disabled Carat costs ATen's calls some nanoseconds; the faster of the two counts.
"""
import contextlib
import gc
import os
import statistics
import time
from dataclasses import asdict, dataclass, field

import torch

import carat

from .._control import _rows
from .._selection import select
from . import inputs

MIN_SAMPLES = 5
MIN_SAMPLES_SLOW = 2
SLOW_NS = 200_000_000
SAME_MACHINE = 1.15  # a registered but disabled Carat costs ATen less than this
SLOW_TRIES = 8
MAX_SAMPLES = 200
SAMPLE_NS = 30_000  # a timed sample is at least this long: the clock itself costs about 50 ns
DOUBTFUL = 0.95  # a case below it is measured again, for AGAIN times as long, and the second figure stands
AGAIN = 8


@dataclass
class Settings:
    """What to run: operators (names, globs or families; empty: all), dtypes, and how long."""

    ops: tuple = ()
    dtypes: tuple = ("float32", "bfloat16")
    cases: tuple = tuple(inputs.CASES)
    threads: int = 0
    seconds: float = 0.1  # for both backends together, a case

    @classmethod
    def quick(cls, **changes):
        """A tenth of the time: one big shape, one strided, one tiny."""
        return cls(**{"cases": ("square", "transposed", "tiny"), "seconds": 0.02, **changes})


@dataclass
class Result:
    """One overload on one input: microseconds of both, and what that is in rates."""

    overload: str
    family: str
    dtype: str
    case: str
    aten_us: float = 0.0
    carat_us: float = 0.0
    gbytes: float = 0.0  # GB/s of Carat
    gflops: float = 0.0  # GFLOP/s of Carat, 0 where bandwidth is the measure
    ceiling: float = 0.0  # share of what the machine can do, 0..1
    aside: str = ""  # the reason, where Carat left the call to ATen
    error: str = ""  # why nothing was measured

    @property
    def speedup(self):
        """ATen's time over Carat's; above 1 Carat is faster."""
        return self.aten_us / self.carat_us if self.carat_us else 0.0


@dataclass
class Run:
    """All results of one `carat bench`, with the machine they hold for."""

    results: list = field(default_factory=list)
    ceilings: dict = field(default_factory=dict)
    threads: int = 0
    again: int = 0  # cases that seemed slower than ATen and were measured a second time
    other_load: float = 0.0  # CPUs that other processes kept busy meanwhile

    def as_dict(self):
        """Plain data for JSON."""
        return {**asdict(self), "results": [{**asdict(r), "speedup": r.speedup} for r in self.results]}


def interleave(sides, seconds, prepare=None):
    """Nanoseconds a call for each of `sides`, pairs (context manager factory, callable).

    The order turns round after each round. `prepare`, where given, runs untimed before each sample: it restores
    what an in-place operator has overwritten. The figure is the lower quartile of the samples: a neighbour on the
    same machine can disturb more than half of them, and would move a median by a factor.
    """
    return [lower_quartile(times) for times in _samples(sides, seconds, prepare)]


def lower_quartile(values):
    """The value that a quarter of the values lie below."""
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def _samples(sides, seconds, prepare):
    calls = max(_calls_per_sample(*side, prepare, seconds) for side in sides)
    samples = [[] for _ in sides]
    order = list(range(len(sides)))
    deadline = time.perf_counter() + seconds
    with _no_gc():
        while True:
            for i in order:
                samples[i].append(_sample(*sides[i], prepare, calls))
            order.reverse()
            count, slowest = len(samples[0]), max(times[0] for times in samples) * calls
            enough = MIN_SAMPLES if slowest < SLOW_NS else MIN_SAMPLES_SLOW
            if count >= MAX_SAMPLES or (count >= enough and time.perf_counter() >= deadline):
                return samples


def _calls_per_sample(context, call, prepare, seconds):
    """Warms up, then finds how many calls make a sample long enough."""
    once = _sample(context, call, prepare, 1)
    for _ in range(3):
        if once < seconds * 1e9 / 10:
            once = _sample(context, call, prepare, 1)
    return max(1, min(1000, int(SAMPLE_NS / max(1, once))))


def _sample(context, call, prepare, calls):
    if prepare:
        prepare()
    with context():
        begin = time.perf_counter_ns()
        for _ in range(calls):
            kept = call()
        end = time.perf_counter_ns()
    del kept  # freed outside the clock for the last call, inside it for the others, alike for both backends
    return (end - begin) / calls


def other_load(before, after, cpus):
    """How many of the CPUs were busy with other processes between two readings of `cpu_times()`; 0 if unknown."""
    if not before or not after or after[0] <= before[0]:
        return 0.0
    seconds, everyone, ours = (a - b for a, b in zip(after, before))
    return max(0.0, min(cpus, (everyone - ours) / seconds))


def cpu_times():
    """Seconds: the clock, all processes on this machine, this process. None where /proc isn't there."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(f) for f in file.readline().split()[1:]]
    except OSError:
        return None
    busy = sum(fields[:3]) + sum(fields[5:8])  # user, nice, system, and interrupts and stolen time
    return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()


@contextlib.contextmanager
def _no_gc():
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def measure_ceilings(seconds=1.0):
    """Copy bandwidth by bytes touched (GB/s) and the fp32 multiply-add peak (GFLOP/s), measured on ATen.

    The peak is that of the best large matmul: on a CPU nothing else comes nearer to the hardware's own figure.
    """
    copies = {}
    for size in (1 << 16, 1 << 19, 1 << 22, 1 << 25, 1 << 28):
        source = torch.rand(size // 8)
        target = torch.empty_like(source)
        copies[size] = size / _best(lambda: target.copy_(source), seconds / 5)
    peak = 0.0
    for n in (512, 1024, 1536):
        a, b = torch.rand(n, n), torch.rand(n, n)
        peak = max(peak, 2 * n**3 / _best(lambda: a @ b, seconds / 3))
    return {"copy_gbytes": copies, "matmul_gflops": peak}


def _best(call, seconds):
    """A ceiling is the best that was ever seen, not the usual."""
    return min(_samples([(contextlib.nullcontext, call)], seconds, None)[0])


def _copy_ceiling(copies, touched):
    """Bandwidth of the copy that touches about as many bytes: the same level of cache."""
    return copies[min(copies, key=lambda size: abs(size.bit_length() - int(touched).bit_length()))]


def chosen(patterns):
    """[(overload, family)] that the patterns name, as in carat.enable(only=...), but for Carat's own, which ATen hasn't. Registers
    nothing, as carat.ops() would."""
    rows = _rows()
    return [row for row, taken in zip(rows, select(rows, patterns or None)) if taken and "::" not in row[0]]


def run(settings, progress=lambda done, total, text: None):
    """Times everything that the settings choose and returns a Run."""
    if carat.is_enabled():
        carat.disable()  # CARAT_ENABLE switched it on; here use() decides
    if settings.threads:
        torch.set_num_threads(settings.threads)
    rows = chosen(settings.ops)
    clock = cpu_times()
    outcome = Run(ceilings=measure_ceilings(), threads=torch.get_num_threads())
    jobs = [(*row, dtype, case) for row in rows for dtype in settings.dtypes for case in settings.cases]
    tiny = [job for job in jobs if job[-1] == "tiny"]
    total = len(jobs) + len(tiny)
    alone = {}
    for done, job in enumerate(tiny):
        progress(done, total, job[0])
        alone[job] = _aten_alone(job, settings.seconds / 2)
    refused = {op.overload: op.refused for op in carat.ops()}
    seen = set()
    for done, job in enumerate(jobs, len(tiny)):
        progress(done, total, job[0])
        if refused[job[0]]:
            result = Result(*job, error=f"can't be taken over: {refused[job[0]]}")
        else:
            result = _measure(job, settings.seconds, outcome.ceilings, alone.get(job))
        key = (result.overload, result.dtype, result.case)
        if key not in seen:  # an integer-only operator yields the same row for every floating dtype
            seen.add(key)
            outcome.results.append(result)
    outcome.again = _measure_again(outcome, settings.seconds * AGAIN, alone, progress)
    progress(total, total, "")
    outcome.other_load = other_load(clock, cpu_times(), os.cpu_count() or 1)
    return outcome


def _measure_again(outcome, seconds, alone, progress):
    """One disturbed sample in thousands of cases would be "the worst": measures what seems slower than ATen again; how many those are."""
    doubtful = [i for i, r in enumerate(outcome.results) if r.carat_us and not r.aside and r.speedup < DOUBTFUL]
    for done, i in enumerate(doubtful):
        r = outcome.results[i]
        job = (r.overload, r.family, r.dtype, r.case)
        progress(done, len(doubtful), f"again: {r.overload}")
        outcome.results[i] = _measure(job, seconds, outcome.ceilings, alone.get(job))
    return len(doubtful)


def _aten_alone(job, seconds):
    """Nanoseconds of ATen while Carat isn't registered, or None where no input can be made."""
    overload, _, dtype, case = job
    try:
        sample = inputs.make(overload, dtype, case)
    except inputs.NoInput:
        return None
    (ns,) = interleave([(contextlib.nullcontext, sample.call)], seconds, sample.restore)
    return ns


def _measure(job, seconds, ceilings, alone_ns):
    result = Result(*job)
    try:
        sample = inputs.make(result.overload, result.dtype, result.case)
        result.dtype = sample.dtype
        result.aside = _reason_aside(result.overload, sample)
    except inputs.NoInput as error:
        result.error = str(error)
        return result
    sides = [(contextlib.nullcontext, sample.call), (carat.use, sample.call)]
    aten, ours = interleave(sides, seconds, sample.restore)
    if alone_ns:
        aten, ours = _against_alone(alone_ns, (aten, ours), lambda: interleave(sides, seconds, sample.restore))
    result.aten_us = aten / 1e3
    result.carat_us = ours / 1e3
    result.gbytes = sample.bytes / ours
    result.gflops = sample.flops / ours
    if sample.flops:
        result.ceiling = result.gflops / ceilings["matmul_gflops"]
    else:
        result.ceiling = result.gbytes / _copy_ceiling(ceilings["copy_gbytes"], sample.bytes)
    return result


def _against_alone(alone, both, again):
    """Both sides' best, where `alone` is what ATen took earlier. As that was ATen's second try, Carat gets one too, and both get
    more while ATen is far from what it was: then it is the machine that is slower now. If it stays so, `alone` counts for nothing.
    """
    for _ in range(SLOW_TRIES):
        both = [min(pair) for pair in zip(both, again())]
        if both[0] < SAME_MACHINE * alone:
            return min(both[0], alone), both[1]
    return both


def _reason_aside(overload, sample):
    """Calls once with Carat on; the reason where it stepped aside, '' where it served the call."""
    if sample.restore:
        sample.restore()
    carat.stats(reset=True)
    with carat.use():
        try:
            sample.call()
        except Exception as error:  # a bug of Carat's must not end the whole benchmark: it becomes this row's error
            raise inputs.NoInput(f"Carat fails where ATen doesn't: {_first_line(error)}") from error
    found = carat.stats().get(overload)
    if found and found.calls:
        return ""
    return "; ".join(found.reasons) if found else "the call reached another overload"


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]

# SPDX-License-Identifier: Apache-2.0
"""What `carat bench --device cuda` shows: a table with one line a case, geometric means, the worst case, host times."""
from dataclasses import asdict

from .report import colour, geometric_mean


def summary(run):
    """The figures of merit of a Run as a plain dict; cases that Carat left to ATen don't count."""
    served = [case for case in run.cases if not case.aside]
    sides = sorted({side for case in run.cases for side in case.us} - {"carat"})
    host = {name: ours / atens for name, (atens, ours) in run.host.items()}
    return {
        "device": run.device,
        "ceiling_tbytes": run.ceiling / 1e12,
        "cases": len(served),
        "stepped_aside": len(run.cases) - len(served),
        "speedup_geomean": {side: geometric_mean(case.us[side] / case.us["carat"] for case in served) for side in sides},
        "best_other_geomean": geometric_mean(case.speedup / case.against_best for case in served),
        "worst_against_best": min(((case.against_best, case.name) for case in served), default=None),
        "share_geomean": geometric_mean(share(run, case) for case in served),
        "host_time_geomean": geometric_mean(host.values()),
        "host_time_worst": max(((ratio, name) for name, ratio in host.items()), default=None),
    }


def share(run, case):
    """Carat's bytes a second over those of a large copy; caches can lift it above 1."""
    return case.moved / case.us["carat"] * 1e6 / run.ceiling


def as_dict(run):
    """Plain data for JSON."""
    return {"summary": summary(run), **asdict(run)}


def show(run, console):
    """Prints the table and the summary."""
    from rich.table import Table

    others = [side for side in ("aten", "inductor") if any(side in case.us for case in run.cases)]
    title = {"aten": "ATen", "inductor": "Inductor"}
    table = Table(title=f"{run.device}: microseconds, cold L2; copy {run.ceiling / 1e12:.2f} TB/s", header_style="bold")
    table.add_column("case", no_wrap=True)
    for name in (*(title[side] for side in others), "Carat", "floor", "of floor", "ATen / Carat", "best other / Carat"):
        table.add_column(name, justify="right", no_wrap=True)
    for case in run.cases:
        times = [f"{case.us[side]:.1f}" for side in (*others, "carat")]
        floor = f"{case.moved / run.ceiling * 1e6:.1f}"
        ratios = [f"{case.speedup:.2f} aside"] * 2 if case.aside else [
            f"[{colour(ratio)}]{ratio:.2f}[/]" for ratio in (case.speedup, case.against_best)]
        table.add_row(case.name, *times, floor, f"{share(run, case):.0%}", *ratios, style="dim" if case.aside else None)
    console.print(table)
    for line in summary_lines(run):
        console.print(line, highlight=False)


def summary_lines(run):
    """The summary in words."""
    s = summary(run)
    lines = []
    if s["cases"]:
        ratios = ", ".join(f"{side} / Carat {ratio:.2f}" for side, ratio in s["speedup_geomean"].items())
        lines.append(f"geometric means of {s['cases']} cases: {ratios}; ATen / the best other {s['best_other_geomean']:.2f}; of the floor {s['share_geomean']:.0%}")
        lines.append(f"worst against the best other: {s['worst_against_best'][0]:.2f} ({s['worst_against_best'][1]}); {s['stepped_aside']} cases left to ATen")
    if s["host_time_worst"]:
        lines.append(f"host time of a call on 64 elements, Carat / ATen: {s['host_time_geomean']:.2f} (geometric mean), "
                     f"{s['host_time_worst'][0]:.2f} at worst ({s['host_time_worst'][1]})")
        lines += [f"  {name}: ATen {atens:.2f} us, Carat {ours:.2f}" for name, (atens, ours) in run.host.items()]
    return lines

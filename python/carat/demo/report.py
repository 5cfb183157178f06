# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: a progress bar, one table, the operators that ran on ATen, the checks, and a chart."""
import contextlib
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from carat.bench.report import colour, duration

from .coverage import Coverage

MOST_ASIDE = 25  # lines of the table of what ran on ATen


@dataclass
class Row:
    """A workload: seconds on both backends, what Carat served of it, and how far the values are apart."""

    name: str
    aten_s: float
    carat_s: float
    coverage: Coverage
    difference: str

    @property
    def speedup(self):
        """ATen's time over Carat's."""
        return self.aten_s / self.carat_s if self.carat_s else 0.0

    def as_dict(self):
        """Plain data for JSON."""
        share = self.coverage
        return {
            "name": self.name,
            "aten_s": self.aten_s,
            "carat_s": self.carat_s,
            "speedup": self.speedup,
            "calls": share.calls,
            "call_share": share.call_share,
            "time_share": share.time_share,
            "difference": self.difference,
            "on_aten": {name: {"calls": n, "time_share": t, "reasons": why} for name, (n, t, why) in share.aside.items()},
        }


@contextlib.contextmanager
def progress(total):
    """A progress bar on standard error. Yields tick(kind, count, text); kinds weigh by their usual time."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    weight = {"sentences": 0.2, "steps": 1.0, "generations": 3.0, "coverage": 3.0}
    columns = (BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading", total=sum(weight[kind] * count for kind, count in total.items()))
        yield lambda kind, count, text: bar.update(task, advance=weight[kind] * count, description=text)


def show(rows, checks, text, busy, seconds):
    """Prints everything but the chart."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(_table(rows))
    _show_aside(rows, console)
    console.print(f"Carat's Llama wrote: {text!r}", markup=False, highlight=False)
    for holds, condition in checks:
        console.print("[green]ok[/]   " if holds else "[red]WRONG[/]", end="")
        console.print(condition, markup=False, highlight=False)
    if busy > 0.2:
        console.print(f"[yellow]other processes kept {busy:.1f} CPUs busy meanwhile: the times are uncertain[/]", highlight=False)
    console.print(f"{seconds:.0f} s in all", highlight=False)


def _table(rows):
    table = Table(title="the same models, the same weights, the same text", header_style="bold")
    table.add_column("model")
    for name in ("ATen", "Carat", "speedup", "calls on Carat", "time on Carat"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("largest difference")
    for row in rows:
        table.add_row(
            row.name, duration(row.aten_s * 1e6), duration(row.carat_s * 1e6), f"[{colour(row.speedup)}]{row.speedup:.2f}[/]",
            f"{row.coverage.call_share:.1%}", f"{row.coverage.time_share:.1%}", row.difference,
        )  # fmt: skip
    return table


def _show_aside(rows, console):
    """The operators that ran on ATen, over all workloads, those that took the most time first."""
    merged = {}
    for row in rows:
        for overload, (calls, share, reasons) in row.coverage.aside.items():
            entry = merged.setdefault(overload, [0, 0.0, {}])
            entry[0] += calls
            entry[1] = max(entry[1], share)
            for reason, count in reasons.items():
                entry[2][reason] = entry[2].get(reason, 0) + count
    if not merged:
        console.print("no operator stepped aside")
        return
    table = Table(title="what ran on ATen", header_style="bold")
    table.add_column("overload", no_wrap=True)
    table.add_column("calls", justify="right")
    table.add_column("share of a model's time, at most", justify="right")
    table.add_column("reasons")
    ordered = sorted(merged.items(), key=lambda item: -item[1][1])
    for overload, (calls, share, reasons) in ordered[:MOST_ASIDE]:
        table.add_row(overload, str(calls), f"{share:.2%}", "; ".join(f"{r} ({n})" for r, n in reasons.items()).replace("[", r"\["))
    console.print(table)
    if len(ordered) > MOST_ASIDE:
        console.print(f"and {len(ordered) - MOST_ASIDE} operators with less; demo.json has them all", highlight=False)


def chart(rows, curves, path):
    """The loss curves of both backends and the speedups as one PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    for dtype, pair in curves.items():
        (line,) = left.plot(range(1, len(pair["aten"]) + 1), pair["aten"], linewidth=3.5, alpha=0.35, label=f"ATen {dtype}")
        left.plot(range(1, len(pair["carat"]) + 1), pair["carat"], linewidth=1, color=line.get_color(), label=f"Carat {dtype}")
    left.set_xlabel("step")
    left.set_ylabel("loss")
    left.set_title("Llama, the same seed and text")
    left.legend()
    names = [row.name.replace(", ", "\n", 1) for row in rows][::-1]
    bars = right.barh(names, [row.speedup for row in rows][::-1], color="tab:green")
    right.bar_label(bars, fmt="%.2f", padding=3)
    right.axvline(1, color="black", linewidth=0.8)
    right.set_xscale("log")
    right.xaxis.set_major_formatter("{x:g}")
    right.margins(x=0.15)
    right.set_xlabel("ATen time / Carat time (1: equal)")
    right.set_title("speedup")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)

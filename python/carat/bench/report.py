# SPDX-License-Identifier: Apache-2.0
"""What `carat bench` shows: a table with one line a case, the summary, and a chart of speedups."""
import math

TINY = "tiny"  # the case that measures host time, kept apart from the others


def geometric_mean(values):
    """The fair mean of ratios; 0 for none."""
    values = [v for v in values if v > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else 0.0


def served(results, tiny=False):
    """The results that Carat itself computed: large inputs, or the tiny one."""
    return [r for r in results if r.speedup and not r.aside and (r.case == TINY) == tiny]


def summary(run):
    """The figures of merit of a Run as a plain dict."""
    large, small = served(run.results), served(run.results, tiny=True)
    return {
        "threads": run.threads,
        "cases": len(large),
        "speedup_geomean": geometric_mean(r.speedup for r in large),
        "speedup_by_dtype": {d: geometric_mean(r.speedup for r in large if r.dtype == d) for d in sorted({r.dtype for r in large})},
        "speedup_by_family": {f: geometric_mean(r.speedup for r in large if r.family == f) for f in sorted({r.family for r in large})},
        "worst": _worst(large),
        "below_0.95": sum(r.speedup < 0.95 for r in large),
        "host_time_geomean": geometric_mean(1 / r.speedup for r in small),
        "host_time_worst": _worst(small),
        "stepped_aside": sum(bool(r.aside) for r in run.results),
        "not_measured": sum(bool(r.error) for r in run.results),
    }


def _worst(results):
    if not results:
        return None
    worst = min(results, key=lambda r: r.speedup)
    return {"overload": worst.overload, "dtype": worst.dtype, "case": worst.case, "speedup": worst.speedup}


def duration(us):
    """Microseconds in the unit that reads best, three digits."""
    value, unit = (us / 1e6, "s") if us >= 1e6 else (us / 1e3, "ms") if us >= 1e3 else (us, "us")
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def colour(speedup):
    """Green for a gain, red below what the project allows, plain between."""
    return "green" if speedup >= 1.05 else "red" if speedup < 0.95 else "default"


SHORT = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "complex64": "c64", "complex128": "c128",
         "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8"}  # fmt: skip


def table(run):
    """A rich table, one line a case; a case that Carat leaves to ATen is dim."""
    from rich.table import Table

    t = Table(title=f"carat bench: {run.threads} threads, ATen and Carat in turns in one process", header_style="bold")
    t.add_column("overload", no_wrap=True)
    t.add_column("dtype")
    t.add_column("case")
    for name in ("ATen", "Carat", "speedup", "rate", "of ceiling"):
        t.add_column(name, justify="right", no_wrap=True)
    previous = None
    for r in (r for r in run.results if not r.error):
        rate = f"{r.gflops:.1f} GFLOP/s" if r.gflops else f"{r.gbytes:.1f} GB/s"
        rates = ("", "") if r.case == TINY else (rate, f"{r.ceiling:.0%}")
        ratio = f"{r.speedup:.2f} aside" if r.aside else f"[{colour(r.speedup)}]{r.speedup:.2f}[/]"
        name, previous = "" if r.overload == previous else r.overload, r.overload
        cells = (name, SHORT.get(r.dtype, r.dtype), r.case, duration(r.aten_us), duration(r.carat_us), ratio, *rates)
        t.add_row(*cells, style="dim" if r.aside else None)
    return t


def reason_lines(run):
    """Why cases were left to ATen or not measured, each reason once with the places it holds for."""
    lines = []
    for title, attribute in (("left to ATen", "aside"), ("not measured", "error")):
        places = {}
        for r in run.results:
            if getattr(r, attribute):
                places.setdefault(getattr(r, attribute), {}).setdefault(r.overload, []).append(f"{SHORT.get(r.dtype, r.dtype)} {r.case}")
        for reason, by_overload in places.items():
            where = "; ".join(f"{name} ({', '.join(cases)})" for name, cases in by_overload.items())
            lines.append(f"{title}: {reason}: {where}")
    return lines


def summary_lines(run):
    """The summary as lines of rich markup."""
    s = summary(run)
    copies = run.ceilings["copy_gbytes"]
    lines = [
        f"machine: copy {max(copies.values()):.0f} GB/s in cache, {copies[max(copies)]:.1f} GB/s from memory; "
        f"fp32 matmul {run.ceilings['matmul_gflops']:.0f} GFLOP/s",
    ]
    if not s["cases"]:
        lines.append("Carat served none of these cases")
    else:
        by_dtype = ", ".join(f"{d} {v:.2f}" for d, v in s["speedup_by_dtype"].items())
        lines.append(f"speedup, geometric mean of {s['cases']} cases: [bold]{s['speedup_geomean']:.2f}[/] ({by_dtype})")
        lines.append("by family: " + ", ".join(f"{f} {v:.2f}" for f, v in s["speedup_by_family"].items()))
        lines.append("worst: " + _place(s["worst"]) + f"; {s['below_0.95']} cases below 0.95 (of {run.again} measured a second time)")
    if s["host_time_worst"]:
        lines.append(
            f"host time of a call on 64 elements, Carat / ATen: {s['host_time_geomean']:.2f} (geometric mean), "
            f"{1 / s['host_time_worst']['speedup']:.2f} at worst ({s['host_time_worst']['overload']}, {s['host_time_worst']['dtype']})"
        )
    lines.append(f"stepped aside: {s['stepped_aside']} cases; not measured: {s['not_measured']}")
    if run.other_load > 0.2:
        lines.append(f"[yellow]other processes kept {run.other_load:.1f} CPUs busy meanwhile: repeat this on a quiet machine[/]")
    return lines


def _place(worst):
    return f"{worst['speedup']:.2f} ({worst['overload']}, {worst['dtype']}, {worst['case']})"


def show(run, console):
    """Prints the table and the summary."""
    console.print(table(run))
    for line in reason_lines(run):
        console.print(line, style="dim", markup=False, highlight=False)
    for line in summary_lines(run):
        console.print(line, highlight=False)


MOST_BARS = 80  # operators in a chart; more are shown by family


def chart(run, path):
    """Writes a PNG with a bar an operator (a family, where there are many) and dtype, the geometric mean of its speedups;
    False if there are none."""
    large = served(run.results)
    if not large:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    dtypes = sorted({r.dtype for r in large})
    by_family = len({r.overload for r in large}) > MOST_BARS
    means = {}
    for r in large:
        means.setdefault(r.family if by_family else r.overload, {}).setdefault(r.dtype, []).append(r.speedup)
    means = {name: {d: geometric_mean(v) for d, v in by.items()} for name, by in means.items()}
    names = sorted(means, key=lambda n: geometric_mean(means[n].values()))
    figure, axes = pyplot.subplots(figsize=(9, max(2.5, 0.8 + 0.16 * len(names) * len(dtypes))), layout="constrained")
    height = 0.8 / len(dtypes)
    for i, dtype in enumerate(dtypes):
        shown = [(y, means[n][dtype]) for y, n in enumerate(names) if dtype in means[n]]
        axes.barh([y + (i - (len(dtypes) - 1) / 2) * height for y, _ in shown], [v for _, v in shown], height, label=dtype)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ATen time / Carat time (1: equal)")
    axes.set_title(f"Carat against ATen, CPU, {run.threads} threads: geometric mean of {len(large)} cases {summary(run)['speedup_geomean']:.2f}")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True

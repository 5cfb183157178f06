# SPDX-License-Identifier: Apache-2.0
"""The `carat` command: `carat info` says what is installed, `carat bench` measures it against ATen."""
import argparse
import json
import sys


def main(argv=None):
    """Entry point; returns the exit status."""
    options = parser().parse_args(argv)
    try:
        return options.action(options)
    except BrokenPipeError:  # `carat bench | head`
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parser():
    """The command line."""
    top = argparse.ArgumentParser(prog="carat", description=__doc__)
    actions = top.add_subparsers(required=True, metavar="COMMAND")

    info = actions.add_parser("info", help="versions, CPU, backends and cache")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(action=run_info)

    bench = actions.add_parser("bench", help="time operators on ATen and on Carat", description=run_bench.__doc__)
    bench.add_argument("ops", nargs="*", metavar="OP", help="overload, operator, glob or family (default: all that Carat takes over)")
    bench.add_argument("--dtype", action="append", metavar="NAME", help="float32, bfloat16, ...; may be repeated (default: float32 and bfloat16)")
    bench.add_argument("--case", action="append", metavar="NAME", help="square, odd, transposed, sliced, tiny; may be repeated (default: all)")
    bench.add_argument("--threads", type=int, default=0, help="threads of PyTorch (default: as it is)")
    bench.add_argument("--quick", action="store_true", help="fewer cases and less time for each")
    bench.add_argument("--json", metavar="FILE", help="write all results as JSON")
    bench.add_argument("--plot", metavar="FILE.png", help="write a bar chart of the speedups (needs matplotlib)")
    bench.set_defaults(action=run_bench)
    return top


def run_info(options):
    """Prints what carat.info() knows."""
    import carat

    facts = carat.info()
    if options.json:
        print(json.dumps(facts, indent=2, default=str))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in info_rows(facts):
        table.add_row(name, text)
    Console().print(table)
    return 0


def info_rows(facts):
    """The pairs (name, text) that `carat info` prints: a nested dict or list becomes several."""
    rows = []
    for name, value in facts.items():
        if isinstance(value, dict):
            rows += [(f"{name} {inner}", _text(inner, v)) for inner, v in value.items()]
        elif isinstance(value, (list, tuple)):
            rows += [_listed(name, item) for item in value]
        else:
            rows.append((name, _text(name, value)))
    return rows


def _listed(name, item):
    """One backend: its own name, and whether it is there or why it isn't."""
    if not isinstance(item, dict):
        return name, str(item)
    rest = {k: v for k, v in item.items() if k not in ("name", "present", "reason")}
    state = "present" if item.get("present", True) else f"absent: {item.get('reason') or 'unknown reason'}"
    return f"{name.removesuffix('s')} {item.get('name', '')}".strip(), ", ".join([state, *(f"{k} {_text(k, v)}" for k, v in rest.items())])


def _text(name, value):
    if value is None:
        return "unknown"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and name.endswith(("bytes", "size")):
        return human_size(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def human_size(count):
    """1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def run_bench(options):
    """Times every operator that Carat takes over, or those named, on ATen and on Carat in one process:
    ratio of the two, rate, share of what this machine can do; the geometric mean and the worst case at the end."""
    from rich.console import Console

    from . import bench

    error = Console(stderr=True)
    try:
        settings = bench_settings(options)
    except ValueError as problem:
        error.print(f"carat bench: {problem}", markup=False)
        return 2
    outcome = with_progress(bench.run, settings, error)
    if not outcome.results:
        error.print(f"carat bench: no operator matches {' '.join(options.ops) or '(nothing is registered)'}; see carat.ops()", markup=False)
        return 2
    terminal = Console()
    bench.show(outcome, terminal if terminal.is_terminal else Console(width=140))  # a file or pipe has no width
    if options.json:
        import carat

        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"info": carat.info(), "summary": bench.summary(outcome), **outcome.as_dict()}, file, indent=1, default=str)
    if options.plot and not bench.chart(outcome, options.plot):
        error.print("carat bench: Carat served no case, so there is no chart")
    return 0


def bench_settings(options):
    """The benchmark's settings from the command line; ValueError for a name that doesn't exist."""
    import torch

    from .bench import Settings, inputs

    for name in options.dtype or ():
        if not isinstance(getattr(torch, name, None), torch.dtype):
            raise ValueError(f"no dtype is called {name}")
    for name in options.case or ():
        if name not in inputs.CASES:
            raise ValueError(f"no case is called {name}; there are {', '.join(inputs.CASES)}")
    if options.threads < 0:
        raise ValueError(f"--threads {options.threads} is negative")
    chosen = {"ops": tuple(options.ops), "threads": options.threads}
    if options.dtype:
        chosen["dtypes"] = tuple(options.dtype)
    if options.case:
        chosen["cases"] = tuple(options.case)
    return Settings.quick(**chosen) if options.quick else Settings(**chosen)


def with_progress(run, settings, console):
    """Runs with a progress bar on `console`, which is standard error: the table may go to a file."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("measuring the machine", total=None)
        return run(settings, lambda done, total, text: bar.update(task, completed=done, total=total, description=text))


if __name__ == "__main__":
    sys.exit(main())

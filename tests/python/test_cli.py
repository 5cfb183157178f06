# SPDX-License-Identifier: Apache-2.0
"""The parts of the command, the benchmark and the demo that need no kernel: arguments, inputs, accounts, tables."""
import contextlib
import io
import json
import multiprocessing
import types
from concurrent.futures import ProcessPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from rich.console import Console

import carat
from carat import cli
from carat.bench import Settings, cuda, cuda_report, inputs, measure, report


def result(overload="exp", dtype="float32", case="square", aten=2.0, ours=1.0, **more):
    return measure.Result(overload, "pointwise", dtype, case, aten_us=aten, carat_us=ours, gbytes=10.0, ceiling=0.5, **more)


def some_run(*results):
    return measure.Run(list(results), {"copy_gbytes": {65536: 50.0, 1 << 28: 10.0}, "matmul_gflops": 100.0}, threads=2)


# ---- the command


def test_info_has_a_line_for_every_fact_and_backend():
    facts = {
        "carat": "0.1.0",
        "adapter": None,
        "backends": {"cpu": {"target": "x86-64-v3", "remark": None}, "cuda": {"target": None, "remark": "no libcuda.so.1"}},
        "cache": "/home/me/.cache/carat",
        "cache_bytes": 3 << 20,
    }
    assert dict(cli.info_rows(facts)) == {
        "carat": "0.1.0",
        "adapter": "unknown",
        "backend cpu": "x86-64-v3",
        "backend cuda": "absent: no libcuda.so.1",
        "cache": "/home/me/.cache/carat",
        "cache size": "3.0 MiB",
    }


@pytest.mark.parametrize("count, text", [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (5000 << 30, "5000.0 GiB")])
def test_sizes_are_readable(count, text):
    assert cli.human_size(count) == text


@pytest.mark.parametrize("words, message", [(["--dtype", "float33"], "float33"), (["--case", "round"], "square"), (["--threads", "-1"], "-1")])
def test_wrong_arguments_are_named(words, message, monkeypatch):
    monkeypatch.setattr(measure, "chosen", lambda patterns: [])
    with pytest.raises(ValueError, match=message):
        cli.bench_settings(cli.parser().parse_args(["bench", *words]))


def test_arguments_become_settings(monkeypatch):
    monkeypatch.setattr(measure, "chosen", lambda patterns: [])
    options = cli.parser().parse_args(["bench", "mm", "reduce", "--dtype", "float16", "--quick", "--threads", "1"])
    settings = cli.bench_settings(options)
    assert settings == Settings.quick(ops=("mm", "reduce"), dtypes=("float16",), threads=1)
    assert settings.seconds < Settings().seconds


def test_a_missing_package_is_a_message(monkeypatch, capsys):
    def fail(options):
        raise ModuleNotFoundError("No module named 'rich'", name="rich.console")

    monkeypatch.setattr(cli, "run_info", fail)
    assert cli.main(["info"]) == 2
    assert "pip install rich" in capsys.readouterr().err


# ---- inputs


@pytest.mark.parametrize("case", inputs.CASES)
@pytest.mark.parametrize("overload", ["add.Tensor", "exp_", "exp.out", "eq.Tensor_out", "clamp", "sum.dim_IntList", "_softmax", "topk",
                                      "index.Tensor", "scatter.src", "native_layer_norm", "_foreach_add_.Scalar", "cat", "nll_loss_forward",
                                      "embedding", "where.self", "addmm", "bernoulli_.float", "_to_copy", "copy_"])  # fmt: skip
def test_inputs_come_from_the_schema(overload, case):
    sample = inputs.make(overload, "float32", case)
    sample.call()
    assert sample.dtype == "float32" and sample.bytes > 0


def test_an_integer_operator_gets_integers():
    assert inputs.make("bitwise_and.Tensor", "bfloat16", "tiny").dtype == "int64"


def test_no_input_says_why():
    with pytest.raises(inputs.NoInput, match="this torch has no"):
        inputs.make("no_such_operator", "float32", "tiny")


def test_layouts_are_what_they_say():
    assert inputs.Maker("float32", "square").matrix().is_contiguous()
    assert inputs.Maker("float32", "transposed").matrix().stride() == (1, 1024)
    sliced = inputs.Maker("float32", "sliced").matrix()
    assert sliced.shape == (1024, 1024) and sliced.stride() == (1100, 1) and sliced.storage_offset() > 0
    assert inputs.Maker("float32", "tiny").matrix().numel() == 64


def test_in_place_operators_get_their_values_back():
    kept = {}

    def grab(*args):
        kept["self"] = args[0]
        return args[0].mul_(2)

    op = types.SimpleNamespace(_schema=inputs.find("exp_")._schema)
    sample = inputs._sample(type("Op", (), {"_schema": op._schema, "__call__": lambda self, *a: grab(*a)})(), "exp_", "float32", "tiny")
    sample.restore()
    before = kept["self"].clone()
    sample.call()
    assert not torch.equal(kept["self"], before)
    sample.restore()
    assert torch.equal(kept["self"], before)


def test_work_of_a_matmul():
    sample = inputs.make("mm", "float32", "square")
    assert sample.flops == 2 * 1024**3
    assert inputs.make("add.Tensor", "float32", "square").flops == 0


def test_bytes_count_each_tensor_once():
    matrix = 1024 * 1024 * 4
    assert inputs.make("add.Tensor", "float32", "square").bytes == 3 * matrix
    assert inputs.make("exp_", "float32", "square").bytes == 2 * matrix
    assert inputs.make("fill_.Scalar", "float32", "square").bytes == matrix
    assert inputs.make("exp.out", "float32", "square").bytes == 2 * matrix


# ---- timing


def test_both_sides_are_timed_alike():
    log = []

    @contextlib.contextmanager
    def scope():
        log.append("in")
        yield
        log.append("out")

    times = measure.interleave([(contextlib.nullcontext, lambda: log.append("a")), (scope, lambda: log.append("b"))], 0.01)
    assert len(times) == 2 and all(t > 0 for t in times)
    assert log.count("in") == log.count("out") and log.index("in") < log.index("b")


def test_lower_quartile_ignores_disturbed_samples():
    assert measure.lower_quartile([1.0] * 4 + [1000.0] * 6) == 1.0
    assert measure.lower_quartile([3.0]) == 3.0


def test_other_load_counts_other_processes_only():
    assert measure.other_load((0.0, 10.0, 1.0), (10.0, 25.0, 6.0), 2) == pytest.approx(1.0)
    assert measure.other_load(None, None, 2) == 0.0


# ---- reports


def test_summary_is_of_what_carat_served():
    found = report.summary(some_run(result(), result("mm", ours=4.0), result("sort", aside="dtype"), result("add", case="tiny", ours=0.5), result(error="?", aten=0, ours=0)))
    assert found["cases"] == 2 and found["speedup_geomean"] == pytest.approx(1.0)
    assert found["worst"]["overload"] == "mm" and found["below_0.95"] == 1
    assert found["host_time_geomean"] == pytest.approx(0.25)
    assert found["stepped_aside"] == 1 and found["not_measured"] == 1


def test_an_empty_run_has_a_summary():
    assert report.summary(some_run())["worst"] is None
    assert any("served none" in line for line in report.summary_lines(some_run()))


def test_table_and_reasons_are_printed():
    console = pytest.importorskip("rich.console").Console(width=140, record=True, file=open("/dev/null", "w"))
    report.show(some_run(result(), result(case="tiny"), result("sort", aside="stride [0] is broadcast"), result("eq", error="no input")), console)
    text = console.export_text()
    for part in ("exp", "2.00", "10.0 GB/s", "50%", "stride [0] is broadcast: sort (f32 square)", "not measured: no input: eq"):
        assert part in text


def test_results_are_json():
    json.dumps(some_run(result()).as_dict())


def test_chart_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "speedups.png"
    assert not report.chart(some_run(), path) and not path.exists()
    assert report.chart(some_run(result(), result(dtype="bfloat16"), result("mm")), path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("us, text", [(0.5, "0.50 us"), (12.34, "12.3 us"), (123.4, "123 us"), (1234, "1.23 ms"), (2.5e6, "2.50 s")])
def test_durations_have_three_digits(us, text):
    assert report.duration(us) == text


# ---- the demo's text and accounts


def test_sentences_are_real_and_repeatable():
    from carat.demo import text

    lines = text.sentences(64)
    assert lines == text.sentences(64) and len(set(lines)) == 64
    assert all(40 <= len(line) <= 250 and line.endswith((".", "!", "?")) for line in lines)
    with pytest.raises(ValueError, match="sentences"):
        text.sentences(10**7)


def test_batches_repeat_with_their_seed():
    from carat.demo import text

    first, again, other = (text.training_batches(2, 3, 16, seed) for seed in (1, 1, 2))
    assert first[0].shape == (3, 16) and torch.equal(first[1], again[1]) and not torch.equal(first[1], other[1])
    assert first[0].max() < 256
    assert text.decode(b"caf\xc3\xa9") == "café"


def _profile_some_calls():
    from carat.demo import coverage

    options = torch._C._profiler._ExperimentalConfig(capture_overload_names=True)
    x = torch.randn(8, 8)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], experimental_config=options) as profiler:
        torch.nn.functional.linear(x, x).t().unsqueeze(0).add(1).sum().item()
        torch.zeros(8).copy_(x[0])
    return coverage.operator_calls(profiler.events())


def test_operator_calls_leave_out_views_allocations_and_composites():
    # In a process of its own: a composite that Carat has registered a kernel for, in whatever test, is none any more.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        calls, composite_time = fresh.submit(_profile_some_calls).result()
    names = {name.removeprefix("aten::") for name in calls}
    assert {"mm", "add.Tensor", "sum", "copy_"} <= names
    assert not {"linear", "t", "unsqueeze", "item", "_local_scalar_dense", "empty.memory_format", "zeros"} & names
    assert composite_time > 0  # of zeros, which calls zero_


def test_time_of_a_partly_served_operator_is_a_lower_bound(monkeypatch):
    from carat.demo import coverage

    monkeypatch.setattr(coverage.carat, "ops", lambda: [])
    share = coverage.account({"aten::mm": [1.0, 5.0, 2.0], "aten::exp": [1.0]}, 1.0, {"mm": (2, {"small": 1})})
    assert (share.calls, share.served_calls) == (4, 2)
    assert share.time_share == pytest.approx(3 / 10)
    assert share.aside["mm"] == (1, pytest.approx(0.5), {"small": 1})
    assert share.aside["exp"][2] == {"not among Carat's operators": 1}


def test_counts_are_of_the_run_only():
    from carat.demo import coverage

    stat = types.SimpleNamespace
    before = {"mm": stat(calls=5, reasons={"small": 1})}
    after = {"mm": stat(calls=7, reasons={"small": 1, "dtype": 2}), "exp": stat(calls=1, reasons={})}
    assert coverage.difference(before, after) == {"mm": (2, {"dtype": 2}), "exp": (1, {})}


def gpu_run():
    """A run on a GPU as its report sees it."""
    def case(name, aside="", **us):
        return cuda.Case(name, 1 << 30, us, aside)

    cases = [case("exp", aten=400.0, inductor=380.0, carat=200.0), case("sum", aten=300.0, inductor=150.0, carat=200.0),
             case("sort", "not taken over", aten=900.0, inductor=800.0, carat=900.0)]
    return cuda.Run("a GPU", 1e13, cases, {"exp": (4.0, 3.0), "sum": (4.0, 4.4)})


def test_gpu_summary_counts_what_carat_served():
    found = cuda_report.summary(gpu_run())
    assert found["cases"] == 2 and found["stepped_aside"] == 1
    assert found["speedup_geomean"]["aten"] == pytest.approx((2 * 1.5) ** 0.5)
    assert found["worst_against_best"] == (0.75, "sum")
    assert found["best_other_geomean"] == pytest.approx((400 / 380 * 300 / 150) ** 0.5)
    assert found["host_time_worst"] == (pytest.approx(1.1), "sum")
    assert cuda_report.share(gpu_run(), gpu_run().cases[0]) == pytest.approx((1 << 30) / 200e-6 / 1e13)


def test_gpu_table_shows_every_case_and_side():
    console = Console(width=140, file=io.StringIO())
    cuda_report.show(gpu_run(), console)
    text = console.file.getvalue()
    assert all(word in text for word in ("exp", "sort", "Inductor", "2.00", "aside", "0.75 (sum)", "1.10 at worst (sum)"))


def test_gpu_case_is_served_only_where_all_its_operators_are():
    stat = lambda calls, **reasons: carat.Stat(calls, len(reasons), dict.fromkeys(reasons, 1))
    assert cuda.left_to_aten({}) == "not taken over"
    assert cuda.left_to_aten({"mm": stat(0, dtype=1)}) == "dtype"
    assert cuda.left_to_aten({"mm": stat(0, dtype=1), "add": stat(2)}) == "dtype"
    assert cuda.left_to_aten({"add": stat(2)}) == ""


def test_gpu_bench_without_a_gpu_says_so(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert cli.main(["bench", "--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert cli.main(["bench", "--device", "cuda", "--quick"]) == 2
    assert cli.main(["bench", "--against", "aten,inductor"]) == 2

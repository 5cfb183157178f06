# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: workloads, coverage, checks, tables, chart."""
import contextlib
import json
import math
import os
import pathlib
import sys
import time

import torch

import carat
from carat.bench.measure import cpu_times, other_load

from . import coverage, llama, minilm, report
from .report import Row

F32, BF16 = torch.float32, torch.bfloat16
SHORT = {F32: "f32", BF16: "bf16"}
SENTENCES = {F32: 256, BF16: 64}  # ATen's bf16 is slow on CPUs without AVX-512: fewer sentences, same comparison
SECONDS_A_BATCH = {F32: 0.8, BF16: 0.0}

# What has to hold. bf16 keeps 8 bits: there the limits only catch nonsense.
MIN_COSINE = {F32: 0.9999, BF16: 0.99}
MAX_LOSS_GAP = {F32: 1e-3, BF16: 5e-2}


class Checks:
    """The conditions on values, kept with what was found."""

    def __init__(self):
        self.found = []

    def expect(self, holds, text):
        """Notes a condition and whether it holds."""
        self.found.append((bool(holds), text))

    @property
    def failed(self):
        """The texts of the conditions that don't hold."""
        return [text for holds, text in self.found if not holds]


def run(folder="demo-out", threads=0):
    """Runs the demo and returns the exit status: 0, or 1 where a value is wrong."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # all is on disk; no wait for a network that may not be there
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's remarks would break the progress bar
    _quiet_transformers()
    if threads:
        torch.set_num_threads(threads)
    if carat.is_enabled():
        carat.disable()  # CARAT_ENABLE switched it on; the demo itself says where
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    begin, clock = time.perf_counter(), cpu_times()
    rows, checks, training = [], Checks(), {}
    with report.progress(total=_work()) as tick:
        for dtype in (F32, BF16):
            rows.append(_sentences(dtype, checks, tick))
        for dtype in (F32, BF16):
            training[dtype] = _training(dtype, rows, checks, tick)
        text = _generation(training[F32]["trainers"]["aten"].model, rows, checks, tick)
    curves = {SHORT[d]: training[d]["curves"] for d in training}
    busy = other_load(clock, cpu_times(), os.cpu_count() or 1)
    report.show(rows, checks.found, text, busy, time.perf_counter() - begin)
    report.chart(rows, curves, out / "demo.png")
    _write_json(out / "demo.json", rows, curves, checks)
    print(f"chart: {out / 'demo.png'}   figures: {out / 'demo.json'}")
    for text in checks.failed:
        print(f"carat demo: WRONG: {text}", file=sys.stderr)
    return 1 if checks.failed else 0


def _quiet_transformers():
    import transformers

    transformers.logging.set_verbosity_error()
    with contextlib.suppress(AttributeError):
        transformers.utils.logging.disable_progress_bar()


def _work():
    """Units of the progress bar: sentences, steps, generations, coverage runs."""
    return {"sentences": sum(SENTENCES.values()), "steps": sum(llama.STEPS.values()), "generations": 3, "coverage": 5}


def _sentences(dtype, checks, tick):
    name = f"MiniLM {SHORT[dtype]}, {SENTENCES[dtype]} sentences"
    found = minilm.compare(dtype, SENTENCES[dtype], SECONDS_A_BATCH[dtype], lambda n: tick("sentences", n, name))
    checks.expect(found["finite"], f"MiniLM {SHORT[dtype]}: every embedding is finite")
    checks.expect(
        found["cosine"] >= MIN_COSINE[dtype],
        f"MiniLM {SHORT[dtype]}: cosine similarity of each pair {found['cosine']:.6f} >= {MIN_COSINE[dtype]}",
    )
    middle = found["embedder"].batches[len(found["embedder"].batches) // 2]
    share = coverage.measure(lambda: found["embedder"].embed(middle))
    tick("coverage", 1, name)
    return Row(name, found["aten_s"], found["carat_s"], share, f"{found['difference']:.1e} (cosine {found['cosine']:.6f})")


def _training(dtype, rows, checks, tick):
    name = f"Llama {SHORT[dtype]}, training step"
    found = llama.train(dtype, lambda n: tick("steps", n, name))
    gap, later = found["early_difference"], found["difference"]
    checks.expect(
        math.isfinite(gap) and gap <= MAX_LOSS_GAP[dtype],
        f"Llama {SHORT[dtype]}: loss curves over {llama.COMPARED} steps differ by {gap:.1e} <= {MAX_LOSS_GAP[dtype]:g} (relative)",
    )
    checks.expect(math.isfinite(later), f"Llama {SHORT[dtype]}: the losses of all {llama.STEPS[dtype]} steps are finite; largest gap {later:.1e}")
    batch = llama.text.training_batches(1, llama.BATCH, llama.LENGTH, llama.SEED)[0]
    share = coverage.measure(lambda: found["trainers"]["carat"].step(batch))
    tick("coverage", 1, name)
    rows.append(Row(name, found["aten_s"], found["carat_s"], share, f"{later:.1e} (loss, relative)"))
    return found


def _generation(model, rows, checks, tick):
    """Greedy generation in fp32; returns the text of both."""
    name = f"Llama f32, {llama.NEW_TOKENS} tokens with KV cache"
    found = llama.compare_generation(model, 2.0, lambda n: tick("generations", n, name))
    checks.expect(found["tokens"] == found["carat_tokens"], f"Llama f32: {found['same']} of {llama.NEW_TOKENS} generated tokens are equal")
    share = coverage.measure(lambda: llama.generate(model))
    tick("coverage", 1, name)
    rows.append(Row(name, found["aten_s"], found["carat_s"], share, f"{found['different']} tokens"))
    return llama.PROMPT + llama.text.decode(found["carat_tokens"])


def _write_json(path, rows, curves, checks):
    data = {
        "info": carat.info(),
        "threads": torch.get_num_threads(),
        "rows": [row.as_dict() for row in rows],
        "loss": curves,
        "checks": [{"holds": holds, "text": text} for holds, text in checks.found],
    }
    path.write_text(json.dumps(data, indent=1, default=str), encoding="utf-8")

# SPDX-License-Identifier: Apache-2.0
"""carat precompile: fills the disk cache for a target by name, once; what can't be done is said."""
import hashlib
import os
import shutil
import subprocess
import sys

import pytest

import carat

OPERATOR = "rsqrt"  # of the pointwise ones, which have kernels of their own, one with few


def run(cache, *words, **environment):
    return subprocess.run([sys.executable, "-m", "carat", "precompile", *words], capture_output=True, text=True,
                          env={**os.environ, "CARAT_CACHE_DIR": str(cache), "COLUMNS": "400", **environment})


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_a_second_run_finds_what_the_first_one_made(tmp_path):
    first = run(tmp_path, "--arch", "baseline", "--threads", "2", OPERATOR, CARAT_CC="gcc")
    assert first.returncode == 0, first.stderr
    made = int(first.stdout.split()[1])
    assert made > 0 and len(list(tmp_path.rglob("k_*"))) == made
    second = run(tmp_path, "--arch", "baseline", OPERATOR, CARAT_CC="gcc")
    assert second.stdout == f"baseline: 0 kernels compiled, {made} were there\n"


@pytest.mark.parametrize("words, environment, message", [
    (("--arch", "sm_9", "add"), {}, "backend cuda has no target sm_9"),
    (("--arch", "baseline", "ad"), {}, "no operator or family 'ad'"),
    (("--arch", "baseline", OPERATOR), {"CARAT_CC": "/no/such/compiler"}, "/no/such/compiler"),
    (("--arch", "baseline", OPERATOR), {"CARAT_CACHE_DIR": "/proc/nowhere"}, "no disk cache"),
])
def test_what_is_missing_is_said(tmp_path, words, environment, message):
    outcome = run(tmp_path, *words, **environment)
    assert outcome.returncode == 2 and message in outcome.stderr and not outcome.stdout


def test_a_kernel_that_fails_is_an_error(tmp_path):
    broken = tmp_path / "cc"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo broken 1.0 && exit 0\necho "no such thing" >&2\nexit 1\n')
    broken.chmod(0o755)
    outcome = run(tmp_path / "cache", "--arch", "baseline", OPERATOR, CARAT_CC=str(broken))
    assert outcome.returncode == 2 and "no such thing" in outcome.stderr


TRACE = """
import sys, torch, carat
carat.enable()
torch.rsqrt(torch.ones(8)), torch.ones(3, 8).softmax(1)
carat.trace(sys.argv[1])
"""


def traced(path):
    """The text of a trace of two operators, for the CPU level in use."""
    subprocess.run([sys.executable, "-c", TRACE, str(path)], check=True, cwd=path.parent)
    return path.read_text()


def test_a_trace_names_the_kernels_that_were_used(tmp_path):
    text = traced(tmp_path / "model.trace")
    title, build, *kernels, checksum = text.splitlines()
    assert title == "carat trace 1" and len(build) == len(checksum) == 64 and len(kernels) >= 2
    level = kernels[0].split()[0]
    if shutil.which("gcc"):
        outcome = run(tmp_path / "cache", "--arch", level, "--model-trace", str(tmp_path / "model.trace"), "--threads", "2", CARAT_CC="gcc")
        assert outcome.stdout == f"{level}: {len(kernels)} kernels compiled, 0 were there\n", outcome.stderr
    assert run(tmp_path / "other", "--arch", "sm_90a", "--model-trace", str(tmp_path / "model.trace")).stdout.startswith("sm_90a: 0 kernels")


@pytest.mark.parametrize("change, message", [
    (lambda text: text[:-70], "damaged"),
    (lambda text: text.replace("carat trace 1", "carat trace 2", 1), "damaged"),
    (lambda text: "", "can't be read"),
    (lambda text: "x" * 1000, "damaged"),
    (lambda text: sealed(text.replace(text.splitlines()[1], "0" * 64)), "another build"),
    (lambda text: sealed(text + "x86-64-v4 zz\n"), "names a kernel that there isn't"),
])
def test_a_trace_that_is_damaged_or_stale_is_refused(tmp_path, change, message):
    path = tmp_path / "model.trace"
    text = change(traced(path))
    path.write_text(text)
    outcome = run(tmp_path / "cache", "--arch", "baseline", "--model-trace", str(path))
    assert outcome.returncode == 2 and message in outcome.stderr


def sealed(text):
    """The trace with the right checksum for what stands before the last full one."""
    lines = [line for line in text.splitlines() if len(line) != 64 or line == text.splitlines()[1]]
    body = "".join(line + "\n" for line in lines)
    return body + hashlib.sha256(body.encode()).hexdigest() + "\n"


def test_a_trace_that_is_not_there_is_an_error(tmp_path):
    assert "No such file" in run(tmp_path, "--arch", "baseline", "--model-trace", str(tmp_path / "none")).stderr
    with pytest.raises(OSError, match="No such file"):
        carat.trace(tmp_path / "no" / "folder")

# SPDX-License-Identifier: Apache-2.0
"""carat precompile: fills the disk cache for a target by name, once; what can't be done is said."""
import os
import shutil
import subprocess
import sys

import pytest

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

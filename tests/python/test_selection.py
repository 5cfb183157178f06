# SPDX-License-Identifier: Apache-2.0
"""Choosing operators: the grammar, its way through the API and the environment, and what it switches."""

import os
import subprocess
import sys

import pytest
import torch

import carat
from carat._selection import UnknownOperator, select

ROWS = [("add.Tensor", "pointwise"), ("add_.Tensor", "pointwise"), ("add.out", "pointwise"), ("addmm", "matmul"),
        ("mm", "matmul"), ("mm.out", "matmul"), ("_softmax", "softmax"), ("_softmax_backward_data", "softmax"),
        ("sort.stable", "sort"), ("__iand__.Tensor", "pointwise")]


def chosen(only=None, exclude=None):
    return {ROWS[i][0] for i, taken in enumerate(select(ROWS, only, exclude)) if taken}


EVERYTHING = {overload for overload, _ in ROWS}


@pytest.mark.parametrize("only, exclude, expected", [
    (None, None, EVERYTHING),
    ([], None, set()),
    ("", None, set()),
    ("all", None, EVERYTHING),
    (["add"], None, {"add.Tensor", "add_.Tensor", "add.out"}),
    ("add.out", None, {"add.out"}),
    ("add_", None, {"add_.Tensor"}),
    ("aten::mm.default", None, {"mm", "mm.out"}),
    ("mm,_softmax*", None, {"mm", "mm.out", "_softmax", "_softmax_backward_data"}),
    (["pointwise"], ["add"], {"__iand__.Tensor"}),
    ("pointwise, -add_", None, {"add.Tensor", "add.out", "__iand__.Tensor"}),
    ("-sort", None, EVERYTHING - {"sort.stable"}),
    (None, "matmul,softmax,sort", {"add.Tensor", "add_.Tensor", "add.out", "__iand__.Tensor"}),
    ("*.out", None, {"add.out", "mm.out"}),
])
def test_grammar(only, exclude, expected):
    assert chosen(only, exclude) == expected


def test_a_misspelt_name_is_an_error_with_a_hint():
    with pytest.raises(UnknownOperator, match="softmx.*did you mean"):
        chosen("_softmx")
    with pytest.raises(ValueError):
        carat.enable(exclude=["no_such_operator"])


def test_enable_disable(served):
    x = torch.randn(8)
    assert not carat.is_enabled()
    carat.enable()
    assert carat.is_enabled()
    x.neg()
    carat.disable()
    assert not carat.is_enabled()
    x.neg()
    assert served("neg") == 1


def test_enable_replaces_the_choice_before(served):
    x = torch.randn(8)
    carat.enable(only=["neg"])
    x.neg(), x.exp()
    carat.enable(only="exp")
    x.neg(), x.exp()
    assert served("neg") == served("exp") == 1


def test_scope_chooses_for_itself(served):
    x = torch.randn(8)
    carat.enable(only=["neg"])
    with carat.use(only=["exp"]):
        x.neg(), x.exp()
        with carat.use():
            x.neg()
        x.neg(), x.exp()
    x.neg(), x.exp()
    assert served("neg") == 2 and served("exp") == 2


def test_empty_scope_keeps_carat_out(served):
    carat.enable()
    with carat.use(only=[]):
        torch.randn(8).neg()
    assert served("neg") == 0


def test_scope_ends_with_an_exception(served):
    with pytest.raises(ZeroDivisionError), carat.use():
        1 / 0
    torch.randn(8).neg()
    assert served("neg") == 0 and not carat.is_enabled()


def test_scope_as_decorator(served):
    @carat.use(only="neg")
    def negate(x, depth):
        return negate(x.neg(), depth - 1) if depth else x

    negate(torch.randn(8), 3)
    torch.randn(8).neg()
    assert served("neg") == 3


# ---- the environment

PROGRAM = """
import carat, torch
x = torch.randn(8)
x.neg(), x.exp()
print(sorted(name for name, stat in carat.stats().items() if stat.calls and name in ("neg", "exp")))
"""


def run(program, *, file=None, **environment):
    path = os.pathsep.join(sys.path)
    if file:
        file.write_text(program)
    done = subprocess.run([sys.executable, *([str(file)] if file else ["-c", program])], env={**os.environ, "PYTHONPATH": path, **environment},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("text, expected", [
    ("1", "['exp', 'neg']"), ("all", "['exp', 'neg']"), ("neg", "['neg']"), ("-neg", "['exp']"), ("pointwise,-exp", "['neg']"),
    ("0", "[]"), ("", "[]"),
])
def test_environment(text, expected):
    assert run(PROGRAM, CARAT_ENABLE=text).stdout.strip() == expected


def test_environment_with_a_wrong_name_warns_and_goes_on():
    done = run(PROGRAM, CARAT_ENABLE="ngee")
    assert done.stdout.strip() == "[]" and "CARAT_ENABLE" in done.stderr


def test_spawned_processes_inherit_the_environment(tmp_path):
    program = """
import multiprocessing

def child(queue):
    import carat, torch
    torch.ones(8).neg()
    queue.put(carat.stats()["neg"].calls)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
"""
    assert run(program, file=tmp_path / "spawns.py", CARAT_ENABLE="1").stdout.strip() == "1"


def test_import_does_nothing():
    """No torch, no library, no output; and Carat's table alone needs no torch either."""
    program = """
import sys, carat
assert "torch" not in sys.modules
assert "libcarat" not in open("/proc/self/maps").read()
"""
    done = run(program, CARAT_ENABLE="")
    assert done.stdout == done.stderr == ""


def test_enable_is_silent():
    done = run("import torch, carat; carat.enable(); carat.disable(); carat.enable()", CARAT_ENABLE="")
    assert done.stdout == done.stderr == ""

# SPDX-License-Identifier: Apache-2.0
"""The way of a call through the adapter: what comes back, what is passed on, what is counted, what it costs to install."""

import os
import subprocess
import sys

import pytest
import torch

import carat


def test_inplace_returns_its_argument(served):
    x = torch.ones(8)
    with carat.use():
        assert x.neg_() is x and x.add_(1) is x
    assert served("neg_") == 1 and x.eq(0).all()


def test_out_returns_its_argument(served):
    x, out = torch.ones(8), torch.empty(8)
    with carat.use():
        assert torch.neg(x, out=out) is out
    assert served("neg.out") == 1 and out.eq(-1).all()


def test_out_of_a_wrong_size_is_resized_with_atens_warning():
    out = torch.empty(3)
    with carat.use(), pytest.warns(UserWarning, match="was resized"):
        torch.neg(torch.ones(8), out=out)
    assert out.shape == (8,) and out.eq(-1).all()


def test_results_have_atens_strides(served):
    x = torch.randn(3, 4, 5).permute(2, 0, 1)
    expected = x.neg()
    with carat.use():
        assert x.neg().stride() == expected.stride()
    assert served("neg") == 1


def test_plain_numbers_do_not_promote():
    x, half = torch.ones(4, dtype=torch.int32), torch.ones(4, dtype=torch.bfloat16)
    with carat.use():
        assert (x + 1).dtype == torch.int32 and (x + 1.5).dtype == torch.float32 and (half + 2.0).dtype == torch.bfloat16
        assert (half + torch.tensor(2.0)).dtype == torch.bfloat16 and (x * True).dtype == torch.int32
        assert (half + torch.ones(4)).dtype == torch.float32 and (half * 2j).dtype == (half.cpu() * 2j).dtype


BAD = [
    lambda x: x + torch.ones(3),
    lambda x: torch.neg(x > 0),
    lambda x: x.add_(torch.ones(2, 8)),
    lambda x: torch.add(x, x, out=torch.ones(8, dtype=torch.int64)),
    lambda x: x.expand(4, 8).neg_(),
    lambda x: torch.ones(8, dtype=torch.int64).mul_(0.5),
    lambda x: torch.neg(x, out=x.to("meta")),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_errors_are_atens(number):
    with pytest.raises(Exception) as expected:
        BAD[number](torch.ones(8))
    with carat.use(), pytest.raises(type(expected.value)) as actual:
        BAD[number](torch.ones(8))
    assert str(actual.value) == str(expected.value)


def test_steps_aside_are_counted_with_their_reason():
    with carat.use():
        torch.ones(4, dtype=torch.complex64).conj().neg()
        torch.nested.nested_tensor([torch.ones(2)]).neg()
        torch.ones(8).expand(4, 8).neg()
        with pytest.raises(RuntimeError):
            torch.ones(8).add_(torch.ones(2, 8))
    stat = carat.stats()["add_.Tensor"]
    assert stat.calls == 0 and stat.stepped_aside == 1 and sum(stat.reasons.values()) == 1
    assert all(isinstance(reason, str) and reason for s in carat.stats().values() for reason in s.reasons)


def test_stats_reset():
    with carat.use():
        torch.ones(8).neg()
    assert carat.stats(reset=True)["neg"] == carat.Stat(1, 0, {})
    assert carat.stats() == {}


def test_symbolic_sizes_and_undefined_tensors():
    """Operators with optional tensors and sizes, whether or not Carat has them yet."""
    x = torch.randn(4, 8, requires_grad=True)
    expected = torch.autograd.grad(torch.nn.functional.layer_norm(x, (8,)).square().sum(), x)[0]
    with carat.use():
        actual = torch.autograd.grad(torch.nn.functional.layer_norm(x, (8,)).square().sum(), x)[0]
    torch.testing.assert_close(actual, expected)


def test_random_stream_goes_on():
    """Numbers drawn with Carat and without are one stream, with the default generator and with a given one."""
    def draw(generator):
        return [torch.empty(n).uniform_(generator=generator) for n in (3, 64, 1000)] + \
               [torch.randn(37, generator=generator), torch.randperm(20, generator=generator)]

    for generator in (None, torch.Generator()):
        (generator or torch.default_generator).manual_seed(3)
        expected = draw(generator)
        (generator or torch.default_generator).manual_seed(3)
        with carat.use():
            actual = draw(generator)
        for a, e in zip(actual, expected):
            torch.testing.assert_close(a, e)


def test_empty_and_large_ranks():
    with carat.use():
        assert torch.ones(0, 3).neg().shape == (0, 3)
        assert torch.ones([1] * 20).neg().shape == (1,) * 20
        assert torch.ones(()).neg().item() == -1


def test_memory_that_was_freed():
    x = torch.ones(8)
    x.untyped_storage().resize_(0)
    x.set_(x.untyped_storage(), 0, (0,))
    with carat.use():
        assert x.neg().numel() == 0


def test_ops_lists_every_row():
    rows = carat.ops()
    assert len({row.overload for row in rows}) == len(rows) > 0
    by_name = {row.overload: row for row in rows}
    assert "f32" in by_name["neg"].dtypes and by_name["neg"].family == "pointwise" and "cpu" in by_name["neg"].backends
    assert by_name["neg"].refused is None


def test_nothing_composite_is_taken_over():
    """A backend kernel of an operator that PyTorch decomposes above autograd would lose its gradient."""
    for row in carat.ops():
        name, _, overload = row.overload.partition(".")
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{row.overload}", "CompositeImplicitAutograd") \
            if hasattr(getattr(torch.ops.aten, name, None), overload or "default") else False
        assert not composite or row.refused or torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{row.overload}", "Autograd")


def test_info():
    info = carat.info()
    assert info["torch"] == torch.__version__ and info["backends"]["cpu"]["target"] == info["isa"]
    assert torch.__version__.startswith(".".join(info["adapter"].split(".")[:2]))


def test_install_time(capsys):
    program = """
import time, torch
start = time.perf_counter()
import carat
carat.enable()
print(f"{(time.perf_counter() - start) * 1e3:.1f}")
"""
    path = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path, "CARAT_ENABLE": ""},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with capsys.disabled():
        print(f"\nimport carat + enable(): {done.stdout.strip()} ms beyond import torch")


def test_a_cached_build_of_the_adapter(tmp_path, monkeypatch):
    """What the package has no binary for is built once into the cache, which must be the user's own."""
    from carat import _build

    monkeypatch.setenv("CARAT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(_build.subprocess, "run", lambda command, **_: fake_compiler(command))
    commands = []

    def fake_compiler(command):
        commands.append(command)
        open(command[command.index("-o") + 1], "w").close()
        return subprocess.CompletedProcess(command, 0, "", "")

    first = _build.build_adapter()
    assert _build.build_adapter() == first and len(commands) == 1
    assert first.parent == tmp_path / "cache" / "adapter" and (first.parent.stat().st_mode & 0o777) == 0o700
    os.chmod(tmp_path / "cache", 0o777)
    assert _build.build_adapter().parent != first.parent  # a folder that others can write to is not used

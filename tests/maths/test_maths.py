# SPDX-License-Identifier: Apache-2.0
"""Builds maths_test.c with each compiler at hand and asserts what it measures, that its references agree with mpmath, and
that compilers turn every function into SIMD. By hand: `maths_test --full` walks all f32 values, `--time` times."""
import pathlib
import re
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
FLAGS = ["-O3", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
GCC_FLAGS = ["-fno-tree-loop-distribute-patterns", "--param", "max-completely-peel-times=4"]         # see math.h
COMPILERS = [c for c in ("gcc", "clang", "clang-14") if shutil.which(c)]
if not shutil.which("gcc"):
    pytest.skip("gcc's libquadmath is the reference", allow_module_level=True)
TARGETS = ["x86-64", "x86-64-v3", "x86-64-v4"]
FEATURE = {"x86-64": "sse2", "x86-64-v3": "fma", "x86-64-v4": "avx512vl"}
SCALAR = {"fmod_f64"}       # loops, and says so


def rows():
    text = (HERE / "maths_list.def").read_text()
    return [(m[2], m[1] == "BINARY") for m in re.finditer(r"^(UNARY|BINARY) *\((\w+),", text, re.M)]


def own_flags(compiler):
    """gcc finds libquadmath by itself; clang has to be shown gcc's."""
    if "clang" not in compiler:
        return GCC_FLAGS
    folder = pathlib.Path(subprocess.check_output(["gcc", "-print-file-name=libquadmath.so"], text=True).strip()).parent
    return ["-Wno-unused-command-line-argument", f"-idirafter{folder / 'include'}", f"-L{folder}"]


def build(compiler, target, out, *more):
    command = [compiler, *FLAGS, f"-march={target}", *own_flags(compiler), *more, str(HERE / "maths_test.c"), "-o", str(out)]
    if "-S" not in more:
        command += ["-lquadmath", "-lm"]
    subprocess.run(command, check=True)
    return out


def cpu_has(target):
    return FEATURE[target] in pathlib.Path("/proc/cpuinfo").read_text()


@pytest.mark.parametrize("compiler, target", [(c, t) for c in COMPILERS for t in (TARGETS if c == COMPILERS[0] else TARGETS[1:])])
def test_error_within_limits(compiler, target, tmp_path):
    if not cpu_has(target):
        pytest.skip(f"this CPU does not run {target}")
    program = build(compiler, target, tmp_path / "maths_test")
    result = subprocess.run([program, "-n", "60000"], stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    failed = [line for line in result.stdout.splitlines() if "FAILED" in line]
    assert result.returncode == 0 and not failed, "\n".join(failed)


def packed_functions(assembly):
    """Names of the run_ functions whose code has 256-bit packed floating-point instructions."""
    bodies = re.split(r"^run_(\w+):", assembly, flags=re.M)[1:]
    return {name for name, body in zip(bodies[::2], bodies[1::2])
            if re.search(r"^\s+v(?:f?n?m|add|sub|mul|round|sqrt|div)\w*p[sd]\s.*ymm", body.split(".cfi_endproc")[0], re.M)}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_function_vectorises(compiler, tmp_path):
    assembly = build(compiler, "x86-64-v3", tmp_path / "maths.s", "-S").read_text()
    wanted = {f"{name}_{t}" for name, _ in rows() for t in ("f32", "f64")} - SCALAR
    assert wanted - packed_functions(assembly) == set()


# ---- the references themselves ---------------------------------------------------------------------------------------

def exact_functions(mp):
    near = {f"{n}_near": getattr(mp, n) for n in ("sin", "cos", "tan")}
    plain = "floor ceil sqrt exp expm1 sinh cosh tanh log log10 asinh acosh atanh sin cos tan asin acos atan erf erfc atan2 hypot"
    return {**near, **{n: getattr(mp, n) for n in plain.split()}, "rsqrt": lambda x: 1 / mp.sqrt(x),
            "exp2": lambda x: mp.mpf(2)**x, "log2": lambda x: mp.log(x, 2), "log1p": mp.log1p,
            "sigmoid": lambda x: 1 / (1 + mp.exp(-x)), "pow": mp.power}


def parse(mp, text):
    """A hex float of any precision."""
    sign, digits, point, exponent = re.fullmatch(r"(-?)0x([0-9a-f]+)\.?([0-9a-f]*)p([+-]\d+)", text).groups()
    value = mp.mpf(int(digits + point, 16)) * mp.mpf(2)**(int(exponent) - 4 * len(point))
    return -value if sign else value


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(COMPILERS[0], "x86-64-v3" if cpu_has("x86-64-v3") else "x86-64", tmp_path_factory.mktemp("maths") / "maths_test")


@pytest.mark.parametrize("kind, bits", [("f32", 48), ("f64", 100)])
def test_references_agree_with_mpmath(program, kind, bits):
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.prec = 1400                  # arguments reach 2^1024
    checked = 0
    for name, function in exact_functions(mp).items():
        for line in subprocess.check_output([program, "--dump", kind, name], text=True).splitlines()[:60]:
            x, y, _, want = line.split()
            if any("n" in v for v in (x, y, want)):         # nan, inf
                continue
            x, y, want = (parse(mp, v) for v in (x, y, want))
            if abs(x) > 2**1020 or want == 0 or abs(want) < mp.mpf(2)**(-1000):
                continue
            exact = function(x, y) if name in ("atan2", "hypot", "pow") else function(x)
            assert abs(exact - want) <= abs(exact) * mp.mpf(2)**-bits, (name, line)
            checked += 1
    assert checked > 500

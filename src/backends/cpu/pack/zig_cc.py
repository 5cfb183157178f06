# SPDX-License-Identifier: Apache-2.0
"""Runs the clang inside the ziglang wheel as a C compiler with gcc's spelling of flags: zig_cc.py ARGUMENTS...

Clang makes kernels 1.2 to 1.5 times as fast as gcc 12's and compiles them in half the time; the wheel brings the same clang
to every machine, and cross targets with it. Zig spells levels x86_64_v3, and turns UBSan on unless told not to.
"""

import os
import sys
import tempfile


def translate(argument):
    if argument.startswith("-march=x86-64"):
        return "-march=x86_64" + argument.removeprefix("-march=x86-64").replace("-v", "_v")
    return argument


def main():
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", os.path.join(tempfile.gettempdir(), f"carat-zig-{os.getuid()}"))
    arguments = [translate(a) for a in sys.argv[1:] if not a.startswith("-mprefer-vector-width")]
    os.execv(sys.executable, [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined", *arguments])


if __name__ == "__main__":
    main()

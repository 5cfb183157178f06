# SPDX-License-Identifier: Apache-2.0
"""Runs the clang inside the ziglang wheel as a C compiler with gcc's spelling of flags: zig_cc.py ARGUMENTS...

Clang makes kernels 1.2 to 1.5 times as fast as gcc 12's and compiles them in half the time; the wheel brings the same clang
to every machine, and cross targets with it. Zig spells levels x86_64_v3, takes this machine's processor where none is named,
and turns UBSan on unless told not to.
"""

import os
import sys


def translate(argument):
    if argument.startswith("-march=x86-64"):
        return "-march=x86_64" + argument.removeprefix("-march=x86-64").replace("-v", "_v")
    return argument


def main():
    # Ninja runs compilers in the build folder.
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", os.path.abspath("zig-cache"))
    arguments = [translate(a) for a in sys.argv[1:]]
    if not any(a.startswith("-march=") for a in arguments):
        arguments.insert(0, "-mcpu=baseline")
    os.execv(sys.executable, [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined", *arguments])


if __name__ == "__main__":
    main()

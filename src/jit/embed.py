# SPDX-License-Identifier: Apache-2.0
# Writes the C file that holds every kernel source: embed.py KERNELS_DIR OUTPUT_C DEPFILE
# Each file comes with a hash of its text and of all it includes, so that a kernel's symbol changes with any of them.
import hashlib
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


def resolve(files, includer, name):
    """The embedded name that an #include means: beside the includer first, then from the kernels folder."""
    beside = str(pathlib.PurePosixPath(includer).parent / name)
    for candidate in (beside, name):
        if candidate in files:
            return candidate
    sys.exit(f'{includer}: #include "{name}" is not a file of the kernels folder')


def closure(files, name, seen):
    if name in seen:
        return
    seen.append(name)
    for include in INCLUDE.findall(files[name]):
        closure(files, resolve(files, name, include), seen)


def c_string(text):
    """Adjacent string literals, one a line; octal escapes for what is not plain ASCII."""
    def escape(byte):
        char = chr(byte)
        if char in '"\\?':
            return '\\' + char
        return char if 32 <= byte < 127 else f'\\{byte:03o}'
    lines = text.encode().splitlines(keepends=True) or [b'']
    return '\n'.join('    "' + ''.join(map(escape, line)) + '"' for line in lines)


def main(root, output, depfile):
    root = pathlib.Path(root)
    paths = sorted(p for p in root.rglob('*') if p.suffix in ('.c', '.h'))
    files = {name: (root / name).read_text() for name in sorted(p.relative_to(root).as_posix() for p in paths)}
    lines = ['// Made by src/jit/embed.py.', '#include "jit/embedded.h"', '']
    entries = []
    for i, (name, text) in enumerate(files.items()):
        seen = []
        closure(files, name, seen)
        digest = hashlib.sha256('\0'.join(n + '\0' + files[n] for n in seen).encode()).hexdigest()
        lines += [f'static const char text_{i}[] =', c_string(text) + ';']
        entries.append(f'    {{"{name}", text_{i}, sizeof text_{i} - 1, "{digest}"}},')
    lines += ['const carat_embedded carat_embedded_files[] = {', *entries, '    {0},', '};',
              f'const int carat_embedded_count = {len(entries)};', '']
    pathlib.Path(output).write_text('\n'.join(lines))
    folders = sorted({p.parent for p in paths} | {root})
    inputs = ' '.join(str(p).replace(' ', r'\ ') for p in [*folders, *paths])
    pathlib.Path(depfile).write_text(f'{output}: {inputs}\n')


main(*sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
# Lists a folder's C files for Meson: sources.py FOLDER
import pathlib
import sys

print('\n'.join(sorted(p.name for p in pathlib.Path(sys.argv[1]).glob('*.c'))))

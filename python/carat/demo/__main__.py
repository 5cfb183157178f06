# SPDX-License-Identifier: Apache-2.0
"""`python -m carat.demo` is `carat demo`."""
import sys

from carat.cli import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))

# SPDX-License-Identifier: Apache-2.0
"""Carat: tensor operators in C that take over PyTorch's own.

    import torch, carat
    carat.enable()          # every operator Carat is good at, process-wide
    with carat.use(): ...   # or only here, on this thread and its autograd threads

Importing does nothing else unless the environment variable CARAT_ENABLE says what to enable.
"""

import os as _os

from ._control import Operator, Stat, disable, enable, is_enabled, ops, stats, use
from ._info import info
from ._pointwise import pointwise
from ._precompile import trace

__all__ = ["Operator", "Stat", "disable", "enable", "info", "is_enabled", "ops", "pointwise", "stats", "trace", "use"]

if _os.environ.get("CARAT_ENABLE"):
    from ._control import enable_from_environment as _enable_from_environment

    _enable_from_environment(_os.environ["CARAT_ENABLE"])

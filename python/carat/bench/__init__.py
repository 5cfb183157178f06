# SPDX-License-Identifier: Apache-2.0
"""`carat bench`: every overload that Carat takes over, against ATen, in one process.

inputs.py   arguments for an overload, made from its schema
measure.py  interleaved timing and the ceilings of this machine
report.py   the table, the summary, JSON and the chart
special.py  arguments that a schema doesn't tell

On a GPU (--device cuda): cuda.py times, cuda_cases.py and cuda_anchors.py are what, cuda_report.py shows.
"""
from .measure import Settings, run
from .report import chart, show, summary

__all__ = ["Settings", "chart", "run", "show", "summary"]

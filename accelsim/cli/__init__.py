"""The command line: it parses and prints, and computes nothing.

Each module registers its commands with `common.app` when it is imported here, in the order of `--help`.
"""

from __future__ import annotations

from accelsim.cli import run, sweep, search, crossover, sensitivity, compare  # isort: skip
from accelsim.cli import operator, explain, graph, format, accuracy, dram, area  # isort: skip
from accelsim.cli import validate, calibrate, describe  # isort: skip
from accelsim.cli.common import app, main

__all__ = [
    "accuracy", "app", "area", "calibrate", "compare", "crossover", "describe", "dram", "explain", "format", "graph",
    "main", "operator", "run", "search", "sensitivity", "sweep", "validate",
]  # fmt: skip

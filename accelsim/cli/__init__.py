"""The command line: it parses and prints, and computes nothing.

Each module registers its commands with `common.app` when it is imported here.
"""

from __future__ import annotations

from accelsim.cli import describe
from accelsim.cli.common import app, main

__all__ = ["app", "describe", "main"]

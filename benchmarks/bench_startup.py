"""CPU seconds until `accelsim --help` has answered and `import accelsim` is done, beside a bare interpreter's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5


def _child_cpu_seconds(*arguments: str) -> float:
    """User and system time of `python ARGUMENTS` [s]: the least of several, after one that warms the byte code."""
    best = float("inf")
    for attempt in range(REPEATS + 1):
        before = os.times()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
        after = os.times()
        spent = (after.children_user - before.children_user) + (after.children_system - before.children_system)
        if attempt:
            best = min(best, spent)
    return best


def main() -> list[Row]:
    bare = _child_cpu_seconds("-c", "pass")
    loaded = _child_cpu_seconds("-c", "import accelsim")
    helped = _child_cpu_seconds("-m", "accelsim", "--help")
    return [
        Row("python -c pass", bare, "s CPU"),
        Row("import accelsim", loaded, "s CPU", 0.6),
        Row("accelsim --help", helped, "s CPU", 0.5),
        Row("accelsim --help / python -c pass", helped / bare, "x"),
    ]

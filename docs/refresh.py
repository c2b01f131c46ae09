"""Writes every printed output in the docs anew: the README's demo and the `.out` files beside the examples.

Run it after a change that is meant to move numbers (`make outputs`), and read the difference before committing it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = re.compile(r"(<!-- demo:.*?-->\n```text\n).*?(```\n<!-- /demo -->)", re.S)


def _output(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, check=True, capture_output=True, text=True, encoding="utf-8"
        )
    return done.stdout


def main() -> None:
    """Runs the examples and the demo, each in an empty folder, and keeps what they print."""
    for example in sorted((ROOT / "docs" / "examples").glob("*.py")):
        example.with_suffix(".out").write_text(_output(str(example)), encoding="utf-8")
    readme = ROOT / "README.md"
    demo = _output("-m", "accelsim", "demo").rstrip() + "\n"
    readme.write_text(DEMO.sub(lambda found: found[1] + demo + found[2], readme.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Pages that are run: what the cells of a page print, and the pictures that they save, are what the page shows.

A page whose first line is `<!-- cells -->` is run from top to bottom, in an empty folder and one name space. Cells are
its fenced blocks of Python; what a cell prints stands behind it, between `<!-- printed -->` and `<!-- /printed -->`. A
picture of the page, `![...](pictures/NAME.png)`, is the file NAME.png that a cell has saved.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

MARK = "<!-- cells -->\n"
CELL = re.compile(r"(```python\n(.*?)```\n)(?:\n<!-- printed -->\n```text\n.*?```\n<!-- /printed -->\n)?", re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(pictures/(\S+?)\)")


def marked(page: str) -> bool:
    """Whether a page is one that is run."""
    return page.startswith(MARK)


def run(page: str, name: str) -> tuple[str, dict[str, bytes]]:
    """A page with what its cells print now, and the pictures that it shows.

    Args:
        page: the text.
        name: of the page, for tracebacks.
    """
    space: dict[str, Any] = {"__name__": name}
    before = Path.cwd()

    def fresh(found: re.Match[str]) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(found[2], f"{name}: {found[2].splitlines()[0]}", "exec"), space)
        text = "\n".join(line.rstrip() for line in printed.getvalue().rstrip().splitlines())
        return found[1] + (f"\n<!-- printed -->\n```text\n{text}\n```\n<!-- /printed -->\n" if text else "")

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            made = CELL.sub(fresh, page)
            pictures = {found: Path(found).read_bytes() for found in PICTURE.findall(page)}
        finally:
            os.chdir(before)
    return made, pictures

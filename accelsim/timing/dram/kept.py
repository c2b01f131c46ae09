"""Where sampled surfaces are kept, so that a machine samples a memory once, and those of shipped chips never.

Surfaces of shipped chips travel with the descriptions (`arch/dram/surfaces.json`). Others are kept in a folder of the
user, under the hash of the description and of the code that samples it: the one that ACCELSIM_DRAM_CACHE names, or
`accelsim` in the user's folder of caches (XDG_CACHE_HOME, else `~/.cache`). ACCELSIM_DRAM_CACHE=off keeps none.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from accelsim import catalog

CACHE: Final = "ACCELSIM_DRAM_CACHE"
"""Names the folder in which sampled surfaces are kept."""
OFF: Final = "off"

Grid = list[list[float]]
"""Bytes per second of one pattern: [bytes in flight, reads]."""


def shipped_file() -> Path:
    """The file of the surfaces that travel with the descriptions."""
    return catalog.root() / "arch" / "dram" / "surfaces.json"


def find(key: str, pattern: str, shape: tuple[int, int]) -> Grid | None:
    """What is kept for the hash of a description and a pattern; None if it is nowhere, or damaged."""
    known = shipped().get(key)
    found = _checked(known.get(pattern), shape) if isinstance(known, dict) else None
    folder = _folder()
    if found is not None or folder is None:
        return found
    try:
        return _checked(json.loads(_file(folder, key, pattern).read_text(encoding="utf-8")), shape)
    except (OSError, ValueError):
        return None


def keep(key: str, pattern: str, grid: Grid) -> None:
    """Write a file whole, or not at all: a cache that cannot be written is no error."""
    folder = _folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".dram-")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(grid, out)
        Path(name).replace(_file(folder, key, pattern))
    except OSError:
        return


@cache
def shipped() -> Mapping[str, object]:
    """Hash -> pattern -> grid of the surfaces that travel with the descriptions; none if that file is not there."""
    try:
        content = json.loads(shipped_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _checked(content: object, shape: tuple[int, int]) -> Grid | None:
    try:
        grid = np.array(content, dtype=float)
    except (ValueError, TypeError):
        return None
    right = grid.shape == shape and bool(np.all(np.isfinite(grid) & (grid > 0)))
    return grid.tolist() if right else None


def _folder() -> Path | None:
    named = os.environ.get(CACHE)
    if named == OFF:
        return None
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "accelsim"
    except RuntimeError:  # no home
        return None


def _file(folder: Path, key: str, pattern: str) -> Path:
    return folder / f"dram-{key}-{pattern}-{_code()}.json"


@cache
def _code() -> str:
    """A digest of the modules that decide what a sample is."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]

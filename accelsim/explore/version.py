"""Which code computed a row: a digest of the sources from the descriptions' records to the simulation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1]

ABOVE: Final = frozenset({"cli", "explore", "report", "explain", "validation", "_catalog", "__main__", "__init__"})
"""Parts of the package that stand above the simulation and change no result of it."""


@cache
def model_version() -> str:
    """The digest of this process's sources, 16 hexadecimal digits."""
    return digest_of(PACKAGE)


def digest_of(package: Path) -> str:
    """The digest of the sources of a package: names and contents, ends of lines apart."""
    total = hashlib.sha256()
    for file in _sources(package):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{file.relative_to(package).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


def _sources(package: Path) -> Iterator[Path]:
    for entry in sorted(package.iterdir()):
        if entry.stem in ABOVE or entry.name == "__pycache__":
            continue
        yield from sorted(entry.rglob("*.py")) if entry.is_dir() else [entry] * (entry.suffix == ".py")

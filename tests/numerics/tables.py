"""Decode tables that peers printed, where the folder with them lies beside the repository."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "reference" / "numerics"


def rows(name: str) -> list[list[str]]:
    """The rows of a table below its header.

    A worktree may lie beside `shared` as the repository does.
    """
    file = FOLDER / f"{name}.csv"
    if not file.exists():
        pytest.skip(f"no {file.name} here")
    with file.open(encoding="utf-8", newline="") as source:
        return list(csv.reader(source))[1:]


def number(text: str) -> float:
    """A value as decimal or hexadecimal; infinity and NaR alike are NaN."""
    if any(word in text.lower() for word in ("nan", "nar", "inf")):
        return float("nan")
    return float.fromhex(text) if "0x" in text.lower() else float(text)

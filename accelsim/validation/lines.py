"""Rows of a CSV file of measurements, with where they stand."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from accelsim.errors import RequestError


def lines(file: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(Place for messages, row by column) of every line.

    Args:
        file: with a heading.
        needed: columns that it has to have.

    Raises:
        RequestError: a file that cannot be read, or lacks a column.
    """
    try:
        with file.open(encoding="utf-8", newline="") as text:
            table = csv.DictReader(text)
            missing = [name for name in needed if name not in (table.fieldnames or ())]
            if missing:
                raise RequestError(f"{file}: no column {missing[0]!r}; needed are {', '.join(needed)}")
            for row in table:
                yield f"{file}, line {table.line_num}", row
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror}") from None

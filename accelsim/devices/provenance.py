"""How far the figures of a description can be trusted, by their dotted paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accelsim.spec.base import STATUSES, Description
from accelsim.spec.figures import Figures


def constant(description: Description, path: str) -> list[tuple[str, str, str]]:
    """(path, source, status) of a figure, of a whole table, or of every row of a list of tables."""
    *tables, key = path.split(".")
    table: Any = description
    for part in tables:
        table = getattr(table, part)
    found = getattr(table, key, None)
    if isinstance(found, tuple):
        return [(f"{path}.{i}", row.source, row.status) for i, row in enumerate(found)]
    if isinstance(found, Figures):
        keys = (*found.measured, *found.derived, *found.assumed)
        weakest = max([found.status, *map(found.status_of, keys)], key=STATUSES.index)
        return [(path, found.source, weakest)]
    return [(path, table.source, table.status_of(key))]


def status(description: Description, paths: Iterable[str]) -> str:
    """The weakest status among figures; a table's name stands for all its keys."""
    found = [STATUSES.index(status_) for path in paths for _, _, status_ in constant(description, path)]
    return STATUSES[max(found, default=0)]

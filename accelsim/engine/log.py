"""What happened on which resource, and when. The log observes; nothing in the engine reads it."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """An interval in which a resource had work.

    Attributes:
        resource: name of the resource.
        name: kernels that it worked for, joined by " | " where they shared it.
        start_ps: start, in the time of its segment.
        end_ps: end.
        amount: units served in the interval, in the resource's unit.
    """

    resource: str
    name: str
    start_ps: int
    end_ps: int
    amount: int


class Log:
    """Rows per resource that never overlap; touching rows of one name are one row."""

    def __init__(self) -> None:
        self._last: dict[str, Row] = {}
        self._rows: list[Row] = []

    def add(self, resource: str, name: str, start_ps: int, end_ps: int, amount: int) -> None:
        """Records an interval; intervals of one resource come in order of time."""
        last = self._last.get(resource)
        if last is not None:
            if last.name == name and last.end_ps == start_ps:
                self._last[resource] = Row(resource, name, last.start_ps, end_ps, last.amount + amount)
                return
            self._rows.append(last)
        self._last[resource] = Row(resource, name, start_ps, end_ps, amount)

    def take(self) -> tuple[Row, ...]:
        """All rows so far by start, and an empty log."""
        rows = [*self._rows, *self._last.values()]
        self._rows, self._last = [], {}
        return tuple(sorted(rows, key=lambda row: (row.start_ps, row.resource)))

"""Which figures of a chip a kernel was priced with: value, unit, source and status of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.mapping.kernel import Kernel
from accelsim.spec.base import STATUSES, Description, Sourced
from accelsim.spec.faults import unit_at

_PROVENANCE = frozenset({"source", "status", "notes", "measured", "derived", "assumed"})


@dataclass(frozen=True, slots=True)
class Constant:
    """One figure of a chip.

    Attributes:
        path: dotted, as in the description; rows of a list are numbered as the record has them.
        value: in SI units, or a plain number.
        unit: canonical unit, empty for plain numbers.
        source: where it comes from.
        status: datasheet, measured, derived or assumed.
    """

    path: str
    value: float
    unit: str
    source: str
    status: str


def constants_of(chip: Description, kernel: Kernel) -> tuple[Constant, ...]:
    """The figures behind a kernel's time, in the order that its mapping names them.

    A list of rates is narrowed to the rows whose pair of operands the kernel counts energy for.
    """
    found: list[Constant] = []
    for path in kernel.constants:
        found.extend(_figures(chip, path, kernel.events))
    return tuple(dict.fromkeys(found))


def _figures(chip: Description, path: str, events: Mapping[str, int]) -> Iterator[Constant]:
    *tables, last = path.split(".")
    owner: Any = chip
    for name in tables:
        owner = getattr(owner, name)
    content = getattr(owner, last, None)
    if isinstance(content, tuple):
        for index, row in enumerate(content):
            if _counts(row, events):
                yield from _table(chip, row, (*tables, last, index))
    elif isinstance(content, Sourced):
        yield from _table(chip, content, (*tables, last))
    else:
        yield _figure(chip, owner, (*tables, last))


def _counts(row: Any, events: Mapping[str, int]) -> bool:
    """Whether a row of matrix rates is one that the kernel used; rows of other lists always count."""
    operands = getattr(row, "operands", None)
    if operands is None:
        return True
    return row.sparsity == "dense" and f"tensor:{operands[0]}x{operands[1]}:{row.accumulator}" in events


def _table(chip: Description, table: Sourced, path: tuple[str | int, ...]) -> Iterator[Constant]:
    for key, value in table.model_dump(by_alias=True).items():
        if key not in _PROVENANCE and isinstance(value, int | float) and not isinstance(value, bool):
            yield _figure(chip, table, (*path, key))


def _figure(chip: Description, table: Sourced, path: tuple[str | int, ...]) -> Constant:
    content, key = table.model_dump(by_alias=True), str(path[-1])
    named = [status for status in STATUSES if key in content.get(status, ())]
    return Constant(
        path=".".join(map(str, path)),
        value=content[key],
        unit=unit_at(type(chip), path),
        source=table.source,
        status=max([table.status, *named], key=STATUSES.index),
    )

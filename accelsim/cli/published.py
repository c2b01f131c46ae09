"""What follows from the description of a part that computes in memory, and what makers and others print about it."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Final, NamedTuple

from rich.table import Table

from accelsim import catalog, units
from accelsim.spec.aim import AimPart
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.published import Published
from accelsim.spec.system import System
from accelsim.spec.upmem import UpmemPart

_NAMES: Final = {
    "compute": "arithmetic", "internal": "bandwidth inside the banks", "external": "bandwidth at the pins",
    "capacity": "capacity",
}  # fmt: skip
_PLAIN: Final[dict[str, Any]] = {"box": None, "pad_edge": False, "title_justify": "left"}


class Figures(NamedTuple):
    """Figures of one part as it is sold.

    Attributes:
        sold_as: what one part is.
        units: how many of a system's count it has.
        values: figure and its unit, by what `Published.follows` says.
        published: what is printed about it.
    """

    sold_as: str
    units: int
    values: dict[str, tuple[float, str]]
    published: tuple[Published, ...]


@singledispatch
def of(part: object) -> Figures | None:
    """Figures of a part; None for what is no such part."""
    return None


@of.register
def _(part: HbmPimPart) -> Figures:
    return Figures("stack", part.organization.pseudo_channels, _of_dram(part), part.published)


@of.register
def _(part: AimPart) -> Figures:
    return Figures("package", part.organization.channels, _of_dram(part), part.published)


@of.register
def _(part: UpmemPart) -> Figures:
    values = {
        "compute": (part.instructions_per_s, "op/s"), "internal": (part.stream_bytes_per_s, "B/s"),
        "capacity": (part.capacity_bytes, "B"),
    }  # fmt: skip
    return Figures("DIMM", 1, values, part.published)


def _of_dram(part: HbmPimPart | AimPart) -> dict[str, tuple[float, str]]:
    return {
        "compute": (part.flops_per_s, "FLOP/s"), "internal": (part.internal_bytes_per_s, "B/s"),
        "external": (part.external_bytes_per_s, "B/s"), "capacity": (part.capacity_bytes, "B"),
    }  # fmt: skip


def shown(record: object) -> tuple[list[dict[str, Any]], list[Table]]:
    """Figures of one part, or of all parts of a system, then each published one with ours and the quotient.

    A note says what a published figure contradicts. Empty for chips that do not compute in memory.
    """
    found = of(catalog.part(record) if isinstance(record, System) else record)
    if found is None:
        return [], []
    values, title = found.values, f"of one {found.sold_as}"
    if isinstance(record, System):
        parts = record.count / found.units
        values = {key: (value * parts, unit) for key, (value, unit) in values.items()}
        if record.placement == "host":  # ordinary parts, whose units are not there
            values = {key: value for key, value in values.items() if key not in ("compute", "internal")}
            if record.ordinary_capacity_bytes is not None:
                values["capacity"] = (record.ordinary_capacity_bytes, "B")
        title = f"of {parts:g} {found.sold_as}{'' if parts == 1 else 's'}"
    rows: list[dict[str, Any]] = [
        {"what": _NAMES[key], "ours": value, "unit": unit, "published": None, "ours_by_published": None}
        for key, (value, unit) in values.items()
    ]
    ours = Table("figure", "value", title=title, **_PLAIN)
    for key, (value, unit) in values.items():
        ours.add_row(_NAMES[key], units.show(value, unit, 4))
    if isinstance(record, System) or not found.published:
        return rows, [ours]
    compared, printed = _compared(found)
    return [*rows, *compared], [ours, printed]


def _compared(found: Figures) -> tuple[list[dict[str, Any]], Table]:
    rows: list[dict[str, Any]] = []
    printed = Table(
        "published", "value", "ours", "ours / published", "source", title="published figures", **_PLAIN
    )  # fmt: skip
    for row in found.published:
        value, unit = found.values[row.follows]
        ratio = value / units.parse(row.value.replace("FLOPS", "FLOP/s"), unit)
        note = f"; {row.notes}" if row.notes else ""
        printed.add_row(row.what, row.value, units.show(value, unit, 4), f"{ratio:.3f}", row.source + note)
        rows.append(
            {"what": row.what, "ours": value, "unit": unit, "published": row.value, "ours_by_published": ratio,
             "source": row.source, "notes": row.notes}
        )  # fmt: skip
    return rows, printed

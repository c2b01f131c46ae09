"""What makers and others print about a part, beside what follows from its description."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table

from accelsim import units
from accelsim.spec.hbm_pim import HbmPimPart

_UNITS: Final = {"compute": "FLOP/s", "internal": "B/s", "external": "B/s", "capacity": "B"}
_NAMES: Final = {
    "compute": "arithmetic", "internal": "bandwidth inside the banks", "external": "bandwidth at the pins",
    "capacity": "capacity",
}  # fmt: skip


def hbm_pim(part: HbmPimPart) -> tuple[list[dict[str, Any]], list[Table]]:
    """Figures of one stack, then each published one with ours and the quotient; a note says what it contradicts."""
    figures = {
        "compute": part.flops_per_s,
        "internal": part.internal_bytes_per_s,
        "external": part.external_bytes_per_s,
        "capacity": part.capacity_bytes,
    }
    rows: list[dict[str, Any]] = [
        {"what": _NAMES[key], "ours": value, "unit": _UNITS[key], "published": None, "ours_by_published": None}
        for key, value in figures.items()
    ]
    ours = Table("figure", "value", title="of one stack", box=None, title_justify="left", pad_edge=False)
    for key, value in figures.items():
        ours.add_row(_NAMES[key], units.show(value, _UNITS[key], 4))
    if not part.published:
        return rows, [ours]
    printed = Table(
        "published", "value", "ours", "ours / published", "source", title="published figures", box=None,
        title_justify="left", pad_edge=False,
    )  # fmt: skip
    for row in part.published:
        value, unit = figures[row.follows], _UNITS[row.follows]
        ratio = value / units.parse(row.value.replace("FLOPS", "FLOP/s"), unit)
        note = f" {row.notes}" if row.notes else ""
        printed.add_row(
            row.what, row.value, units.show(value, unit, 4), f"{ratio:.3f}", row.source + (f";{note}" if note else "")
        )
        rows.append(
            {"what": row.what, "ours": value, "unit": unit, "published": row.value, "ours_by_published": ratio,
             "source": row.source, "notes": row.notes}
        )  # fmt: skip
    return rows, [ours, printed]

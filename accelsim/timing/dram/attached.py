"""The memory of a chip as a DRAM: the sheet of its standard, one channel, at the rate of the chip's pins.

A chip's description tells the standard and the pin rate. Makers bin parts by rate and keep the times of the array: so
the timing of the sheet whose clock is nearest is taken, its clock follows from the pin rate, and its parameters keep
their time in ns, rounded up to whole cycles. Parameters that are counted on the buses (`ON_THE_BUS`) keep their cycles.
Channels are alike and have a controller each, so that one of them stands for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log
from os import PathLike
from typing import Final

from accelsim import catalog
from accelsim.spec.dram import Dram, Timing
from accelsim.units import PS_PER_S

ON_THE_BUS: Final = frozenset({"nBL", "nCCDS", "nCCDL", "nCCDR", "nCCDS_WR", "nCCDL_WR", "nCS", "nPPD"})
"""Parameters in cycles whatever the clock: bursts, their spacing, and the spacing of commands."""

SHEETS: Final = {"gddr6x": "gddr6"}
"""Standards without a sheet, for which nothing is published, and the one that is taken instead: its timing in ns."""


def attached(
    standard: str | PathLike[str] | Dram,
    pin_rate_bytes_per_s: float,
    controller: Mapping[str, object] | None = None,
) -> Dram:
    """One channel of a chip's memory.

    Args:
        standard: name or path of a sheet, a name of `SHEETS`, or a record.
        pin_rate_bytes_per_s: what one data pin moves.
        controller: keys of the sheet's `[controller]` that the chip has otherwise.

    Returns:
        The sheet with one channel; `peak_bytes_per_s` is that of the channel.

    Raises:
        UnknownNameError: no such sheet.
        DescriptionError: a sheet or a value that is not allowed.
    """
    sheet = catalog.dram(SHEETS.get(standard, standard) if isinstance(standard, str) else standard)
    return _attached(sheet, pin_rate_bytes_per_s, tuple(sorted((controller or {}).items(), key=lambda item: item[0])))


@lru_cache(maxsize=64)
def _attached(sheet: Dram, pin_rate_bytes_per_s: float, controller: tuple[tuple[str, object], ...]) -> Dram:
    organization = sheet.organization

    def clock_ps(timing: Timing) -> float:
        return organization.burst_length / (timing.cycles["nBL"] * 8 * pin_rate_bytes_per_s) * PS_PER_S

    # of two that are as near, the one in use
    order = sorted(sheet.timings, key=lambda timing: timing.name != sheet.selected.timing)
    chosen = min(order, key=lambda timing: abs(log(timing.tck_ps / clock_ps(timing))))
    at = sheet.timings.index(chosen)
    changes: dict[str, object] = {
        "selected.timing": chosen.name,
        f"timing.{at}.tCK_ps": clock_ps(chosen),
        f"timing.{at}.cycles": {name: _kept(name, value, chosen.tck_ps) for name, value in chosen.given},
        f"organization.{sheet.organizations.index(organization)}.channels": 1,
    }
    return sheet.with_(changes | {f"controller.{key}": value for key, value in controller})


def _kept(name: str, value: int | str, tck_ps: float) -> int | str:
    """A parameter as it is written for another clock."""
    if isinstance(value, str) or name in ON_THE_BUS or not value:
        return value
    return f"{value * tck_ps / 1000:.9g} ns"

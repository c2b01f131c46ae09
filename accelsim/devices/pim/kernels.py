"""Kernels of a whole model on memories that compute: what the units do, what the host reads back and adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from accelsim.devices.pim.base import Prepared
from accelsim.mapping.gpu.resources import MEMORY, VECTOR
from accelsim.mapping.kernel import Demand, Phase, Resource
from accelsim.units import PS_PER_S

UNITS: Final = "memory.pim"
"""The units of all channels, in cycles of one channel's clock."""
LINK: Final = "host.card_link"
"""The host's link to parts that stand behind one."""
FEMTO: Final = ":fJ"
"""Ends the name of a counter of femtojoules: parts of such a memory price their own commands."""
BANKS: Final = "banks"
"""Counter of bytes that the units, or the host for them, move to or from the banks."""
_AFTER: Final = ("readout_cycles", "host_reduce_cycles")
"""What the host does behind the units, in a result's `extra`."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a system that a product runs on.

    Attributes:
        channels: of one set that works as one.
        sets: that work at the same time.
        full: sets that would do the same work if all of them were busy all the time.
        of: channels of the system.
    """

    channels: int
    sets: int
    full: float
    of: int

    @property
    def fraction(self) -> float:
        """Of the system's units."""
        return self.channels * self.sets / self.of


@dataclass(frozen=True, slots=True)
class Series:
    """Products one after the other on the clock of refresh; a `Clocked` of the engine.

    Attributes:
        products: each with how often it runs.
        share: where.
        clock_hz: of the units.
        period_ps: of refresh; 1 where nothing is refreshed.
        issue: cycles beyond those of the products.
    """

    products: tuple[tuple[Prepared, int], ...]
    share: Share
    clock_hz: float
    period_ps: int
    issue: int = 0

    def amounts(self, since_ps: int) -> tuple[Demand, ...]:
        """Cycles of all busy units, from a start `since_ps` behind the beginning of a period."""
        total_ps = 0
        for product, times in self.products:
            for _ in range(times):
                total_ps += product.units_ps((since_ps + total_ps) % self.period_ps)
        cycles = round(total_ps * self.clock_hz / PS_PER_S) + self.issue
        return (Demand(UNITS, cycles * self.share.channels * self.share.sets, self.share.fraction),)


def phases(name: str, series: Series, resources: Mapping[str, Resource], *, holds: bool) -> tuple[Phase, ...]:
    """What the units do, and the host's reading and adding of what they leave.

    Args:
        name: begins the names of the phases.
        series: the products.
        resources: of the whole system.
        holds: normal accesses of the host wait until the units are done.
    """
    share, first = series.share, series.products[0][0].result
    made = [
        Phase(
            name=name, steps=1, buffers=1, clocked=series, holds=MEMORY if holds else None, priced_by=first.priced_by,
        )
    ]  # fmt: skip
    read, add = (
        sum(product.result.extra.get(key, 0.0) * times for product, times in series.products) / series.clock_hz
        for key in _AFTER
    )
    if read:  # column by column on the busy channels, whose pins are taken all the while
        moved = ceil(read * resources[MEMORY].rate * share.fraction)
        made.append(
            Phase(
                name=f"{name}.readout", steps=1, buffers=1, load=(Demand(MEMORY, moved, share.fraction),),
                drain=False, priced_by=f"{first.priced_by}/readout",
            )
        )  # fmt: skip
    if add:  # one set's additions; the host does those of all of them
        slots = ceil(add * share.full * resources[VECTOR].rate)
        made.append(
            Phase(
                name=f"{name}.reduce", steps=1, buffers=1, compute=(Demand(VECTOR, slots),),
                priced_by=f"{first.priced_by}/reduce",
            )
        )  # fmt: skip
    return tuple(made)


def counters(products: Iterable[tuple[Prepared, int]], full: float, standby_w: float) -> dict[str, int]:
    """Energy by part, in femtojoules, and bytes of the banks.

    Args:
        products: each with how often it runs.
        full: as in `Share`.
        standby_w: power of one set's channels that is counted all the time, and not once more here.
    """
    joules: dict[str, float] = {}
    moved = 0.0
    for product, times in products:
        result = product.result
        moved += result.dram_bytes * times * full
        for part in result.spent:
            spent = part.joules - (standby_w * result.time_s if part.component == "static" else 0.0)
            joules[part.resource] = joules.get(part.resource, 0.0) + max(0.0, spent) * times * full
    return {BANKS: round(moved), **{f"{name}{FEMTO}": round(value * 1e15) for name, value in joules.items()}}

"""What a chip costs to make: die by wafer price and yield, interposer, assembly, and memory.

Prices are those of a date and of lists; they order designs and are no quotation. Masks, design and margins of the
maker are not in them, the foundry's margin is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

from accelsim import catalog
from accelsim.cost.area import DieArea, of
from accelsim.errors import RequestError
from accelsim.spec.base import Status
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip

MM2: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Price:
    """A figure of a market, or of a package, with where it comes from."""

    value: float
    status: Status
    source: str


_LLMCOMPASS: Final = "LLMCompass at 2e015fd, cost_model.py, consumer estimate of October 2023"
MEMORY_USD_PER_GB: Final[Mapping[str, Price]] = {
    **dict.fromkeys(("hbm2", "hbm2e"), Price(7.0, "derived", _LLMCOMPASS)),
    **dict.fromkeys(("hbm3", "hbm3e"), Price(16.5, "derived", "middle of 15 to 18 $/GB, market estimates of 2026")),
    "gddr6": Price(3.364, "derived", "spot price of 8 Gb, DRAMeXchange by way of 3DCenter, June 2023"),
    "gddr6x": Price(3.364, "assumed", "as GDDR6; contracts are not published"),
    "ddr5": Price(2.4, "derived", "LLMCompass, spot price, October 2023"),
}
"""By standard; of different years, as they could be had."""

WAFER_MM: Final = Price(300.0, "datasheet", "diameter of a wafer")
CLUSTER: Final = Price(3.0, "assumed", "exponent of the negative binomial yield, usual for logic")
INTERPOSER_USD_PER_WAFER: Final = Price(
    1937.0, "derived", "CSET, AI Chips, 2020, Table 9, 65 nm, of which silicon interposers are made"
)
STACK_MM2: Final = Price(110.0, "datasheet", "JEDEC footprint of an HBM2E stack, 10 x 11 mm")
ASSEMBLY_SHARE: Final = Price(0.2, "assumed", "substrate, assembly and test over the silicon that goes into a package")
ASSEMBLY_YIELD: Final = Price(0.95, "assumed", "packages that work, of known good dies")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one chip costs in dollars.

    Attributes:
        area: its die.
        dies_per_wafer: whole dies.
        die_yield: share without a defect; dies that are sold with parts switched off are not counted as good.
        parts_usd: die, interposer, assembly, memory.
    """

    area: DieArea
    dies_per_wafer: float
    die_yield: float
    parts_usd: Mapping[str, float]

    @property
    def total_usd(self) -> float:
        """All of it."""
        return sum(self.parts_usd.values())


def cost(chip: Chip | str) -> Cost:
    """The cost of a chip with its memory; of a system of equal parts, that of one of them.

    Raises:
        RequestError: a chip without `[die]`, a memory without a price, or a die that does not fit a wafer.
    """
    record = catalog.chip(chip) if isinstance(chip, str) else chip
    area = of(record)
    wafer = area.process.wafer
    count, good = dies_per_wafer(area.total_m2), die_yield(area.total_m2, wafer.defects_per_cm2)
    die = wafer.price_usd / (count * good)
    stacks, memory = _memory(record)
    silicon = area.total_m2 + stacks * STACK_MM2.value * MM2
    interposer = INTERPOSER_USD_PER_WAFER.value / dies_per_wafer(silicon) if stacks else 0.0
    inside = die + interposer + (memory if stacks else 0.0)
    package = inside * ((1 + ASSEMBLY_SHARE.value) / ASSEMBLY_YIELD.value - 1)
    return Cost(area, count, good, {"die": die, "interposer": interposer, "assembly": package, "memory": memory})


def system_usd(chip: Chip | str, chips: int = 1) -> float:
    """The cost of all chips of a system; boards, hosts, switches and racks are not in it.

    Args:
        chip: one chip, or a system of equal parts.
        chips: how many of them.

    Raises:
        RequestError: as `cost`.
    """
    record = catalog.chip(chip) if isinstance(chip, str) else chip
    count = record.count if isinstance(record, ModelSystem) else 1
    return cost(record).total_usd * count * chips


def _memory(chip: Chip) -> tuple[int, float]:
    """Stacks beside the die, and dollars of the memory; none for chips whose memory is on the die."""
    if not isinstance(chip, GpuChip):
        return 0, 0.0
    standard = chip.memory.standard
    if standard not in MEMORY_USD_PER_GB:
        raise RequestError(f"{chip.name}: no price for {standard}; known: {', '.join(MEMORY_USD_PER_GB)}")
    stacks = chip.memory.stacks if standard.startswith("hbm") else 0
    return stacks, MEMORY_USD_PER_GB[standard].value * chip.memory.capacity_bytes / 1e9


def dies_per_wafer(area_m2: float) -> float:
    """Whole dies of an area on a round wafer, by the usual correction for its edge.

    Raises:
        RequestError: a die so large that none fits.
    """
    mm2, across = area_m2 / MM2, WAFER_MM.value
    count = pi * across**2 / 4 / mm2 - pi * across / sqrt(2 * mm2)
    if count < 1:
        raise RequestError(
            f"a die of {mm2:,.0f} mm2 does not fit a wafer of {across:g} mm; try fewer SMs or less cache"
        )
    return count


def die_yield(area_m2: float, defects_per_cm2: float) -> float:
    """Share of dies without a defect, by the negative binomial law."""
    return float((1 + defects_per_cm2 * area_m2 * 1e4 / CLUSTER.value) ** -CLUSTER.value)

"""Area and cost of the chips of a sweep: columns that follow from descriptions alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from accelsim.cost import area, money
from accelsim.errors import RequestError
from accelsim.explore.targets import Target, changed_chip, target

COSTS: Final = ("area_mm2", "cost_usd")
"""Area of the die of one chip; what all chips of a point cost (`accelsim.cost.area`, `.money`). NaN without [die]."""

_MM2_PER_M2: Final = 1e6


def counts(to: Target) -> bool:
    """Whether area or cost follow from what an axis changes."""
    return to.kind == "chip" or (to.kind == "request" and to.key in ("chip", "chips"))


def priced(chosen: Mapping[Target, Any]) -> tuple[float, float]:
    """Square millimetres and dollars of one design."""
    chip = changed_chip(chosen)
    chips = chosen.get(target("chips"), 1)
    try:
        mm2 = float(area.of(chip).total_m2) * _MM2_PER_M2
    except RequestError:  # no [die]: its area and cost are not known, the point itself is as good as any
        return float("nan"), float("nan")
    try:
        return mm2, money.system_usd(chip, chips) if isinstance(chips, int) else float("nan")
    except RequestError:  # a memory without a price, or a die that no wafer holds
        return mm2, float("nan")

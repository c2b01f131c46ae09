"""Area and cost of the chips of a sweep: columns that follow from descriptions alone, known before any point runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.cost import area, money
from accelsim.errors import RequestError
from accelsim.explore.targets import Target, chip_of, target
from accelsim.spec.chip import Chip

COSTS: Final = ("area_mm2", "cost_usd")
"""Area of the die of one chip; what all chips of a point cost (`accelsim.cost.area`, `.money`). NaN without [die]."""

ABSENT: Final = -1
"""Code of a point to which an axis does not apply."""
_MM2_PER_M2: Final = 1e6


def of(
    columns: Iterable[tuple[Target, list[Any], npt.NDArray[np.int32]]], fixed: Mapping[str, Any], count: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Both columns, each chip that differs computed once.

    Args:
        columns: of every axis: where its values go, the values, and the place of each point's value among them.
        fixed: what all points share, by key.
        count: number of points.
    """
    shared = {target(key): value for key, value in fixed.items()}
    varied = [column for column in columns if _counts(column[0])]
    codes = np.stack([code for _, _, code in varied], axis=1) if varied else np.zeros((count, 1), dtype=np.int32)
    different, place = np.unique(codes, axis=0, return_inverse=True)
    rows = []
    for choice in different.tolist():
        chosen = dict(shared)
        for (to, values, _), code in zip(varied, choice, strict=False):
            if code != ABSENT:
                chosen[to] = values[code]
        rows.append(_priced(chosen))
    table = np.asarray(rows, dtype=float)[place.reshape(-1)]
    return {name: table[:, number] for number, name in enumerate(COSTS)}


def _counts(to: Target) -> bool:
    return to.kind == "chip" or (to.kind == "request" and to.key in ("chip", "chips"))


def _priced(chosen: Mapping[Target, Any]) -> tuple[float, float]:
    """Square millimetres and dollars of one design."""
    chip: Chip = chip_of(chosen[target("chip")])
    changes = {to.path: value for to, value in chosen.items() if to.kind == "chip"}
    if changes:
        chip = chip.with_(changes)
    chips = chosen.get(target("chips"), 1)
    try:
        mm2 = float(area.of(chip).total_m2) * _MM2_PER_M2
    except RequestError:  # no [die]: its area and cost are not known, the point itself is as good as any
        return float("nan"), float("nan")
    try:
        return mm2, money.cost(chip).total_usd * (chips if isinstance(chips, int) else float("nan"))
    except RequestError:  # a memory without a price, or a die that no wafer holds
        return mm2, float("nan")

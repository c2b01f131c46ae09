"""Event counts times energy per event, by component and by resource; static power times time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from accelsim.devices.base import Device
from accelsim.graph.numbers import Number

COMPONENTS: Final = (
    "tensor", "vector", "register", "shared", "l2", "memory", "link", "board", "static",
)  # fmt: skip
"""Where energy goes. "memory" is HBM or GDDR; "vector" includes special functions and conversions; "board" is what a
board was found to draw beyond the priced events: issue, clock trees, wires, voltage conversion."""


def by_component_j(events: Mapping[str, Number], device: Device) -> dict[str, Number]:
    """Joules by component for a set of counters, static energy left out."""
    result: dict[str, Number] = {}
    for event, amount in events.items():
        cost = device.event_cost(event)
        result[cost.component] = result.get(cost.component, 0.0) + amount * cost.joules
        if cost.board_j is not None:
            result["board"] = result.get("board", 0.0) + amount * cost.board_j
    return result


def by_resource_j(events: Mapping[str, Number], device: Device) -> dict[str, Number]:
    """The same energy by the resource on which it is spent."""
    result: dict[str, Number] = {}
    for event, amount in events.items():
        cost = device.event_cost(event)
        joules = cost.joules if cost.board_j is None else cost.joules + cost.board_j
        result[cost.resource] = result.get(cost.resource, 0.0) + amount * joules
    return result


def total_j(events: Mapping[str, Number], device: Device) -> Number:
    """Dynamic energy of a set of counters."""
    total: Number = 0.0
    for joules in by_component_j(events, device).values():
        total = total + joules
    return total

"""Tensor streaming processors for tests: the shipped one, and a tiny one whose schedules can be replayed."""

from __future__ import annotations

from typing import Any

from accelsim import catalog
from accelsim.spec.tsp import TspPart, TspSystem

TINY = {
    "lanes.tiles": 2, "lanes.streams": 16, "mem.slices": 24, "mxm.planes": 4, "mxm.weight_streams": 4, "vxm.alus": 8,
    "mxm.latency": 3, "mem.read": 2, "mem.write": 1, "vxm.latency": 2, "c2c.latency": "11 ns",
    "c2c.bandwidth": "14.4 GB/s",
}  # fmt: skip


def part(**changes: Any) -> TspPart:
    """The shipped chip, figures changed (`mxm__planes` for `mxm.planes`)."""
    found = catalog.chip("groq-tsp", {key.replace("__", "."): value for key, value in changes.items()})
    assert isinstance(found, TspPart)
    return found


def tiny(**changes: Any) -> TspPart:
    """Vectors of 32, twelve slices on either side."""
    return part(**{key.replace(".", "__"): value for key, value in TINY.items()}, **changes)


def system(name: str = "groq-lpu-576", **changes: Any) -> TspSystem:
    """A shipped system, figures changed."""
    found = catalog.chip(name, {key.replace("__", "."): value for key, value in changes.items()})
    assert isinstance(found, TspSystem)
    return found

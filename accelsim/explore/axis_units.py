"""The unit in which the frame shows an axis, as far as its description spells one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accelsim import units
from accelsim.errors import UnitError
from accelsim.spec.sweep import Axis, SweepSpec


def units_of(spec: SweepSpec) -> dict[str, str]:
    """Column -> canonical unit, such as "B/s", of the axes whose values carry one."""
    found = {}
    for key, axis in {**spec.axes, **spec.parameters}.items():
        unit = next((unit for value in _values(axis) if (unit := unit_of(value))), None)
        if unit:
            found[axis.name or key] = unit
    return found


def unit_of(value: Any) -> str | None:
    """The canonical unit of a quantity; None for a number or a name."""
    if not isinstance(value, str) or not value.lstrip("+-.")[:1].isdecimal():
        return None
    for unit in units.CANONICAL:
        try:
            units.parse(value, unit)
        except UnitError:
            continue
        return unit
    return None


def _values(axis: Axis) -> Iterable[Any]:
    return axis.values or axis.range or axis.log_range or ()

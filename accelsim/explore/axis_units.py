"""The unit in which the frame shows an axis: that of its values' text, or of the figure of the chip that it changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from accelsim import units
from accelsim.errors import UnitError
from accelsim.explore.targets import chip_of
from accelsim.results.columns import unit
from accelsim.spec.sweep import Axis, SweepSpec

_CHIP: Final = ("chip", "system", "on")


def units_of(spec: SweepSpec) -> dict[str, str]:
    """Column -> canonical unit, such as "B/s", of the axes that have one."""
    found = {}
    chip: Any = next((spec.fixed[key] for key in _CHIP if key in spec.fixed), None)
    if chip is None:
        chip = next((value for key in _CHIP if key in spec.axes for value in spec.axes[key].values or ()), None)
    record = chip_of(chip) if chip is not None else None
    for key, axis in {**spec.axes, **spec.parameters}.items():
        spelt = next((symbol for value in _values(axis) if (symbol := unit_of(value))), None)
        symbol = spelt or _of_field(record, key.removeprefix("chip."))
        if symbol:
            found[axis.name or key] = symbol
    return found


def unit_of(value: Any) -> str | None:
    """The canonical unit of a quantity; None for a number or a name."""
    if not isinstance(value, str) or not value.lstrip("+-.")[:1].isdecimal():
        return None
    for symbol in units.CANONICAL:
        try:
            units.parse(value, symbol)
        except UnitError:
            continue
        return symbol
    return None


def _of_field(record: Any, path: str) -> str | None:
    """The unit of a dotted figure, by the name of its field: `memory.bandwidth` is `bandwidth_bytes_per_s`."""
    *tables, last = path.split(".")
    for name in tables:
        record = getattr(record, name, None)
    fields = getattr(type(record), "model_fields", {})
    return next((unit(name) for name in fields if name.startswith(f"{last}_") and unit(name)), None)


def _values(axis: Axis) -> Iterable[Any]:
    return axis.values or axis.range or axis.log_range or ()

"""Columns of a sweep in a picture: their names, units and prefixes, rulers and ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from accelsim.results.columns import unit
from accelsim.spec.sweep import Plot

if TYPE_CHECKING:
    import pandas as pd

DECADE: Final = 8.0
"""Values that span more than this factor are drawn on a logarithmic axis."""

_MOST_TICKS: Final = 12
_PREFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_PREFIXED: Final = ("s", "J", "B", "W", "Hz", "FLOP", "op")
_SMALL: Final = ("s", "J", "W")
"""Units that have thousandths."""

_ENDINGS: Final = ("_bytes_per_s", "_flops_per_s", "_bytes", "_s", "_j", "_w", "_mm2", "_usd")
_COUNTED: Final = "tokens_per_s"  # its name says its unit
_OWN: Final = {"_mm2": "mm²", "_usd": "$"}


@dataclass(frozen=True, slots=True)
class Ruler:
    """How a column's numbers are written.

    Attributes:
        factor: a number is divided by this before it is written.
        unit: behind it, prefix included; empty for counts and ratios.
    """

    factor: float
    unit: str

    def text(self, value: Any, *, unit: bool = False) -> str:
        """A value of the column: four digits of a number, with its unit if that is asked for."""
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            return str(value)
        number = float(value) / self.factor
        digits = f"{number:.0f}" if number == round(number) and abs(number) < 1e6 else f"{number:.3g}"
        return f"{digits} {self.unit}" if unit and self.unit else digits


def ruler(frame: pd.DataFrame, column: str) -> Ruler:
    """How a column's numbers are written, by its unit and its largest value."""
    symbol = _unit(frame, column)
    head = symbol.partition("/")[0]
    if head not in _PREFIXED or frame[column].dtype.kind not in "if":
        return Ruler(1.0, symbol)
    largest = float(np.nanmax(np.abs(frame[column].to_numpy(dtype=float)), initial=0.0))
    for factor, prefix in _PREFIXES:
        if largest >= factor and (factor >= 1 or head in _SMALL):
            return Ruler(factor, f"{prefix}{symbol}")
    return Ruler(1.0, symbol)


def _unit(frame: pd.DataFrame, column: str) -> str:
    own = frame.attrs.get("axis_units", {}).get(column)
    if column.endswith(_COUNTED):
        return ""
    return own or next((symbol for end, symbol in _OWN.items() if column.endswith(end)), unit(column))


def name(column: str) -> str:
    """A column in words: without underscores, dots and the unit."""
    ending = next((ending for ending in _ENDINGS if column.endswith(ending)), "")
    stem = column if column.endswith(_COUNTED) else column.removesuffix(ending)
    return stem.replace("_", " ").replace(".", " ")


def label(frame: pd.DataFrame, column: str) -> str:
    """A column for people: its words, and behind them the unit in which it is written."""
    symbol = ruler(frame, column).unit
    return f"{name(column)} ({symbol})" if symbol else name(column)


def levels(frame: pd.DataFrame, column: str | None) -> list[Any]:
    """Distinct values of a column, numbers rising, names in the order of the sweep; one None without a column."""
    if column is None:
        return [None]
    there = list(dict.fromkeys(frame[column].tolist()))
    if frame[column].dtype.name == "category":
        return [level for level in frame[column].cat.categories.tolist() if level in there]
    return sorted(there) if frame[column].dtype.kind in "if" else there


def wide(values: Any) -> bool:
    """Whether numbers are all above zero and span so much that only their logarithms can be told apart."""
    numbers = _finite(values)
    return bool(numbers.size and numbers.min() > 0 and numbers.max() / numbers.min() > DECADE)


def measure(axes: Axes, which: str, frame: pd.DataFrame, column: str, plot: Plot) -> None:
    """Scale, ticks and name of an axis: logarithmic where that is asked for, or values span decades."""
    values, written = _finite(frame[column]), ruler(frame, column)
    side = axes.xaxis if which == "x" else axes.yaxis
    getattr(axes, f"set_{which}label")(label(frame, column))
    logarithmic = which in plot.log or wide(values)
    if logarithmic:
        getattr(axes, f"set_{which}scale")("log")
    shown = FuncFormatter(lambda value, _: f"{value / written.factor:g}")
    different = np.unique(values)
    if which == "x" and len(different) <= _MOST_TICKS and _apart(different, logarithmic):
        side.set_major_locator(FixedLocator(different.tolist()))
        side.set_minor_locator(NullLocator())
        shown = FuncFormatter(lambda value, _: written.text(value))
    elif logarithmic and values.size and values.max() / values.min() < 1e3:
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        side.set_minor_locator(NullLocator())
    side.set_major_formatter(shown)
    side.set_minor_formatter(NullFormatter())


def colour_ticks(values: Any) -> dict[str, Any]:
    """How a bar of colours is labelled: plain numbers, at 1, 2 and 5 where it is logarithmic."""
    plain = {"format": FuncFormatter(lambda value, _: f"{value:g}")}
    return {**plain, "ticks": LogLocator(subs=(1.0, 2.0, 5.0))} if wide(values) else plain


def _apart(values: npt.NDArray[np.float64], logarithmic: bool) -> bool:
    """Whether a tick at each of rising values leaves room for its text."""
    if len(values) < 2:
        return True
    places = np.log(values) if logarithmic else values
    return float(np.diff(places).min()) >= 0.035 * float(places[-1] - places[0])


def _finite(values: Any) -> npt.NDArray[np.float64]:
    numbers = np.asarray(values, dtype=float)
    finite: npt.NDArray[np.float64] = numbers[np.isfinite(numbers)]
    return finite


def caption(frame: pd.DataFrame, row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The values of a point along some axes, with units."""
    return ", ".join(ruler(frame, column).text(row[column], unit=True) for column in columns)

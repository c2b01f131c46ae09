"""Figures for people: prefixes, percentages and columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from accelsim import units

UNKNOWN: Final = "-"
_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def show(value: float, unit: str, digits: int = 3) -> str:
    """`show(2.63e12, "B/s")` is "2.63 TB/s"; what is not known is a dash."""
    if not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return f"0 {unit}"
    return units.show(value, unit, digits)


def like(value: float, other: float, unit: str) -> str:
    """A value with the prefix of another one, and without its unit: "13.5" beside "80 GB"."""
    shown = units.show(other, unit).rpartition(" ")[2]
    scale = units.parse(f"1 {shown}", unit)
    number = value / scale
    return f"{number:#.2g}" if 0 < abs(number) < 1 else f"{number:#.3g}".rstrip(".") if number else "0"


def of_peak(value: float, peak: float, unit: str) -> str:
    """`612 TFLOP/s, 62 % of 989`; without a peak only the value."""
    if not math.isfinite(peak) or not math.isfinite(value):
        return show(value, unit)
    mine, top = show(value, unit), show(peak, unit)
    same = mine.rpartition(" ")[2] == top.rpartition(" ")[2]
    return f"{mine}, {percent(value / peak)} of {top.rpartition(' ')[0] if same else top}"


def percent(fraction: float) -> str:
    """Whole percents; small ones are not zero."""
    if not math.isfinite(fraction):
        return UNKNOWN
    return "<1 %" if 0 < fraction < 0.005 else f"{fraction * 100:.0f} %"


def word(count: int) -> str:
    """A count as a word, up to ten."""
    return _WORDS[count] if 0 <= count < len(_WORDS) else str(count)


def line(label: str, figure: str, *more: str) -> str:
    """One line of a headline: label, a figure aligned at its decimal point, and what belongs to it."""
    number, _, unit = figure.partition(" ")
    whole, dot, fraction = number.partition(".")
    text = f"  {label:<22}{whole:>7}{dot}{fraction} {unit}"
    return (f"{text:<44}" + "".join(f"{part:<31} " for part in more)).rstrip()


def columns(rows: Iterable[Sequence[str]], right: Iterable[int] = (), indent: str = "  ") -> list[str]:
    """Rows under each other; the columns in `right` are aligned to the right."""
    table = [list(row) for row in rows]
    if not table:
        return []
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    aligned = set(right)
    return [
        indent
        + "   ".join(
            f"{cell:>{width}}" if i in aligned else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]

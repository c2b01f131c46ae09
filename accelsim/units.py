"""Quantities as text, and the only scale factors of the project.

Inside accelsim every figure is a plain SI float whose name carries the unit (`bandwidth_bytes_per_s`).
At the edge it is text with its unit: "3.35 TB/s", "228 KiB", "4096 FLOP/clk", "3.92 pJ/bit".
GB (10^9 bytes) and GiB (2^30 bytes) differ, and so do B (bytes) and bit.
"""

from __future__ import annotations

import re
from typing import Final

from accelsim.errors import UnitError

_DECIMAL: Final = {
    "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0,
    "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
}  # fmt: skip
_BINARY: Final = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}

# symbol -> (dimension, factor to the canonical unit of that dimension)
_BASE: Final = {
    "B": ("B", 1.0), "bit": ("B", 0.125), "b": ("B", 0.125),
    "Hz": ("Hz", 1.0), "s": ("s", 1.0), "J": ("J", 1.0), "W": ("W", 1.0), "V": ("V", 1.0), "A": ("A", 1.0),
    "FLOP": ("FLOP", 1.0), "MAC": ("FLOP", 2.0), "op": ("op", 1.0), "element": ("element", 1.0),
    "clk": ("clk", 1.0), "m2": ("m2", 1.0), "mm2": ("m2", 1e-6),
}  # fmt: skip

_EXAMPLES: Final = {
    "B/s": "3.35 TB/s", "B": "80 GB", "Hz": "1.83 GHz", "s": "600 ns", "W": "700 W", "J": "12 pJ",
    "B/clk": "64 B/clk", "FLOP/clk": "4096 FLOP/clk", "op/clk": "16 op/clk", "element/clk": "32 element/clk",
    "J/B": "3.92 pJ/bit", "J/FLOP": "0.3 pJ/FLOP", "J/op": "1.2 pJ/op", "J/element": "2 pJ/element",
    "FLOP/s": "989 TFLOP/s", "m2": "814 mm2", "V": "1.1 V", "A": "65 mA", "op": "4 op",
}  # fmt: skip

PS_PER_S: Final = 10**12
"""Picoseconds in a second: the engine's clock counts integer picoseconds."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")


def parse(text: str, unit: str) -> float:
    """The value of a quantity in the canonical SI unit.

    Args:
        text: number and unit, such as "3.35 TB/s"; digits may be grouped with underscores.
        unit: the canonical unit expected, one of `units.CANONICAL`, such as "B/s".

    Raises:
        UnitError: no number, no unit, an unknown unit, or a unit of another dimension.
    """
    example = _EXAMPLES.get(unit, f"1 {unit}")
    found = _NUMBER.match(text)
    if not found:
        raise UnitError(f"expected a quantity in {unit}, for example {example!r}")
    number, symbol = float(found[1].replace("_", "")), found[2]
    if not symbol:
        raise UnitError(f"has no unit: write it with one, for example {example!r}")
    dimension, factor = _resolve(symbol)
    if dimension != unit:
        raise UnitError(f"{symbol} is not {_article(unit)}{_suggest(text, dimension, unit) or f', for example {example!r}'}")
    return number * factor


def _article(unit: str) -> str:
    names = {
        "B/s": "a bandwidth (B/s)", "B": "a size (B)", "Hz": "a frequency (Hz)", "s": "a time (s)", "W": "a power (W)",
        "B/clk": "a rate per clock (B/clk)", "FLOP/clk": "a rate per clock (FLOP/clk)", "J/B": "an energy per byte (pJ/B or pJ/bit)",
        "J/FLOP": "an energy per operation (pJ/FLOP)",
    }  # fmt: skip
    return names.get(unit, f"a quantity in {unit}")


def _suggest(text: str, dimension: str, unit: str) -> str:
    """Name the likely slip: a lost `/s`, or a divisor too many."""
    if unit.startswith(dimension + "/"):
        return f': did you mean "{text.strip()}{unit[len(dimension) :]}"?'
    if dimension.startswith(unit + "/"):
        return f': did you mean "{text.strip().rpartition("/")[0]}"?'
    return ""


def _resolve(symbol: str) -> tuple[str, float]:
    """Dimension ("B/s") and factor of a unit symbol ("TB/s")."""
    numerator, slash, denominator = symbol.partition("/")
    top, factor = _resolve_one(numerator.strip(), symbol)
    if not slash:
        return top, factor
    bottom, divisor = _resolve_one(denominator.strip(), symbol)
    return f"{top}/{bottom}", factor / divisor


def _resolve_one(part: str, symbol: str) -> tuple[str, float]:
    for base in sorted(_BASE, key=len, reverse=True):
        if part.endswith(base):
            prefix = part[: -len(base)]
            scale = _BINARY.get(prefix) if base in ("B", "bit", "b") and prefix in _BINARY else _DECIMAL.get(prefix)
            if scale is not None:
                dimension, factor = _BASE[base]
                return dimension, scale * factor
    if part.startswith("K") and part[1:] in _BASE:
        raise UnitError(f"{symbol!r} is ambiguous: write k{part[1:]} for 1000 or Ki{part[1:]} for 1024")
    raise UnitError(f"unknown unit {symbol!r}: bytes are B, bits are bit, time is s, power W, energy J, frequency Hz")


CANONICAL: Final = tuple(_EXAMPLES)
"""Canonical units that descriptions use."""


def example(unit: str) -> str:
    """A well-formed quantity of that canonical unit, for messages and schemas."""
    return _EXAMPLES.get(unit, f"1 {unit}")


def show(value: float, unit: str, digits: int = 3) -> str:
    """A value with a decimal prefix, for people: `show(2.63e12, "B/s")` is "2.63 TB/s"."""
    if value == 0 or value != value or value in (float("inf"), float("-inf")):
        return f"{value:g} {unit}"
    base, prefix = abs(value), ""
    for symbol in ("E", "P", "T", "G", "M", "k", "", "m", "u", "n", "p", "f"):
        scale = _DECIMAL[symbol]
        # the number as it will be printed decides, so that 999.96e9 becomes 1 T and not 1000 G
        if float(f"{base / scale:.{digits}g}") >= 1:
            prefix = symbol
            break
    else:
        prefix = "f"
    return f"{_plain(value / _DECIMAL[prefix], digits)} {prefix}{unit}"


def _plain(value: float, digits: int) -> str:
    """`digits` significant figures without an exponent and with trailing zeros kept ("5.30")."""
    rounded = float(f"{value:.{digits}g}")
    whole = len(str(int(abs(rounded))))
    return f"{rounded:.{max(0, digits - whole)}f}"


def seconds_to_ps(seconds: float) -> int:
    """A time in whole picoseconds, rounded to nearest."""
    return round(seconds * PS_PER_S)

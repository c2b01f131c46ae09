"""Quantities as text, and the only scale factors of the project.

Inside accelsim every figure is a plain SI float whose name carries the unit (`bandwidth_bytes_per_s`).
At the edge it is text with its unit: "3.35 TB/s", "228 KiB", "4096 FLOP/clk", "3.92 pJ/bit".
GB (10^9 bytes) and GiB (2^30 bytes) differ, and so do B (bytes) and bit.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from accelsim.errors import UnitError, nearest

# Factors are decimal, so that "2 us" and "2000 ns" are the same float.
_SMALL: Final = {symbol: Decimal(10) ** power for symbol, power in
                 {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3}.items()}  # fmt: skip
_LARGE: Final = {symbol: Decimal(10) ** power for symbol, power in
                 {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}.items()}  # fmt: skip
_DECIMAL: Final = _SMALL | _LARGE
_BINARY: Final = {symbol: Decimal(2**power) for symbol, power in
                  {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}.items()}  # fmt: skip
_ONE: Final = Decimal(1)

# symbol -> (dimension, factor to the canonical unit of that dimension)
_BASE: Final = {
    "B": ("B", _ONE), "bit": ("B", Decimal("0.125")), "b": ("B", Decimal("0.125")),
    "Hz": ("Hz", _ONE), "s": ("s", _ONE), "J": ("J", _ONE), "W": ("W", _ONE), "V": ("V", _ONE), "A": ("A", _ONE),
    "FLOP": ("FLOP", _ONE), "MAC": ("FLOP", Decimal(2)), "op": ("op", _ONE), "element": ("element", _ONE),
    "clk": ("clk", _ONE), "m2": ("m2", _ONE), "mm2": ("m2", Decimal("1e-6")), "um2": ("m2", Decimal("1e-12")),
}  # fmt: skip

# What is counted has no thousandth part ("800 mB/s" is a slip for MB), and an area takes no prefix:
# k(m2) and (km)2 differ.
_PREFIXES: Final = {
    **dict.fromkeys(_BASE, _DECIMAL),
    **dict.fromkeys(("FLOP", "MAC", "op", "element", "clk"), _LARGE),
    **dict.fromkeys(("B", "bit", "b"), _LARGE | _BINARY),
    **{base: {"": _ONE} for base in ("m2", "mm2", "um2")},
}

# Every symbol without divisor: "TB" -> ("B", 1e12). No two spellings collide, which a test holds.
_SYMBOLS: Final = {
    prefix + base: (dimension, scale * factor)
    for base, (dimension, factor) in _BASE.items()
    for prefix, scale in _PREFIXES[base].items()
}

_EXAMPLES: Final = {
    "B/s": "3.35 TB/s", "B": "80 GB", "Hz": "1.83 GHz", "s": "600 ns", "W": "700 W", "J": "12 pJ",
    "B/clk": "64 B/clk", "FLOP/clk": "4096 FLOP/clk", "op/clk": "16 op/clk", "element/clk": "32 element/clk",
    "J/B": "3.92 pJ/bit", "J/FLOP": "0.3 pJ/FLOP", "J/op": "1.2 pJ/op", "J/element": "2 pJ/element",
    "FLOP/s": "989 TFLOP/s", "op/s": "1979 Top/s", "m2": "814 mm2", "V": "1.1 V", "A": "65 mA", "op": "4 op",
}  # fmt: skip

_MEANINGS: Final = {
    "B/s": "a bandwidth", "B": "a size", "Hz": "a frequency", "s": "a time", "W": "a power", "J": "an energy",
    "B/clk": "bytes per clock", "FLOP/clk": "operations per clock", "op/clk": "operations per clock",
    "element/clk": "elements per clock", "J/B": "an energy per byte or bit", "J/FLOP": "an energy per operation",
    "J/op": "an energy per operation", "J/element": "an energy per element", "FLOP/s": "a rate",
    "op/s": "a rate", "m2": "an area", "V": "a voltage", "A": "a current", "op": "a count",
}  # fmt: skip

# Spellings that the field uses and that are no unit here, with what is probably meant.
_SLIPS: Final = (
    (re.compile(r"FLOPS$"), "FLOP/s"), (re.compile(r"FLOPs$"), "FLOP"), (re.compile(r"OPS$"), "op/s"),
    (re.compile(r"Bps$"), "B/s"), (re.compile(r"bps$"), "bit/s"), (re.compile(r"(?i)cycles?$"), "clk"),
    (re.compile(r"(?i)bytes?(?=/|$)"), "B"), (re.compile(r"bits(?=/|$)"), "bit"), (re.compile(r"(?i)/sec$"), "/s"),
    (re.compile(r"^K(?=B|b)"), "k"),
)  # fmt: skip

CANONICAL: Final = tuple(_EXAMPLES)
"""Canonical units that descriptions use."""

PS_PER_S: Final = 10**12
"""Picoseconds in a second: the engine's clock counts integer picoseconds."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$", re.DOTALL)


def parse(text: str, unit: str) -> float:
    """The value of a quantity in the canonical SI unit.

    Args:
        text: number and unit, such as "3.35 TB/s"; digits may be grouped with underscores.
        unit: the canonical unit expected, one of `units.CANONICAL`, such as "B/s".

    Raises:
        UnitError: no number, no unit, an unknown unit, or a unit of another dimension.
    """
    wanted = f'for example "{example(unit)}"'
    found = _NUMBER.match(text)
    if not found:
        raise UnitError(f"expected {meaning(unit)}, a number with its unit, {wanted}")
    number, symbol = found[1].replace("_", ""), found[2]
    if not symbol:
        raise UnitError(f"has no unit: expected {meaning(unit)}, {wanted}")
    dimension, factor = _resolve(symbol, found[1], unit)
    if dimension != unit:
        guess = _guess(found[1], symbol, dimension, unit)
        raise UnitError(f"expected {meaning(unit)}" + (guess or f", not {symbol}: {wanted}"))
    try:
        value = float(Decimal(number) * factor)
    except ArithmeticError:
        value = math.inf
    if not math.isfinite(value):
        raise UnitError(f"is too large for a number: expected {meaning(unit)}, {wanted}")
    return value


def meaning(unit: str) -> str:
    """What a canonical unit measures, for messages: "a bandwidth (B/s)"."""
    return f"{_MEANINGS[unit]} ({unit})" if unit in _MEANINGS else f"a quantity in {unit}"


def example(unit: str) -> str:
    """A well-formed quantity of that canonical unit, for messages and schemas."""
    return _EXAMPLES.get(unit, f"1 {unit}")


def _guess(number: str, symbol: str, dimension: str, unit: str) -> str:
    """Name the likely slip: a lost `/s`, or a divisor too many."""
    if unit.startswith(dimension + "/"):
        return f': did you mean "{number} {symbol}{unit[len(dimension) :]}"?'
    if dimension.startswith(unit + "/"):
        return f': did you mean "{number} {symbol.rpartition("/")[0].strip()}"?'
    return ""


def _resolve(symbol: str, number: str, unit: str) -> tuple[str, Decimal]:
    """Dimension ("B/s") and factor of a unit symbol ("TB/s")."""
    found = _lookup(symbol)
    if found:
        return found
    if re.match(r"K(B|b|bit)\b", symbol):
        raise UnitError(f'"{symbol}" is ambiguous: write k{symbol[1:]} for 1000 or Ki{symbol[1:]} for 1024')
    if symbol.startswith(","):
        raise UnitError(f'decimals follow a point, not a comma: for example "{example(unit)}"')
    close = _respell(symbol, unit)
    hint = f'did you mean "{number} {close}"?' if close else f'expected {meaning(unit)}, for example "{example(unit)}"'
    raise UnitError(f'unknown unit "{symbol}": {hint}')


def _lookup(symbol: str) -> tuple[str, Decimal] | None:
    numerator, slash, denominator = symbol.partition("/")
    top, bottom = _SYMBOLS.get(numerator.strip()), _SYMBOLS.get(denominator.strip())
    if not slash:
        return top
    return (f"{top[0]}/{bottom[0]}", top[1] / bottom[1]) if top and bottom else None


def _respell(symbol: str, unit: str) -> str:
    """The unit that a misspelt one was probably meant to be, or nothing."""
    for slip, meant in _SLIPS:
        symbol = slip.sub(meant, symbol)
    if _lookup(symbol):
        return symbol
    top, slash, bottom = unit.partition("/")
    known = [s + slash + bottom for s, (dimension, _) in _SYMBOLS.items() if dimension == top]
    same = [s for s in known if s.lower() == symbol.lower()]
    # capitals are the usual slip, and then the large unit is the likely one (MB, not the senseless mB)
    return same[0] if same else next(iter(nearest(symbol, known, count=1)), "")


def show(value: float, unit: str, digits: int = 3) -> str:
    """A value with a decimal prefix, for people: `show(2.63e12, "B/s")` is "2.63 TB/s".

    `parse(show(value, unit), unit)` gives the value back to `digits` significant figures.
    """
    numerator = unit.partition("/")[0]
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    if numerator == "m2":
        return f"{_plain(value / float(_BASE['mm2'][1]), digits)} m{unit}"
    prefixes = _PREFIXES.get(numerator, _DECIMAL)
    for symbol in ("E", "P", "T", "G", "M", "k", "", "m", "u", "n", "p", "f"):
        # the number as it will be printed decides, so that 999.96e9 becomes 1 T and not 1000 G
        if symbol in prefixes and float(f"{abs(value) / float(prefixes[symbol]):.{digits}g}") >= 1:
            break
    else:
        symbol = "f" if "f" in prefixes else ""
    return f"{_plain(value / float(prefixes[symbol]), digits)} {symbol}{unit}"


def _plain(value: float, digits: int) -> str:
    """`digits` significant figures, trailing zeros kept ("5.30"), without an exponent unless it is tiny."""
    rounded = float(f"{value:.{digits}g}")
    exponent = math.floor(math.log10(abs(rounded)))
    if exponent < -4:
        return f"{value:.{digits - 1}e}"
    return f"{rounded:.{max(0, digits - 1 - exponent)}f}"


def seconds_to_ps(seconds: float) -> int:
    """A time in whole picoseconds, rounded to nearest."""
    return round(seconds * PS_PER_S)

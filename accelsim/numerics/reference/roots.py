"""Rounding of numbers with a square root, without computing it."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from accelsim.numerics.reference.blocks import SCALES
from accelsim.numerics.reference.grid import Grid, encode

_BITS = 256


def nearest(grid: Grid, a: Fraction, b: Fraction) -> int:
    """The code of the value of a grid that is nearest to a + sqrt(b), saturating.

    Args:
        grid: what to round to.
        a: not negative.
        b: not negative.
    """
    low = a + _root(b)
    if (low - a) ** 2 == b:
        return encode(grid, low, SCALES)
    high = low + Fraction(1, b.denominator << _BITS)
    codes = encode(grid, low, SCALES), encode(grid, high, SCALES)
    if codes[0] == codes[1]:
        return codes[0]
    middle = grid.split(*(v for c in codes if isinstance(v := grid.value(c), Fraction)))
    return codes[1] if b > (middle - a) ** 2 else codes[0]


def _root(b: Fraction) -> Fraction:
    """The square root, truncated."""
    return Fraction(isqrt(b.numerator * b.denominator << 2 * _BITS), b.denominator << _BITS)

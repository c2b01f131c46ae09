"""Rounding of float64 arrays to the width of an accumulator."""

from __future__ import annotations

import numpy as np

from accelsim.numerics.accumulator import Nearest, Width
from accelsim.numerics.fast.expansion import Floats, exponents, power, to_odd, two_sum


def to_width(x: Floats, width: Width, rounding: Nearest, *, infinite: bool) -> Floats:
    """Values rounded to a width.

    Args:
        x: exact, or rounded to odd.
        width: of the result.
        rounding: to nearest even or toward zero.
        infinite: whether what is too large becomes infinite, and not the largest value.
    """
    e = np.clip(exponents(x), width.lowest, width.highest + 1)
    steps = x * power(width.fraction_bits - e)
    whole = np.rint(steps) if rounding == "nearest-even" else np.trunc(steps)
    made: Floats = whole * power(e - width.fraction_bits)
    largest = 2.0**width.highest * (2.0 - 2.0**-width.fraction_bits)
    over = np.isfinite(x) & (np.abs(made) > largest)
    return np.where(over, np.copysign(np.inf if infinite else largest, x), made)


def add(x: Floats, y: Floats, width: Width, rounding: Nearest) -> Floats:
    """X + y, rounded once; toward zero it ends at the largest value."""
    return to_width(to_odd(*two_sum(x, y)), width, rounding, infinite=rounding == "nearest-even")

"""What holds for every finite grid of up to 8 bits, by a search over the values of its codes."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from accelsim.formats import dataformat
from accelsim.numerics.format import DataFormat

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.integers(-600, 600).map(lambda n: n / 8),
)


def nearest(made: DataFormat, x: float) -> set[float]:
    """The value or the two values nearest to a number."""
    values = made.values.tolist()
    at = bisect_left(values, x)
    beside = values[max(at - 1, 0) : at + 1] or values[-1:]
    gaps = [abs(Fraction(v) - Fraction(x)) for v in beside]
    return {v for v, gap in zip(beside, gaps, strict=True) if gap == min(gaps)}


def holds(name: str, x: float, y: float, odd: bool = True, **parameters: object) -> None:
    """Nearest, idempotent, monotone and, where the grid is symmetric, odd; independent of the dtype."""
    made = dataformat(name, **parameters)
    low, high = sorted((x, y))
    below, above = made.quantize(np.array([low, high])).tolist()
    assert below in nearest(made, low)
    assert below <= above
    assert made.quantize(np.array([below])).tolist() == [below]
    if odd:
        assert made.quantize(np.array([-low])).tolist() == [-below]
    with np.errstate(over="ignore"):
        narrow = np.float32(low)
    assert int(made.encode(narrow)) == int(made.encode(np.float64(narrow)))

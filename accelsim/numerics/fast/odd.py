"""Quotients, sums and fractions that no later rounding notices: inexact ones are truncated and made odd.

A comparison of such a result with any number of at most 52 significant bits has the outcome of the exact one.
Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast.expansion import to_odd, two_product, two_sum

_FAR: Final = 1000


def quotient(x: NDArray[np.float64], scale: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Quotients over scales > 0, odd where inexact; +-0 over a scale of 0; infinities and NaN stay.

    Exponents beyond +-1000 become +-1000: no format has values there.
    """
    with np.errstate(all="ignore"):
        top, e = np.frexp(x)
        bottom, f = np.frexp(scale)
        q = top / bottom
        p, low = two_product(q, bottom)
        made = to_odd(q, (top - p) - low)
        made = np.ldexp(made, np.clip(e - f, -_FAR, _FAR))
    plain = np.isfinite(x)
    return np.where(plain, np.where(scale == 0, np.copysign(0.0, x), made), x)


def total(a: NDArray[np.float64], b: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Sums, odd where inexact."""
    return to_odd(*two_sum(a, np.asarray(b)))


def from_fraction(exact: Fraction) -> float:
    """A fraction as a float, odd where inexact."""
    near = float(exact)
    return float(to_odd(np.array(near), np.array(float(exact - Fraction(near)))))

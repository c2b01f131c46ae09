"""Arithmetic of binary64 that no later rounding notices: inexact results are truncated and made odd.

A comparison of such a result with any number of at most 52 significant bits has the outcome of the exact one.
Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SPLIT: Final = float((1 << 27) + 1)
_FAR: Final = 1000


def quotient(x: NDArray[np.float64], scale: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Quotients over scales > 0, odd where inexact; +-0 over a scale of 0; infinities and NaN stay.

    Exponents beyond +-1000 become +-1000: no format has values there.
    """
    with np.errstate(all="ignore"):
        top, e = np.frexp(x)
        bottom, f = np.frexp(scale)
        q = top / bottom
        p, low = _product(q, bottom)
        made = _odd(q, (top - p) - low)
        made = np.ldexp(made, np.clip(e - f, -_FAR, _FAR))
    plain = np.isfinite(x)
    return np.where(plain, np.where(scale == 0, np.copysign(0.0, x), made), x)


def total(a: NDArray[np.float64], b: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Sums, odd where inexact."""
    s: NDArray[np.float64] = a + b
    back = s - a
    return _odd(s, (a - (s - back)) + (b - back))


def from_fraction(exact: Fraction) -> float:
    """A fraction as a float, odd where inexact."""
    near = float(exact)
    return float(_odd(np.array([near]), np.array([float(exact - Fraction(near))]))[0])


def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Products as a sum of two numbers (Dekker), for numbers of moderate size."""
    p = a * b
    ah = a * _SPLIT - (a * _SPLIT - a)
    bh = b * _SPLIT - (b * _SPLIT - b)
    al, bl = a - ah, b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def _odd(near: NDArray[Any], rest: NDArray[Any]) -> NDArray[np.float64]:
    """The nearest number with what is missing to the exact one -> truncated, and odd where something is missing."""
    bits = near.view(np.int64)
    beyond = ((rest > 0) & (near < 0)) | ((rest < 0) & (near > 0))
    odd = (bits - beyond) | 1
    return np.where((rest != 0) & np.isfinite(rest), odd, bits).view(np.float64)

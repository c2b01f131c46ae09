"""erf: Taylor series around the nearest multiple c of 1/16, |x| - c = t, |t| <= 1/32."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.fast.expansion import Floats, two_product, two_sum
from accelsim.numerics.functions import constants
from accelsim.numerics.functions.elementwise import apply, scaled

_STEPS: Final = 16
_END: Final = 6  # erf rounds to 1
_DEGREE: Final = 13
_TINY: Final = 2.0**-520  # below, products have errors that are no float64: x is multiplied by 2^480
_LIFT: Final = 480


def erf(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, of x's shape; at most 0.52 ulp off.

    erf(+-0) = +-0, erf(+-inf) = +-1; erf(NaN) is NaN.

    Raises:
        RequestError: an array that is none of numbers, or an `out` that does not fit.
    """
    return apply(_erf, x, out)


def _erf(x: Floats) -> Floats:
    y = np.minimum(np.where(np.isnan(x), 0.0, np.abs(x)), _END)
    tiny = y < _TINY
    y = np.where(tiny, y * 2.0**_LIFT, y)
    steps = np.rint(y * _STEPS)
    t = y - steps * (1 / _STEPS)
    at = steps.astype(np.intp)
    (value, value_rest), (slope, slope_rest), *higher = constants.error_function(_STEPS, _END, _DEGREE)
    series = higher[-1][0][at]
    for coefficients, _ in higher[-2::-1]:
        series = coefficients[at] + t * series
    product, error = two_product(slope[at], t)
    large, missing = two_sum(value[at], product)
    small = ((error + slope_rest[at] * t) + value_rest[at]) + t * t * series
    lead, rest = two_sum(large, missing + small)
    made = scaled(lead, rest, np.where(tiny, -_LIFT, 0))
    return np.where(np.isnan(x), x, np.copysign(made, x))

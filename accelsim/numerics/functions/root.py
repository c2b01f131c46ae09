"""rsqrt: the inverse of the rounded root, and what is missing from both."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.fast.expansion import Floats, exponents, power, two_product
from accelsim.numerics.functions.elementwise import apply

_LEAST_NORMAL: Final = 2.0**-1022


def rsqrt(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """1 / sqrt(x), of x's shape; at most 0.501 ulp off.

    rsqrt(+-0) = +-inf, rsqrt(inf) = +0; NaN for less than zero and for NaN.

    Raises:
        RequestError: an array that is none of numbers, or an `out` that does not fit.
    """
    return apply(_rsqrt, x, out)


def _rsqrt(x: Floats) -> Floats:
    usual = (x > 0) & (x < np.inf)
    y = np.where(usual, x, 1.0)
    subnormal = y < _LEAST_NORMAL
    y = np.where(subnormal, y * 2.0**54, y)
    half = exponents(y) >> 1
    m = y * power(-half) * power(-half)  # 1 to 4
    root = np.sqrt(m)
    square, error = two_product(root, root)
    root_rest = ((m - square) - error) / (2.0 * root)
    inverse = 1.0 / root
    product, error = two_product(inverse, root)
    rest = ((1.0 - product) - error) - inverse * root_rest
    made = (inverse + rest * inverse) * power(27 * subnormal - half)
    return np.where(usual, made, np.where(x == 0, np.copysign(np.inf, x), np.where(x == np.inf, 0.0, np.nan)))

"""log: x = 2^e m, m from 0.707 to 1.414; log x = e ln 2 - ln c + log1p(c m - 1), c one of 128 inverses of m."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.fast.expansion import Floats, two_product, two_sum
from accelsim.numerics.functions import constants
from accelsim.numerics.functions.elementwise import apply, polynomial

_SPLIT: Final = 53  # part of 1 to 2 from which on m is halved: 1 + 53 / 128 = 1.414
_LN2, _LN2_REST = constants.ln2(42)
_SERIES: Final = tuple((-1) ** (n - 1) / n for n in range(2, 10))
_LEAST_NORMAL: Final = 2.0**-1022
_MANTISSA: Final = (1 << 52) - 1


def log(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """The natural logarithm, of x's shape; at most 0.52 ulp off.

    log(1) = +0, log(+-0) = -inf, log(inf) = inf; NaN for less than zero and for NaN.

    Raises:
        RequestError: an array that is none of numbers, or an `out` that does not fit.
    """
    return apply(_log, x, out)


def _log(x: Floats) -> Floats:
    usual = (x > 0) & (x < np.inf)
    y = np.where(usual, x, 1.0)
    subnormal = y < _LEAST_NORMAL
    bits = np.where(subnormal, y * 2.0**54, y).view(np.int64)
    part = (bits >> 45) & 127
    halved = part >= _SPLIT
    e = ((bits >> 52) - 1023 - 54 * subnormal + halved).astype(np.float64)
    m = ((bits & _MANTISSA) | 1023 - halved.astype(np.int64) << 52).view(np.float64)
    inverses, upper, lower = constants.logarithms(_SPLIT)
    product, error = two_product(m, inverses[part])
    r = product - 1.0
    large, missing = two_sum(e * _LN2 + upper[part], r)  # all but the last sum exact: multiples of 2^-42
    small = (e * _LN2_REST + lower[part]) + (error - r * error)
    made = large + ((r * r * polynomial(r, _SERIES) + small) + missing)
    return np.where(usual, made, np.where(x == 0, -np.inf, np.where(x == np.inf, np.inf, np.nan)))

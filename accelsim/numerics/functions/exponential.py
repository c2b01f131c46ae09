"""exp, expm1 and tanh: x = (128 m + j) ln 2 / 128 + r, exp(x) = 2^m 2^(j/128) exp(r), |r| <= ln 2 / 256."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.fast.expansion import Floats, fast_two_sum, power, two_product, two_sum
from accelsim.numerics.functions import constants
from accelsim.numerics.functions.elementwise import Integers, apply, polynomial, scaled

_STEPS: Final = 128
_PER_LN2: Final = constants.inverse_ln2(_STEPS)
_STEP, _STEP_REST = constants.ln2(35, divisor=_STEPS)  # times up to 2^18 steps the first is exact
_SERIES: Final = constants.INVERSE_FACTORIALS
_LEAST: Final = -746.0  # exp is less than half of the smallest subnormal number
_MOST: Final = 710.0
_NEAR: Final = 0.25
_ONE_AT: Final = 40.0  # from here on 1 - exp(-x), and tanh(x / 2), round to 1
_TINY_EXPM1: Final = 2.0**-54
_TINY_TANH: Final = 2.0**-27


def exp(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """E^x, of x's shape; at most 0.52 ulp off.

    exp(-inf) = 0, exp(inf) = inf, exp(+-0) = 1; exp(NaN) is NaN.

    Raises:
        RequestError: an array that is none of numbers, or an `out` that does not fit.
    """
    return apply(_exp, x, out)


def expm1(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """E^x - 1, of x's shape; at most 0.57 ulp off.

    expm1(+-0) = +-0, expm1(-inf) = -1, expm1(inf) = inf; expm1(NaN) is NaN.

    Raises:
        RequestError: as `exp`.
    """
    return apply(_expm1, x, out)


def tanh(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """The hyperbolic tangent, of x's shape; at most 0.57 ulp off.

    tanh(+-0) = +-0, tanh(+-inf) = +-1; tanh(NaN) is NaN.

    Raises:
        RequestError: as `exp`.
    """
    return apply(_tanh, x, out)


def _parts(x: Floats) -> tuple[Floats, Floats, Integers]:
    """exp(x) = (first + second) 2^m, the second small beside the first; x finite, from -746 to 710."""
    steps = np.rint(x * _PER_LN2)
    r = (x - steps * _STEP) - steps * _STEP_REST
    below = r + r * r * polynomial(r, _SERIES[2:7])
    whole = steps.astype(np.int64)
    upper, lower = constants.roots_of_two(_STEPS)
    root = upper[whole & _STEPS - 1]
    return root, lower[whole & _STEPS - 1] + root * below, whole >> 7


def _exp(x: Floats) -> Floats:
    first, second, m = _parts(np.clip(np.where(np.isnan(x), 0.0, x), _LEAST, _MOST))
    made = scaled(*fast_two_sum(first, second), m)
    return np.where(np.isnan(x), x, made)


def _expm1_parts(x: Floats) -> tuple[Floats, Floats, Integers]:
    """expm1(x) = (first + second) 2^m; x finite, from -40 to 710, and 0 or at least 2^-54 away from it."""
    first, second, m = _parts(x)
    one = power(-np.minimum(m, 100))  # beyond that it changes nothing
    first, error = two_sum(first, -one)
    square, square_error = two_product(x, x)
    near, near_error = two_sum(x, 0.5 * square)
    near_rest = (near_error + 0.5 * square_error) + x * square * polynomial(x, _SERIES[3:15])
    small = np.abs(x) < _NEAR
    return np.where(small, near, first), np.where(small, near_rest, error + second), np.where(small, 0, m)


def _expm1(x: Floats) -> Floats:
    plain = np.isnan(x) | (np.abs(x) < _TINY_EXPM1)
    first, second, m = _expm1_parts(np.clip(np.where(plain, 0.0, x), -_ONE_AT, _MOST))
    half = m >> 1
    return np.where(plain, x, (first + second) * power(half) * power(m - half))


def _tanh(x: Floats) -> Floats:
    plain = np.isnan(x) | (np.abs(x) < _TINY_TANH)
    y = np.minimum(np.where(plain, 1.0, np.abs(x)), _ONE_AT / 2)
    first, second, m = _expm1_parts(2.0 * y)
    first, second = fast_two_sum(first * power(m), second * power(m))  # over the same and 2:
    below, below_rest = two_sum(first, np.full_like(first, 2.0))
    below_rest = below_rest + second
    quotient = first / below
    product, error = two_product(quotient, below)
    rest = (((first - product) - error) + second) - quotient * below_rest
    return np.where(plain, x, np.copysign(quotient + rest / below, x))

"""sin and cos: |x| = n pi/2 + r by integers with 192 bits of 2/pi, then around the nearest multiple of 1/16.

Payne and Hanek, Radian reduction for trigonometric functions, 1983.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics.fast.expansion import Floats, fast_two_sum, two_product, two_sum
from accelsim.numerics.functions import constants
from accelsim.numerics.functions.elementwise import Integers, apply, polynomial

_STEPS: Final = 16
_QUARTER: Final = 0.785  # below pi / 4
_HALF_PI, _HALF_PI_REST = constants.half_pi()
_SINE: Final = tuple((-1) ** n * constants.INVERSE_FACTORIALS[2 * n + 1] for n in range(1, 5))
_COSINE: Final = tuple((-1) ** n * constants.INVERSE_FACTORIALS[2 * n] for n in range(1, 6))
_MANTISSA: Final = (1 << 52) - 1
_LIMB: Final = np.uint64(0xFFFFFFFF)
_32: Final = np.uint64(32)


def sin(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """The sine of radians, of x's shape; at most 0.52 ulp off for every float64.

    sin(+-0) = +-0; NaN for infinities and NaN.

    Raises:
        RequestError: an array that is none of numbers, or an `out` that does not fit.
    """
    return apply(lambda values: _sine(values, 0), x, out)


def cos(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
    """The cosine of radians, of x's shape; at most 0.52 ulp off for every float64.

    cos(+-0) = 1; NaN for infinities and NaN.

    Raises:
        RequestError: as `sin`.
    """
    return apply(lambda values: _sine(values, 1), x, out)


def _sine(x: Floats, turns: int) -> Floats:
    """sin(x) for 0 turns of ninety degrees, cos(x) for one."""
    usual = np.isfinite(x)
    y = np.where(usual, np.abs(x), 0.0)
    r, rest = y, np.zeros_like(y)
    quadrant = np.full(y.shape, turns)
    negative = np.zeros(y.shape, dtype=np.bool_)
    far = np.nonzero(y > _QUARTER)[0]
    if len(far):
        n, below, r[far], rest[far] = _reduced(y[far])
        quadrant[far] += n
        negative[far] = below
    across = (quadrant & 1).astype(np.bool_)  # the cosine of r, which has no sign
    made = _around(r, rest, across)
    flipped = (quadrant & 2).astype(np.bool_) ^ (negative & ~across)
    if turns == 0:
        flipped ^= np.signbit(x)
    return np.where(usual, np.where(flipped, -made, made), np.nan)


def _around(r: Floats, rest: Floats, across: NDArray[np.bool_]) -> Floats:
    """sin(r + rest), or the cosine where `across`; 0 <= r <= pi / 4.

    With c = j / 16 and t = r - c: A cos t + B sin t, where A, B are sin c, cos c for the sine, cos c, -sin c across.
    """
    steps = np.rint(r * _STEPS)
    t = r - steps * (1 / _STEPS)
    at = steps.astype(np.intp)
    sine, sine_rest, cosine, cosine_rest = (column[at] for column in constants.circle(_STEPS))
    a, a_rest = np.where(across, cosine, sine), np.where(across, cosine_rest, sine_rest)
    b, b_rest = np.where(across, -sine, cosine), np.where(across, -sine_rest, cosine_rest)
    square = t * t
    sine_of_t = rest + t * square * polynomial(square, _SINE)  # without t
    cosine_of_t = square * polynomial(square, _COSINE) - t * rest  # without 1
    product, error = two_product(b, t)
    large, missing = two_sum(a, product)
    small = (error + b_rest * t) + a_rest
    return large + (((b * sine_of_t + a * cosine_of_t) + small) + missing)


def _reduced(y: Floats) -> tuple[Integers, NDArray[np.bool_], Floats, Floats]:
    """Y = n pi/2 +- (r + rest): n modulo 4, whether it is minus, r and rest; y > 0.785.

    y = M 2^E; M times 192 bits of 2^E 2/pi, modulo four turns, leaves 2 bits before and 190 behind the point.
    """
    bits = y.view(np.uint64)
    column = ((bits >> np.uint64(52)).astype(np.int64) - 1075) + 53
    m = (bits & np.uint64(_MANTISSA)) | np.uint64(1 << 52)
    limbs = _product(m & _LIMB, m >> _32, column)
    turns = (((limbs[5] >> np.uint64(29)) + np.uint64(1)) >> np.uint64(1)).astype(np.int64) & 3
    negative = (limbs[5] >> np.uint64(29) & np.uint64(1)).astype(np.bool_)
    flip = np.where(negative, _LIMB, np.uint64(0))  # minus, but for one in the last of 190 bits
    top = (limbs[5] ^ flip) & np.uint64(0x3FFFFFFF)
    parts = [top, *(limbs[i] ^ flip for i in (4, 3, 2))]
    first, second, third, fourth = (part.astype(np.float64) * 2.0 ** (-30 - 32 * i) for i, part in enumerate(parts))
    large, small = fast_two_sum(first, second)
    small, smaller = two_sum(small, third)
    large, small = fast_two_sum(large, small)
    small = small + (smaller + fourth)
    product, error = two_product(large, np.full_like(large, _HALF_PI))
    r, rest = fast_two_sum(product, error + (large * _HALF_PI_REST + small * _HALF_PI))
    return turns, negative, r, rest


def _product(low: NDArray[np.uint64], high: NDArray[np.uint64], column: Integers) -> list[NDArray[np.uint64]]:
    """(low + 2^32 high) times a column of 2 / pi modulo 2^192, in limbs of 32 bits; high has 21 bits."""
    digits = [row[column] for row in constants.two_over_pi()]
    carry = np.zeros_like(low)
    made = []
    for i in range(6):
        lower = low * digits[i]
        total = (lower & _LIMB) + carry
        if i:
            total += high * digits[i - 1]
        made.append(total & _LIMB)
        carry = (total >> _32) + (lower >> _32)
    return made

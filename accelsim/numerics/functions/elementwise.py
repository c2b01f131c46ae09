"""What all functions share: arrays in and out, polynomials, and one rounding at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.numerics import arrays
from accelsim.numerics.fast.expansion import Floats, exponents, fast_two_sum, power

_CHUNK: Final = 1 << 13  # so that temporaries stay in the cache
_LEAST_NORMAL: Final = -1022
_LAST_BIT: Final = -1074

Integers = NDArray[np.int64]


def apply(kernel: Callable[[Floats], Floats], x: ArrayLike, out: NDArray[Any] | None) -> Any:
    """A function of flat float64 arrays, for any array.

    Raises:
        RequestError: an array that is none of numbers, or an `out` that does not fit.
    """
    taken = arrays.take(x)
    values = taken.values.reshape(-1)
    target = arrays.result(out, taken.values.shape, taken.dtype)
    made = target if arrays.direct(target, taken.dtype) else np.empty(taken.values.shape, taken.dtype)
    flat = made.reshape(-1)
    if flat is not values and np.may_share_memory(flat, values):
        values = values.copy()
    with np.errstate(all="ignore"):
        for start in range(0, len(values), _CHUNK):
            part = slice(start, start + _CHUNK)
            found = kernel(values[part].astype(np.float64))
            flat[part] = np.where(np.isnan(found), np.nan, found)
    return arrays.finish(made, target, taken.mask)


def polynomial(x: Floats, coefficients: Sequence[float]) -> Floats:
    """c0 + x (c1 + x (c2 + ...)), from the inside out."""
    made: Floats = coefficients[-2] + x * coefficients[-1]
    for c in coefficients[-3::-1]:
        made = c + x * made
    return made


def scaled(lead: Floats, rest: Floats, e: Integers) -> Floats:
    """(lead + rest) 2^e rounded once, where lead >= 0 is that sum rounded to nearest; e from -1100 to 1100."""
    subnormal = exponents(lead) + e < _LEAST_NORMAL
    # the last bit of a subnormal number, before it is scaled, becomes the last bit of a sum with `anchor`
    anchor = 2.0**52 * power(np.maximum(_LAST_BIT - e, -1000))
    cut, error = fast_two_sum(anchor, lead)
    made = np.where(subnormal, (cut + (error + rest)) - anchor, lead)
    half = e >> 1
    return made * power(half) * power(e - half)

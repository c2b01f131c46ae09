"""Sums and products of float64 without error, as lists of float64 that do not overlap; exponents and powers by bits.

Knuth, The Art of Computer Programming 2, section 4.2.2 (two_sum); Dekker, A floating-point technique for extending the
available precision, 1971 (two_product); Ogita, Rump and Oishi, Accurate sum and dot product, 2005 (repeated passes).
Exact while no exponent leaves `LEAST` to `MOST`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast import arithmetic_kernels as kernels
from accelsim.numerics.jit import compiled, enabled

Floats = NDArray[np.float64]

LEAST: Final = -480
MOST: Final = 480
"""Exponents of operands within which products and their errors are normal float64."""

_CHUNK: Final = 1 << 14
_SPLITTER: Final = float((1 << 27) + 1)


def exponents(x: Floats) -> NDArray[np.int64]:
    """floor(log2 |x|) of normal numbers; -1023 for zero and what lies below."""
    return ((x.view(np.int64) >> 52) & 0x7FF) - 1023


def power(e: NDArray[np.int64]) -> Floats:
    """2^e, for exponents of normal float64."""
    made: Floats = ((e + 1023) << 52).view(np.float64)
    return made


def fast_two_sum(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The rounded sum and its error, where x is zero or |x| >= |y|."""
    total = x + y
    return total, y - (total - x)


def two_sum(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The rounded sum and its error."""
    total = x + y
    shadow = total - x
    return total, (x - (total - shadow)) + (y - shadow)


def two_product(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The rounded product and its error."""
    product = x * y
    x1, y1 = _upper(x), _upper(y)
    x2, y2 = x - x1, y - y1
    return product, x2 * y2 - (((product - x1 * y1) - x2 * y1) - x1 * y2)


def _upper(x: Floats) -> Floats:
    scaled = _SPLITTER * x
    return scaled - (scaled - x)


def distil(parts: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The exact sum of arrays: rounded to nearest (but for ties), and the next part, whose sign is that of the rest."""
    stack = np.array([part.reshape(-1) for part in parts])
    if len(stack) == 1:
        stack = np.concatenate([stack, np.zeros_like(stack)])
    run = compiled(kernels.distil) if enabled() else _distil
    for start in range(0, stack.shape[1], _CHUNK):
        run(stack[:, start : start + _CHUNK])
    shape = parts[0].shape
    return stack[0].reshape(shape), stack[1].reshape(shape)


def _distil(stack: Floats) -> None:
    for _ in range(len(stack)):
        before = stack.copy()
        for i in range(len(stack) - 1, 0, -1):
            stack[i - 1], stack[i] = two_sum(stack[i - 1], stack[i])
        if np.array_equal(before, stack):
            break


def to_odd(lead: Floats, rest: Floats) -> Floats:
    """Lead + rest rounded to odd, where lead is that sum rounded to nearest; infinities and NaN pass."""
    bits = lead.view(np.int64)
    above, below = rest > 0, rest < 0  # both false for NaN, the error of an infinite sum
    toward = np.where(bits < 0, above, below)
    made = (bits - toward) | (above | below)
    return made.view(np.float64)

"""Blocks along the last axis of [rows, n] arrays: tiles that fit the cache, sums over blocks, padding, NaN refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics.reference.grid import Exact, Special

_TILE: Final = 1 << 16


def tiles(rows: int, n: int, length: int = 1) -> Iterator[tuple[slice, slice]]:
    """Slices that cover [rows, n] in C order, each of whole blocks and contiguous in that order."""
    if rows == 0 or n == 0:
        return
    if n <= _TILE:
        step = max(_TILE // n, 1)
        for start in range(0, rows, step):
            yield slice(start, min(start + step, rows)), slice(0, n)
        return
    width = max(_TILE // length, 1) * length
    for row in range(rows):
        for start in range(0, n, width):
            yield slice(row, row + 1), slice(start, min(start + width, n))


def count(n: int, length: int) -> int:
    """Blocks in n elements."""
    return -(-n // length)


def per_block(x: NDArray[Any], length: int, reduce: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """[rows, blocks] of what a function makes of [rows, blocks, elements] arrays; the tail on its own."""
    rows, n = x.shape
    whole = n // length
    parts = []
    if whole:
        parts.append(reduce(x[:, : whole * length].reshape(rows, whole, length)))
    if n % length:
        parts.append(reduce(x[:, None, whole * length :]))
    return np.concatenate(parts, axis=1) if parts else reduce(np.zeros((rows, 0, 1), dtype=x.dtype))


def spread(per: NDArray[Any], length: int, columns: slice) -> NDArray[Any]:
    """Of [rows, blocks], what belongs to the elements of some columns; broadcasts to [rows, columns]."""
    first, last = columns.start // length, (columns.stop - 1) // length
    if first == last:
        return per[:, first : first + 1]
    begin = columns.start - first * length
    return np.repeat(per[:, first : last + 1], length, axis=1)[:, begin : begin + columns.stop - columns.start]


def pad(x: NDArray[Any], length: int) -> NDArray[Any]:
    """Rows filled up with zeros to whole blocks."""
    more = -x.shape[1] % length
    return np.pad(x, ((0, 0), (0, more))) if more else x


def largest(x: NDArray[Any]) -> NDArray[Any]:
    """Largest magnitudes of [rows, blocks, elements]; NaN where one is."""
    if not x.shape[2] or not x.shape[1]:
        return np.zeros(x.shape[:2], dtype=x.dtype)
    made: NDArray[Any] = np.abs(np.maximum(x.max(axis=2), -x.min(axis=2)))  # no negative zero
    return made


class RefusedNanError(RequestError):
    """A NaN that has no place; says where in the rows it is, and whoever made the rows knows better."""


def refuse_nan(x: NDArray[Any], name: str) -> None:
    """Raise RefusedNanError with count and first place if there is a NaN."""
    isnan = np.isnan(x)
    if isnan.any():
        row, place = (int(i) for i in np.argwhere(isnan)[0])
        raise RefusedNanError(
            f"{int(isnan.sum())} NaN, the first in row {row} at {place} (rows along the axis): {name} has no place "
            'for it; try policy=Policy(nan="zero") or Policy(nan="max")'
        )


def exact(x: float) -> Exact:
    """A float as the references take it."""
    if np.isnan(x):
        return Special.NEGATIVE_NAN if np.signbit(x) else Special.NAN
    if np.isinf(x):
        return Special.INFINITY if x > 0 else Special.NEGATIVE_INFINITY
    return Special.NEGATIVE_ZERO if x == 0 and np.signbit(x) else Fraction(float(x))


def significant_bits(values: NDArray[np.float64]) -> int:
    """The most significant bits that one of some finite values has."""
    mantissa, _ = np.frexp(values[np.isfinite(values) & (values != 0)])
    whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
    lowest = whole & -whole
    return int((54 - np.frexp(lowest.astype(np.float64))[1]).max(initial=0))

"""Dot products and sums: in sequence at a width, or exact and rounded once to fp32.

What is exact is found by float64 sums in any order, whose error has a bound (Higham, Accuracy and Stability of
Numerical Algorithms, section 3.1: |error| <= k u / (1 - k u) times the sum of absolute products, here by the
Cauchy-Schwarz inequality). Where that bound leaves a doubt about the nearest fp32, and where operands do not have so
few bits that float64 sums are exact, the sum is formed again without error. So a result depends neither on the order
of a library's sums nor on its use of fused multiply-adds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.execution import sum_kernels
from accelsim.numerics.arithmetic.problem import extent
from accelsim.numerics.fast.expansion import Floats, distil, to_odd, two_product, two_sum
from accelsim.numerics.jit import compiled, enabled

Singles = NDArray[np.float32]
Array = NDArray[Any]

_UNIT: Final = 2.0**-53
_DIGITS: Final = 53
_SLACK: Final = 1.0 + 2.0**-20  # for the roundings of the bound itself
_TINY: Final = 2.0**-1000
_CHUNK_BYTES: Final = 1 << 19
_PIECE_BYTES: Final = 1 << 22


def in_sequence(a: Array, b: Array, start: Array | None = None) -> Array:
    """Start + a b for [m, k] and [k, n] of one type, each product and each sum rounded to it, in increasing k."""
    made = np.zeros((a.shape[0], b.shape[1]), dtype=a.dtype) if start is None else start.astype(a.dtype)
    left, right = np.ascontiguousarray(a), np.ascontiguousarray(b)
    with np.errstate(all="ignore"):
        if enabled():
            compiled(sum_kernels.products, allocates=False)(left, right, made)
        else:
            for k in range(a.shape[1]):
                made += left[:, k, None] * right[None, k]
    return made


def exactly(a: Floats, b: Floats) -> Singles:
    """A b for float64 [m, k] and [k, n]: every exact dot product rounded once to fp32, to nearest even.

    Operands are finite, with exponents between -480 and 480. A zero result is +0.
    """
    m, k = a.shape
    n = b.shape[1]
    made = np.empty((m, n), dtype=np.float32)
    norms = np.sqrt(np.sum(b * b, axis=0)) * ((k + 4) * _UNIT * _SLACK * _SLACK)
    step = max(1, _CHUNK_BYTES // (8 * max(n, 1)))
    of_columns: NDArray[np.int64] | None = None
    for at in range(0, m, step):
        part = a[at : at + step]
        bound = np.sqrt(np.sum(part * part, axis=1))[:, None] * norms + _TINY
        found = part @ b
        rows, columns = _settled(found, bound, made[at : at + step])
        if len(rows):
            of_columns = _bits(b.T) if of_columns is None else of_columns
            whole = _bits(part)[rows] + of_columns[columns] + (k - 1).bit_length() <= _DIGITS
            made[at + rows[whole], columns[whole]] = found[rows[whole], columns[whole]]
            rows, columns = rows[~whole], columns[~whole]
        for chosen in _pieces(len(rows), k):
            i, j = rows[chosen], columns[chosen]
            made[at + i, j] = _closely(part[i], np.ascontiguousarray(b[:, j].T), bound[i, j])
    return made + np.float32(0)


def rows_exactly(a: Floats, b: Floats) -> Singles:
    """The dot products of rows, [..., k] times [..., k]: exact, rounded once to fp32."""
    shape, k = a.shape[:-1], a.shape[-1]
    left, right = a.reshape(-1, k), np.broadcast_to(b, a.shape).reshape(-1, k)
    made = np.empty(len(left), dtype=np.float32)
    products = left * right
    bound = np.sum(np.abs(products), axis=1) * ((k + 4) * _UNIT * _SLACK) + _TINY
    (rows,) = _settled(np.sum(products, axis=1), bound, made)
    for chosen in _pieces(len(rows), k):
        made[rows[chosen]] = _closely(left[rows[chosen]], right[rows[chosen]], bound[rows[chosen]])
    return (made + np.float32(0)).reshape(shape)


def _bits(x: Floats) -> NDArray[np.int64]:
    """Bits from the lowest to the highest of each row; with few enough of them, float64 sums are exact."""
    found = extent(x)
    return (found.high - found.low)[:, 0]


def _settled(sums: Floats, bound: Floats, made: Singles) -> tuple[NDArray[np.intp], ...]:
    """Write what is certain; where it is not."""
    with np.errstate(over="ignore"):
        low, high = (sums - bound).astype(np.float32), (sums + bound).astype(np.float32)
    made[...] = low
    return np.nonzero(low != high)


def _pieces(count: int, k: int) -> list[slice]:
    step = max(1, _PIECE_BYTES // (32 * max(k, 1)))
    return [slice(at, at + step) for at in range(0, count, step)]


def _closely(a: Floats, b: Floats, bound: Floats) -> Singles:
    """Dot products of [c, k] rows, rounded once; `bound` is that of a float64 sum.

    The errors that are added up beside a sum are at most k + 1 units of all absolute products together, and their own
    sum in float64 is off by 2 k units of that: where this leaves no doubt, nothing more is needed.
    """
    if not enabled():
        return _without_error(a, b)
    lead, rest = np.empty(len(a)), np.empty(len(a))
    compiled(sum_kernels.doubled, allocates=False)(a, b, lead, rest)
    off = bound * ((2 * a.shape[1] + 4) * _UNIT * _SLACK) + np.abs(rest) * (4 * _UNIT) + _TINY
    with np.errstate(over="ignore"):
        made, high = (to_odd(*two_sum(lead, rest + way * off)).astype(np.float32) for way in (-1.0, 1.0))
    (open_,) = np.nonzero(made != high)
    if len(open_):
        made[open_] = _without_error(a[open_], b[open_])
    return made


def _without_error(a: Floats, b: Floats) -> Singles:
    """Dot products of [c, k] rows: products split into two parts, all of them added without error."""
    product, error = two_product(a, b)
    parts = [*np.ascontiguousarray(product.T), *np.ascontiguousarray(error.T)]
    with np.errstate(over="ignore"):
        return to_odd(*distil(parts)).astype(np.float32)

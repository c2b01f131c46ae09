"""Exact sums of products by matrix products of slices: each slice holds so few bits that no partial sum is rounded.

Ozaki, Ogita, Oishi and Rump, Error-free transformations of matrix multiplication, 2012. A sum of k products of s-bit
and t-bit integers (times powers of two that are the same all along a row or column) needs s + t + log2 k bits; where
that is at most 53, or 24 in float32, every order of additions gives the same bits, with or without contraction.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np

from accelsim.numerics.arithmetic.problem import BeyondError, Extent, Problem, extent
from accelsim.numerics.fast.expansion import Floats, distil, to_odd

_MOST_BYTES: Final = 1 << 27
_MOST_SLICES: Final = 64


def exact_sum(problem: Problem) -> tuple[Floats, Floats | None]:
    """C + a b with all scales: rounded to nearest (but for ties), and what is missing; None where nothing is.

    Raises:
        BeyondError: the range is too wide.
    """
    m, n, k = problem.shape
    extra = [] if problem.c is None else [problem.c]
    if k == 0 or m == 0 or n == 0:
        return problem.start.copy(), None
    found = _in_one(problem, problem.reach_a, problem.reach_b, k)
    if found is None:
        found = _in_one(problem, problem.extent_a, problem.extent_b, k)
    if found is not None:
        return distil([*extra, found]) if extra else (found, None)
    if problem.c is not None and not extent(problem.c).inside():
        raise BeyondError
    sliced_a = [_reach(part) for part in problem.scaled_a]
    sliced_b = [_reach(part.T) for part in problem.scaled_b]
    lead, rest = np.empty((m, n)), np.empty((m, n))
    slices_a, slices_b = _plan(sliced_a, sliced_b, k)
    step = max(1, _MOST_BYTES // (8 * n * (len(slices_a) * len(slices_b) + 1)))
    for at in range(0, m, step):
        part = slice(at, at + step)
        sums = [x[part] @ y.T for x, y in product(slices_a, slices_b)]
        lead[part], rest[part] = distil([*(x[part] for x in extra), *sums])
    return lead, rest


def exact_odd(problem: Problem) -> Floats:
    """`exact_sum`, rounded to odd."""
    lead, rest = exact_sum(problem)
    return lead if rest is None else to_odd(lead, rest)


def _in_one(problem: Problem, a: Extent, b: Extent, k: int) -> Floats | None:
    """The product by one exact matrix product, if these extents prove that it is one."""
    if len(problem.scaled_a) > 1 or len(problem.scaled_b) > 1 or not (a.inside() and b.inside()):
        return None
    needed = a.bits + b.bits + (k - 1).bit_length()
    if needed > 53:
        return None
    left, right = problem.scaled_a[0], problem.scaled_b[0]
    small = needed <= 24 and min(int(x.low.min()) for x in (a, b)) > -60 and max(int(x.high.max()) for x in (a, b)) < 60
    if small:
        return (left.astype(np.float32) @ right.astype(np.float32)).astype(np.float64)
    made: Floats = left @ right
    return made


_Sliceable = tuple[Floats, Extent]


def _reach(x: Floats) -> _Sliceable:
    found = extent(x)
    if not found.inside():
        raise BeyondError
    return x, found


def _plan(a: list[_Sliceable], b: list[_Sliceable], k: int) -> tuple[list[Floats], list[Floats]]:
    """Slices of both operands, as few products of them as possible."""
    bits_a, bits_b = (max(reach.bits for _, reach in parts) for parts in (a, b))
    best: tuple[int, int, int] | None = None
    for count_a in range(1, _MOST_SLICES):
        size_a = -(-bits_a // count_a)
        size_b = min(53 - (k - 1).bit_length() - size_a, 50)
        if size_b < 1:
            continue
        cost = count_a * -(-bits_b // size_b)
        if best is None or cost < best[0]:
            best = (cost, size_a, size_b)
    if best is None:
        raise BeyondError
    return tuple(  # type: ignore[return-value]  # two of them
        [piece for x, reach in parts for piece in _cut(x, reach, size)] for parts, size in ((a, best[1]), (b, best[2]))
    )


def _cut(x: Floats, reach: Extent, size: int) -> list[Floats]:
    """Slices of `size` bits of each row, highest first; empty ones left out, but not all."""
    made = []
    rest = x.copy()
    for number in reversed(range(-(-reach.bits // size))):
        unit = np.ldexp(1.0, reach.low + number * size)
        piece = np.trunc(rest / unit) * unit
        rest -= piece
        if piece.any():
            made.append(piece)
    return made or [rest]

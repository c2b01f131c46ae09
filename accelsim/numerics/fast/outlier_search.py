"""What an outlier list needs to know of a tensor: its mean and spread, the farthest elements, fitted centroids.

Sums are binary64; where their error could change a rounded result, fractions decide.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast import tiles
from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.blocks import SINGLE
from accelsim.numerics.reference.grid import Grid, encode
from accelsim.numerics.reference.outlier_list import STEPS, OutlierListReference, distance, single
from accelsim.spec.format import OutlierListFormat

_Array = NDArray[np.float64]
_Order = NDArray[np.int64]
_ERROR: Final = 2.0**-46
"""Of a pairwise sum of fewer than 2^40 numbers, in proportion to the sum of their magnitudes."""


def code(codec: ElementCodec, value: float) -> int:
    """The code of one number."""
    made = np.empty(1, dtype=codec.code_dtype)
    codec.encode(np.array([value]), made)
    return int(made[0])


def _between(grid: Grid, low: float, high: float) -> int | None:
    """The code of a number of which only bounds are known; None where they have two codes."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    codes = [encode(grid, Fraction(end), blocks.SCALES) for end in (low, high)]
    return codes[0] if codes[0] == codes[1] else None


def _mean(x: _Array, grid: Grid) -> int:
    """The code of the mean of finite numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        total, size = float(x.sum()), float(np.abs(x).sum())
    slack = size * _ERROR
    found = _between(grid, (total - slack) / x.size, (total + slack) / x.size)
    if found is None and math.isfinite(size):
        total = math.fsum(x.tolist())
        slack = abs(total) * 2.0**-50
        found = _between(grid, (total - slack) / x.size, (total + slack) / x.size)
    if found is None:
        exact = sum((Fraction(v) for v in x.tolist()), Fraction(0)) / x.size
        found = encode(grid, exact, blocks.SCALES)
    return found


def gaussian(x: _Array, reference: OutlierListReference) -> tuple[Fraction, Fraction | None]:
    """The centre and the cut of a tensor with centroids; None for one of a single value."""
    finite = x[np.isfinite(x)]
    if finite.size == 0:
        return Fraction(0), None
    centre = single(_mean(finite, SINGLE))
    if finite.min() == finite.max():
        return centre, None
    found = _cut(finite, reference.record.threshold or 0.0)
    if found is not None:
        return centre, single(found)
    return reference.gaussian([Fraction(v) for v in x[np.isfinite(x)].tolist()])


def _cut(x: _Array, threshold: float) -> int | None:
    """The code of the cut, where binary64 is close enough to tell."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rest = x - x.mean()
        variance = float(np.square(rest).mean() - np.square(rest.mean()))
        spread = float(np.abs(x).max()) * 2.0**-50  # of the differences
    if not (math.isfinite(variance) and variance > 2.0**-900 and spread < math.sqrt(variance) * 2.0**-10):
        return None
    log = math.log(2 * math.pi * variance)
    square = variance * (-2 * threshold - log)
    slack = variance * (abs(threshold) + abs(log) + 1) * (2.0**-44 + 8 * spread / math.sqrt(variance))
    low, high = (math.sqrt(max(end, 0.0)) for end in (square - slack, square + slack))
    return _between(SINGLE, low * (1 - 2.0**-50), high * (1 + 2.0**-50))


def fitted(x: _Array, reference: OutlierListReference) -> list[int]:
    """Codes of the centroids of finite normal elements."""
    count = 1 << reference.record.bits
    ordered = np.sort(x)
    starts = [-(-i * x.size // count) for i in range(count + 1)]
    codes = _means(ordered, starts, [encode(reference.dictionary, Fraction(0), blocks.SCALES)] * count, reference, True)
    for _ in range(STEPS):
        levels = [reference.level(code) for code in codes]
        edges = [_floor((a + b) / 2) for a, b in pairwise(levels)]
        starts = [0, *np.searchsorted(ordered, edges, side="right").tolist(), x.size]
        moved = _means(ordered, starts, codes, reference)
        if moved == codes:
            break
        codes = moved
    return codes


def _means(
    x: _Array, starts: list[int], codes: list[int], reference: OutlierListReference, first: bool = False
) -> list[int]:
    made: list[int] = []
    for i, (start, stop) in enumerate(pairwise(starts)):
        if start < stop:
            made.append(_mean(x[start:stop], reference.dictionary))
        else:
            made.append(made[-1] if first and made else codes[i])
    return made


def marked(x: _Array, centre: Fraction, cut: Fraction | None, record: OutlierListFormat) -> NDArray[np.bool_]:
    """Which elements are outliers: of each page those farthest from the centre, as many as there is room for."""
    marks = np.zeros(x.size, dtype=bool)
    if cut is None or x.size == 0:
        return marks
    at = np.flatnonzero((x > _floor(centre + cut)) | (x < -_floor(cut - centre)))
    if at.size == 0:
        return marks
    with np.errstate(invalid="ignore", over="ignore"):
        keys = np.abs(x[at] - float(centre))
    page = at // record.page
    order = np.lexsort((-keys, page))  # stable: earlier ones first
    counts = np.bincount(page)
    starts = np.cumsum(counts) - counts
    rooms = np.full(counts.size, record.room(min(record.page, x.size)))
    if x.size % record.page and counts.size == -(-x.size // record.page):
        rooms[-1] = record.room(x.size % record.page)
    if centre:
        for p in np.flatnonzero(counts > rooms).tolist():
            _settle(x[at], keys, order[starts[p] : starts[p] + counts[p]], int(rooms[p]), centre)
    rank = np.arange(at.size) - np.repeat(starts, counts)
    marks[at[order[rank < np.repeat(rooms, counts)]]] = True
    return marks


def _settle(x: _Array, keys: _Array, order: _Order, room: int, centre: Fraction) -> None:
    """Where the room of a page ends among equal rounded distances, put the exactly farthest first."""
    end = keys[order[room - 1]]
    if keys[order[room]] == end:
        equal = np.flatnonzero(keys[order] == end)
        order[equal] = sorted(order[equal].tolist(), key=lambda i: (-distance(tiles.exact(float(x[i])), centre), i))


def _floor(x: Fraction) -> float:
    """The largest binary64 that is at most x."""
    near = float(x)
    return near if Fraction(near) <= x else math.nextafter(near, -math.inf)

"""One matrix product, laid out for the accumulators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.accumulator import Nearest, Width
from accelsim.numerics.arithmetic.rounding import to_width
from accelsim.numerics.fast import arithmetic_kernels as kernels
from accelsim.numerics.fast.expansion import LEAST, MOST, Floats, two_product
from accelsim.numerics.jit import compiled, enabled
from accelsim.numerics.reference.arithmetic import Exponents

_FAR: Final = 4 * MOST
_MANY: Final = 1 << 14
"""Elements that are worth a compiled function."""


class BeyondError(Exception):
    """A product that only the exact reference can do: too many digits, or too wide a range."""


@dataclass(frozen=True)
class Extent:
    """How far the bits of the nonzero elements of a matrix reach.

    Attributes:
        low: [rows, 1], exponent of the lowest bit of a row; or of all.
        high: exponent above the highest bit.
        significant: most bits of one element.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    significant: int

    @property
    def bits(self) -> int:
        """Bits from the lowest to the highest of a row."""
        return int((self.high - self.low).max(initial=1))

    def inside(self) -> bool:
        """Whether products and errors of products are normal float64."""
        return int(self.low.min(initial=0)) >= LEAST and int(self.high.max(initial=0)) <= MOST


def extent(x: Floats) -> Extent:
    """The extent of each row of finite numbers."""
    if x.size >= _MANY and enabled():
        return _compiled(x)
    mantissa, e = np.frexp(x)
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1].astype(np.int64) - 1
    e = e.astype(np.int64)
    low, high = e - 53 + lowest, e
    zero = x == 0
    significant = int(np.where(zero, 1, high - low).max(initial=1))
    low = np.where(zero, _FAR, low).min(axis=1, initial=_FAR, keepdims=True)
    high = np.where(zero, -_FAR, high).max(axis=1, initial=-_FAR, keepdims=True)
    return _extent(low, high, significant)


def _compiled(x: Floats) -> Extent:
    low, high = np.full(len(x), _FAR), np.full(len(x), -_FAR)
    significant = compiled(kernels.reach)(np.ascontiguousarray(x.T, dtype=np.float64), low, high, _FAR)
    return _extent(low[:, None], high[:, None], int(significant))


def _extent(low: NDArray[np.int64], high: NDArray[np.int64], significant: int) -> Extent:
    empty = high < low
    return Extent(np.where(empty, 0, low), np.where(empty, 1, high), significant)


@dataclass(frozen=True, eq=False)
class Problem:
    """c + a b, two-dimensional.

    Attributes:
        a, b: elements, float64 [m, k] and [k, n].
        c: float64 [m, n], or None.
        scale_a, scale_b: [m, segments] and [segments, n]; both or none.
        bounds: where segments start, and k at the end; empty where there are no scales.
        limits: exponents of the smallest normal operands.
        known_a, known_b: extents that follow from the formats, for elements without scales.
    """

    a: Floats
    b: Floats
    c: Floats | None = None
    scale_a: Floats | None = None
    scale_b: Floats | None = None
    bounds: Sequence[int] = ()
    limits: Exponents = field(default_factory=Exponents)
    known_a: Extent | None = None
    known_b: Extent | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """m, n, k."""
        return self.a.shape[0], self.b.shape[1], self.a.shape[1]

    @property
    def start(self) -> Floats:
        """c, or zeros."""
        return np.zeros((self.a.shape[0], self.b.shape[1])) if self.c is None else self.c

    def started(self, width: Width, rounding: Nearest, *, infinite: bool) -> Floats:
        """The start, rounded to a width; a new array."""
        return self.start if self.c is None else to_width(self.c, width, rounding, infinite=infinite)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Products of each segment."""
        return np.array([stop - start for start, stop in pairwise(self.bounds)], dtype=np.int64)

    @cached_property
    def scaled_a(self) -> list[Floats]:
        """A times its scales: one array, or two whose sum is exact."""
        return [self.a] if self.scale_a is None else _scaled(self.a, np.repeat(self.scale_a, self.lengths, axis=1))

    @cached_property
    def scaled_b(self) -> list[Floats]:
        """B times its scales."""
        return [self.b] if self.scale_b is None else _scaled(self.b, np.repeat(self.scale_b, self.lengths, axis=0))

    @cached_property
    def extent_a(self) -> Extent:
        """Rows of scaled a."""
        return extent(self.scaled_a[0])

    @cached_property
    def extent_b(self) -> Extent:
        """Columns of scaled b."""
        return extent(self.scaled_b[0].T)

    @property
    def reach_a(self) -> Extent:
        """What is known of scaled a without looking, else its extent."""
        return self.known_a if self.known_a and self.scale_a is None else self.extent_a

    @property
    def reach_b(self) -> Extent:
        """What is known of scaled b without looking, else its extent."""
        return self.known_b if self.known_b and self.scale_b is None else self.extent_b

    def exact_products(self) -> bool:
        """Whether products of single elements, scales included, are exact in float64."""
        if len(self.scaled_a) > 1 or len(self.scaled_b) > 1:
            return False
        a, b = self.reach_a, self.reach_b
        return a.inside() and b.inside() and a.significant + b.significant <= 53

    def segment(self, at: int) -> Problem:
        """The products of one segment, as a problem of its own without c."""
        part = slice(self.bounds[at], self.bounds[at + 1])
        assert self.scale_a is not None
        assert self.scale_b is not None
        return replace(
            self, a=self.a[:, part], b=self.b[part], c=None, bounds=(0, part.stop - part.start),
            scale_a=self.scale_a[:, at : at + 1], scale_b=self.scale_b[at : at + 1],
        )  # fmt: skip

    def zeroed(self) -> Problem:
        """With zeros in place of infinities and NaN."""
        return replace(
            self, a=_zeroed(self.a), b=_zeroed(self.b), c=None if self.c is None else _zeroed(self.c),
            scale_a=None if self.scale_a is None else _zeroed(self.scale_a),
            scale_b=None if self.scale_b is None else _zeroed(self.scale_b),
        )  # fmt: skip

    def finite(self) -> bool:
        """Whether there are neither infinities nor NaN."""
        arrays = (self.a, self.b, self.c, self.scale_a, self.scale_b)
        return all(bool(np.isfinite(x).all()) for x in arrays if x is not None)

    def specials(self) -> Floats:
        """[m, n]: the infinity or NaN that infinities and NaN of the operands lead to; 0 where there are none."""
        with np.errstate(invalid="ignore", over="ignore"):
            a, b = self.scaled_a[0], self.scaled_b[0]
        plus_a, minus_a, plus_b, minus_b = (_ones(x) for x in (a == np.inf, a == -np.inf, b == np.inf, b == -np.inf))
        above_a, below_a, above_b, below_b = (_ones(x) for x in (a > 0, a < 0, b > 0, b < 0))
        nans = _ones(np.isnan(a)) @ np.ones_like(plus_b) + np.ones_like(plus_a) @ _ones(np.isnan(b))
        nans += (plus_a + minus_a) @ _ones(b == 0) + _ones(a == 0) @ (plus_b + minus_b)
        plus = plus_a @ above_b + minus_a @ below_b + above_a @ plus_b + below_a @ minus_b
        minus = plus_a @ below_b + minus_a @ above_b + above_a @ minus_b + below_a @ plus_b
        c = self.start
        plus, minus = (plus > 0) | (c == np.inf), (minus > 0) | (c == -np.inf)
        made = np.where(plus, np.inf, np.where(minus, -np.inf, 0.0))
        return np.where((nans > 0) | np.isnan(c) | (plus & minus), np.nan, made)


def _zeroed(x: Floats) -> Floats:
    return np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)


def _ones(x: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Counts of these only grow, so that no rounding makes one of them zero."""
    return x.astype(np.float32)


def _scaled(x: Floats, scale: Floats) -> list[Floats]:
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        product, error = two_product(x, scale)
    return [product, error] if np.any(_zeroed(error)) else [product]

"""Normal elements and a list of outliers, in fractions: GOBO (MICRO 2020) and OLAccel (ISCA 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Final

from accelsim.errors import RequestError
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference import blocks, logarithm, roots
from accelsim.numerics.reference.blocks import INFINITIES, NANS, SINGLE, quotient
from accelsim.numerics.reference.grid import Exact, Grid, TableGrid, encode
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.spec.format import OutlierListFormat

STEPS: Final = 16
"""How often centroids are moved at most."""

_FAR: Final = Fraction(1 << 5000)
_TWO_PI: Final = Fraction("6.28318530717958647692528676655900576839433879875021164194988918462")


def build(record: OutlierListFormat) -> OutlierListReference:
    """The reference of a format with a list of outliers."""
    return OutlierListReference(record)


class CentroidGrid(TableGrid):
    """Code i is centroid i; of equal ones, the first is written."""

    def __init__(self, bits: int, centroids: Sequence[Fraction]) -> None:
        self.bits, self._centroids = bits, tuple(centroids)

    def value(self, code: int) -> Exact:
        """The centroid of a code."""
        return self._centroids[code]


def squared_cut(variance: Fraction, threshold: Fraction) -> Fraction:
    """The square of the distance from the mean at which log density is the threshold; 0 where it is lower everywhere.

    Args:
        variance: of the normal distribution, positive.
        threshold: natural logarithm of a density.
    """
    logarithm_ = logarithm.log_half(variance * _TWO_PI) / 2
    return max(variance * (-2 * threshold - logarithm_), Fraction(0))


class OutlierListReference(ScaledReference):
    """See `OutlierListFormat`. `ExactParts.indices` marks outliers with 1; codes of outliers are those of their format.

    With centroids, `scales` holds their codes; otherwise `tensor_scale` is the scale. Infinities are the farthest of
    all; as normal elements they saturate. A NaN that the policy allows is a normal element.
    """

    has_nan = False
    has_negative_zero = False

    def __init__(self, record: OutlierListFormat) -> None:
        self.record = record
        self.normal, self.outlier = blocks.grid_of(record.normal), blocks.grid_of(record.outlier)
        self.dictionary = blocks.grid_of(record.dictionary)
        self.limit = blocks.limit(self.normal)
        self.default_overflow = self.outlier.default_overflow
        self.has_infinity = self.outlier.has_infinity

    def encode(
        self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None, tensor_scale: Fraction | None = None
    ) -> ExactParts:
        """Codes, marks of outliers, and the scale or the centroids."""
        complete = policy_of(policy, self, self.record.name)
        flat = [x for row in rows for x in row]
        if complete.nan == "error" and blocks.any_of(flat, NANS):
            raise RequestError(f"{self.record.name} has no place for NaN")
        clipped = normal_policy(complete)
        if self.record.centroids:
            marks = self._marked(flat, *self.gaussian(flat))
            levels = self.fitted([x for x, mark in zip(flat, marks, strict=True) if not mark])
            grid: Grid = CentroidGrid(self.record.bits, [self.level(code) for code in levels])
            scale = None
        else:
            cut, scale = self.chosen(flat, tensor_scale)
            marks = self._marked(flat, Fraction(0), cut)
            flat = [quotient(x, scale) for x in flat]
            grid, levels = self.normal, None
        codes = [
            encode(self.outlier if m else grid, x, complete if m else clipped) for x, m in zip(flat, marks, strict=True)
        ]
        if self.record.layout == "chunk":
            for i in (i for i, mark in enumerate(marks) if mark):
                if self.normal.smallest <= self._number(codes[i]) <= self.normal.largest:
                    codes[i], marks[i] = encode(grid, flat[i], clipped), 0
        return ExactParts(_rows(codes, rows), levels, scale, _rows(marks, rows))  # type: ignore[arg-type]  # flat here

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        assert isinstance(parts.indices, list)
        return [
            [self._value(code, mark, parts) for code, mark in zip(codes, marks, strict=True)]
            for codes, marks in zip(parts.codes, parts.indices, strict=True)
        ]

    def gaussian(self, tensor: Sequence[Exact]) -> tuple[Fraction, Fraction | None]:
        """The centre and the cut; None for a tensor of one value."""
        finite = _finite(tensor)
        mean = sum(finite, Fraction(0)) / max(len(finite), 1)
        variance = sum(((x - mean) ** 2 for x in finite), Fraction(0)) / max(len(finite), 1)
        centre = single(encode(SINGLE, mean, blocks.SCALES))
        if variance == 0:
            return centre, None
        threshold = Fraction(self.record.threshold or 0.0)
        return centre, single(roots.nearest(SINGLE, Fraction(0), squared_cut(variance, threshold)))

    def chosen(self, tensor: Sequence[Exact], given: Fraction | None) -> tuple[Fraction, Fraction]:
        """The cut and the scale without centroids."""
        if given is not None:
            return given * self.limit, given
        magnitudes = sorted((distance(x, Fraction(0)) for x in tensor), reverse=True)
        left = [m for m in magnitudes[self.record.room(len(tensor)) :] if m < _FAR]
        cut = max(left, default=Fraction(0))
        largest = max((m for m in magnitudes if m < _FAR), default=Fraction(0))
        return max(cut, Fraction(0)), self.positive(
            cut / self.limit if cut > 0 else largest / blocks.limit(self.outlier)
        )

    def positive(self, scale: Fraction) -> Fraction:
        """A scale rounded to its format: the smallest positive one at least, 1 for 0."""
        value = self.level(encode(self.dictionary, scale, blocks.SCALES)) if scale > 0 else Fraction(1)
        return value or self.dictionary.neighbours(self.dictionary.largest / 2**1000)[1]

    def fitted(self, normal: Sequence[Exact]) -> list[int]:
        """Codes of the centroids of normal elements."""
        x, count = sorted(_finite(normal)), 1 << self.record.bits
        starts = [-(-i * len(x) // count) for i in range(count + 1)]
        codes = self._means(x, starts, [encode(self.dictionary, Fraction(0), blocks.SCALES)] * count, first=True)
        for _ in range(STEPS):
            levels = [self.level(code) for code in codes]
            edges = [(a + b) / 2 for a, b in pairwise(levels)]
            starts = [0, *(sum(v <= edge for v in x) for edge in edges), len(x)]
            moved = self._means(x, starts, codes)
            if moved == codes:
                break
            codes = moved
        return codes

    def _means(self, x: list[Fraction], starts: list[int], codes: list[int], first: bool = False) -> list[int]:
        made: list[int] = []
        for i, (start, stop) in enumerate(pairwise(starts)):
            if start < stop:
                mean = sum(x[start:stop], Fraction(0)) / (stop - start)
                made.append(encode(self.dictionary, mean, blocks.SCALES))
            else:
                made.append(made[-1] if first and made else codes[i])
        return made

    def _marked(self, flat: Sequence[Exact], centre: Fraction, cut: Fraction | None) -> list[int]:
        marks = [0] * len(flat)
        for span in blocks.spans(len(flat), self.record.page) if cut is not None else ():
            far = [i for i in span if distance(flat[i], centre) > (cut or 0)]
            for i in sorted(far, key=lambda i: (-distance(flat[i], centre), i))[: self.record.room(len(span))]:
                marks[i] = 1
        return marks

    def level(self, code: int) -> Fraction:
        """The value of a code of the dictionary."""
        value = self.dictionary.value(code)
        return value if isinstance(value, Fraction) else Fraction(0)

    def _number(self, code: int) -> Fraction:
        value = self.outlier.value(code)
        assert isinstance(value, Fraction)
        return value

    def _value(self, code: int, mark: int, parts: ExactParts) -> Exact:
        if not self.record.centroids:
            assert parts.tensor_scale is not None
            return blocks.product((self.outlier if mark else self.normal).value(code), parts.tensor_scale)
        assert isinstance(parts.scales, list)
        return self.outlier.value(code) if mark else self.level(parts.scales[code])  # type: ignore[arg-type]


def normal_policy(policy: Policy) -> Policy:
    """How normal elements are rounded: they are clipped."""
    return replace(policy, zero="positive", infinity="overflow", overflow="saturate")


def single(code: int) -> Fraction:
    """The value of an fp32 code that is finite."""
    value = SINGLE.value(code)
    return value if isinstance(value, Fraction) else Fraction(0)


def _finite(tensor: Sequence[Exact]) -> list[Fraction]:
    return [x if isinstance(x, Fraction) else Fraction(0) for x in tensor if x not in (*NANS, *INFINITIES)]


def distance(x: Exact, centre: Fraction) -> Fraction:
    """From the centre; of an infinity, more than any; of NaN, less than any."""
    if x in INFINITIES:
        return _FAR
    return Fraction(-1) if x in NANS else abs((x if isinstance(x, Fraction) else Fraction(0)) - centre)


def _rows(flat: list[int], rows: Sequence[Sequence[Exact]]) -> list[list[int]]:
    at, made = 0, []
    for row in rows:
        made.append(flat[at : at + len(row)])
        at += len(row)
    return made

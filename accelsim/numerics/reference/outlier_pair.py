"""OliVe's outlier-victim pairs, in fractions. Guo et al., ISCA 2023."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference import blocks, roots
from accelsim.numerics.reference.blocks import NANS, quotient
from accelsim.numerics.reference.grid import Exact, Special, encode
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.spec.format import OutlierPairFormat

OUTWARD: Final = ("nearest-away", "nearest-up")
"""Roundings under which the edge itself is an outlier; of both signs, as in the authors' code."""


def build(record: OutlierPairFormat) -> OutlierPairReference:
    """The reference of a format of pairs."""
    return OutlierPairReference(record)


class OutlierPairReference(ScaledReference):
    """See `OutlierPairFormat`. `ExactParts.indices` marks outliers with 1; zeros are positive.

    A tensor of zeros has scale 1.

    Attributes:
        normal, outlier, scale: grids.
        edge: magnitudes above it, in units of the scale, are outliers; under some roundings it is one, too.
    """

    default_overflow: Overflow = "saturate"
    has_infinity = False
    has_nan = False
    has_negative_zero = False

    def __init__(self, record: OutlierPairFormat) -> None:
        self.record = record
        self.normal, self.outlier = blocks.grid_of(record.normal), blocks.grid_of(record.outlier)
        self.scale = blocks.grid_of(record.scale)
        self.limit = blocks.limit(self.normal)
        values = [self.outlier.value(code) for code in range(1 << record.bits)]
        self.edge = (self.limit + min(v for v in values if isinstance(v, Fraction) and v > 0)) / 2

    def encode(
        self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None, tensor_scale: Fraction | None = None
    ) -> ExactParts:
        """Codes, the tensor's scale, and marks of outliers."""
        complete = policy_of(policy, self, self.record.name)
        if complete.nan == "error" and any(blocks.any_of(row, NANS) for row in rows):
            raise RequestError(f"{self.record.name} has no place for NaN")
        s = self.chosen([x for row in rows for x in row]) if tensor_scale is None else tensor_scale
        parts = ExactParts([], None, s, [])
        assert isinstance(parts.indices, list)
        for row in rows:
            codes: list[int] = []
            marks: list[int] = []
            for span in blocks.spans(len(row), 2):
                made, mark = self._pair([quotient(row[i], s) for i in span], complete)
                codes += made
                marks += mark
            parts.codes.append(codes)
            parts.indices.append(marks)
        return parts

    def chosen(self, tensor: Sequence[Exact]) -> Fraction:
        """The scale for the elements of a tensor."""
        finite = [x if isinstance(x, Fraction) else Fraction(0) for x in tensor if x not in (*NANS, *blocks.INFINITIES)]
        if not any(finite):
            return Fraction(1)
        mean = sum(finite, Fraction(0)) / len(finite)
        variance = sum(((x - mean) ** 2 for x in finite), Fraction(0)) / len(finite)
        code = roots.nearest(self.scale, abs(mean) / self.limit, 9 * variance / self.limit**2)
        return self.positive(code)

    def positive(self, code: int) -> Fraction:
        """The value of a scale's code, or the smallest positive one."""
        value = self.scale.value(code)
        if isinstance(value, Fraction) and value:
            return value
        return self.scale.neighbours(self.scale.largest / 2**1000)[1]

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        assert parts.tensor_scale is not None
        made: list[list[Exact]] = []
        for row in parts.codes:
            values: list[Exact] = []
            for span in blocks.spans(len(row), 2):
                values += [blocks.product(v, parts.tensor_scale) for v in self._values([row[i] for i in span])]
            made.append(values)
        return made

    def _pair(self, pair: list[Exact], policy: Policy) -> tuple[list[int], list[int]]:
        rules = replace(policy, zero="positive", infinity="overflow", overflow="saturate")
        outward = policy.rounding in OUTWARD
        wide = [i for i, x in enumerate(pair) if (m := self._magnitude(x)) > self.edge or (outward and m == self.edge)]
        if not wide or len(pair) == 1:
            return [encode(self.normal, x, rules) for x in pair], [0] * len(pair)
        kept = wide[0]
        if self.record.both == "larger" and len(wide) == 2 and self._magnitude(pair[1]) > self._magnitude(pair[0]):
            kept = 1
        code = encode(self.outlier, pair[kept], rules)
        return [code if i == kept else self.record.identifier for i in (0, 1)], [int(i == kept) for i in (0, 1)]

    def _magnitude(self, x: Exact) -> Fraction:
        """The magnitude; of an infinity, more than any."""
        if x in blocks.INFINITIES:
            return Fraction(1 << 4096)
        return abs(x) if isinstance(x, Fraction) else Fraction(0)

    def _values(self, pair: list[int]) -> list[Exact]:
        """What codes of a pair mean: beside an identifier, an outlier; an identifier, zero."""
        if self.record.identifier not in pair or len(pair) == 1:
            return [self.normal.value(code) for code in pair]
        return [
            Fraction(0) if code == self.record.identifier or isinstance(self.outlier.value(code), Special)
            else self.outlier.value(code)
            for code in pair
        ]  # fmt: skip

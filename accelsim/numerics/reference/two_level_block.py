"""Blocks with two levels of scales: NVFP4 and its kin, every step in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.blocks import INFINITIES, NANS, is_negative, product, signed_zero, single
from accelsim.numerics.reference.grid import Exact, Special, encode
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.spec.format import TwoLevelBlockFormat

SMALLEST = Fraction(1, 1 << 149)


def build(record: TwoLevelBlockFormat) -> TwoLevelReference:
    """The reference of a format with two levels of scales."""
    return TwoLevelReference(record)


class TwoLevelReference(ScaledReference):
    """See `TwoLevelBlockFormat`.

    Numbers that are no fp32 are first rounded to odd to it. A tensor of zeros has scale 1, and a scale that would
    vanish is the smallest fp32. Infinities do not count for the tensor's scale and saturate, or make their block's
    scale NaN by policy; so does NaN. Zero times an infinite factor is zero.
    """

    default_overflow: Overflow = "saturate"
    has_infinity = False

    def __init__(self, record: TwoLevelBlockFormat) -> None:
        self.record = record
        self.element, self.scale = blocks.grid_of(record.element), blocks.grid_of(record.scale)
        self.divisor = Fraction(record.scale_limit or self.scale.largest) * blocks.limit(self.element)

    @property
    def has_nan(self) -> bool:
        """Whether a block's scale can be NaN."""
        return self.scale.has_nan

    @property
    def has_negative_zero(self) -> bool:
        """Whether there is a second zero."""
        return self.element.has_negative_zero

    def encode(
        self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None, tensor_scale: Fraction | None = None
    ) -> ExactParts:
        """Codes and scales of rows, by the definition of the format."""
        complete = policy_of(policy, self, self.record.name)
        if complete.nan == "error" and any(blocks.any_of(row, NANS) for row in rows):
            raise RequestError(f"{self.record.name} has no place for NaN")
        narrow = [[to_odd(x) for x in row] for row in rows]
        g = self._tensor_scale(narrow) if tensor_scale is None else _number(single(tensor_scale))
        parts = ExactParts([], [], g)
        assert isinstance(parts.scales, list)
        for row in narrow:
            codes: list[int] = []
            scales: list[int] = []
            for span in blocks.spans(len(row), self.record.length):
                made, scale = self._block([row[i] for i in span], g, complete)
                codes += made
                scales.append(scale)
            parts.codes.append(codes)
            parts.scales.append(scales)
        return parts

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        assert isinstance(parts.scales, list)
        assert parts.tensor_scale is not None
        made: list[list[Exact]] = []
        for row, scales in zip(parts.codes, parts.scales, strict=True):
            steps = [single(product(self.scale.value(scale), parts.tensor_scale)) for scale in scales]
            made.append(
                [single(product(self.element.value(c), steps[i // self.record.length])) for i, c in enumerate(row)]
            )
        return made

    def _tensor_scale(self, rows: Sequence[Sequence[Exact]]) -> Fraction:
        amax = max((m for row in rows for m in blocks.magnitudes(row)), default=Fraction(0))
        if amax == 0:
            return Fraction(1)
        return _number(single(amax / self.divisor)) or SMALLEST

    def _block(self, block: Sequence[Exact], g: Fraction, policy: Policy) -> tuple[list[int], int]:
        nan = self.scale.nan(False, False)
        rule = policy.overflow if policy.infinity == "overflow" else policy.infinity
        lost = policy.nan == "code" and blocks.any_of(block, NANS)
        if nan is not None and (lost or (rule == "nan" and blocks.any_of(block, INFINITIES))):
            return [0] * len(block), nan
        tried = [self._aimed(block, g, Fraction(target), policy) for target in self.record.targets]
        return min(tried, key=lambda made: self.error(block, made, g)) if len(tried) > 1 else tried[0]

    def _aimed(self, block: Sequence[Exact], g: Fraction, target: Fraction, policy: Policy) -> tuple[list[int], int]:
        """Codes and scale if the largest magnitude becomes a certain element."""
        scale = self._scale(block, g, target)
        s = self.scale.value(scale)
        factor = _over(single(1 / g), s)
        rules = blocks.element_policy(policy, self.element)
        return [encode(self.element, _times(x, factor, s), rules) for x in block], scale

    def _scale(self, block: Sequence[Exact], g: Fraction, target: Fraction) -> int:
        if blocks.any_of(block, INFINITIES):
            return self.scale.code(self.scale.largest)
        first = single(max(blocks.magnitudes(block), default=Fraction(0)) / target)
        second = single(_number(first) / g)
        if second is Special.INFINITY:
            return self.scale.code(self.scale.largest)
        clamped = min(max(_number(second), Fraction(self.record.scale_min)), self.scale.largest)
        return blocks.scale_code(self.scale, clamped)

    def error(self, block: Sequence[Exact], made: tuple[list[int], int], g: Fraction) -> Fraction:
        """Squared error of a block; what is no finite number does not count."""
        step = single(product(self.scale.value(made[1]), g))
        total = Fraction(0)
        for x, code in zip(block, made[0], strict=True):
            if isinstance(x, Fraction):
                value = single(product(self.element.value(code), step))
                total += (x - _plain(value)) ** 2
        return total


def to_odd(x: Exact) -> Exact:
    """A number as fp32, truncated and made odd if it is none; beyond its end the largest."""
    if not isinstance(x, Fraction):
        return x
    near = single(x)
    if near == x:
        return x
    if near in INFINITIES:
        return blocks.SINGLE.largest * (-1 if x < 0 else 1)
    low, high = blocks.SINGLE.neighbours(abs(x))
    odd = high if blocks.SINGLE.even(low) else low
    return -odd if x < 0 else odd


def _over(x: Exact, scale: Exact) -> Exact:
    """Quotient of the factor (1 / g) and a scale, in fp32."""
    if not isinstance(x, Fraction) or not isinstance(scale, Fraction) or scale == 0:
        return x
    return single(x / scale)


def _times(x: Exact, factor: Exact, scale: Exact) -> Exact:
    if scale == 0 or x in (0, Special.NEGATIVE_ZERO):
        return signed_zero(is_negative(x)) if x not in NANS else x
    return single(product(x, factor))


def _plain(x: Exact) -> Fraction:
    return x if isinstance(x, Fraction) else Fraction(0)


def _number(x: Exact) -> Fraction:
    assert isinstance(x, Fraction)
    return x

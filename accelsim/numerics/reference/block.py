"""Blocks: elements that share a scale, by every rule of `BlockFormat`, in fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Final

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.blocks import INFINITIES, NANS, scale_code
from accelsim.numerics.reference.float import exponent, power
from accelsim.numerics.reference.grid import Exact, Special, encode, round_to
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.numerics.reference.shared_exponent import ENDLESS, LEAST_PEAK, SHARED_EXPONENT, divisor, shared_exponent
from accelsim.spec.format import BlockFormat

CLIPS: Final = tuple(Fraction(100 - step, 100) for step in range(80))
"""Scales that rule `mse` tries, in units of that of rule `absmax`."""


def build(record: BlockFormat) -> BlockReference:
    """The reference of a block format."""
    return BlockReference(record)


class BlockReference(ScaledReference):
    """See `BlockFormat`.

    With the rules of OCP MX, elements saturate, a NaN makes its block's scale NaN, and `Policy.overflow` (or
    `infinity`) says what a block becomes that needs a scale beyond the largest: that scale, or NaN. With all other
    rules, the policy is that of the elements.

    Attributes:
        element, scale: grids.
        limit: what the largest magnitude of a block is mapped to.
        mantissa: bits of an element below the leading one, for rule `even`.
        default_overflow, has_infinity, has_nan, has_negative_zero: what a policy may ask for.
    """

    default_overflow: Overflow = "saturate"

    def __init__(self, record: BlockFormat) -> None:
        self.record = record
        self.element, self.scale = blocks.grid_of(record.element), blocks.grid_of(record.scale)
        self.limit = blocks.limit(self.element)
        self.shared = record.scale_rule in SHARED_EXPONENT
        self.above = blocks.grid_of(record.scale_scale) if record.scale_scale else None
        self.zero_point = blocks.grid_of(record.zero_point) if record.zero_point else None
        even = record.scale_rule == "even"
        self.mantissa = blocks.mantissa_bits(record.element, self.element) if even else 0

    @property
    def has_infinity(self) -> bool:
        """Whether infinities have codes."""
        return not self.shared and self.element.has_infinity

    @property
    def has_nan(self) -> bool:
        """Whether NaN has a place."""
        return self.scale.has_nan if self.shared else self.element.has_nan

    @property
    def has_negative_zero(self) -> bool:
        """Whether there is a second zero."""
        return self.element.has_negative_zero

    def encode(self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None) -> ExactParts:
        """Codes and scales of rows, by the definition of the format."""
        complete = policy_of(policy, self, self.record.name)
        if complete.nan == "error" and any(blocks.any_of(row, NANS) for row in rows):
            raise RequestError(f"{self.record.name} has no place for NaN")
        if self.record.granularity == "tensor":
            whole = [x for row in rows for x in row]
            code, point = self._scale(whole, complete)
            codes = [self._codes(row, code, point, complete) for row in rows]
            return ExactParts(codes, code, None, point)
        if self.above:
            return self._twice(rows, complete)
        parts = ExactParts([], [], None, [] if self.zero_point else None)
        for row in rows:
            found = [[row[i] for i in span] for span in self._spans(len(row))]
            chosen = [self._scale(block, complete) for block in found]
            pairs = zip(found, chosen, strict=True)
            parts.codes.append([code for block, (s, z) in pairs for code in self._codes(block, s, z, complete)])
            _list(parts.scales).append([code for code, _ in chosen])
            if self.zero_point:
                _list(parts.indices).append([point or 0 for _, point in chosen])
        return parts

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        made: list[list[Exact]] = []
        for r, row in enumerate(parts.codes):
            values: list[Exact] = []
            for b, span in enumerate(self._spans(len(row))):
                scale = self._scale_of(parts, r, b)
                shift = Fraction(0)
                if self.zero_point:
                    point = parts.indices if isinstance(parts.indices, int) else _list(parts.indices)[r][b]
                    shift = _number(self.zero_point.value(point))
                for i in span:
                    value = self.element.value(row[i])
                    values.append(blocks.product(scale, value - shift if isinstance(value, Fraction) else value))
            made.append(values)
        return made

    def _spans(self, n: int) -> list[range]:
        return blocks.spans(n, self.record.length)

    def _scale_of(self, parts: ExactParts, r: int, b: int) -> Exact:
        if isinstance(parts.scales, int):
            return self.scale.value(parts.scales)
        code = _list(parts.scales)[r][b]
        if not self.above or not self.record.scale_length:
            return self.scale.value(code)
        over = self.above.value(_list(parts.indices)[r][b // self.record.scale_length])
        return self._fine(_plain(self.scale.value(code)), _plain(over), _number(parts.tensor_scale))

    # one scale

    def _scale(self, block: Sequence[Exact], policy: Policy) -> tuple[int, int | None]:
        """Codes of a block's scale and zero point."""
        if self.shared:
            return self._exponent(block, policy), None
        infinite = blocks.any_of(block, INFINITIES)
        if self.zero_point:
            return self._asymmetric(block, infinite)
        if infinite:
            return self.scale.code(self.scale.largest), None
        if self.record.scale_rule == "mse":
            return self.least_error(block, policy)[0], None
        return scale_code(self.scale, self._exact(block)), None

    def _exponent(self, block: Sequence[Exact], policy: Policy) -> int:
        """The scale of the MX rules."""
        nan = self.scale.nan(False, False)
        if nan is not None and policy.nan == "code" and blocks.any_of(block, NANS):
            return nan
        amax = max(blocks.magnitudes(block), default=Fraction(0))
        rule = policy.overflow if policy.infinity == "overflow" else policy.infinity
        if blocks.any_of(block, INFINITIES):
            if policy.blocks != "torchao" or self.record.scale_rule == "rceil":
                return nan if rule == "nan" and nan is not None else self.scale.code(self.scale.largest)
            amax = ENDLESS
        if amax == 0:
            if policy.blocks != "microxcaling":
                return scale_code(self.scale, amax)
            amax = LEAST_PEAK
        scale = power(shared_exponent(self.record.scale_rule, amax, self.limit, self.mantissa, policy.blocks))
        if scale > self.scale.largest and policy.overflow == "nan" and nan is not None:
            return nan
        return scale_code(self.scale, scale)

    def _exact(self, block: Sequence[Exact]) -> Fraction:
        """The scale before it is rounded to its format."""
        found = sorted(blocks.magnitudes(block))
        if not found:
            return Fraction(0)
        match self.record.scale_rule:
            case "mean":
                return sum(found, Fraction(0)) / len(found)
            case "percentile":
                share = Fraction(self.record.percentile or 0) / 100
                return found[max(ceil(share * len(found)), 1) - 1] / self.limit
            case "power_of_two":
                scale = found[-1] / self.limit
                if not scale:
                    return scale
                low = power(exponent(scale))
                return low if scale < low * Fraction(3, 2) else 2 * low
        return found[-1] / self.limit

    def least_error(
        self, block: Sequence[Exact], policy: Policy, clips: Sequence[Fraction] = CLIPS
    ) -> tuple[int, Fraction]:
        """The scale of rule `mse`, the first of the least squared error, and that error."""
        whole = scale_code(self.scale, max(blocks.magnitudes(block), default=Fraction(0)) / self.limit)
        start = _number(self.scale.value(whole))
        codes = [scale_code(self.scale, start * clip) for clip in clips]
        errors = {code: self._error(block, code, policy) for code in dict.fromkeys(codes)}
        best = min(errors, key=lambda code: errors[code])
        return best, errors[best]

    def codes_at(self, block: Sequence[Exact], scale: int, policy: Policy) -> list[int]:
        """Codes of a block's elements at a given scale."""
        return self._codes(block, scale, None, policy)

    def _error(self, block: Sequence[Exact], code: int, policy: Policy) -> Fraction:
        scale = self.scale.value(code)
        total = Fraction(0)
        for x, made in zip(block, self._codes(block, code, None, policy), strict=True):
            if x not in NANS:
                total += (_plain(x) - _plain(blocks.product(scale, self.element.value(made)))) ** 2
        return total

    def _asymmetric(self, block: Sequence[Exact], infinite: bool) -> tuple[int, int]:
        """Scale and zero point of min(0, smallest) to max(0, largest)."""
        assert self.zero_point is not None
        finite = [_plain(x) for x in block if isinstance(x, Fraction) or x is Special.NEGATIVE_ZERO]
        low, high = min(finite, default=Fraction(0)), max(finite, default=Fraction(0))
        low, high = min(low, Fraction(0)), max(high, Fraction(0))
        ends = self.element.largest - self.element.smallest
        code = scale_code(self.scale, self.scale.largest if infinite else (high - low) / ends)
        scale = _number(self.scale.value(code))
        point = self.element.smallest - blocks.half_even(low / scale) if scale else Fraction(0)
        clamped = min(max(point, self.zero_point.smallest), self.zero_point.largest)
        return code, self.zero_point.code(clamped)

    # elements

    def _codes(self, block: Sequence[Exact], code: int, point: int | None, policy: Policy) -> list[int]:
        scale = self.scale.value(code)
        if self.shared and isinstance(scale, Fraction):
            scale = divisor(scale, self.scale.smallest, self.record.scale_rule, policy.blocks)
        return self._rounded(block, scale, point, policy)

    def _rounded(self, block: Sequence[Exact], scale: Exact, point: int | None, policy: Policy) -> list[int]:
        if scale in NANS:
            return [0] * len(block)
        rules = blocks.element_policy(policy, self.element)
        if self.shared:
            rules = blocks.element_policy(_saturating(policy), self.element)
        if point is None or self.zero_point is None:
            return [encode(self.element, blocks.quotient(x, scale), rules) for x in block]
        shift = _number(self.zero_point.value(point))
        return [self._shifted(blocks.quotient(x, scale), shift, rules) for x in block]

    def _shifted(self, x: Exact, shift: Fraction, policy: Policy) -> int:
        low, high = self.element.smallest, self.element.largest
        if x in INFINITIES:
            return self.element.code(low if x is Special.NEGATIVE_INFINITY else high)
        if x in NANS:
            return self.element.code(high if policy.nan == "max" else min(max(shift, low), high))
        moved = round_to(self.element, _plain(x), policy) + shift
        return self.element.code(min(max(moved, low), high))

    # double quantisation

    def _twice(self, rows: Sequence[Sequence[Exact]], policy: Policy) -> ExactParts:
        """Scales less their mean, in codes that share a scale of their own."""
        assert self.above is not None
        assert self.record.scale_length is not None
        blocked = [[[row[i] for i in span] for span in self._spans(len(row))] for row in rows]
        first = [[self._first(block) for block in row] for row in blocked]
        count = sum(map(len, first))
        mean = sum((s for row in first for s in row), Fraction(0)) / max(count, 1)
        offset = _number(self.above.value(scale_code(self.above, mean)))
        codes, scales, over = [], [], []
        for row, wanted in zip(blocked, first, strict=True):
            fine: list[int] = []
            above: list[int] = []
            for group in blocks.spans(len(wanted), self.record.scale_length):
                rest = [wanted[b] - offset for b in group]
                above.append(scale_code(self.above, max(map(abs, rest)) / blocks.limit(self.scale)))
                top = _number(self.above.value(above[-1]))
                fine += [encode(self.scale, blocks.quotient(r, top), blocks.SCALES) for r in rest]
            made: list[int] = []
            for b, block in enumerate(row):
                top = _number(self.above.value(above[b // self.record.scale_length]))
                scale = self._fine(_plain(self.scale.value(fine[b])), top, offset)
                made += self._rounded(block, scale, None, policy)
            codes.append(made)
            scales.append(fine)
            over.append(above)
        return ExactParts(codes, scales, offset, over)

    def _first(self, block: Sequence[Exact]) -> Fraction:
        assert self.above is not None
        if blocks.any_of(block, INFINITIES):
            return self.above.largest
        return _number(self.above.value(scale_code(self.above, self._exact(block))))

    def _fine(self, fine: Fraction, above: Fraction, offset: Fraction) -> Fraction:
        """The scale of double quantisation, rounded once to the format of the second scales; never negative."""
        assert self.above is not None
        return _number(self.above.value(scale_code(self.above, max(fine * above + offset, Fraction(0)))))


def _saturating(policy: Policy) -> Policy:
    return replace(policy, overflow="saturate", infinity="overflow")


def _number(x: Exact | None) -> Fraction:
    assert isinstance(x, Fraction)
    return x


def _plain(x: Exact) -> Fraction:
    """A finite value; zero for what is none, and for -0."""
    return x if isinstance(x, Fraction) else Fraction(0)


def _list(nested: list[list[int]] | int | None) -> list[list[int]]:
    assert isinstance(nested, list)
    return nested

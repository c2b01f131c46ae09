"""Block floating point, with or without a second level of shifts: MX9, MX6, MX4 and MSFP."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.blocks import INFINITIES, NANS, product
from accelsim.numerics.reference.float import FloatGrid, exponent, power
from accelsim.numerics.reference.grid import Exact, encode
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.spec.format import FloatFormat, MicroexponentFormat


def build(record: MicroexponentFormat) -> MicroexponentReference:
    """The reference of a format with microexponents."""
    return MicroexponentReference(record)


def element_record(record: MicroexponentFormat) -> FloatFormat:
    """Sign and magnitude integers q 2^-(magnitude_bits - 1): a float whose two binades have one quantum."""
    return FloatFormat(
        name=f"{record.name}_element",
        source=record.source,
        status=record.status,
        exponent_bits=1,
        mantissa_bits=record.magnitude_bits - 1,
        exponent_bias=1,
        infinities=False,
        nan="none",
    )


class MicroexponentReference(ScaledReference):
    """See `MicroexponentFormat`.

    Shared exponents are biased by 2^(exponent_bits - 1) - 1 and clamped; that of zeros is the lowest. Nothing stands
    for NaN; an infinity takes the highest exponent and saturates.
    """

    default_overflow: Overflow = "saturate"
    has_infinity = False
    has_nan = False
    has_negative_zero = True

    def __init__(self, record: MicroexponentFormat) -> None:
        self.record = record
        self.element = FloatGrid(element_record(record))
        self.bias = (1 << record.exponent_bits - 1) - 1
        self.highest = (1 << record.exponent_bits) - 1 - self.bias

    def encode(self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None) -> ExactParts:
        """Codes, shared exponents and microexponents of rows."""
        complete = policy_of(policy, self, self.record.name)
        if complete.nan == "error" and any(blocks.any_of(row, NANS) for row in rows):
            raise RequestError(f"{self.record.name} has no place for NaN")
        parts = ExactParts([], [], None, [] if self.record.sub_length else None)
        for row in rows:
            codes: list[int] = []
            scales: list[int] = []
            shifts: list[int] = []
            for span in blocks.spans(len(row), self.record.length):
                block = [row[i] for i in span]
                shared = self._shared(block)
                scales.append(shared + self.bias)
                for sub in blocks.spans(len(block), self.record.sub_length):
                    elements = [block[i] for i in sub]
                    shift = self._shift(elements, shared)
                    shifts.append(shift)
                    unit = power(shared - shift)
                    codes += [encode(self.element, blocks.quotient(x, unit), complete) for x in elements]
            parts.codes.append(codes)
            _list(parts.scales).append(scales)
            if self.record.sub_length:
                _list(parts.indices).append(shifts)
        return parts

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        made: list[list[Exact]] = []
        for r, row in enumerate(parts.codes):
            values: list[Exact] = []
            for i, code in enumerate(row):
                e = _list(parts.scales)[r][i // self.record.length] - self.bias
                if self.record.sub_length:
                    e -= _list(parts.indices)[r][i // self.record.sub_length]
                values.append(product(self.element.value(code), power(e)))
            made.append(values)
        return made

    def _shared(self, block: Sequence[Exact]) -> int:
        if blocks.any_of(block, INFINITIES):
            return self.highest
        amax = max(blocks.magnitudes(block), default=Fraction(0))
        return min(max(exponent(amax), -self.bias), self.highest) if amax else -self.bias

    def _shift(self, block: Sequence[Exact], shared: int) -> int:
        """The microexponent: how far the largest of a sub-block lies below the shared exponent; 0 for zeros."""
        amax = max(blocks.magnitudes(block), default=Fraction(0))
        if amax == 0 or blocks.any_of(block, INFINITIES):
            return 0
        return min(max(shared - exponent(amax), 0), (1 << self.record.microexponent_bits) - 1)


def _list(nested: list[list[int]] | int | None) -> list[list[int]]:
    assert isinstance(nested, list)
    return nested

"""Integers, two's complement or unsigned, with an implied scale."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from accelsim.numerics.reference.grid import Exact, Grid
from accelsim.spec.format import IntegerFormat


def build(record: IntegerFormat) -> IntegerGrid:
    """The grid of an integer format."""
    return IntegerGrid(record)


class IntegerGrid(Grid):
    """Multiples of one quantum."""

    def __init__(self, record: IntegerFormat) -> None:
        self.record = record
        self.bits = record.bits
        self._quantum = Fraction(2) ** -record.fraction_bits
        self._low = -(1 << record.bits - 1) + record.symmetric if record.signed else 0
        self._high = (1 << record.bits - record.signed) - 1

    def value(self, code: int) -> Exact:
        """Two's complement, or the code itself."""
        wrapped = code - (1 << self.bits) if self.record.signed and code >> self.bits - 1 else code
        return wrapped * self._quantum

    def code(self, value: Fraction) -> int:
        """The integer modulo 2^bits."""
        return int(value / self._quantum) % (1 << self.bits)

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The multiples beside x, without limit."""
        return floor(x / self._quantum) * self._quantum, ceil(x / self._quantum) * self._quantum

    def even(self, value: Fraction) -> bool:
        """Whether the integer is even."""
        return int(value / self._quantum) % 2 == 0

    @property
    def smallest(self) -> Fraction:
        """The lowest integer that is written."""
        return self._low * self._quantum

    @property
    def largest(self) -> Fraction:
        """The highest integer."""
        return self._high * self._quantum

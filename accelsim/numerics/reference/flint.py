"""flint of ANT: integers below, first-one-coded floats above. Guo et al., MICRO 2022."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.grid import Exact, signed
from accelsim.numerics.reference.ranked import RankedGrid
from accelsim.spec.format import FlintFormat


def build(record: FlintFormat) -> FlintGrid:
    """The grid of a flint format."""
    return FlintGrid(record)


class FlintGrid(RankedGrid):
    """With the first bit 0 an integer; with 1, leading zeros count the binades upwards and the rest is a fraction."""

    def __init__(self, record: FlintFormat) -> None:
        self.bits = record.bits
        self._width = record.bits - record.signed

    def value(self, code: int) -> Exact:
        """Sign and magnitude."""
        return signed(code, self._width, self._magnitude)

    def _magnitude(self, number: int) -> Fraction:
        rest_bits = self._width - 1
        if not number >> rest_bits:
            return Fraction(number)
        rest = number - (1 << rest_bits)
        if rest == 0:
            return Fraction(1 << 2 * rest_bits)
        zeros = rest_bits - rest.bit_length()
        return Fraction(rest << 2 * zeros + 1)

"""DyBit: a run of ones is the exponent, the bits behind the first zero the mantissa. Zhou et al., 2023."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.float import power
from accelsim.numerics.reference.grid import Exact, TableGrid, signed
from accelsim.spec.format import DybitFormat


def build(record: DybitFormat) -> DybitGrid:
    """The grid of a DyBit format."""
    return DybitGrid(record)


class DybitGrid(TableGrid):
    """Without a leading one, a fraction below 1; all ones are the largest power of two."""

    def __init__(self, record: DybitFormat) -> None:
        self.bits = record.bits
        self._width = record.bits - record.signed

    def value(self, code: int) -> Exact:
        """Sign and magnitude."""
        return signed(code, self._width, self._magnitude)

    def _magnitude(self, number: int) -> Fraction:
        width = self._width
        ones = width - ((1 << width) - 1 - number).bit_length()
        if ones == width:
            return power(width - 1)
        left = width - 1 - ones
        mantissa = (number & (1 << left) - 1) * power(-left)
        return power(ones - 1) * (1 + mantissa) if ones else mantissa

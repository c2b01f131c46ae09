"""Powers of two, and sums of powers of two from disjoint sets. Li et al., Additive Powers-of-Two, ICLR 2020."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.float import power
from accelsim.numerics.reference.grid import Exact, Special
from accelsim.numerics.reference.ranked import RankedGrid
from accelsim.spec.format import PowerOfTwoFormat


def build(record: PowerOfTwoFormat) -> PowerOfTwoGrid:
    """The grid of a power-of-two format."""
    return PowerOfTwoGrid(record)


class PowerOfTwoGrid(RankedGrid):
    """A field of bits for each term, the term that holds 1 first; field 0 adds nothing, the largest the most."""

    def __init__(self, record: PowerOfTwoFormat) -> None:
        self.bits, self._terms = record.bits, record.terms
        self._width = record.bits - record.signed

    def value(self, code: int) -> Exact:
        """Sign and the sum of the terms."""
        number = code & (1 << self._width) - 1
        field = self._width // self._terms
        last = (1 << field) - 1
        total = Fraction(0)
        for term in range(self._terms):
            f = number >> field * (self._terms - 1 - term) & last
            total += power(-(term + (last - f) * self._terms)) if f else 0
        if number == code:
            return total
        return -total if total else Special.NEGATIVE_ZERO

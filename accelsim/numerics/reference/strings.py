"""Grids whose codes are cut off from an endless string of bits, in two's complement: posits and takums."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction

from accelsim.numerics.policy import Overflow
from accelsim.numerics.reference.grid import Exact, Grid, Special


class StringGrid(Grid):
    """Magnitudes are ordered like their codes, negative values are the two's complement of positive ones.

    Code 0 is zero and 10...0 is NaR. No number rounds to either, and numbers beyond the ends become the ends, under
    every policy: what `overflow` decides is infinities, which are NaR unless it says `saturate`.
    """

    default_overflow: Overflow = "nan"
    rounds_to_zero = False
    linear = False

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._nar = 1 << bits - 1

    @abstractmethod
    def magnitude(self, code: int, bits: int) -> Fraction:
        """The value of a positive code of a format with the same rules and another number of bits."""

    @abstractmethod
    def string(self, x: Fraction) -> Fraction:
        """The bits after the sign of a positive number as a fraction of 1, endless where they have to be."""

    def value(self, code: int) -> Exact:
        """Zero, NaR, or plus or minus a magnitude."""
        if code == self._nar:
            return Special.NAN
        if code == 0:
            return Fraction(0)
        return -self.magnitude(2 * self._nar - code, self.bits) if code > self._nar else self.magnitude(code, self.bits)

    def _place(self, x: Fraction) -> Fraction:
        """Where a positive number lies among the positive codes, from 1 to the last."""
        return min(max(self.string(x) * self._nar, Fraction(1)), Fraction(self._nar - 1))

    def code(self, value: Fraction) -> int:
        """The code of a value of the grid."""
        if value == 0:
            return 0
        place = round(self._place(abs(value)))
        return 2 * self._nar - place if value < 0 else place

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The values beside x; the end for what lies beyond."""
        if x < 0:
            low, high = self.neighbours(-x)
            return -high, -low
        smallest, largest = self.magnitude(1, self.bits), self.largest
        if x == 0 or x >= largest:
            return (x, x) if x == 0 else (largest, largest)
        if x < smallest:
            return Fraction(0), smallest
        below = int(self._place(x))
        low = self.magnitude(below, self.bits)
        return (low, low) if low == x else (low, self.magnitude(below + 1, self.bits))

    def even(self, value: Fraction) -> bool:
        """Whether the code is even."""
        return self.code(value) % 2 == 0

    def position(self, x: Fraction, low: Fraction, high: Fraction) -> Fraction:
        """The bits of x that the code of the lower magnitude leaves out, as a fraction."""
        if x < 0:
            return 1 - self.position(-x, -high, -low)
        return self._place(x) - self.code(low)

    def split(self, low: Fraction, high: Fraction) -> Fraction:
        """The value of the code with one more bit between the two."""
        if high <= 0:
            return -self.split(-high, -low)
        return self.magnitude(2 * self.code(low) + 1, self.bits + 1)

    @property
    def smallest(self) -> Fraction:
        """Minus the largest."""
        return -self.largest

    @property
    def largest(self) -> Fraction:
        """The value of 01...1."""
        return self.magnitude(self._nar - 1, self.bits)

    def nan(self, negative: bool, ones: bool) -> int | None:
        """NaR."""
        return self._nar

"""Logarithmic numbers: a sign and log2 of the magnitude in fixed point."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

from accelsim.errors import RequestError
from accelsim.numerics.reference.grid import Exact, Grid, Special
from accelsim.numerics.reference.logarithm import exp2, log2, to_binary64
from accelsim.spec.format import LnsFormat

MOST_BITS = 16


def build(record: LnsFormat) -> LnsGrid:
    """The grid of a logarithmic format.

    Raises:
        RequestError: more than 16 bits.
    """
    if record.bits > MOST_BITS:
        raise RequestError(f"{record.name} has {record.bits} bits: logarithmic numbers are computed up to {MOST_BITS}")
    return LnsGrid(record)


class LnsGrid(Grid):
    """A value is 2^x as the nearest binary64, since it is irrational for most x.

    Rounding takes the logarithm to the nearest fixed-point number; what rounds below the smallest exponent is zero.
    """

    linear = False

    def __init__(self, record: LnsFormat) -> None:
        self.bits = record.bits
        self._width = record.integer_bits + record.fraction_bits
        self._step = Fraction(1, 1 << record.fraction_bits)
        self._half = 1 << self._width - 1
        self._sign = 1 << self._width if record.signed else 0

    @cached_property
    def _values(self) -> list[Fraction]:
        """Magnitudes by ascending exponent, zero first."""
        steps = range(1 - self._half, self._half)
        return [Fraction(0), *(to_binary64(exp2(step * self._step)) for step in steps)]

    @cached_property
    def _places(self) -> dict[Fraction, int]:
        return {value: place for place, value in enumerate(self._values)}

    def _place(self, x: Fraction) -> Fraction:
        """Where a positive number lies among the magnitudes, zero being at 0."""
        exact = self._places.get(x)  # a value is rounded: it need not lie at its own logarithm
        return Fraction(exact) if exact is not None else log2(x) / self._step + self._half

    def value(self, code: int) -> Exact:
        """Sign and 2^x; the most negative x is zero."""
        x = code & 2 * self._half - 1
        magnitude = self._values[(x + self._half) % (2 * self._half)]
        if not code & self._sign:
            return magnitude
        return -magnitude if magnitude else Special.NEGATIVE_ZERO

    def code(self, value: Fraction) -> int:
        """The exponent in two's complement, and the sign."""
        x = (self._places[abs(value)] - self._half) % (2 * self._half)
        return x | (self._sign if value < 0 else 0)

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The values beside x; the end for what lies beyond."""
        if x < 0:
            if not self._sign:
                return Fraction(0), Fraction(0)
            low, high = self.neighbours(-x)
            return -high, -low
        if x in self._places or x >= self.largest:
            end = min(x, self.largest)
            return end, end
        below = max(int(self._place(x)), 0)
        below += (self._values[below + 1] < x) - (self._values[below] > x)
        return self._values[below], self._values[below + 1]

    def even(self, value: Fraction) -> bool:
        """Whether the exponent is even; there are no ties."""
        return self._places[abs(value)] % 2 == 0

    def position(self, x: Fraction, low: Fraction, high: Fraction) -> Fraction:
        """How far the logarithm is on its way; 0 where it is below the smallest exponent by a whole step."""
        if x < 0:
            return 1 - self.position(-x, -high, -low)
        return min(max(self._place(x) - self._places[low], Fraction(0)), Fraction(1))

    def split(self, low: Fraction, high: Fraction) -> Fraction:
        """2^x half-way between two exponents, nearly: see `logarithm`."""
        if high <= 0:
            return -self.split(-high, -low)
        return exp2((self._places[low] - self._half + Fraction(1, 2)) * self._step)

    @property
    def smallest(self) -> Fraction:
        """Minus the largest, or zero where there is no sign."""
        return -self.largest if self._sign else Fraction(0)

    @property
    def largest(self) -> Fraction:
        """2 to the largest exponent."""
        return self._values[-1]

    @property
    def negative_zero(self) -> int | None:
        """The most negative exponent under a sign."""
        return self._sign | self._half if self._sign else None

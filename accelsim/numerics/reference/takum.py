"""Takums, linear and logarithmic. Hunhold, Beating Posits at Their Own Game: Takum Arithmetic, 2024."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

from accelsim.errors import RequestError
from accelsim.numerics.reference.float import exponent, power
from accelsim.numerics.reference.logarithm import exp_half, log_half, to_binary64
from accelsim.numerics.reference.strings import StringGrid
from accelsim.spec.format import TakumFormat

MOST_LOGARITHMIC_BITS = 16
_LONGEST = 12  # sign, direction, regime and the longest characteristic


def build(record: TakumFormat) -> StringGrid:
    """The grid of a takum format.

    Raises:
        RequestError: a logarithmic one of more than 16 bits.
    """
    if not record.logarithmic:
        return TakumGrid(record.bits)
    if record.bits > MOST_LOGARITHMIC_BITS:
        raise RequestError(
            f"{record.name} has {record.bits} bits: logarithmic takums are computed up to {MOST_LOGARITHMIC_BITS}"
        )
    return LogTakumGrid(record.bits)


def fields(code: int, bits: int) -> tuple[int, Fraction]:
    """Characteristic and mantissa of a positive code; bits that are missing count as zeros."""
    width = max(bits, _LONGEST)
    code <<= width - bits
    up, regime = code >> width - 2 & 1, code >> width - 5 & 7
    r = regime if up else 7 - regime
    left = width - 5 - r
    characteristic = code >> left & (1 << r) - 1
    c = (1 << r) - 1 + characteristic if up else -(2 << r) + 1 + characteristic
    return c, (code & (1 << left) - 1) * power(-left)


def exponent_of(code: int, bits: int) -> Fraction:
    """Characteristic plus mantissa of a positive code."""
    c, mantissa = fields(code, bits)
    return c + mantissa


def joined(c: int, mantissa: Fraction) -> Fraction:
    """The string of a characteristic and a mantissa; the ends for characteristics that have none."""
    if not -255 <= c <= 254:
        return Fraction(c > 0)
    r = (c + 1 if c >= 0 else -c).bit_length() - 1
    regime, rest = (8 + r, c + 1 - (1 << r)) if c >= 0 else (7 - r, c - 1 + (2 << r))
    return (regime + (rest + mantissa) * power(-r)) / 16


class TakumGrid(StringGrid):
    """The linear takum: 2^c (1 + mantissa)."""

    def magnitude(self, code: int, bits: int) -> Fraction:
        """2^c (1 + m)."""
        c, mantissa = fields(code, bits)
        return power(c) * (1 + mantissa)

    def string(self, x: Fraction) -> Fraction:
        """From the exponent and the fraction."""
        c = exponent(x)
        return joined(c, x / power(c) - 1)


class LogTakumGrid(StringGrid):
    """The logarithmic takum: sqrt(e)^(c + mantissa), as the nearest binary64, since the value itself is irrational.

    Rounding takes the logarithm of the number to the nearest code, without any error: see `logarithm`.
    """

    @cached_property
    def _values(self) -> list[Fraction]:
        """The values of the positive codes, with zero before them."""
        found = [exp_half(exponent_of(code, self.bits)) for code in range(1, 1 << self.bits - 1)]
        return [Fraction(0), *map(to_binary64, found)]

    @cached_property
    def _codes(self) -> dict[Fraction, int]:
        return {value: code for code, value in enumerate(self._values)}

    def magnitude(self, code: int, bits: int) -> Fraction:
        """The nearest binary64 of a code; of codes with more bits, which only separate values, far closer."""
        return self._values[code] if bits == self.bits else exp_half(exponent_of(code, bits))

    def string(self, x: Fraction) -> Fraction:
        """From the logarithm."""
        logarithm = log_half(x)
        c = logarithm.numerator // logarithm.denominator
        return joined(c, logarithm - c)

    def _place(self, x: Fraction) -> Fraction:
        known = self._codes.get(x)  # a value is rounded: it need not lie at its own logarithm
        if known is not None:
            return Fraction(known)
        place = super()._place(x)
        near = round(place)
        low, high = (near, near + 1) if x > self._values[near] else (near - 1, near)
        return min(max(place, Fraction(low)), Fraction(min(high, len(self._values) - 1)))

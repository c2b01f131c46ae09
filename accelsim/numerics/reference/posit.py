"""Posits of the 2022 standard, of the older layouts, and with a limited regime."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.float import exponent, power
from accelsim.numerics.reference.strings import StringGrid
from accelsim.spec.format import PositFormat


def build(record: PositFormat) -> PositGrid:
    """The grid of a posit format."""
    return PositGrid(record)


class PositGrid(StringGrid):
    """Sign, regime, exponent, fraction; bits that do not fit into the code count as zeros."""

    def __init__(self, record: PositFormat) -> None:
        super().__init__(record.bits)
        self._es, self._shift = record.es, record.exponent_shift
        self._limit = record.regime_limit

    def magnitude(self, code: int, bits: int) -> Fraction:
        """2^(k 2^es + e + shift) (1 + f), where k comes from the run of equal bits after the sign."""
        text = f"{code:0{bits - 1}b}"
        first, limit = text[0], min(self._limit or bits - 1, bits - 1)
        run = min(len(text) - len(text.lstrip(first)), limit)
        rest = text[run if run == limit else run + 1 :].ljust(self._es, "0")
        e, fraction = int("0" + rest[: self._es], 2), rest[self._es :]
        k = run - 1 if first == "1" else -run
        return power((k << self._es) + e + self._shift) * (1 + int("0" + fraction, 2) * power(-len(fraction)))

    def string(self, x: Fraction) -> Fraction:
        """The regime, and behind it the exponent and the fraction as one number below 1."""
        whole = exponent(x)
        k, e = divmod(whole - self._shift, 1 << self._es)
        tail = (e + x / power(whole) - 1) * power(-self._es)
        run = k + 1 if k >= 0 else -k
        ones = 1 - power(-run)
        if self._limit is not None and run >= self._limit:
            if run > self._limit:
                return Fraction(k >= 0)
            return (ones if k >= 0 else 0) + tail * power(-run)
        return (ones + tail * power(-run - 1)) if k >= 0 else (1 + tail) * power(-run - 1)

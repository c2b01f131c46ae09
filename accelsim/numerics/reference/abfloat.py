"""abfloat of OliVe: floats without small values, for outliers. Guo et al., ISCA 2023."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.grid import Exact, Special, TableGrid
from accelsim.spec.format import AbfloatFormat


def build(record: AbfloatFormat) -> AbfloatGrid:
    """The grid of an abfloat format."""
    return AbfloatGrid(record)


class AbfloatGrid(TableGrid):
    """There is no zero: a number between the smallest values goes to the nearer, zero to the positive one."""

    def __init__(self, record: AbfloatFormat) -> None:
        self.bits = record.bits
        self._mantissa, self._bias = record.mantissa_bits, record.exponent_bias
        self._sign = 1 << record.bits - 1

    def value(self, code: int) -> Exact:
        """Sign, ((1 << mantissa bits) + M) << (E + bias); the codes of zero exponent and mantissa are not used."""
        number = code & self._sign - 1
        if number == 0:
            return Special.NAN
        field, mantissa = divmod(number, 1 << self._mantissa)
        magnitude = Fraction((1 << self._mantissa) + mantissa << field + self._bias)
        return -magnitude if code & self._sign else magnitude

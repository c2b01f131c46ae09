"""Configurable floats of Dojo: the bias is a parameter of the tensor. Tesla's white paper on CFloat8 and CFloat16."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.float import FloatGrid, exponent, power
from accelsim.numerics.reference.grid import Exact, Grid, Special
from accelsim.numerics.reference.tuned import TunedReference
from accelsim.spec.format import CFloatFormat, FloatFormat


def build(record: CFloatFormat) -> Grid | CFloatReference:
    """The grid of a fixed bias, or the reference that chooses one."""
    reference = CFloatReference(record)
    return reference if record.exponent_bias is None else reference.grid(record.exponent_bias)


class CFloatReference(TunedReference):
    """The bias is the largest with which nothing is beyond the ends; the white paper leaves the choice open."""

    def __init__(self, record: CFloatFormat) -> None:
        self.record, self.name = record, record.name
        self.lowest, self.highest = 0, (1 << record.bias_bits) - 1
        self.has_negative_zero = record.signed

    def grid(self, bias: int) -> Grid:
        """Denormals as they are printed, or as IEEE 754 has them."""
        if self.record.denormals == "printed":
            return CFloatGrid(self.record, bias)
        return FloatGrid(self.as_float(bias))

    def as_float(self, bias: int) -> FloatFormat:
        """The values with a bias as a float whose denormals are those of IEEE 754."""
        record = self.record
        return FloatFormat(
            name=record.name,
            exponent_bits=record.exponent_bits,
            mantissa_bits=record.mantissa_bits,
            exponent_bias=bias,
            infinities=False,
            nan="none",
            signed=record.signed,
            source=record.source,
            status=record.status,
        )

    def exponent_of(self, bias: int) -> int:
        """Minus the bias."""
        return -bias

    def choose(self, largest: Fraction) -> int:
        """The largest bias whose largest value is not below; 0 where there is none."""
        if not largest:
            return 0
        record = self.record
        end = power((1 << record.exponent_bits) - 1) * (2 - power(-record.mantissa_bits))
        return max(0, min(exponent(end / largest), self.highest))


class CFloatGrid(Grid):
    """Magnitudes in the order of their codes; denormals are 0.M 2^-bias, so that a gap follows the last of them."""

    def __init__(self, record: CFloatFormat, bias: int) -> None:
        self.bits = record.bits
        self._mantissa, self.bias = record.mantissa_bits, bias
        self._top = 1 << record.exponent_bits + record.mantissa_bits
        self._sign = self._top if record.signed else 0

    def _magnitude(self, number: int) -> Fraction:
        field, mantissa = divmod(number, 1 << self._mantissa)
        return power(field - self.bias) * ((field > 0) + mantissa * power(-self._mantissa))

    def _number(self, magnitude: Fraction) -> int:
        """The number of the largest magnitude that is not above."""
        whole = 1 << self._mantissa
        first = power(1 - self.bias)
        if magnitude < first:
            return min(int(magnitude * power(self.bias) * whole), whole - 1)
        e = exponent(magnitude)
        return min((e + self.bias) * whole + int((magnitude * power(-e) - 1) * whole), self._top - 1)

    def value(self, code: int) -> Exact:
        """Sign and magnitude."""
        number = code & self._top - 1
        if number == code:
            return self._magnitude(number)
        return -self._magnitude(number) if number else Special.NEGATIVE_ZERO

    def code(self, value: Fraction) -> int:
        """The number of the magnitude, and the sign."""
        return self._number(abs(value)) | (self._sign if value < 0 else 0)

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The values beside x; the end for what lies beyond."""
        if x < 0:
            low, high = self.neighbours(-x) if self._sign else (Fraction(0), Fraction(0))
            return -high, -low
        number = self._number(x)
        low = self._magnitude(number)
        return low, low if low == x else self._magnitude(min(number + 1, self._top - 1))

    def even(self, value: Fraction) -> bool:
        """Whether the code is even."""
        return self._number(abs(value)) % 2 == 0

    @property
    def smallest(self) -> Fraction:
        """Minus the largest, or zero where there is no sign."""
        return -self.largest if self._sign else Fraction(0)

    @property
    def largest(self) -> Fraction:
        """All ones: no code is kept for infinities or NaN."""
        return self._magnitude(self._top - 1)

    @property
    def negative_zero(self) -> int | None:
        """The sign alone."""
        return self._sign or None

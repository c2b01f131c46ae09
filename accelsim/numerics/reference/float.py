"""Floats: values and codes by the fields' definition, with no limit to the exponent while rounding."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.policy import Overflow
from accelsim.numerics.reference.grid import Exact, Grid, Special
from accelsim.spec.format import FloatFormat


def build(record: FloatFormat) -> FloatGrid:
    """The grid of a float format."""
    return FloatGrid(record)


def exponent(x: Fraction) -> int:
    """floor(log2 x) of a positive number."""
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if x >= power(guess) else guess - 1


def power(e: int) -> Fraction:
    """2^e."""
    return Fraction(1 << e) if e >= 0 else Fraction(1, 1 << -e)


class FloatGrid(Grid):
    """Magnitudes are numbered from zero upwards; that number is the code of the lower bits."""

    def __init__(self, record: FloatFormat) -> None:
        self.record = record
        self.bits = record.bits
        self.rounds_to_zero = record.zero
        self._mantissa = record.mantissa_bits
        self._top = 1 << (record.exponent_bits + record.mantissa_bits)  # magnitudes
        self._first = (1 if record.subnormals else 0) - record.bias  # exponent of the lowest binade
        self._sign = self._top if record.signed else 0

    @property
    def default_overflow(self) -> Overflow:  # type: ignore[override]
        """IEEE formats of more than 8 bits overflow to infinity, bare exponents to NaN, all others saturate."""
        if self.record.infinities and self.record.nan == "ieee" and self.bits > 8:
            return "infinity"
        return "nan" if not self.record.zero and self.has_nan else "saturate"

    def _magnitude(self, number: int) -> Fraction:
        """The number-th magnitude, whether or not it has a code."""
        field, mantissa = divmod(number, 1 << self._mantissa)
        if not self.record.subnormals:
            if number == 0 and self.record.zero:
                return Fraction(0)
            return power(field - self.record.bias) * (1 + mantissa * power(-self._mantissa))
        if field == 0:
            return power(1 - self.record.bias) * mantissa * power(-self._mantissa)
        return power(field - self.record.bias) * (1 + mantissa * power(-self._mantissa))

    def _number(self, magnitude: Fraction) -> int:
        """How many magnitudes lie below; the largest number whose magnitude is at most the given one."""
        if magnitude == 0:
            return 0
        e = max(exponent(magnitude), self._first)
        whole = int(magnitude * power(self._mantissa - e))
        binades = e - self._first
        if self.record.subnormals:
            return (binades << self._mantissa) + whole
        return max((binades << self._mantissa) + whole - (1 << self._mantissa), 0)

    @property
    def _finite(self) -> int:
        """The number of the largest finite magnitude."""
        record = self.record
        if record.nan == "ieee":
            return self._top - (1 << self._mantissa) - 1
        return self._top - 1 - record.infinities - (record.nan == "fn")

    def value(self, code: int) -> Exact:
        """What a code means."""
        negative, number = bool(code & self._sign), code & (self._top - 1)
        if negative and number == 0:
            if self.record.nan == "fnuz":
                return Special.NAN
            return Special.NEGATIVE_ZERO if self.record.zero else -self._magnitude(0)
        if number == (self.infinity(False) if self.record.infinities else None):
            return Special.NEGATIVE_INFINITY if negative else Special.INFINITY
        if number > self._finite:
            return Special.NAN
        return -self._magnitude(number) if negative else self._magnitude(number)

    def code(self, value: Fraction) -> int:
        """The code of a value of the grid."""
        return self._number(abs(value)) | (self._sign if value < 0 else 0)

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The values beside x, as if the exponent had no upper limit."""
        magnitude = abs(x)
        number = self._number(magnitude)
        low = self._magnitude(number)
        if not self.record.zero and low > magnitude:
            return (Fraction(0), low) if x > 0 else (x, x)  # nothing at or below zero is a value: it overflows
        if low == magnitude:
            return x, x
        high = self._magnitude(number + 1)
        return (low, high) if x > 0 else (-high, -low)

    def even(self, value: Fraction) -> bool:
        """Whether the last bit of the code is 0."""
        return self._number(abs(value)) % 2 == 0

    @property
    def smallest(self) -> Fraction:
        """Minus the largest; zero or the smallest magnitude where there is no sign."""
        return -self.largest if self.record.signed else self._magnitude(0)

    @property
    def largest(self) -> Fraction:
        """The largest finite value."""
        return self._magnitude(self._finite)

    def infinity(self, negative: bool) -> int | None:
        """The code after the largest finite one."""
        if not self.record.infinities or (negative and not self.record.signed):
            return None
        return (self._finite + 1) | (self._sign if negative else 0)

    def nan(self, negative: bool, ones: bool) -> int | None:
        """The NaN of the rule; of IEEE formats quiet, or with all bits set."""
        sign = self._sign if negative else 0
        match self.record.nan:
            case "ieee":
                quiet = self._top - (1 << self._mantissa) + (1 << self._mantissa >> 1)
                return (self._top - 1 if ones or not self._mantissa else quiet) | sign
            case "fn":
                return (self._top - 1) | sign
            case "fnuz":
                return self._sign
        return None

    @property
    def negative_zero(self) -> int | None:
        """The sign bit alone, unless NaN has it."""
        return self._sign if self.record.signed and self.record.zero and self.record.nan != "fnuz" else None

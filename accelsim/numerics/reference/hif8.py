"""HiFloat8: a prefix says how many bits the exponent has. Luo et al., Ascend HiFloat8 Format, arXiv 2409.16626."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from functools import cached_property

from accelsim.numerics.policy import Overflow
from accelsim.numerics.reference.float import power
from accelsim.numerics.reference.grid import Exact, Special, TableGrid
from accelsim.spec.format import HiF8Format

_INFINITY = 0x6F
_NAN = 0x80
_SIGN = 0x80
# dot prefix, its width, exponent bits
_DOTS = ((0b11, 2, 4), (0b10, 2, 3), (0b01, 2, 2), (0b001, 3, 1), (0b0001, 4, 0))


def build(record: HiF8Format) -> HiF8Grid:
    """The grid of HiFloat8."""
    return HiF8Grid(record)


class HiF8Grid(TableGrid):
    """No negative zero, one NaN in its place; infinities follow the largest value, 2^15, where 1.5 x 2^15 would be."""

    default_overflow: Overflow = "infinity"

    def __init__(self, record: HiF8Format) -> None:
        self.bits = record.bits

    def value(self, code: int) -> Exact:
        """Sign, dot, exponent as sign and magnitude with a hidden one, mantissa."""
        number, negative = code & _SIGN - 1, bool(code & _SIGN)
        if code == _NAN:
            return Special.NAN
        if number == _INFINITY:
            return Special.NEGATIVE_INFINITY if negative else Special.INFINITY
        return -self._magnitude(number) if negative else self._magnitude(number)

    def _magnitude(self, number: int) -> Fraction:
        for dot, width, exponent_bits in _DOTS:
            if number >> 7 - width != dot:
                continue
            mantissa_bits = 7 - width - exponent_bits
            exponent, mantissa = divmod(number & (1 << 7 - width) - 1, 1 << mantissa_bits)
            if exponent_bits:
                top = 1 << exponent_bits - 1
                exponent = -exponent if exponent & top else exponent + top
            return power(exponent) * (1 + mantissa * power(-mantissa_bits))
        return power(number - 23) if number else Fraction(0)  # the dot of denormals

    @cached_property
    def _magnitudes(self) -> list[Fraction]:
        """All magnitudes, and the number where infinity is."""
        return sorted({self._magnitude(number) for number in range(_SIGN)})

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The values beside x; beyond the largest comes the number in whose place infinity is, and nothing else."""
        magnitudes, size = self._magnitudes, abs(x)
        at = bisect_right(magnitudes, size)
        low = magnitudes[at - 1]
        high = low if low == size else magnitudes[min(at, len(magnitudes) - 1)]
        return (-high, -low) if x < 0 else (low, high)

    def even(self, value: Fraction) -> bool:
        """Whether the code is even; that of infinity is odd."""
        return abs(value) != self._magnitudes[-1] and self.code(value) % 2 == 0

    def infinity(self, negative: bool) -> int | None:
        """The code after the largest value."""
        return _INFINITY | (_SIGN if negative else 0)

    def nan(self, negative: bool, ones: bool) -> int | None:
        """The one NaN."""
        return _NAN

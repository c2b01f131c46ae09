"""Powers and logarithms by integers, far closer than any binary64 can tell: 192 bits behind the point.

Values and decision points of logarithmic formats are irrational, except powers of the base. A binary64 is at least
2^-53 away from its neighbours in proportion, an approximation here at most 2^-180 from the irrational number. No
binary64 lies between the two unless it agrees with that number in some 130 bits behind its own 53: tests look at every
point of the shipped formats and find none.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import isqrt
from typing import Final

from accelsim.numerics.reference.float import exponent, power

_PLACES: Final = 192
_ONE: Final = 1 << _PLACES


@cache
def _ln2() -> int:
    """2^192 ln 2, as the sum of 1 / (k 2^k) with some places to spare."""
    spare = 16
    total = sum((_ONE << spare) // (k << k) for k in range(1, _PLACES + 2 * spare))
    return total >> spare


def ln2() -> Fraction:
    """The natural logarithm of 2, within 2^-180."""
    return Fraction(_ln2(), _ONE)


def _exp(x: int) -> int:
    """2^192 exp(x / 2^192) for 0 <= x < 2^192, by the series of x / 2^16."""
    small = x >> 16
    total = term = _ONE
    k = 1
    while term:
        term = (term * small >> _PLACES) // k
        total += term
        k += 1
    for _ in range(16):
        total = total * total >> _PLACES
    return total


@cache
def _exp_half_whole(x: int) -> tuple[int, int]:
    """Mantissa of 192 bits behind the point, and exponent, of sqrt(e)^x."""
    halvings, rest = divmod(x * _ONE // 2, _ln2())
    return _exp(rest), halvings


@cache
def _exp_half_bit(place: int) -> int:
    """2^192 sqrt(e)^(2^-place)."""
    return _exp(_ONE >> place + 1)


def exp_half(x: Fraction) -> Fraction:
    """sqrt(e)^x for x with a power of two as its denominator, within 2^-160 in proportion; 1 for 0."""
    if x == 0:
        return Fraction(1)
    whole, rest = divmod(x.numerator, x.denominator)
    places = x.denominator.bit_length() - 1
    total, halvings = _exp_half_whole(whole)
    for place in range(1, places + 1):
        if rest >> places - place & 1:
            total = total * _exp_half_bit(place) >> _PLACES
    return Fraction(total, _ONE) * power(halvings)


@cache
def _root(places: int) -> int:
    """2^192 times the 2^places-th root of 2."""
    return _ONE << 1 if places == 0 else isqrt(_root(places - 1) << _PLACES)


def exp2(x: Fraction) -> Fraction:
    """2^x for x with a power of two as its denominator, within 2^-160 in proportion."""
    whole, rest = divmod(x.numerator, x.denominator)
    places = x.denominator.bit_length() - 1
    total = _ONE
    for place in range(1, places + 1):
        if rest >> places - place & 1:
            total = total * _root(place) >> _PLACES
    return Fraction(total, _ONE) * power(whole)


def log2(x: Fraction) -> Fraction:
    """log2 of a positive number to 128 places, rounded down; exact for powers of two."""
    whole = exponent(x)
    scaled = x * power(-whole)
    m = (scaled.numerator << _PLACES) // scaled.denominator
    bits = 0
    for _ in range(128):
        m = m * m >> _PLACES
        carry = m >> _PLACES + 1
        m >>= carry
        bits = bits << 1 | carry
    return whole + Fraction(bits, 1 << 128)


def log_half(x: Fraction) -> Fraction:
    """2 ln x, the logarithm to the base sqrt(e), to some 60 places beyond 64."""
    return 2 * log2(x) * Fraction(_ln2(), _ONE)


def to_binary64(x: Fraction) -> Fraction:
    """The nearest binary64 of a positive number within its normal range."""
    quantum = power(exponent(x) - 52)
    return round(x / quantum) * quantum

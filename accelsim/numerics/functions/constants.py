"""Constants and tables of the elementary functions, from their definition by integers.

Numbers are integers that count 2^-256, 2^-1400 for pi. A pair is a float64 and the float64 of what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from math import factorial, isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast.expansion import Floats

_PLACES: Final = 256
_ONE: Final = 1 << _PLACES
_PI_PLACES: Final = 1400

Pair = tuple[float, float]

INVERSE_FACTORIALS: Final = tuple(1 / factorial(n) for n in range(24))
"""1 / n!, each rounded once: the quotient of two integers is."""


def pair(x: int, bits: int = 53) -> Pair:
    """A number as a float64 of so many bits, truncated if they are fewer than 53, and a float64 for the rest."""
    spare = max(abs(x).bit_length() - bits, 0)
    upper = abs(x) >> spare << spare if bits < 53 else int(Fraction(abs(x) / _ONE) * _ONE)
    upper = -upper if x < 0 else upper
    return upper / _ONE, (x - upper) / _ONE


def _pairs(numbers: Iterable[int]) -> tuple[Floats, Floats]:
    made = np.array([pair(x) for x in numbers])
    return np.ascontiguousarray(made[:, 0]), np.ascontiguousarray(made[:, 1])


def _times(x: int, y: int) -> int:
    return x * y >> _PLACES


def _logarithm(x: Fraction) -> int:
    """Ln x = 2 artanh((x - 1) / (x + 1))."""
    y = (x - 1) / (x + 1)
    y_fixed = y.numerator * _ONE // y.denominator
    square, term, total, n = _times(y_fixed, y_fixed), y_fixed, 0, 1
    while abs(term) > 1:
        total += term // n
        term, n = _times(term, square), n + 2
    return 2 * total


def _exponential(x: int) -> int:
    """exp(x) by its series."""
    term, total, n = _ONE, 0, 1
    while abs(term) > 1:
        total += term
        term, n = _times(term, x) // n, n + 1
    return total


def _inverse_tangent(inverse: int, one: int) -> int:
    """Arctan(1 / inverse)."""
    term, total, n = one // inverse, 0, 1
    while term:
        total += term // n if n % 4 == 1 else -(term // n)
        term, n = term // inverse**2, n + 2
    return total


@cache
def _pi() -> int:
    """Pi by Machin's formula, in units of 2^-1400."""
    one = 1 << _PI_PLACES + 32
    return 4 * (4 * _inverse_tangent(5, one) - _inverse_tangent(239, one)) >> 32


def _short_pi() -> int:
    return _pi() >> _PI_PLACES - _PLACES


def ln2(bits: int = 53, *, divisor: int = 1) -> Pair:
    """Ln 2 over a divisor, the first float64 of so many bits."""
    return pair(_logarithm(Fraction(2)) // divisor, bits)


def inverse_ln2(factor: int) -> float:
    """A factor over ln 2."""
    return factor * _ONE / _logarithm(Fraction(2))


def half_pi() -> Pair:
    """Pi / 2."""
    return pair(_short_pi() // 2)


@cache
def roots_of_two(steps: int) -> tuple[Floats, Floats]:
    """Pairs of 2^(j / steps) for j from 0 to steps - 1; steps is a power of two."""
    root = 2 * _ONE
    for _ in range(steps.bit_length() - 1):
        root = isqrt(root << _PLACES)
    made = [_ONE]
    for _ in range(steps - 1):
        made.append(_times(made[-1], root))
    return _pairs(made)


@cache
def logarithms(split: int) -> tuple[Floats, Floats, Floats]:
    """For 128 parts of 1 to 2: a number of 11 bits near the inverse of their middle, and the pair of -ln of that.

    Parts from `split` on are halved first. The two parts that touch 1 have the inverse 1. The first number of a pair
    is a multiple of 2^-42.
    """
    inverses, made = [], []
    for j in range(128):
        middle = Fraction(257 + 2 * j, 256) / (2 if j >= split else 1)
        inverse = Fraction(1) if j in (0, 127) else Fraction(round(1024 / middle), 1024)
        exact = -_logarithm(inverse)
        upper = exact >> _PLACES - 42 << _PLACES - 42
        inverses.append(float(inverse))
        made.append((upper / _ONE, (exact - upper) / _ONE))
    table = np.array(made)
    return np.array(inverses), np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


@cache
def circle(steps: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Pairs of sines, then of cosines, of j / steps up to pi / 4; as four arrays."""
    sines, cosines = [], []
    for j in range(round(steps * 0.7854) + 1):
        x = j * _ONE // steps
        sine = cosine = 0
        term, n = _ONE, 0
        while abs(term) > 1:
            sine += term * (0, 1, 0, -1)[n % 4]
            cosine += term * (1, 0, -1, 0)[n % 4]
            term, n = _times(term, x) // (n + 1), n + 1
        sines.append(sine)
        cosines.append(cosine)
    return *_pairs(sines), *_pairs(cosines)


@cache
def two_over_pi() -> NDArray[np.uint64]:
    """2 / pi for every exponent of a float64: [6, 1025], limbs of 32 bits, the lowest first.

    Column E + 53 holds the 192 bits that follow bit E - 2 behind the point: those before are multiples of four turns
    of ninety degrees when multiplied by 2^E, and drop out.
    """
    lead = 64
    places = _PI_PLACES - 64
    digits = (2 << _PI_PLACES + places) // _pi()
    made = np.zeros((6, 1025), dtype=np.uint64)
    for column in range(1025):
        skip = column - 53 - 2 + lead
        window = digits >> places + lead - skip - 192 & (1 << 192) - 1
        for limb in range(6):
            made[limb, column] = window >> 32 * limb & 0xFFFFFFFF
    return made


def _error_function(x: Fraction) -> int:
    """Erf without 2 / sqrt(pi): the sum of (-1)^n x^(2n+1) / (n! (2n+1))."""
    square = x * x
    term = x.numerator * _ONE // x.denominator
    total, n = 0, 0
    while abs(term) > 1:
        total += term // (2 * n + 1)
        n += 1
        term = -(term * square.numerator // (square.denominator * n))
    return total


@cache
def error_function(steps: int, end: int, degree: int) -> tuple[tuple[Floats, Floats], ...]:
    """Taylor coefficients of erf around j / steps, up to `end`: an array of all j for each power, in pairs.

    The coefficient of t^n is 2 / sqrt(pi) exp(-c^2) (-1)^(n-1) H_(n-1)(c) / n!, with Hermite's polynomials.
    """
    factor = (2 * _ONE << _PLACES) // isqrt(_short_pi() << _PLACES)
    rows = []
    for j in range(steps * end + 1):
        c = Fraction(j, steps)
        slope = _times(factor, _exponential(-(_ONE * j * j // steps**2)))
        row = [_times(factor, _error_function(c))]
        before, hermite = Fraction(0), Fraction(1)
        for n in range(1, degree + 1):
            exact = slope * hermite / factorial(n) * (-1) ** (n - 1)
            row.append(exact.numerator // exact.denominator)
            before, hermite = hermite, 2 * c * hermite - 2 * (n - 1) * before
        rows.append(row)
    return tuple(_pairs(column) for column in zip(*rows, strict=True))

"""The exponent that a block shares, by the rules of OCP MX, and as two implementations of them find it.

`Policy.blocks` is `exact`, or names whose results are wanted:

- `torchao` (0.18.0, eager): an infinity counts as 2^128, under rule rceil as the largest scale. Rule rceil divides in
  fp32 and rounds the logarithm to fp32 before it takes the ceiling. Elements under the smallest scale, 2^-127, are
  divided by 2^-126 instead, under rule rceil by 1.
- `microxcaling` (its default): rule floor rounds the logarithm to fp32 before it takes the floor, so that numbers just
  below a power of two count as that power; a block of zeros counts as 2^-126.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial
from typing import Final

from accelsim.numerics.policy import Blocks
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.float import exponent, power
from accelsim.numerics.reference.grid import Special
from accelsim.numerics.reference.logarithm import ln2

SHARED_EXPONENT: Final = ("floor", "ceil", "even", "rceil")
ENDLESS: Final = power(128)
"""What an infinity counts as where it counts."""
LEAST_PEAK: Final = power(-126)
"""What a block of zeros counts as where it counts."""
_NONE: Final = -(1 << 20)
_TERMS: Final = 8


def shared_exponent(rule: str, peak: Fraction, limit: Fraction, mantissa: int, how: Blocks) -> int:
    """The exponent of the scale of a block.

    Args:
        rule: one of SHARED_EXPONENT.
        peak: largest magnitude of the block, above zero.
        limit: largest magnitude of an element.
        mantissa: bits of an element below the leading one, for rule `even`.
        how: `Policy.blocks`.
    """
    if rule == "rceil":
        return _rounded_up(peak / limit, how)
    e = floor_of_single(peak) if how == "microxcaling" and rule == "floor" else exponent(peak)
    if rule == "ceil":
        e += peak != power(e)
    elif rule == "even":
        e += peak * power(-e) >= 2 - power(-mantissa - 1)
    return e - exponent(limit)


def _rounded_up(ratio: Fraction, how: Blocks) -> int:
    if how != "torchao":
        e = exponent(ratio)
        return e + (ratio != power(e))
    near = blocks.single(ratio)
    if near is Special.INFINITY:
        return -_NONE
    assert isinstance(near, Fraction)
    return ceiling_of_single(near) if near else _NONE


def divisor(scale: Fraction, smallest: Fraction, rule: str, how: Blocks) -> Fraction:
    """What elements are divided by: their scale, but for the smallest one to torchao."""
    if how != "torchao" or scale != smallest:
        return scale
    return Fraction(1) if rule == "rceil" else 2 * scale


def floor_of_single(x: Fraction) -> int:
    """The floor of log2 x rounded to fp32."""
    e = exponent(x)
    return e + (1 - x * power(-e - 1) <= slack(e + 1, below=True))


def ceiling_of_single(x: Fraction) -> int:
    """The ceiling of log2 x rounded to fp32."""
    e = exponent(x)
    return e + (x * power(-e) - 1 > slack(e, below=False))


@cache
def slack(k: int, below: bool) -> Fraction:
    """How far, in proportion to 2^k, a number may lie below or above it so that its log2 in fp32 is k.

    1 - 2^-h or 2^h - 1, where h is half the distance from k to the next fp32 on that side; within 2^-150.
    """
    if k == 0:
        return Fraction(0)
    inward = below == (k > 0)
    e = exponent(Fraction(abs(k))) - (inward and abs(k) & (abs(k) - 1) == 0)
    x = ln2() * power(e - 24) * (-1 if below else 1)
    series = sum((x**n / factorial(n) for n in range(1, _TERMS)), Fraction(0))
    return abs(series)

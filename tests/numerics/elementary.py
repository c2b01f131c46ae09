"""Elementary functions to sixty digits, by decimals: nothing of `accelsim.numerics.functions` is used.

exp, ln and sqrt are those of `decimal`, correctly rounded; sines, cosines and the error function are summed from
their series, arguments reduced by pi to 450 digits (formula of Gauss and Legendre).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import cache
from math import frexp

import numpy as np

_DIGITS, _LONG = 60, 450
_SMALL = Decimal(10) ** -75


@cache
def pi() -> Decimal:
    with localcontext(Context(prec=_LONG + 20)):
        a, b, t, p = Decimal(1), 1 / Decimal(2).sqrt(), Decimal(1) / 4, Decimal(1)
        for _ in range(12):
            middle = (a + b) / 2
            b, t, a, p = (a * b).sqrt(), t - p * (a - middle) ** 2, middle, 2 * p
        return (a + b) ** 2 / (4 * t)


def _wide(digits: int = 120) -> Context:
    return Context(prec=digits, Emax=10**6, Emin=-(10**6))


def exp(x: float) -> Decimal:
    return Decimal(x).exp(_wide(_DIGITS))


def expm1(x: float) -> Decimal:
    with localcontext(_wide(450 if abs(x) < 1e-40 else 120)):
        if abs(x) < 1e-40:
            return Decimal(x) + Decimal(x) ** 2 / 2
        return Decimal(x).exp() - 1


def log(x: float) -> Decimal:
    return Decimal(x).ln(_wide(80))


def tanh(x: float) -> Decimal:
    with localcontext(_wide()):
        if abs(x) < 1e-20:
            return Decimal(x) - Decimal(x) ** 3 / 3
        grown = (2 * Decimal(x)).exp()
        return 1 - 2 / (grown + 1)


def rsqrt(x: float) -> Decimal:
    with localcontext(_wide(_DIGITS)):
        return 1 / Decimal(x).sqrt()


def _series(x: Decimal, first: Decimal, start: int) -> Decimal:
    """first (1 - x^2 / ((start+1)(start+2)) + ...)."""
    total, term, n, square = Decimal(0), first, start, x * x
    while term and abs(term) > abs(first) * _SMALL:
        total += term
        term = -term * square / ((n + 1) * (n + 2))
        n += 2
    return total


def _reduced(x: float) -> Decimal:
    with localcontext(_wide(_LONG)):
        turn = 2 * pi()
        return Decimal(x) - turn * (Decimal(x) / turn).to_integral_value()


def sin(x: float) -> Decimal:
    r = _reduced(x)
    with localcontext(_wide()):
        half = pi() / 2
        if abs(r) > half:  # from pi, so that a sine near zero keeps its digits
            with localcontext(_wide(_LONG)):
                r = pi().copy_sign(r) - r
        return _series(r, +r, 1)


def cos(x: float) -> Decimal:
    with localcontext(_wide(_LONG)):
        r = pi() / 2 - abs(_reduced(x))
    with localcontext(_wide()):
        return _series(r, +r, 1)


def erf(x: float) -> Decimal:
    if abs(x) > 7:
        return Decimal(1).copy_sign(Decimal(x)) * (1 - Decimal(10) ** -22)
    with localcontext(_wide()):
        y = Decimal(x)
        total, term, n, square = Decimal(0), y, 0, y * y
        while term and abs(term) > abs(y) * Decimal(10) ** -100:
            total += term / (2 * n + 1)
            n += 1
            term = -term * square / n
        return 2 / pi().sqrt() * total


EXACT: dict[str, Callable[[float], Decimal]] = {
    "exp": exp, "expm1": expm1, "log": log, "tanh": tanh, "erf": erf, "sin": sin, "cos": cos, "rsqrt": rsqrt,
}  # fmt: skip


def ulp(x: Decimal, bits: int = 53, least: int = -1074) -> Decimal:
    """The unit in the last place of the float that a number lies at."""
    with localcontext(_wide()):
        if x == 0:
            return Decimal(2) ** least
        near = frexp(float(x))[1] if abs(x) > Decimal("1e-300") else frexp(float(x * 2**200))[1] - 200
        if abs(x) < Decimal(2) ** (near - 1):
            near -= 1
        elif abs(x) >= Decimal(2) ** near:
            near += 1
        return Decimal(2) ** max(near - bits, least)


def errors(name: str, points: np.ndarray, made: np.ndarray, bits: int = 53, least: int = -1074) -> np.ndarray:
    """How far results are off, in units in the last place of the exact value."""
    found = []
    for x, y in zip(points.tolist(), made.tolist(), strict=True):
        exact = EXACT[name](x)
        with localcontext(_wide(_LONG)):
            found.append(float(abs(Decimal(y) - exact) / ulp(exact, bits, least)))
    return np.array(found)


def exp2(numerator: int, denominator: int) -> Decimal:
    """2^(numerator / denominator)."""
    with localcontext(_wide()):
        return Decimal(2) ** (Decimal(numerator) / denominator)

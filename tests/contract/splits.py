"""Where ties are and to which value they go, where half-way points are no midpoints or codes are no order.

Everything here knows only what codes mean, or computes with decimals.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

from accelsim import catalog
from accelsim.numerics import registry
from accelsim.numerics.reference.grid import Grid, Special
from accelsim.spec.format import Format

_CONTEXT = Context(prec=80)
_grid = cache(registry.grid)


@cache
def _finer(record: Format) -> Grid:
    return registry.grid(record.with_(bits=record.bits + 1))


def _decimal(x: Fraction) -> Decimal:
    return _CONTEXT.divide(Decimal(x.numerator), Decimal(x.denominator))


def one_more_bit(record: Format, low: Fraction, high: Fraction) -> Fraction:
    """The value between two neighbours of the same format with one more bit."""
    if getattr(record, "logarithmic", False):
        return takum_logarithmic(record, low, high)
    grid, finer = _grid(record), _finer(record)
    if high <= 0:
        return -one_more_bit(record, -high, -low)
    code = 0 if low == 0 else grid.code(low)
    found = finer.value(2 * code + 1)
    assert isinstance(found, Fraction)
    return found


def takum_logarithmic(record: Format, low: Fraction, high: Fraction) -> Fraction:
    """exp(l / 2), where l is that of the linear takum with one more bit."""
    if high <= 0:
        return -takum_logarithmic(record, -high, -low)
    grid = _grid(record)
    code = 2 * (0 if low == 0 else grid.code(low)) + 1
    linear = _finer(catalog.format_(f"takum{record.bits}")).value(code)
    assert isinstance(linear, Fraction)
    c = math.frexp(float(linear))[1] - 1
    exponent = c + linear / Fraction(2) ** c - 1
    return Fraction(_CONTEXT.exp(_decimal(exponent / 2)))


def logarithmic(record: Format, low: Fraction, high: Fraction) -> Fraction:
    """2^x half-way between two exponents; half a step below the smallest one, what becomes zero begins."""
    if high <= 0:
        return -logarithmic(record, -high, -low)
    x = _grid(record).code(high)
    width = record.integer_bits + record.fraction_bits  # type: ignore[attr-defined]
    x -= (x >> width - 1) << width
    exponent = Fraction(2 * x - 1, 2 << record.fraction_bits)  # type: ignore[attr-defined]
    return Fraction(_CONTEXT.power(Decimal(2), _decimal(exponent)))


def even_rank(record: Format, value: Fraction) -> bool:
    """Whether an even number of magnitudes is smaller, counted over all codes."""
    grid = _grid(record)
    meant = [grid.value(code) for code in range(1 << grid.bits)]
    return len({abs(v) for v in meant if not isinstance(v, Special) and abs(v) < abs(value)}) % 2 == 0

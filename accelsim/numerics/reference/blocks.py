"""What the exact references of formats with scales share: grids by record, blocks of a row, products, fp32 steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib import import_module
from typing import Final

from accelsim.errors import RequestError
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.float import FloatGrid
from accelsim.numerics.reference.grid import HALF, Exact, Grid, Special, encode
from accelsim.spec.format import FloatFormat, Format
from accelsim.spec.format.names import from_name

NANS: Final = (Special.NAN, Special.NEGATIVE_NAN)
INFINITIES: Final = (Special.INFINITY, Special.NEGATIVE_INFINITY)
SCALES: Final = Policy(overflow="saturate", nan="error")
"""How scales are rounded: to the nearest, ties to even, the largest at most."""


@cache
def grid_of(record: Format) -> Grid:
    """The grid of an element's or a scale's format."""
    made = import_module(f"accelsim.numerics.reference.{record.kind}").build(record)
    if not isinstance(made, Grid):
        raise RequestError(f"{record.name} carries scales of its own and cannot be a part of another format")
    return made


def limit(grid: Grid) -> Fraction:
    """What the largest magnitude of a block is mapped to: the end of the grid, the nearer one to zero of two."""
    return grid.largest if grid.smallest >= 0 else min(-grid.smallest, grid.largest)


def spans(n: int, length: int | None) -> list[range]:
    """The places of each block in a row of n elements; the last one may be short."""
    step = length or max(n, 1)
    return [range(start, min(start + step, n)) for start in range(0, n, step)]


def magnitudes(block: Sequence[Exact]) -> Iterator[Fraction]:
    """Finite magnitudes of a block."""
    for x in block:
        if isinstance(x, Fraction):
            yield abs(x)
        elif x is Special.NEGATIVE_ZERO:
            yield Fraction(0)


def any_of(block: Sequence[Exact], kinds: Sequence[Special]) -> bool:
    """Whether a block holds one of some special values."""
    return any(x in kinds for x in block)


def is_negative(x: Exact) -> bool:
    """The sign bit."""
    if isinstance(x, Special):
        return x in (Special.NEGATIVE_ZERO, Special.NEGATIVE_INFINITY, Special.NEGATIVE_NAN)
    return x < 0


def product(a: Exact, b: Exact) -> Exact:
    """Two numbers multiplied, with the signs of IEEE 754; zero times infinity is NaN."""
    if a in NANS or b in NANS:
        return Special.NAN
    minus = is_negative(a) != is_negative(b)
    zero = any(x in (0, Special.NEGATIVE_ZERO) for x in (a, b))
    if a in INFINITIES or b in INFINITIES:
        return Special.NAN if zero else Special.NEGATIVE_INFINITY if minus else Special.INFINITY
    if zero:
        return Special.NEGATIVE_ZERO if minus else Fraction(0)
    assert isinstance(a, Fraction)
    assert isinstance(b, Fraction)
    return a * b


def quotient(x: Exact, scale: Exact) -> Exact:
    """A number over a positive scale; over zero, zero, and whatever is no number stays."""
    if not isinstance(x, Fraction) or not isinstance(scale, Fraction):
        return x
    return x / scale if scale else signed_zero(x < 0)


def signed_zero(negative: bool) -> Exact:
    """Zero of a sign."""
    return Special.NEGATIVE_ZERO if negative else Fraction(0)


def element_policy(policy: Policy, grid: Grid) -> Policy:
    """A block format's policy as its elements can take it, where its blocks take the rest."""
    return replace(
        policy,
        overflow=policy.overflow if policy.overflow != "nan" or grid.has_nan else "saturate",
        infinity=policy.infinity if policy.infinity != "nan" or grid.has_nan else "saturate",
        nan=policy.nan if policy.nan != "code" or grid.has_nan else "zero",
        blocks="exact",
    )


SINGLE: Final = FloatGrid(from_name("fp32"))  # type: ignore[arg-type]  # the name is that of a float
_STEP: Final = Policy(overflow="infinity", nan="code").resolve(SINGLE, "fp32")


def single(x: Exact) -> Exact:
    """A number rounded to fp32."""
    return SINGLE.value(encode(SINGLE, x, _STEP))


def half_even(x: Fraction) -> int:
    """The nearest integer, ties to even."""
    low = x.numerator // x.denominator
    share = x - low
    return low + (share > HALF or (share == HALF and low % 2 == 1))


def scale_code(grid: Grid, scale: Fraction) -> int:
    """The code of the nearest scale."""
    return encode(grid, scale, SCALES)


def mantissa_bits(record: Format, grid: Grid) -> int:
    """Bits below the leading one of the largest element.

    Raises:
        RequestError: the format has no such number.
    """
    if isinstance(record, FloatFormat):
        return record.mantissa_bits
    if record.kind == "integer":
        return grid.largest.numerator.bit_length() - 1
    raise RequestError(f"scale rule 'even' rounds to an element's mantissa, which {record.name} does not have")

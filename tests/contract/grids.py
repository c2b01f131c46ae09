"""Inputs on which rounding is decided, and a second way to round that knows only what codes mean."""

from __future__ import annotations

import functools
import itertools
from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction
from math import gcd

import numpy as np
from numpy.typing import NDArray

from accelsim import catalog
from accelsim.numerics import registry
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.grid import Exact, Grid, Special, encode
from accelsim.spec.format import Format
from tests.contract import splits

# Names without a file: at least one of every family, and the corners of their parameters.
FAMILIES = (
    "int1", "int5", "int16", "uint1", "uint4", "uint8", "int8_f6_symmetric", "int4_symmetric", "int6_f20",
    "e1m1", "e1m2", "e2m0", "e3m0", "e3m4", "e4m0", "e5m1", "e0m3", "e1m6", "fp8_e4m3_ieee", "fp8_e4m3_fnuz",
    "fp8_e4m3_b11fnuz", "fp8_e5m2_fnuz", "e5m2fn", "e4m3_b2", "e7m8", "e6m9", "ue4m3", "ue5m3", "ue4m0", "ue3m2ieee",
    "binary8p3se", "binary8p3sf", "binary8p4ue", "binary8p1se", "binary8p1uf", "binary6p3ue", "binary4p2se",
    "binary3p1sf", "binary8p7se", "binary8p8uf",
    "posit2", "posit3", "posit5", "posit6_es0", "posit8_es1", "posit10_es3",
    "posit12", "posit24", "posit27_es1", "takum2", "takum6", "takum11", "takum12", "takum20", "takum_log6",
    "takum_log12", "flint3u", "flint5", "flint6u", "flint7", "flint8u", "dybit2u", "dybit3", "dybit4u", "dybit8u",
)  # fmt: skip

_WHOLE = 16
"""Sorted inputs at the ends and on either side of zero that are never left out."""

# Kinds whose half-way points are no midpoints: (grid, below, above) -> where ties are, by another way than the
# reference's own.
SPLITS: dict[str, Callable[[Format, Fraction, Fraction], Fraction]] = {
    "posit": splits.one_more_bit,
    "takum": splits.one_more_bit,
    "lns": splits.logarithmic,
}

# Kinds whose codes are not in the order of their values: to which values ties go.
EVEN: dict[str, Callable[[Format, Fraction], bool]] = {
    "flint": splits.even_rank,
    "power_of_two": splits.even_rank,
}


@functools.cache
def record_of(name: str) -> Format:
    """The description of a format."""
    return catalog.format_(name)


@functools.cache
def grid_of(name: str) -> Grid:
    """Its reference."""
    return registry.grid(record_of(name))


def shipped() -> list[str]:
    """The formats with files; aliases are left out."""
    return [name for name in catalog.names("formats") if record_of(name).name == name]


def bare() -> list[str]:
    """Names of all formats without scales that have behaviour."""
    ready = registry.implemented()
    names = dict.fromkeys((*shipped(), *FAMILIES))
    return [name for name in names if (r := record_of(name)).kind in ready and not r.scaled]


def slow(name: str) -> bool:
    """Whether a value of the reference takes milliseconds: logarithms, to as many digits as rounding needs."""
    record = record_of(name)
    return record.bits > 10 and (record.kind == "lns" or bool(getattr(record, "logarithmic", False)))


def exact(x: float) -> Exact:
    """A float as the references take it."""
    if np.isnan(x):
        return Special.NEGATIVE_NAN if np.signbit(x) else Special.NAN
    if np.isinf(x):
        return Special.INFINITY if x > 0 else Special.NEGATIVE_INFINITY
    return Special.NEGATIVE_ZERO if x == 0 and np.signbit(x) else Fraction(float(x))


@functools.cache
def levels(name: str) -> tuple[list[Fraction], dict[Fraction, int]]:
    """Every value that is written, ascending, and the code of each; from the meaning of the codes alone."""
    grid = grid_of(name)
    codes: dict[Fraction, int] = {}
    for code in range(1 << grid.bits):
        value = grid.value(code)
        if isinstance(value, Fraction) and grid.smallest <= value <= grid.largest:
            codes.setdefault(value, code)
    return sorted(codes), codes


def goes_on(name: str) -> bool:
    """Whether numbers are rounded beyond the ends before overflow is judged."""
    return record_of(name).kind in ("float", "p3109", "integer", "hif8")


@functools.cache
def pairs(name: str) -> list[tuple[Fraction, Fraction]]:
    """Neighbours, and one number beyond each end where the grid goes on."""
    values = levels(name)[0]
    found = list(itertools.pairwise(values))
    if not goes_on(name):
        return found
    if len(values) == 1:
        return found
    unsigned = values[0] >= 0
    first = values[0] - _last_gap(name, values)
    if unsigned and values[0] > 0:
        first = Fraction(0)
    last = values[-1] + _last_gap(name, values)
    return [(first, values[0]), *found, (values[-1], last)]


def _last_gap(name: str, values: list[Fraction]) -> Fraction:
    """The distance to the number after the largest: that of its binade."""
    record = record_of(name)
    if record.kind == "integer":
        return values[-1] - values[-2]
    if record.kind == "hif8":
        return values[-1] / 2  # the one bit of mantissa there
    mantissa = record.mantissa_bits if record.kind == "float" else record.precision - 1  # type: ignore[attr-defined]
    binade = Fraction(1)
    while binade * 2 <= values[-1]:
        binade *= 2
    while binade > values[-1]:
        binade /= 2
    floor = values[1] - values[0] if record.kind == "float" and record.exponent_bits == 0 else Fraction(0)  # type: ignore[attr-defined]
    return max(binade / (1 << mantissa), floor)


def split(name: str, low: Fraction, high: Fraction) -> Fraction:
    """Half-way between two neighbours."""
    record = record_of(name)
    return SPLITS[record.kind](record, low, high) if record.kind in SPLITS else (low + high) / 2


@functools.cache
def even(name: str, value: Fraction) -> bool:
    """Whether ties go to a value rather than to its neighbour."""
    record = record_of(name)
    return EVEN[record.kind](record, value) if record.kind in EVEN else levels(name)[1][value] % 2 == 0


def nearest(name: str, x: Fraction) -> Fraction | None:
    """The value nearest to x by search; None beyond the ends. Ties go to the even code."""
    values, codes = levels(name)
    grid = grid_of(name)
    if not grid.rounds_to_zero:
        if x == 0 and 0 in codes:
            return Fraction(0)
        sided = [v for v in values if v and (v > 0) == (x > 0)]
        if 0 < x < min((v for v in sided), default=x) or (x < 0 and x > max(sided, default=x)):
            return min(sided, key=abs)
        if x <= 0 and values[0] > 0:
            return None
    last = pairs(name)[-1]
    if goes_on(name) and len(values) > 1:
        (first, _), (_, beyond) = pairs(name)[0], last
        if x < values[0]:
            tie = (first + values[0]) / 2
            return values[0] if x > tie or (x == tie and even(name, values[0])) else None
        if x > values[-1]:
            tie = (beyond + values[-1]) / 2
            return values[-1] if x < tie or (x == tie and even(name, values[-1])) else None
    at = bisect_left(values, x)
    if at == 0 or at == len(values) or values[at] == x:
        return values[min(at, len(values) - 1)]
    low, high = values[at - 1], values[at]
    tie = split(name, low, high)
    if x == tie:
        return low if even(name, low) else high
    return low if x < tie else high


def thinned(size: int, most: int, zero: int) -> list[int]:
    """Places of about so many of sorted inputs: all of them near the ends and near zero, and each kind between.

    Values and ties alternate, each with a float on either side: a step with a factor of 6 would leave out some kinds.
    """
    if size <= most:
        return list(range(size))
    step = -(-size // most)
    while gcd(step, 6) > 1:
        step += 1
    near = (*range(_WHOLE), *range(zero - _WHOLE, zero + _WHOLE), *range(size - _WHOLE, size))
    return sorted({*range(0, size, step), *(at for at in near if 0 <= at < size)})


@functools.cache
def _points(name: str) -> tuple[NDArray[np.float64], int]:
    """Every value and every tie, nearly, and where zero lies among them."""
    points = sorted({p for low, high in pairs(name) for p in (low, split(name, low, high), high)})
    return np.array([float(p) for p in points]), bisect_left(points, 0)


@functools.cache
def deciding(name: str, double: bool, most: int = 1 << 19) -> NDArray[np.floating]:
    """Every value, every tie and the floats beside them; zeros, infinities, NaN, the smallest and largest floats."""
    dtype = np.float64 if double else np.float32
    points, zero = _points(name)
    with np.errstate(over="ignore"):
        near = points[thinned(points.size, most // 3, zero)].astype(dtype)
        around = np.concatenate([near, np.nextafter(near, dtype(np.inf)), np.nextafter(near, dtype(-np.inf))])
    info = np.finfo(dtype)
    odd = np.array([0, info.smallest_subnormal, info.smallest_normal, 1, info.max, np.inf, np.nan], dtype=dtype)
    return np.unique(np.concatenate([around, odd, -odd]).view(np.uint64 if double else np.uint32)).view(dtype)


def bulk(double: bool) -> NDArray[np.floating]:
    """All bfloat16 patterns and 10,000 random ones of a float."""
    rng = np.random.default_rng(20260101)
    patterns = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    if not double:
        return np.concatenate([patterns, rng.integers(0, 1 << 32, 10_000, dtype=np.uint32).view(np.float32)])
    wide = rng.integers(0, 1 << 64, 10_000, dtype=np.uint64)
    wide[5_000:] = (wide[5_000:] & np.uint64((1 << 52) - 1 | 1 << 63)) | (
        rng.integers(990, 1050, 5_000, dtype=np.uint64) << np.uint64(52)
    )
    with np.errstate(invalid="ignore"):
        return np.concatenate([patterns.astype(np.float64), wide.view(np.float64)])


def reference_codes(grid: Grid, x: NDArray[np.floating], policy: Policy, draws: object = None) -> NDArray[np.int64]:
    """Codes by the reference, one number at a time; -1 for a NaN that is an error."""
    given = draws if draws is not None else np.zeros(x.size, dtype=np.int64)
    return np.array(
        [
            -1 if np.isnan(v) and policy.nan == "error" else encode(grid, exact(v), policy, int(d))
            for v, d in zip(x.tolist(), given, strict=True)  # type: ignore[call-overload]
        ],
        dtype=np.int64,
    )


@functools.cache
def decided(name: str, policy: Policy, double: bool, most: int) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """At most so many of the deciding inputs, and what the reference makes of them."""
    x = deciding(name, double, 1 << 12)
    x = x[thinned(x.size, most, int(np.searchsorted(x, 0)))]
    return x, reference_codes(grid_of(name), x, policy)


@functools.cache
def steps(name: str) -> tuple[list[Fraction], NDArray[np.float64]]:
    """All numbers that rounding may give, and the smallest float64 that goes to each but the first."""
    codes = levels(name)[1]
    grid = grid_of(name)
    whole = sorted({value for pair in pairs(name) for value in pair})
    ties = []
    for low, high in itertools.pairwise(whole):
        if not grid.rounds_to_zero and 0 in (low, high):
            ties.append(float(np.nextafter(0.0, 1.0)) if low == 0 else 0.0)
            continue
        tie = split(name, low, high)
        upward = not even(name, low) if low in codes else even(name, high)
        near = float(tie)
        if Fraction(near) < tie or (Fraction(near) == tie and not upward):
            near = float(np.nextafter(near, np.inf))
        ties.append(near)
    return whole, np.array(ties)


def searched_codes(name: str, x: NDArray[np.float64], policy: Policy) -> NDArray[np.int64]:
    """Codes under nearest-even by a search among all ties, which are made from the meaning of the codes alone."""
    values, codes = levels(name)
    grid = grid_of(name)
    whole, ties = steps(name)
    beyond = (encode(grid, 4 * whole[0] - 1, policy), encode(grid, 4 * whole[-1] + 1, policy))
    of = [codes[v] if v in codes else beyond[v > values[-1]] for v in whole]
    result = np.array(of)[np.searchsorted(ties, x, side="right")]
    zero = codes.get(Fraction(0))
    if grid.negative_zero is not None:
        result[np.signbit(x) & (result == zero)] = grid.negative_zero
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        at = np.isnan(x) if np.isnan(value) else x == value
        refused = np.isnan(value) and policy.nan == "error"
        result[at & (np.signbit(x) == np.signbit(value))] = -1 if refused else encode(grid, exact(value), policy)
    return result

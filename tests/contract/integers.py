"""Encoding of many numbers by comparisons of integers: nothing is rounded, and no floating-point operation is made.

The bits of a float, negative ones mirrored, are integers in the order of the numbers. A code covers all floats between
two boundaries, which come from the meaning of the codes alone.
"""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.grid import encode
from accelsim.spec.format import BlockFormat, FloatFormat, PositFormat
from tests.contract import grids

Keys = NDArray[np.int64]
_WIDTH = {4: (24, -149, 8), 8: (53, -1074, 11)}  # of an item: significant bits, lowest exponent, exponent bits


def keys(x: NDArray[Any]) -> Keys:
    """Integers in the order of float32 or float64 numbers; both zeros are 0."""
    bits = x.view(np.int32).astype(np.int64) if x.itemsize == 4 else x.view(np.int64)
    magnitude = bits & ((1 << 8 * x.itemsize - 1) - 1)
    return np.where(bits < 0, -magnitude, magnitude)


def key(point: Fraction, inclusive: bool, size: int) -> int:
    """That of the smallest float of some bytes that is at least, or greater than, a number."""
    precision, lowest, exponent_bits = _WIDTH[size]
    magnitude = abs(point)
    if not magnitude:
        return 0 if inclusive else 1
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= magnitude < Fraction(2) ** exponent
    unit = max(exponent - precision + 1, lowest)
    whole, rest = divmod(magnitude / Fraction(2) ** unit, 1)
    place = min(int(whole) + (unit - lowest << precision - 1), (1 << exponent_bits) - 1 << precision - 1)
    if point > 0:
        return place + (rest > 0 or not inclusive)
    return -place if rest or inclusive else 1 - place


@functools.cache
def _boundaries(name: str, size: int) -> tuple[Keys, list[Fraction]]:
    codes, grid = grids.levels(name)[1], grids.grid_of(name)
    whole = sorted({value for pair in grids.pairs(name) for value in pair})
    found = []
    for low, high in itertools.pairwise(whole):
        if not grid.rounds_to_zero and 0 in (low, high):
            found.append(key(Fraction(0), high == 0, size))
            continue
        upward = not grids.even(name, low) if low in codes else grids.even(name, high)
        found.append(key(grids.split(name, low, high), upward, size))
    return np.array(found), whole


def codes(name: str, x: NDArray[Any], policy: Policy) -> Keys:
    """Codes of at most 16 bits under nearest-even; NaN must not be an error."""
    grid, values = grids.grid_of(name), grids.levels(name)
    edges, whole = _boundaries(name, x.itemsize)
    beyond = [encode(grid, 4 * end + sign, policy) for end, sign in ((whole[0], -1), (whole[-1], 1))]
    of = np.array([values[1].get(v, beyond[v > values[0][-1]]) for v in whole])
    at = keys(x)
    made = of[np.searchsorted(edges, at, side="right")]
    minus = x.view(np.int32 if x.itemsize == 4 else np.int64) < 0
    if grid.negative_zero is not None and policy.zero == "keep":
        made[minus & (made == values[1].get(Fraction(0)))] = grid.negative_zero
    precision, _, exponent_bits = _WIDTH[x.itemsize]
    infinity = (1 << exponent_bits) - 1 << precision - 1
    for value, where in (
        (np.inf, at == infinity), (-np.inf, at == -infinity), (np.nan, at > infinity), (-np.nan, at < -infinity),
    ):  # fmt: skip
        made[where] = encode(grid, grids.exact(value), policy)
    return made


# formats of more than 16 bits: what a code of one more bit means is the boundary between two codes


def _length(x: Keys) -> Keys:
    found = np.zeros_like(x)
    for shift in (32, 16, 8, 4, 2, 1):
        more = x >> shift > 0
        found += np.where(more, shift, 0)
        x = np.where(more, x >> shift, x)
    return found + x


def _assembled(exponent: Keys, fraction: Keys, width: Keys | int) -> Keys:
    """Of 2^exponent (1 + fraction / 2^width), which are all normal numbers of float64."""
    return (exponent + 1023 << 52) + (fraction << 52 - width)


def meaning(name: str, number: Keys, more: int) -> Keys:
    """Keys in float64 of positive numbered magnitudes of a format with some more bits of fraction; 0 stays 0."""
    record = grids.record_of(name)
    if isinstance(record, FloatFormat):
        width = record.mantissa_bits + more
        field, rest = number >> width, number & (1 << width) - 1
        up = np.maximum(width + 1 - _length(rest), 0)  # what a subnormal is shifted by
        small = _assembled(1 - record.bias - up, (rest << up) & (1 << width) - 1, width)
        made = np.where(field > 0, _assembled(field - record.bias, rest, width), small)
    elif isinstance(record, PositFormat):
        bits = record.bits - 1 + more
        ones = number >> bits - 1 == 1
        run = bits - _length(np.where(ones, (1 << bits) - 1 - number, number))
        left = np.maximum(bits - run - 1, 0)
        tail = number & (1 << left) - 1
        wide = tail << record.es  # zeros where exponent bits are missing
        k = np.where(ones, run - 1, -run)
        made = _assembled((k << record.es) + (wide >> left), wide & (1 << left) - 1, left)
    else:
        bits = record.bits - 1 + more
        upward, regime = number >> bits - 1 == 1, number >> bits - 4 & 7
        r = np.where(upward, regime, 7 - regime)
        left = bits - 4 - r
        c = (number >> left & (1 << r) - 1) + np.where(upward, (1 << r) - 1, 1 - (2 << r))
        made = _assembled(c, number & (1 << left) - 1, left)
    return np.where(number == 0, 0, made)


def rounds_rightly(name: str, x: NDArray[np.float64], found: Keys) -> NDArray[np.bool_]:
    """Whether codes are those of finite, nonzero numbers under nearest-even, overflow aside."""
    record, grid = grids.record_of(name), grids.grid_of(name)
    magnitude = np.abs(keys(x))
    top = 1 << record.bits - 1
    strings = not isinstance(record, FloatFormat)
    number = np.where(found >= top, (2 * top - found) if strings else found - top, found)
    sign = (found >= top) == (x < 0)
    last = grid.code(grid.largest)
    low, high = meaning(name, 2 * number - 1, 1), meaning(name, 2 * number + 1, 1)
    low = np.where(number <= (1 if strings else 0), 0, low)
    odd = number & 1
    above = np.where(number == last, True, magnitude + odd <= high) if strings else magnitude + odd <= high
    within = (low + odd <= magnitude) & above
    beyond = magnitude >= meaning(name, np.array(2 * last + 1), 1)
    return sign & np.where((number > last) & ~np.array(strings), beyond, within)


# OCP MX: powers of two that move exponents only


def microscaled(record: BlockFormat, x: NDArray[Any], policy: Policy) -> tuple[Keys, Keys]:
    """Element codes and scale codes of finite [rows, whole blocks], for E8M0 and signed elements."""
    element, grid = record.element, grids.grid_of(record.element.name)
    at = keys(x.astype(np.float64)).reshape(x.shape[0], -1, record.block)
    top = np.abs(at).max(axis=2)
    largest = key(grid.largest, True, 8)
    fraction = top & (1 << 52) - 1
    mantissa = grid.largest.numerator.bit_length() - 1 if element.kind == "integer" else element.mantissa_bits
    mantissa = element.bits - 2 if element.kind == "integer" else mantissa
    up = {
        "floor": np.zeros_like(fraction), "ceil": fraction > 0,
        "even": fraction + (1 << 51 - mantissa) >= 1 << 52, "rceil": fraction > largest & (1 << 52) - 1,
    }[record.scale_rule]  # fmt: skip
    exponent = (top >> 52) - (largest >> 52) + up
    tiny = top >> 52 == 0  # subnormal float64 lie far below every scale
    scales = np.where(tiny, 0, np.clip(exponent + 127, 0, 254))
    edges, whole = _boundaries(element.name, 8)
    positive = edges > 0
    numbers = [grid.code(min(v, grid.largest)) for v in whole if v >= 0]
    moved = np.maximum(np.abs(at) - (scales - 127 << 52)[..., None], 0)
    number = np.array(numbers)[np.searchsorted(edges[positive], moved, side="right")]
    minus = x.reshape(at.shape).view(np.int32 if x.itemsize == 4 else np.int64) < 0
    if element.kind == "integer":
        made = np.where(minus, -number, number) & (1 << element.bits) - 1
    else:
        made = number | np.where(minus, 1 << element.bits - 1, 0)
    return made.reshape(x.shape), scales

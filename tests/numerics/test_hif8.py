"""HiFloat8 against a decoder that goes through the table of dots, and conversions as its makers' code does them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from accelsim import dataformat
from accelsim.numerics.policy import Policy
from tests.numerics import properties

# prefix of the dot: exponent bits
DOTS = {"11": 4, "10": 3, "01": 2, "001": 1, "0001": 0}


def _defined(code: int) -> float:
    text = f"{code:08b}"
    sign, rest = -1.0 if text[0] == "1" else 1.0, text[1:]
    if rest == "1101111":
        return sign * math.inf
    for prefix, width in DOTS.items():
        if rest.startswith(prefix):
            field, mantissa = rest[len(prefix) : len(prefix) + width], rest[len(prefix) + width :]
            exponent = int("1" + field[1:], 2) * (-1 if field[0] == "1" else 1) if field else 0
            return sign * 2.0**exponent * (1 + int(mantissa, 2) / 2 ** len(mantissa))
    tiny = int(rest[4:], 2)
    if tiny == 0:
        return math.nan if sign < 0 else 0.0
    return sign * 2.0 ** (tiny - 23)


def test_every_code():
    found = dataformat("hif8").decode(np.arange(256), np.float64)
    np.testing.assert_array_equal(found, [_defined(code) for code in range(256)])


def test_landmarks():
    made = dataformat("hif8")
    assert made.decode([0x6E, 0xEE, 0x01, 0x08, 0x7E]).tolist() == [2.0**15, -(2.0**15), 2.0**-22, 1, 2.0**-15]
    assert made.encode([np.inf, -np.inf, np.nan, -0.0]).tolist() == [0x6F, 0xEF, 0x80, 0]
    assert len(made.values) == 256 - 3  # two infinities and NaN


@pytest.mark.parametrize("rounding", ["nearest-even", "nearest-away"])
def test_infinity_begins_where_a_mantissa_of_one_and_a_half_would(rounding):
    made = dataformat("hif8", Policy(rounding=rounding))
    threshold = 1.25 * 2.0**15
    below, above = np.nextafter(threshold, 0), np.nextafter(threshold, np.inf)
    tie = 2.0**15 if rounding == "nearest-even" else np.inf
    assert made.quantize([below, threshold, above, 1.5 * 2.0**15, 1e30]).tolist() == [
        2.0**15,
        tie,
        np.inf,
        np.inf,
        np.inf,
    ]
    assert made.quantize([-below, -threshold, -above]).tolist() == [-(2.0**15), -tie, -np.inf]
    saturating = dataformat("hif8", Policy(rounding=rounding, overflow="saturate"))
    assert saturating.quantize([above, np.inf, -1e30]).tolist() == [2.0**15, 2.0**15, -(2.0**15)]


def test_underflow_as_its_makers_have_it():
    made = dataformat("hif8", Policy(rounding="nearest-away"))
    half = 2.0**-23
    assert made.encode([half, np.nextafter(half, 0), -half, -np.nextafter(half, 0)]).tolist() == [1, 0, 0x81, 0]
    assert made.quantize([1.5 * 2.0**-22, 1.5 * 2.0**-17]).tolist() == [2.0**-21, 2.0**-16]


def test_ties_away_and_to_even():
    x = [1.0625, 1.1875, 8.5, 9.5, 17.0, 4.5, 300.0]
    assert dataformat("hif8", Policy(rounding="nearest-away")).quantize(x).tolist() == [
        1.125,
        1.25,
        9,
        10,
        16,
        4.5,
        256,
    ]
    assert dataformat("hif8").quantize([1.0625, 1.1875]).tolist() == [1, 1.25]


@settings(max_examples=200, deadline=None)
@given(x=properties.NUMBERS, y=properties.NUMBERS)
def test_properties(x, y):
    inside = 1.25 * 2.0**15
    properties.holds("hif8", max(min(x, inside), -inside), max(min(y, inside), -inside))

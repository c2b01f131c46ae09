"""DyBit against a decoder by string operations and the table of its four-bit values, which no paper confirms yet."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import catalog, dataformat
from accelsim.errors import DescriptionError
from tests.numerics import properties


def test_it_ships_as_assumed():
    for name in ("dybit4", "dybit8", "dybit5u"):
        assert catalog.format_(name).status == "assumed"
    assert "not at hand" in catalog.format_("dybit4").notes


def test_values_of_four_bits():
    expected = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1.25, 1.5, 1.75, 2, 3, 4, 8]
    assert dataformat("dybit4u").decode(np.arange(16)).tolist() == expected
    assert dataformat("dybit4").decode(np.arange(8)).tolist() == [0, 0.25, 0.5, 0.75, 1, 1.5, 2, 4]


@pytest.mark.parametrize("bits", [2, 3, 5, 6, 8])
def test_the_first_zero_divides_exponent_and_mantissa(bits):
    found = dataformat(f"dybit{bits}u").decode(np.arange(1 << bits), np.float64).tolist()
    for code, value in enumerate(found):
        ones, _, mantissa = f"{code:0{bits}b}".partition("0")
        f = Fraction(int("0" + mantissa, 2), 2 ** len(mantissa))
        if len(ones) == bits:
            assert value == 2 ** (bits - 1)
        elif ones:
            assert Fraction(value) == 2 ** (len(ones) - 1) * (1 + f)
        else:
            assert Fraction(value) == f
    assert (np.diff(found) > 0).all()


def test_ties_go_to_the_even_code():
    assert dataformat("dybit4").quantize([0.125, 0.375, 0.875, 1.25, 1.75, 3.0, -3.0]).tolist() == [
        0, 0.5, 1, 1, 2, 2, -2,
    ]  # fmt: skip
    assert dataformat("dybit4").encode([1e9, -1e9, -0.0]).tolist() == [7, 15, 8]


def test_impossible_widths_are_refused():
    for keys in ({"bits": 2}, {"bits": 9}):
        with pytest.raises(DescriptionError):
            dataformat("dybit4", **keys)


@settings(max_examples=200, deadline=None)
@given(x=properties.NUMBERS, y=properties.NUMBERS, bits=st.integers(3, 8), signed=st.booleans())
def test_properties(x, y, bits, signed):
    properties.holds(f"dybit{bits}{'' if signed else 'u'}", x, y, odd=signed)

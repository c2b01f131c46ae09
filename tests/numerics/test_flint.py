"""flint against the level sets of ANT's generator and the code tables that were worked out from its decoder."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import DescriptionError
from tests.numerics import properties, tables


@pytest.mark.parametrize("sign", "su")
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_levels_are_those_of_ant(bits, sign):
    expected = sorted({tables.number(row[1]) for row in tables.rows(f"ant_flint_value_{bits}b_{sign}__ANT")})
    made = dataformat(f"flint{bits}{'u' * (sign == 'u')}")
    assert (made.values / made.values[-1]).tolist() == expected


@pytest.mark.parametrize(
    ("name", "table"), [("flint4", "flint4s"), ("flint4u", "flint4u"), ("flint8", "flint8s"), ("flint8u", "flint8u")]
)
def test_codes_mean_what_the_decoder_says(name, table):
    expected = [tables.number(row[2]) for row in tables.rows(f"{table}_codes__derived")]
    np.testing.assert_array_equal(dataformat(name).decode(np.arange(len(expected)), np.float64), expected)


def _decoded(code: int, bits: int) -> Fraction:
    """Unsigned, by leading zeros as the decoder of the paper counts them: exponent first, then 1.f."""
    text = f"{code:0{bits}b}"
    rest = text[1:]
    zeros = len(rest) - len(rest.lstrip("0"))
    if "1" not in rest:
        return Fraction(4) ** (bits - 1) if text[0] == "1" else Fraction(0)
    fraction = rest[zeros + 1 :]
    exponent = bits + zeros if text[0] == "1" else len(rest) - zeros
    return Fraction(2) ** (exponent - 1) * (1 + Fraction(int("0" + fraction, 2), 2 ** len(fraction)))


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 7, 8])
def test_codes_of_every_width_follow_the_leading_zeros(bits):
    found = dataformat(f"flint{bits}u").decode(np.arange(1 << bits), np.float64).tolist()
    assert [Fraction(v) for v in found] == [_decoded(code, bits) for code in range(1 << bits)]
    assert len(set(found)) == 1 << bits


def test_values_of_four_bits():
    assert dataformat("flint4u").values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32, 64]
    assert dataformat("flint4").values[7:].tolist() == [0, 1, 2, 3, 4, 6, 8, 16]


def test_ties_go_to_the_even_rank_or_upwards_as_ant_has_it():
    x = [0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 12.0, -5.0, -7.0, -12.0]
    assert dataformat("flint4").quantize(x).tolist() == [0, 2, 2, 4, 4, 8, 8, -4, -8, -8]
    assert dataformat("flint4", "ant").quantize(x).tolist() == [1, 2, 3, 4, 6, 8, 16, -4, -6, -8]


def test_signed_zero_and_the_ends():
    made = dataformat("flint4")
    assert made.encode([-0.0, -0.2, 1e9, -1e9, np.inf, -np.inf]).tolist() == [8, 8, 4, 12, 4, 12]
    assert np.signbit(made.decode(8))
    assert dataformat("flint4u").encode([-3.0, -0.0, 1e9]).tolist() == [0, 0, 8]


def test_impossible_flints_are_refused():
    for keys in ({"bits": 2}, {"bits": 9}, {"bits": 0}):
        with pytest.raises(DescriptionError):
            dataformat("flint4", **keys)


@settings(max_examples=200, deadline=None)
@given(x=properties.NUMBERS, y=properties.NUMBERS, bits=st.integers(3, 8), signed=st.booleans())
def test_properties(x, y, bits, signed):
    properties.holds(f"flint{bits}{'' if signed else 'u'}", x, y, odd=signed)

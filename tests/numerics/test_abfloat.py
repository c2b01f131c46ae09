"""abfloat against the level sets of OliVe's code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import RequestError
from tests.numerics import properties, tables


def test_four_bits_beside_int4_and_flint4():
    assert dataformat("abfloat4").decode(np.arange(1, 8)).tolist() == [12, 16, 24, 32, 48, 64, 96]
    assert dataformat("abfloat4").decode(np.arange(9, 16)).tolist() == [-12, -16, -24, -32, -48, -64, -96]
    assert dataformat("abfloat4_b3").values[7:].tolist() == [24, 32, 48, 64, 96, 128, 192]


def test_levels_are_those_of_olive():
    """Its scale, in which normal values end at 32, is 16 times that of int4's abfloat."""
    four = sorted({tables.number(row[1]) for row in tables.rows("olive_abfloat_4b_e2_bias5__OliVe")})
    assert dataformat("abfloat4", exponent_bias=4).values.tolist() == four
    assert len(four) == 14, "neither zero nor the smallest magnitude are among them"


def test_eight_bits_of_the_code_are_not_those_of_the_paper():
    """The code has two exponent and five mantissa bits, and lists 0 and 33 upwards; the paper has E4M3."""
    theirs = sorted({tables.number(row[1]) for row in tables.rows("olive_abfloat_8b_e2_bias5__OliVe")} - {0.0})
    assert dataformat("abfloat8", exponent_bits=2, mantissa_bits=5, exponent_bias=0).values.tolist() == theirs
    assert dataformat("abfloat8").values.tolist() != theirs
    assert dataformat("abfloat8").record.status == "assumed"


def test_unused_codes_are_nan_and_never_written():
    made = dataformat("abfloat4")
    assert np.isnan(made.decode([0, 8])).all()
    x = np.concatenate([np.linspace(-200, 200, 4001), [0.0, -0.0, np.inf, -np.inf, 1e-300]])
    assert not set(made.encode(x).tolist()) & {0, 8}
    assert made.quantize([0.0, -0.0, 5.0, -5.0, 1e9, -np.inf]).tolist() == [12, 12, 12, -12, 96, -96]
    with pytest.raises(RequestError, match="NaN"):
        made.encode([np.nan])


def test_ties_go_to_the_even_code():
    assert dataformat("abfloat4").quantize([14.0, 20.0, 28.0, 40.0, 80.0, -14.0]).tolist() == [16, 16, 32, 32, 64, -16]


@settings(max_examples=200, deadline=None)
@given(x=properties.NUMBERS, y=properties.NUMBERS, e=st.integers(1, 4), m=st.integers(0, 3), bias=st.integers(0, 9))
def test_properties(x, y, e, m, bias):
    odd = min(x, y) != 0
    properties.holds("abfloat4", x, y, odd=odd, exponent_bits=e, mantissa_bits=m, exponent_bias=bias)

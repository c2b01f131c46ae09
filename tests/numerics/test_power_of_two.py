"""Powers of two against ANT's level sets, additive ones against sums over all choices."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import DescriptionError
from tests.numerics import properties, tables


@pytest.mark.parametrize(("bits", "sign"), [(3, "s"), (3, "u"), (4, "s"), (4, "u"), (8, "s")])
def test_levels_are_those_of_ant(bits, sign):
    expected = sorted({tables.number(row[1]) for row in tables.rows(f"ant_pot_value_{bits}b_{sign}__ANT")})
    assert dataformat("pot4", bits=bits, signed=sign == "s").values.tolist() == expected


def test_ant_has_no_unsigned_levels_of_eight_bits():
    """Its generator overflows and prints NaN for half of them; here the levels go down to 2^-254."""
    theirs = {row[1] for row in tables.rows("ant_pot_value_8b_u__ANT")}
    assert theirs == {"0.0", "nan"}
    assert dataformat("pot4", bits=8, signed=False).values[1] == 2.0**-254


def test_codes_are_sign_and_exponent():
    assert dataformat("pot4").decode(np.arange(16)).tolist() == [
        0, 2**-6, 2**-5, 2**-4, 2**-3, 0.25, 0.5, 1, 0, -(2**-6), -(2**-5), -(2**-4), -(2**-3), -0.25, -0.5, -1,
    ]  # fmt: skip
    assert np.signbit(dataformat("pot4").decode(8))


@pytest.mark.parametrize(("terms", "field"), [(2, 2), (2, 3), (3, 2), (4, 2), (2, 4)])
def test_additive_levels_are_all_sums(terms, field):
    made = dataformat("apot4u", bits=terms * field, terms=terms)
    choices = [[0.0, *(2.0 ** -(i + j * terms) for j in range((1 << field) - 1))] for i in range(terms)]
    assert made.values.tolist() == sorted({sum(chosen) for chosen in product(*choices)})
    assert len(made.values) == 1 << terms * field, "the sets of powers are disjoint: every code has its own value"


def test_the_fields_of_a_code_are_its_terms():
    made = dataformat("apot5")
    assert made.decode([0b0_11_11, 0b0_01_00, 0b0_00_01, 0b1_10_11]).tolist() == [1.5, 2**-4, 2**-5, -0.75]


def test_ties_go_to_the_even_rank():
    assert dataformat("pot4").quantize([0.75, 0.375, 3 / 16, -0.75, -0.375, 2**-7]).tolist() == [
        0.5,
        0.5,
        0.125,
        -0.5,
        -0.5,
        0,
    ]
    values = dataformat("apot5").values
    positive = values[values >= 0]
    ties = (positive[1:] + positive[:-1]) / 2
    expected = [positive[at + at % 2] for at in range(len(ties))]
    np.testing.assert_array_equal(dataformat("apot5").quantize(ties), expected)
    np.testing.assert_array_equal(dataformat("apot5").quantize(-ties), np.negative(expected))


def test_bits_that_the_terms_cannot_share_are_refused():
    with pytest.raises(DescriptionError, match="split"):
        dataformat("apot5", terms=3)


@settings(max_examples=200, deadline=None)
@given(x=properties.NUMBERS, y=properties.NUMBERS, name=st.sampled_from(["pot4", "apot5", "apot4u"]))
def test_properties(x, y, name):
    properties.holds(name, x, y, odd=name != "apot4u")

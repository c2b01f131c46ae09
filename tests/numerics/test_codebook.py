"""Codebooks: NF4's levels, ternary digits in bytes, binary signs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from accelsim import dataformat
from accelsim.errors import DescriptionError, RequestError
from tests.numerics import properties


def test_nf4_levels_are_quantiles_of_a_normal_distribution():
    """Eight quantiles above zero, seven below, each half divided by its last; to the precision of binary32."""
    offset = 0.9677083
    above = norm.ppf(np.linspace(offset, 0.5, 9))[:-1]
    below = -norm.ppf(np.linspace(offset, 0.5, 8))[:-1]
    levels = np.sort(np.concatenate([above, [0.0], below])) / above.max()
    np.testing.assert_allclose(dataformat("nf4").values, levels, atol=2e-7)
    assert dataformat("nf4").values[7] == 0


def test_nf4_rounds_to_the_nearest_level_at_every_midpoint():
    made = dataformat("nf4")
    values = made.values
    for code, (low, high) in enumerate(pairwise(values)):
        x = [low, np.nextafter((low + high) / 2, low - 1) - 1e-9, (low + high) / 2 + 1e-9, high]
        assert made.encode(x).tolist() == [code, code, code + 1, code + 1]


def test_ternary_digits_share_a_byte():
    made = dataformat("ternary_packed")
    x = np.array([-1, 0, 1, 1, 0, -1, 1])
    codes = made.encode(x)
    assert codes.tolist() == [0, 1, 2, 2, 1, 0, 2]
    data = made.pack(codes)
    assert len(data) == 2 == made.storage_bytes(7)
    assert max(data) < 243
    np.testing.assert_array_equal(made.unpack(data, 7), codes)
    assert made.bits_per_element == 1.6
    assert dataformat("ternary").storage_bytes(7) == 2
    assert dataformat("ternary").storage_bytes(70) == 18 > made.storage_bytes(70) == 14


def test_ternary_and_binary_ties():
    assert dataformat("ternary").quantize([0.5, -0.5, 0.49, -0.49, 7, -7]).tolist() == [1, -1, 0, 0, 1, -1]
    assert dataformat("binary").quantize([0.0, -0.0, 1e-30, -1e-30, -5]).tolist() == [1, 1, 1, -1, -1]
    assert dataformat("binary").encode([3.0, -3.0]).tolist() == [0, 1]


def test_codes_without_a_level_are_refused_or_nan():
    assert np.isnan(dataformat("ternary").decode(3))
    with pytest.raises(RequestError):
        dataformat("ternary").decode(4)
    with pytest.raises(DescriptionError, match="twice"):
        dataformat("ternary", levels=[0.0, 1.0, 1.0])


@settings(max_examples=150, deadline=None)
@given(x=properties.NUMBERS, y=properties.NUMBERS, name=st.sampled_from(["nf4", "ternary", "binary"]))
def test_properties(x, y, name):
    properties.holds(name, x, y, odd=name == "ternary")

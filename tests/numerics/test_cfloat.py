"""Configurable floats of Dojo against the tables that were worked out from the white paper."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import DescriptionError, RequestError
from accelsim.numerics import registry
from accelsim.numerics.policy import Policy, Stochastic
from tests.contract import grids
from tests.numerics import properties, tables


@pytest.mark.parametrize(
    ("name", "table", "bias"),
    [
        *(("cfloat8_143", "cfloat8_1_4_3", bias) for bias in (0, 7, 31, 63)),
        *(("cfloat8_152", "cfloat8_1_5_2", bias) for bias in (0, 15, 31, 63)),
    ],
)
def test_codes_mean_what_the_white_paper_prints(name, table, bias):
    expected = [tables.number(row[1]) for row in tables.rows(f"{table}_bias{bias}__derived_from_dojo_pdf")]
    made = dataformat(name, exponent_bias=bias)
    np.testing.assert_array_equal(made.decode(np.arange(256), np.float64), expected)


def test_denormals_as_printed_and_as_ieee_has_them():
    printed, usual = (dataformat("cfloat8_143", exponent_bias=7, denormals=rule) for rule in ("printed", "ieee"))
    assert printed.decode([0, 1, 7, 8]).tolist() == [0, 2**-10, 7 * 2**-10, 2**-6]
    assert usual.decode([0, 1, 7, 8]).tolist() == [0, 2**-9, 7 * 2**-9, 2**-6]
    fp8 = dataformat("fp8_e4m3").decode(np.arange(0x7F))
    np.testing.assert_array_equal(usual.decode(np.arange(0x7F)), fp8, err_msg="all but the NaN of fp8_e4m3")
    assert usual.decode([0x7F]) == 480


def test_ends_are_those_of_the_tables():
    for bias in (0, 1, 31, 62, 63):
        assert dataformat("cfloat8_143", exponent_bias=bias).values[-1] == 1.875 * 2.0 ** (15 - bias)
        assert dataformat("cfloat8_152", exponent_bias=bias).values[-1] == 1.75 * 2.0 ** (31 - bias)
        assert float(dataformat("cfloat16_shp", exponent_bias=bias).decode(0x400)) == 2.0 ** (1 - bias)


def test_everything_too_large_is_clamped():
    made = dataformat("cfloat16_shp", exponent_bias=20)
    assert made.encode([1e9, -1e9, np.inf, -np.inf]).tolist() == [0x7FFF, 0xFFFF, 0x7FFF, 0xFFFF]
    clamping = dataformat("cfloat16_shp", replace(made.policy, nan="max"), exponent_bias=20)
    assert clamping.encode([np.nan]).tolist() == [0x7FFF]
    with pytest.raises(RequestError, match="1 NaN"):
        made.encode([0.0, np.nan])


@pytest.mark.parametrize(
    ("largest", "bias"), [(480.0, 7), (480.1, 6), (61440.0, 0), (1e9, 0), (1.0, 15), (1e-30, 63), (0.0, 0), (1.875, 15)]
)
def test_the_bias_is_the_largest_that_saturates_nothing(largest, bias):
    made = dataformat("cfloat8_143")
    encoded = made.encode(np.array([largest / 3, -largest, 0.0]))
    assert encoded.tensor_scale == bias
    assert encoded.scales is None
    assert made.decode(encoded)[2] == 0


def test_a_given_bias_travels_with_the_codes_and_their_bytes():
    made, x = dataformat("cfloat8_143"), np.array([[1.0, 2.5, -100.0]])
    encoded = made.encode(x, bias=7)
    assert encoded.tensor_scale == 7
    np.testing.assert_array_equal(made.decode(encoded), dataformat("cfloat8_143", exponent_bias=7).quantize(x))
    np.testing.assert_array_equal(made.quantize(x, bias=7), made.decode(encoded))
    data = made.pack(encoded)
    assert data[0] == 7
    assert len(data) == made.storage_bytes(x.shape) == 4
    assert made.unpack(data, x.shape).tensor_scale == 7
    for bias in (64, -1, 2.5):
        with pytest.raises(RequestError, match="whole number from 0 to 63"):
            made.encode(x, bias=bias)


def test_infinities_saturate_and_do_not_choose_the_bias():
    made = dataformat("cfloat8_143")
    encoded = made.encode(np.array([1.0, np.inf, -np.inf]))
    assert encoded.tensor_scale == 15
    assert made.decode(encoded).tolist() == [1, 1.875, -1.875]


@pytest.mark.parametrize("denormals", ["printed", "ieee"])
@pytest.mark.parametrize(
    "rounding",
    ["nearest-even", "nearest-away", "nearest-up", "toward-zero", "up", "down", "odd", Stochastic(4)],
    ids=str,
)
@pytest.mark.parametrize("name", ["cfloat8_152", "cfloat16_shp"])
def test_a_fixed_bias_is_the_reference_about_the_gap(name, rounding, denormals):
    made = dataformat(name, Policy(rounding=rounding), exponent_bias=13, denormals=denormals)
    grid, first = registry.grid(made.record), 1 << made.record.mantissa_bits
    low, high = float(grid.value(first - 1)), float(grid.value(first))
    rng, middle = np.random.default_rng(0), (low + high) / 2
    values = rng.choice(made.values, 60)
    about = np.array([low, middle, high])
    x = np.concatenate([values, values * 1.0003, about, np.nextafter(about, 9), np.nextafter(about, -9)])
    x = np.concatenate([x, rng.normal(size=60) * high, [0.0, 1e-300, 1e300, np.inf]])
    x = np.concatenate([x, -x])
    draws = rng.integers(0, 16, x.size) if isinstance(rounding, Stochastic) else None
    expected = grids.reference_codes(grid, x, made.policy, draws)
    np.testing.assert_array_equal(made.encode(x, random=draws), expected)


@settings(max_examples=200, deadline=None)
@given(
    x=properties.NUMBERS,
    y=properties.NUMBERS,
    name=st.sampled_from(["cfloat8_143", "cfloat8_152"]),
    bias=st.integers(0, 63),
    denormals=st.sampled_from(["printed", "ieee"]),
)
def test_properties_at_a_fixed_bias(x, y, name, bias, denormals):
    properties.holds(name, x, y, exponent_bias=bias, denormals=denormals)


@settings(max_examples=50, deadline=None)
@given(exponent=st.integers(-20, 10), seed=st.integers(0, 99))
def test_powers_of_two_move_the_bias_and_nothing_else(exponent, seed):
    made, x = dataformat("cfloat8_143"), np.random.default_rng(seed).normal(size=40)
    plain, moved = made.encode(x), made.encode(x * 2.0**exponent)
    np.testing.assert_array_equal(moved.codes, plain.codes)
    assert moved.tensor_scale == plain.tensor_scale - exponent


def test_decoding_takes_binary32_which_holds_every_value():
    assert dataformat("cfloat8_143").decode(dataformat("cfloat8_143").encode([1.0, 1e-9])).dtype == np.float32
    smallest = dataformat("cfloat16_shp", exponent_bias=63).decode([1], np.float64)[0]
    assert Fraction(smallest) == Fraction(1, 1 << 73)


def test_impossible_biases_are_refused():
    with pytest.raises(DescriptionError, match="6 bits"):
        dataformat("cfloat8_143", exponent_bias=64)

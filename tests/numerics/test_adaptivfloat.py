"""AdaptivFloat against its authors' procedure, written out on floats of higher precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import RequestError
from accelsim.formats import DataFormat
from tests.numerics import properties


def _procedure(x: float, mantissa_bits: int, exponent_bits: int, bias: int) -> float:
    """The steps of the script: clamp, round to the smallest, or round the mantissa to nearest even."""
    smallest = 2.0**bias * (1 + 2.0**-mantissa_bits)
    largest = 2.0 ** (bias + 2**exponent_bits - 1) * (2 - 2.0**-mantissa_bits)
    size = abs(x)
    if size <= smallest / 2:
        size = 0.0
    elif size < smallest:
        size = smallest
    elif size > largest:
        size = largest
    else:
        quantum = 2.0 ** (math.frexp(size)[1] - 1 - mantissa_bits)
        size = min(round(size / quantum) * quantum, largest)
    return math.copysign(size, x)


def test_values_of_the_small_example():
    values = dataformat("adaptivfloat4", exponent_bias=-2).values
    assert values[7:].tolist() == [0, 0.375, 0.5, 0.75, 1, 1.5, 2, 3]
    assert values[:8].tolist() == (-values[7:])[::-1].tolist()


@pytest.mark.parametrize(("name", "mantissa", "exponent"), [("adaptivfloat8", 4, 3), ("adaptivfloat4", 1, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tensor_follows_the_procedure(name, mantissa, exponent, dtype):
    made, rng = dataformat(name), np.random.default_rng(0)
    for scale in (1.0, 1e-6, 300.0):
        x = (rng.normal(size=400) * np.exp2(rng.uniform(-9, 0, 400)) * scale).astype(dtype)
        encoded = made.encode(x)
        bias = math.floor(math.log2(float(np.abs(x).max()))) - (2**exponent - 1)
        assert encoded.tensor_scale == bias
        expected = [_procedure(v, mantissa, exponent, bias) for v in x.tolist()]
        np.testing.assert_array_equal(made.decode(encoded, np.float64), expected)
        np.testing.assert_array_equal(made.quantize(x), np.array(expected).astype(dtype))


def test_half_of_the_smallest_is_zero_where_the_script_leaves_it_unrounded():
    made = dataformat("adaptivfloat4", exponent_bias=-2)
    half = 0.375 / 2
    assert made.quantize([half, np.nextafter(half, 1), -half]).tolist() == [0, 0.375, 0]


def test_the_code_of_the_lowest_power_of_two_is_zero():
    made = dataformat("adaptivfloat8", exponent_bias=0)
    assert made.decode([0x00, 0x01, 0x10, 0x7F, 0x81]).tolist() == [0, 1.0625, 2, 248, -1.0625]
    assert np.signbit(made.decode(0x80))
    assert made.encode([1.0, -0.0]).tolist() == [0x01, 0x80], "1.0625 is nearer than zero"


def test_the_bias_travels_and_may_be_given():
    made, x = dataformat("adaptivfloat8"), np.array([[0.5, -3.0, 100.0]])
    assert made.encode(x).tensor_scale == 6 - 7
    encoded = made.encode(x, bias=-9)
    assert encoded.tensor_scale == -9
    assert made.decode(encoded).max() == 2.0**-2 * (2 - 1 / 16)
    again = made.unpack(made.pack(encoded), x.shape)
    assert (again.tensor_scale, again.codes.tolist()) == (-9, encoded.codes.tolist())
    assert made.storage_bytes(x.shape) == 2 + 3
    with pytest.raises(RequestError, match="whole number"):
        made.encode(x, bias=0.5)
    with pytest.raises(RequestError, match="takes bias"):
        made.encode(x, biass=1)


def test_zeros_nothing_and_extremes():
    made = dataformat("adaptivfloat8")
    assert made.encode(np.zeros((2, 3))).tensor_scale == 0
    assert made.quantize(np.zeros((0, 4))).shape == (0, 4)
    assert made.quantize(np.array([5e-324])) == 0, "the lowest bias has no value so small"
    for x in (1e300, 1e-300, -1.5e308):
        found = made.quantize(np.array([x, 0.0]))
        assert found[1] == 0
        assert 0 < abs(found[0]) <= abs(x) * 2 or abs(x) > 1e307
    assert made.encode(np.array([np.inf, 1.0])).tensor_scale == -7
    with pytest.raises(RequestError, match="NaN"):
        made.encode(np.array([np.nan, 1.0]))


def test_a_fixed_bias_is_a_plain_grid_and_serves_as_an_element():
    plain = dataformat("adaptivfloat4", exponent_bias=-2)
    assert not plain.record.scaled
    assert plain.encode([1.0]).dtype == np.uint8
    group = dataformat("int4_g128").record.with_(element=plain.record)
    assert DataFormat(group).quantize(np.array([3.0, 1.4])).tolist() == [3, 1.5]


@settings(max_examples=150, deadline=None)
@given(
    x=properties.NUMBERS,
    y=properties.NUMBERS,
    name=st.sampled_from(["adaptivfloat4", "adaptivfloat8"]),
    bias=st.integers(-20, 20),
)
def test_properties_at_a_fixed_bias(x, y, name, bias):
    properties.holds(name, x, y, exponent_bias=bias)


@settings(max_examples=50, deadline=None)
@given(exponent=st.integers(-60, 60), seed=st.integers(0, 99))
def test_powers_of_two_move_the_bias_and_nothing_else(exponent, seed):
    made, x = dataformat("adaptivfloat8"), np.random.default_rng(seed).normal(size=40)
    plain, moved = made.encode(x), made.encode(x * 2.0**exponent)
    np.testing.assert_array_equal(moved.codes, plain.codes)
    assert moved.tensor_scale == plain.tensor_scale + exponent
    np.testing.assert_array_equal(made.quantize(made.quantize(x)), made.quantize(x))

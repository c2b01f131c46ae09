"""Block floating point with and without microexponents: equal to the reference, and to hand-made blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError
from accelsim.numerics import jit
from accelsim.numerics.policy import Policy
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

NAMES = ("mx9", "mx6", "mx4", "msfp12", "msfp16")


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference(name):
    assert_equal_to_reference(catalog.format_(name))


@pytest.mark.parametrize(
    "policy", [Policy(rounding="nearest-away", zero="positive"), Policy(rounding="up"), Policy(nan="zero")]
)
def test_policies(policy):
    assert_equal_to_reference(catalog.format_("mx6"), policy, nan=policy.nan == "zero")


@pytest.mark.parametrize(
    "changes",
    [
        {"microexponent_bits": 2, "sub_length": 4}, {"exponent_bits": 5}, {"magnitude_bits": 1}, {"length": 6},
        {"sub_length": 16},
    ],
)  # fmt: skip
def test_other_parameters(changes):
    assert_equal_to_reference(catalog.format_("mx6").with_(**changes))


def test_a_block_by_hand():
    """E = 2 of 6.5; the second pair lies one binade lower and is shifted, the third would need two and gets one."""
    x = np.array([6.5, -1.0, 3.75, 0.25, 1.3, -0.0, 0.0, 0.0] + [0.0] * 8, np.float32)
    made = accelsim.dataformat("mx4")
    encoded = made.encode(x)
    assert encoded.scales.tolist() == [129]
    assert encoded.mask_or_indices.tolist() == [0, 1, 1, 0, 0, 0, 0, 0]
    assert made.decode(encoded)[:6].tolist() == [6.0, -0.0, 3.0, 0.0, 1.0, -0.0], "3.75 saturates at 3"
    assert encoded.codes[:6].tolist() == [3, 4, 3, 0, 1, 4]


def test_msfp_shares_one_exponent_and_nothing_else():
    x = np.array([1.0, 0.0625, -0.125, 1.9] + [0.0] * 12, np.float32)
    made = accelsim.dataformat("msfp12")
    encoded = made.encode(x)
    assert encoded.mask_or_indices is None
    assert made.decode(encoded)[:4].tolist() == [1.0, 0.0, -0.0, 1.75], "quantum 1/4: 1/8 is a tie to even"


def test_special_blocks():
    made = accelsim.dataformat("mx9")
    x = np.zeros((2, 16), np.float32)
    x[1, 4] = -np.inf
    encoded = made.encode(x)
    assert encoded.scales.tolist() == [[0], [255]]
    assert made.decode(encoded)[1, 4] == -127 * 2.0 ** (128 - 6)
    with pytest.raises(RequestError, match="NaN"):
        made.encode(np.array([np.nan]))


@pytest.mark.parametrize("name", NAMES)
def test_numpy_alone_gives_the_same(name, monkeypatch):
    arrays = inputs(np.float32)
    compiled = [accelsim.dataformat(name).quantize(x) for x in arrays]
    monkeypatch.setattr(jit, "enabled", lambda: False)
    for x, values in zip(arrays, compiled, strict=True):
        plain = accelsim.dataformat(name).quantize(x)
        assert np.array_equal(plain, values)
        assert np.array_equal(np.signbit(plain), np.signbit(values))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 37, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        assert_packs(made, made.encode(x, axis=axis))


def test_bytes_of_a_packed_block():
    made = accelsim.dataformat("mx4")
    x = np.array([4.0, 0.0, 1.0] + [0.0] * 13, np.float32)
    codes = 0b010 | 0b001 << 6  # 4 = 2 x 2 of E = 2; 1 = 1 x 1 of the shifted pair
    assert made.pack(made.encode(x)) == codes.to_bytes(6, "little") + bytes([129, 0b00000010])
    assert made.storage_bytes(1 << 20) * 8 / (1 << 20) == made.bits_per_element == 4


vectors = st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=40)


@given(x=vectors, name=st.sampled_from(NAMES))
def test_a_power_of_two_is_idempotent(x, name):
    made = accelsim.dataformat(name)
    once = made.quantize(np.array(x, np.float64))
    assert np.array_equal(made.quantize(once), once)


@given(x=vectors, power=st.integers(-20, 20), name=st.sampled_from(NAMES))
def test_a_power_of_two_scales_through(x, power, name):
    made = accelsim.dataformat(name)
    wide = np.array(x, np.float64)
    wide[np.abs(wide) < 2.0**-60] = 0
    assert np.array_equal(made.quantize(wide * 2.0**power), made.quantize(wide) * 2.0**power)


def test_impossible_descriptions_are_refused():
    with pytest.raises(DescriptionError, match="divide"):
        accelsim.dataformat("mx9", sub_length=3)
    with pytest.raises(DescriptionError, match="belong together"):
        accelsim.dataformat("mx9", microexponent_bits=0)


@pytest.mark.parametrize("name", ["mx9", "mx6", "mx4", "msfp12", "bfp16"])
@pytest.mark.parametrize("shape", [(3, 64), (1, 1), (2, 37), (5, 18), (2, 0)])
@pytest.mark.parametrize("spread", [0, 3, 60, 120])
def test_kernels_give_what_numpy_gives(name, shape, spread, monkeypatch):
    made = accelsim.dataformat(name)
    rng = np.random.default_rng(spread)
    x = np.ldexp(rng.standard_normal(shape), rng.integers(-spread, spread + 1, shape)).astype(np.float32)
    x *= rng.random(shape) < 0.9  # zeros of either sign
    x[rng.random(shape) < 0.02] = np.inf
    encoded, values = made.encode(x), made.quantize(x)
    codes = rng.integers(0, 1 << made.bits, shape).astype(encoded.codes.dtype)
    scales = rng.integers(0, 256, np.shape(encoded.scales)).astype(encoded.scales.dtype)
    odd = replace(encoded, codes=codes, scales=scales)
    wild = made.decode(odd, np.float32)
    monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    expected = made.encode(x)
    for part in ("codes", "scales", "mask_or_indices"):
        np.testing.assert_array_equal(getattr(encoded, part), getattr(expected, part))
    np.testing.assert_array_equal(values.view(np.uint32), made.decode(expected, np.float32).view(np.uint32))
    np.testing.assert_array_equal(wild.view(np.uint32), made.decode(odd, np.float32).view(np.uint32))

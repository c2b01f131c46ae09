"""Posits against the tables of Universal and softposit, against softposit itself, and the posit with one more bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import DescriptionError
from accelsim.numerics import registry
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.grid import Special, encode
from tests.contract import grids
from tests.numerics import tables


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("posit4", "posit4es2__universal"),
        ("posit6", "posit6es2__universal"),
        ("posit8", "posit8es2__universal"),
        ("posit16", "posit16es2__universal"),
        ("posit8_es0", "posit8es0__universal"),
        ("posit8_es1", "posit8es1__universal"),
    ],
)
def test_codes_mean_what_universal_says(name, table):
    expected = [tables.number(row[2]) for row in tables.rows(table)]
    np.testing.assert_array_equal(dataformat(name).decode(np.arange(len(expected)), np.float64), expected)


def test_codes_mean_what_softposit_says():
    expected = [tables.number(row[1]) for row in tables.rows("posit8es0__softposit")]
    found = dataformat("posit8_es0").decode(np.arange(256), np.float64)
    np.testing.assert_array_equal(found, expected)  # its NaR prints as infinity, the only difference


@pytest.mark.parametrize(("name", "bits"), [("posit8", 8), ("posit16", 16), ("posit32", 32), ("posit11", 11)])
def test_softposit_rounds_alike(name, bits):
    softposit = pytest.importorskip("softposit")
    rng = np.random.default_rng(bits)
    x = np.concatenate([rng.normal(size=400), np.exp2(rng.uniform(-130, 130, 400)) * rng.choice([-1, 1], 400)])
    if bits <= 16:
        values = dataformat(name).values
        around = rng.choice(values[1:] + values[:-1], 200) / 2
        x = np.concatenate([x, around])
    made, found = dataformat(name), []
    for value in x.tolist():
        theirs = softposit.convertDoubleToPX2(value, bits)
        found.append(softposit.castPX2(theirs) if hasattr(softposit, "castPX2") else theirs.v)
    codes = (np.array(found, dtype=np.uint64) >> np.uint64(32 - bits)) & np.uint64((1 << bits) - 1)
    np.testing.assert_array_equal(made.encode(x), codes)


def test_values_of_the_standard():
    made = dataformat("posit8")
    assert made.decode([0x40, 0x01, 0x7F, 0xC0, 0x00]).tolist() == [1, 2.0**-24, 2.0**24, -1, 0]
    assert np.isnan(made.decode(0x80))
    assert dataformat("posit16").values[-1] == 2.0**56
    assert float(dataformat("posit32").decode(0x7FFFFFFF)) == 2.0**120
    assert dataformat("posit32").decode([0x40000001])[0] == 1 + 2.0**-27


def test_nothing_rounds_to_zero_or_nar_and_what_is_no_number_becomes_nar():
    made = dataformat("posit8")
    x = np.array([1e-300, -1e-300, 1e300, -1e300, np.inf, -np.inf, np.nan, 0.0, -0.0])
    assert made.encode(x).tolist() == [0x01, 0xFF, 0x7F, 0x81, 0x80, 0x80, 0x80, 0, 0]
    clipped = dataformat("posit8", Policy(overflow="saturate"))
    assert clipped.encode(x).tolist()[4:6] == [0x7F, 0x81]
    assert dataformat("posit32").encode(x).tolist()[:3] == [1, 0xFFFFFFFF, 0x7FFFFFFF]


def test_ties_are_on_the_bit_string_and_not_on_the_value():
    made = dataformat("posit8")
    # from 2^20 to 2^24 two exponent bits are cut off: half-way is 2^22, not 8.5 x 2^20
    assert made.encode([2.0**22, np.nextafter(2.0**22, 0), 3 * 2.0**22, 8.5 * 2.0**20]).tolist() == [126, 126, 127, 127]


@pytest.mark.parametrize("name", ["posit5", "posit8", "posit8_es0", "posit10_es3", "alps8"])
def test_boundaries_are_the_values_of_the_posit_with_one_more_bit(name):
    """A second method: it knows only what codes mean and orders them as signed integers."""
    record = dataformat(name).record
    bits = record.bits
    own, finer = registry.grid(record), registry.grid(record.with_(bits=bits + 1))
    made = dataformat(name)
    for code in range(1, (1 << bits - 1) - 1):
        tie = float(finer.value(2 * code + 1))
        assert float(own.value(code)) < tie < float(own.value(code + 1))
        x = [np.nextafter(tie, -np.inf), tie, np.nextafter(tie, np.inf)]
        assert made.encode(x).tolist() == [code, code + code % 2, code + 1]
        mirrored = [(1 << bits) - c for c in (code, code + code % 2, code + 1)]
        assert made.encode(np.negative(x)).tolist() == mirrored


def test_codes_are_ordered_as_signed_integers():
    for name in ("posit8", "posit12", "alps8", "posit16"):
        values = dataformat(name).decode(np.arange(1 << dataformat(name).bits), np.float64)
        half = values.size // 2
        ordered = np.concatenate([values[half + 1 :], values[:half]])
        assert (np.diff(ordered) > 0).all()


@pytest.mark.parametrize("rounding", ["nearest-away", "nearest-up", "toward-zero", "up", "down", "odd"])
@pytest.mark.parametrize("name", ["posit12", "posit32", "posit24"])
def test_every_rounding_of_the_integer_path_is_the_reference(name, rounding):
    made, rng = dataformat(name, Policy(rounding=rounding)), np.random.default_rng(1)
    codes = rng.integers(0, 1 << made.bits, 300).astype(np.uint32)
    values = made.decode(codes, np.float64)
    x = np.concatenate([values, np.nextafter(values, 9e99), rng.normal(size=100), np.exp2(rng.uniform(-200, 200, 100))])
    x = np.concatenate([x, -x])
    np.testing.assert_array_equal(made.encode(x), grids.reference_codes(registry.grid(made.record), x, made.policy))


@pytest.mark.parametrize("name", ["posit6", "posit8", "posit16", "posit32", "alps8"])
def test_stochastic_rounding_is_the_reference_for_every_random_integer(name):
    bits, rng = 4, np.random.default_rng(2)
    made = dataformat(name, Policy(rounding=Stochastic(bits)))
    x = np.concatenate(
        [rng.normal(size=20), np.exp2(rng.uniform(-130, 130, 20)), [2.0**21, 1.5, 1.0, -(3.0**9), 1e-200]]
    )
    x = np.repeat(x, 1 << bits)
    draws = np.tile(np.arange(1 << bits), x.size >> bits)
    expected = grids.reference_codes(registry.grid(made.record), x, made.policy, draws)
    np.testing.assert_array_equal(made.encode(x, random=draws), expected)


def test_a_limited_regime_keeps_bits_for_the_fraction():
    made = dataformat("alps8")
    assert made.values[-1] == 112  # 0 1111 1 11: 2^(3 x 2 + 1 - 1) x 1.75
    assert float(made.decode(0b0_0000_0_01)) == 1.25 * 2.0**-9
    assert float(made.decode(0b0_10_0_0000)) == 0.5
    unlimited = dataformat("alps8", regime_limit=7, exponent_shift=0)
    codes = np.arange(256)
    np.testing.assert_array_equal(unlimited.decode(codes), dataformat("posit8_es1").decode(codes))


def test_shifting_the_exponent_is_a_factor():
    plain, shifted = dataformat("posit8"), dataformat("posit8", exponent_shift=5)
    codes = np.arange(256)
    np.testing.assert_array_equal(shifted.decode(codes, np.float64), plain.decode(codes, np.float64) * 32)


def test_impossible_posits_are_refused():
    for keys in ({"es": 9}, {"bits": 1}, {"bits": 33}, {"regime_limit": 9}, {"exponent_shift": 2000}):
        with pytest.raises(DescriptionError):
            dataformat("posit8", **keys)


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@settings(max_examples=150, deadline=None)
@given(x=finite, y=finite, name=st.sampled_from(["posit7", "posit16", "posit32", "alps8", "posit9_es0"]))
def test_rounding_is_idempotent_monotone_odd_and_the_reference(x, y, name):
    made = dataformat(name)
    low, high = sorted((x, y))
    below, above = made.quantize(np.array([low, high])).tolist()
    assert below <= above
    assert made.quantize(np.array([below])).tolist() == [below]
    assert made.quantize(np.array([-low])).tolist() == [-below]
    grid = registry.grid(made.record)
    code = encode(grid, Fraction(x) if x else Special.NEGATIVE_ZERO, made.policy)
    assert int(made.encode(x)) == code
    with np.errstate(over="ignore"):
        narrow = np.float32(x)
    assert int(made.encode(narrow)) == int(made.encode(np.float64(narrow)))

"""Takums against a decoder that follows the definition, negative codes included, and against decimals."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import dataformat
from accelsim.errors import RequestError
from accelsim.numerics import registry
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.grid import Special, encode
from tests.contract import grids

_DECIMAL = Context(prec=60)


def _defined(code: int, bits: int, logarithmic: bool) -> Fraction | Decimal | None:
    """Hunhold's definition on the bits of any code, without two's complement; None for NaR."""
    text = f"{code:0{bits}b}".ljust(12, "0")
    if "1" not in text:
        return Fraction(0)
    if "1" not in text[1:]:
        return None
    s, d, regime = int(text[0]), int(text[1]), int(text[2:5], 2)
    r = regime if d else 7 - regime
    characteristic, mantissa = int("0" + text[5 : 5 + r], 2), text[5 + r :]
    c = 2**r - 1 + characteristic if d else -(2 ** (r + 1)) + 1 + characteristic
    f = Fraction(int("0" + mantissa, 2), 2 ** len(mantissa))
    if logarithmic:
        x = (c + f) * (-1) ** s / 2
        value = _DECIMAL.exp(_DECIMAL.divide(Decimal(x.numerator), Decimal(x.denominator)))
        return -value if s else value
    return ((1 - 3 * s) + f) * Fraction(2) ** ((-1) ** s * (c + s))


@pytest.mark.parametrize("bits", [2, 5, 8, 12, 13, 16])
def test_linear_codes_mean_what_the_definition_says(bits):
    found = dataformat(f"takum{bits}").decode(np.arange(1 << bits), np.float64)
    for code, value in enumerate(found.tolist()):
        expected = _defined(code, bits, False)
        assert math.isnan(value) if expected is None else Fraction(value) == expected


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_logarithmic_codes_mean_the_nearest_binary64_of_the_definition(bits):
    found = dataformat(f"takum_log{bits}").decode(np.arange(1 << bits), np.float64)
    for code, value in enumerate(found.tolist()):
        expected = _defined(code, bits, True)
        assert math.isnan(value) if expected is None else value == float(expected)


def test_wide_codes_mean_what_the_definition_says():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1 << 32, 500).astype(np.uint32)
    found = dataformat("takum32").decode(codes, np.float64)
    assert [Fraction(v) for v in found.tolist()] == [_defined(c, 32, False) for c in codes.tolist()]


def test_well_known_values():
    made = dataformat("takum16")
    assert made.decode([0x4000, 0xC000, 0, 0x4400]).tolist() == [1, -1, 0, 1.5]
    assert np.isnan(made.decode(0x8000))
    assert made.encode([np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, -1e-300, 0.0, -0.0]).tolist() == [
        0x8000, 0x8000, 0x8000, 0x7FFF, 0x8001, 0x0001, 0xFFFF, 0, 0,
    ]  # fmt: skip
    assert dataformat("takum_log16").decode(0x4000) == 1


@pytest.mark.parametrize("name", ["takum8", "takum16", "takum_log8", "takum_log12"])
def test_codes_are_ordered_as_signed_integers(name):
    values = dataformat(name).decode(np.arange(1 << dataformat(name).bits), np.float64)
    half = values.size // 2
    assert (np.diff(np.concatenate([values[half + 1 :], values[:half]])) > 0).all()


@pytest.mark.parametrize("name", ["takum6", "takum8", "takum11"])
def test_boundaries_are_the_values_of_the_takum_with_one_more_bit(name):
    made, bits = dataformat(name), dataformat(name).bits
    for code in range(1, (1 << bits - 1) - 1):
        tie = float(_defined(2 * code + 1, bits + 1, False))
        x = [np.nextafter(tie, -np.inf), tie, np.nextafter(tie, np.inf)]
        assert made.encode(x).tolist() == [code, code + code % 2, code + 1]


@pytest.mark.parametrize("name", ["takum_log8", "takum_log12"])
def test_logarithmic_boundaries_lie_between_two_binary64(name):
    """No tie exists: the decimals of each boundary, to sixty places, say on which side each float64 is."""
    made, bits = dataformat(name), dataformat(name).bits
    for code in range(1, (1 << bits - 1) - 1, 3):
        tie = _defined(2 * code + 1, bits + 1, True)
        near = float(tie)
        below, above = sorted((near, float(np.nextafter(near, np.inf if Decimal(near) < tie else 0))))
        assert Decimal(below) < tie < Decimal(above)
        assert made.encode([below, above]).tolist() == [code, code + 1]


@pytest.mark.parametrize("rounding", ["nearest-away", "nearest-up", "toward-zero", "up", "down", "odd"])
@pytest.mark.parametrize("name", ["takum12", "takum32"])
def test_every_rounding_of_the_integer_path_is_the_reference(name, rounding):
    made, rng = dataformat(name, Policy(rounding=rounding)), np.random.default_rng(1)
    values = made.decode(rng.integers(0, 1 << made.bits, 300).astype(np.uint32), np.float64)
    x = np.concatenate([values, np.nextafter(values, 9e99), rng.normal(size=100), np.exp2(rng.uniform(-300, 300, 100))])
    x = np.concatenate([x, -x])
    np.testing.assert_array_equal(made.encode(x), grids.reference_codes(registry.grid(made.record), x, made.policy))


@pytest.mark.parametrize("name", ["takum5", "takum8", "takum16", "takum32"])
def test_stochastic_rounding_is_the_reference_for_every_random_integer(name):
    bits, rng = 4, np.random.default_rng(2)
    made = dataformat(name, Policy(rounding=Stochastic(bits)))
    x = np.repeat(np.concatenate([rng.normal(size=20), np.exp2(rng.uniform(-280, 280, 20)), [1.0, -3e70]]), 1 << bits)
    draws = np.tile(np.arange(1 << bits), x.size >> bits)
    expected = grids.reference_codes(registry.grid(made.record), x, made.policy, draws)
    np.testing.assert_array_equal(made.encode(x, random=draws), expected)


def test_what_logarithmic_takums_cannot_do_is_refused():
    with pytest.raises(RequestError, match="not exact on a logarithmic grid"):
        dataformat("takum_log8", Policy(rounding=Stochastic(8)))
    with pytest.raises(RequestError, match="up to 16"):
        dataformat("takum_log20")


@settings(max_examples=100, deadline=None)
@given(
    x=st.floats(allow_nan=False, allow_infinity=False),
    y=st.floats(allow_nan=False, allow_infinity=False),
    name=st.sampled_from(["takum7", "takum16", "takum32", "takum_log8"]),
)
def test_rounding_is_idempotent_monotone_odd_and_the_reference(x, y, name):
    made = dataformat(name)
    low, high = sorted((x, y))
    below, above = made.quantize(np.array([low, high])).tolist()
    assert below <= above
    assert made.quantize(np.array([below])).tolist() == [below]
    assert made.quantize(np.array([-low])).tolist() == [-below]
    assert int(made.encode(x)) == encode(
        registry.grid(made.record), Fraction(x) if x else Special.NEGATIVE_ZERO, made.policy
    )

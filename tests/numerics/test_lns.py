"""Logarithmic numbers against decimals of sixty places."""

from __future__ import annotations

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
from accelsim.numerics.reference.logarithm import exp2, exp_half, log2, log_half

_DECIMAL = Context(prec=60)


def _decimal(x: Fraction) -> Decimal:
    return _DECIMAL.divide(Decimal(x.numerator), Decimal(x.denominator))


def _power(x: Fraction) -> Decimal:
    return _DECIMAL.power(Decimal(2), _decimal(x))


def test_codes_are_a_sign_and_a_fixed_point_exponent():
    made = dataformat("lns8")
    decoded = made.decode(np.arange(256), np.float64)
    for code, value in enumerate(decoded.tolist()):
        x = (code & 127) - (code & 64) * 2
        expected = 0.0 if x == -64 else float(_power(Fraction(x, 8)))
        assert value == (-expected if code & 128 else expected)
    assert np.signbit(decoded[0xC0])
    assert made.decode([0x00, 0x08, 0x78, 0x80, 0x40]).tolist() == [1, 2, 0.5, -1, 0]


def test_boundaries_lie_half_a_step_between_exponents():
    made = dataformat("lns8")
    for x in range(-63, 63):
        tie = _power(Fraction(2 * x + 1, 16))
        near = float(tie)
        below, above = sorted((near, float(np.nextafter(near, np.inf if Decimal(near) < tie else 0))))
        assert Decimal(below) < tie < Decimal(above)
        assert made.encode([below, above]).tolist() == [x & 127, x + 1 & 127]


def test_what_rounds_below_the_smallest_exponent_is_zero_and_what_is_too_large_the_largest():
    made = dataformat("lns8")
    edge = float(_power(Fraction(-127, 16)))
    assert made.encode([edge * 0.999, edge * 1.001, 1e30, -1e30, np.inf, 0.0]).tolist() == [64, 65, 63, 191, 63, 64]
    assert made.encode([-0.0, -edge * 0.999]).tolist() == [0xC0, 0xC0]
    unsigned = dataformat("lns8", signed=False)
    assert unsigned.bits == 7
    assert unsigned.encode([-1.0, 1.0]).tolist() == [64, 0]


def test_products_are_sums_of_exponents():
    made, rng = dataformat("lns16"), np.random.default_rng(0)
    x, y = np.exp2(rng.uniform(-30, 30, (2, 500)))
    codes = [made.encode(v).astype(int) for v in (x, y)]
    product = made.encode(made.decode(codes[0], np.float64) * made.decode(codes[1], np.float64))
    np.testing.assert_array_equal((codes[0] + codes[1]) & 0x7FFF, product)


def test_powers_and_logarithms_are_close_enough():
    for x in (Fraction(1, 3), Fraction(10) ** 30, Fraction(7, 1 << 40), 1 + Fraction(1, 1 << 52), Fraction(1)):
        exact = _DECIMAL.divide(_DECIMAL.ln(_decimal(x)), _DECIMAL.ln(Decimal(2)))
        assert abs(_DECIMAL.subtract(_decimal(log2(x)), exact)) < Decimal("1e-36")
        assert abs(log_half(x) * Fraction(1442695040888963407, 2 * 10**18) - log2(x)) < Fraction(1, 10**12)
    for x in (Fraction(1, 8), Fraction(-37, 1 << 11), Fraction(-251), Fraction(1017, 4)):
        for found, exact in ((exp2(x), _power(x)), (exp_half(x), _DECIMAL.exp(_decimal(x / 2)))):
            assert abs(_DECIMAL.subtract(_DECIMAL.divide(_decimal(found), exact), Decimal(1))) < Decimal("1e-46")
    assert exp2(Fraction(3)) == 8
    assert log2(Fraction(1, 8)) == -3
    assert exp_half(Fraction(0)) == 1


def test_what_it_cannot_do_is_refused():
    with pytest.raises(RequestError, match="not exact on a logarithmic grid"):
        dataformat("lns8", Policy(rounding=Stochastic(8)))
    with pytest.raises(RequestError, match="up to 16"):
        dataformat("lns8", fraction_bits=13)


@settings(max_examples=100, deadline=None)
@given(x=st.floats(allow_nan=False, allow_infinity=False), y=st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_is_idempotent_monotone_odd_and_the_reference(x, y):
    made = dataformat("lns8")
    low, high = sorted((x, y))
    below, above = made.quantize(np.array([low, high])).tolist()
    assert below <= above
    assert made.quantize(np.array([below])).tolist() == [below]
    assert made.quantize(np.array([-low])).tolist() == [-below]
    exact = Fraction(x) if x else Special.NEGATIVE_ZERO if np.signbit(x) else Fraction(0)
    assert int(made.encode(x)) == encode(registry.grid(made.record), exact, made.policy)

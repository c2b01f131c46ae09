"""Outlier-victim pairs: equal to the reference, and to pairs worked by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError
from accelsim.numerics import registry
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference import roots
from accelsim.numerics.reference.blocks import SINGLE
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

NAMES = ("olive4", "olive4_flint", "olive8")


def encoded(name, pairs, scale=1.0, **overrides):
    return accelsim.dataformat(name, **overrides).encode(np.array(pairs, np.float32).reshape(-1), tensor_scale=scale)


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference(name):
    assert_equal_to_reference(catalog.format_(name))


@pytest.mark.parametrize("policy", [Policy(rounding="nearest-away"), Policy(rounding="down"), Policy(nan="zero")])
def test_policies(policy):
    assert_equal_to_reference(catalog.format_("olive4"), policy, nan=policy.nan == "zero")


def test_first_of_two_outliers():
    assert_equal_to_reference(catalog.format_("olive4").with_(both="first"), arrays=inputs(np.float32))


def test_pairs_by_hand():
    """Normal to 9.5, half way between 7 and 12; outliers 12 16 24 32 48 64 96."""
    pairs = [(7, -7), (9.5, 1), (9.6, 1), (2, -30), (50, 60), (60, -50), (1000, 0), (-13, 12)]
    made = accelsim.dataformat("olive4")
    found = encoded("olive4", pairs)
    assert made.decode(found).reshape(-1, 2).tolist() == [
        [7, -7], [7, 1], [12, 0], [0, -32], [0, 64], [64, 0], [96, 0], [-12, 0],
    ]  # fmt: skip
    assert found.codes.reshape(-1, 2).tolist() == [
        [7, 9], [7, 1], [1, 8], [8, 12], [8, 6], [6, 8], [7, 8], [9, 8],
    ]  # fmt: skip
    assert found.mask_or_indices.reshape(-1, 2).sum(axis=1).tolist() == [0, 0, 1, 1, 1, 1, 1, 1]


def test_the_published_code_keeps_the_first_outlier():
    made = accelsim.dataformat("olive4", both="first")
    assert made.decode(made.encode(np.array([50.0, 60.0]), tensor_scale=1.0)).tolist() == [48, 0]


def test_an_element_without_a_partner_is_clipped():
    made = accelsim.dataformat("olive4")
    assert made.quantize(np.array([1.0, 2.0, 50.0]), tensor_scale=1.0).tolist() == [1, 2, 7]


def test_the_identifier_of_flint_is_no_zero():
    found = encoded("olive4_flint", [(-0.0, 0.0), (-0.1, 5.0)])
    assert 8 not in found.codes.tolist()


def test_the_scale_is_three_standard_deviations():
    x = np.random.default_rng(4).standard_normal(4096).astype(np.float32)
    x[7] = 40
    found = accelsim.dataformat("olive4").encode(x)
    wide = x.astype(np.float64)
    assert np.isclose(found.tensor_scale, (abs(wide.mean()) + 3 * wide.std()) / 7, rtol=1e-7)
    assert found.mask_or_indices[7]
    assert accelsim.dataformat("olive4").encode(np.zeros(4)).tensor_scale == 1.0


def test_an_outlier_is_kept_that_plain_integers_clip_or_pay_for():
    x = np.random.default_rng(4).standard_normal(4096).astype(np.float32)
    x[7] = 40
    errors = [np.square(accelsim.dataformat(name).quantize(x) - x).mean() for name in ("olive4", "int4_tensor")]
    assert errors[0] < errors[1] / 4


@given(a=st.fractions(0, 4, max_denominator=50), b=st.fractions(0, 4, max_denominator=50))
def test_square_roots_round_without_being_computed(a, b):
    code = roots.nearest(SINGLE, a, b)
    value = SINGLE.value(code)
    for other in (SINGLE.value(code + 1), SINGLE.value(max(code - 1, 0))):
        middle = (value + other) / 2
        if other != value:
            above = middle > a and (middle - a) ** 2 >= b
            assert above == (other > value) or (middle - a) ** 2 == b


def test_square_roots_near_a_tie():
    tie = Fraction(1) + Fraction(1, 1 << 24)
    little = Fraction(1, 1 << 600)
    assert roots.nearest(SINGLE, Fraction(0), tie**2 - little) == SINGLE.code(Fraction(1))
    assert roots.nearest(SINGLE, Fraction(0), tie**2 + little) == SINGLE.code(Fraction(1)) + 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 37, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name)
    x = np.random.default_rng(3).standard_cauchy(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        assert_packs(made, made.encode(x, axis=axis))


@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2),
    y=st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2),
    name=st.sampled_from(NAMES),
)
def test_pairs_do_not_touch_each_other_at_a_fixed_scale(x, y, name):
    alone, both = encoded(name, [x], 0.5), encoded(name, [x, y], 0.5)
    assert np.array_equal(alone.codes, both.codes[:2])


def test_impossible_descriptions_and_scales_are_refused():
    with pytest.raises(DescriptionError, match="equal"):
        accelsim.dataformat("olive4", outlier="abfloat8")
    with pytest.raises(RequestError, match="tensor_scale"):
        accelsim.dataformat("olive4").encode(np.ones(2), tensor_scale=-1.0)
    assert registry.reference(catalog.format_("olive4")).edge == Fraction(19, 2)

"""A choice among formats: equal to the reference, and the best there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError
from accelsim.numerics.fast.scaled import Parts
from accelsim.numerics.policy import Policy
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

NAMES = ("ant4", "llm_fp4", "ant4_g128")


def small(dtype=np.float32):
    return [x[:1, :24] for x in inputs(dtype)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["ant4", "llm_fp4"])
def test_a_tensor_equals_the_reference(name, dtype):
    assert_equal_to_reference(catalog.format_(name).with_(steps=40, step=0.02), arrays=small(dtype))


def test_groups_equal_the_reference():
    record = catalog.format_("ant4_g128").with_(length=16, steps=20, step=0.05)
    assert_equal_to_reference(record, arrays=small())
    assert_equal_to_reference(record.with_(scale="fp16"), arrays=small())


@pytest.mark.parametrize("policy", [Policy(rounding="nearest-up"), Policy(nan="zero")])
def test_policies(policy):
    record = catalog.format_("ant4").with_(steps=10, step=0.05)
    arrays = small()
    if policy.nan == "zero":
        arrays[0][0, 3] = np.nan
    assert_equal_to_reference(record, policy, arrays=arrays)


@pytest.mark.parametrize(
    ("values", "choice"),
    [([-7, -5, -3, -1, 1, 3, 5, 7], 0), ([-16, -3, -2, 1, 2, 8, 4, 16], 1), ([64, 32, -16, 8, 4, -2, 1, 0], 2),
     ([6, 4, 3, -2, 1.5, 1, 0.5, -6], 3)],
)  # fmt: skip
def test_what_a_candidate_holds_exactly_is_given_to_it(values, choice):
    made = accelsim.dataformat("ant4")
    x = np.array(values, np.float32)
    found = made.encode(x)
    assert found.mask_or_indices == choice
    assert made.decode(found).tolist() == values


def test_no_candidate_alone_is_better():
    x = np.random.default_rng(2).standard_t(3, 512).astype(np.float32)
    for name in ("ant4", "llm_fp4"):
        made = accelsim.dataformat(name, steps=50, step=0.01)
        error = np.square(made.decode(made.encode(x), np.float64) - x).sum()
        for element in made.record.candidates:
            top = max(abs(accelsim.dataformat(element).values))
            for clip in range(50):
                scale = float(np.float32(float(np.float32(np.abs(x).max() / top)) * (100 - clip) / 100))
                there = accelsim.dataformat(element).quantize(x.astype(np.float64) / scale) * scale
                assert np.square(there - x).sum() >= error * (1 - 1e-9), (name, element.name, clip)


def test_an_infinity_takes_the_first_candidate():
    found = accelsim.dataformat("ant4", steps=4).encode(np.array([np.inf, 1.0, -np.inf]))
    assert found.mask_or_indices == 0
    assert found.codes.tolist() == [7, 0, 9]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 130, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name, steps=5, step=0.1)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        encoded = made.encode(x, axis=axis)
        assert_packs(made, encoded)
        assert made.decode(encoded).shape == shape


@given(x=st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=20), power=st.integers(-20, 20))
def test_a_power_of_two_scales_through(x, power):
    made = accelsim.dataformat("ant4", steps=5, step=0.1)
    wide = np.array(x, np.float64)
    wide[np.abs(wide) < 2.0**-10] = 0
    assert np.array_equal(made.quantize(wide * 2.0**power), made.quantize(wide) * 2.0**power)


def test_impossible_descriptions_and_choices_are_refused():
    with pytest.raises(DescriptionError, match="equally wide"):
        accelsim.dataformat("ant4", candidates=["int4", "int8"])
    with pytest.raises(DescriptionError, match="below a clip range"):
        accelsim.dataformat("ant4", steps=200)
    codec = accelsim.dataformat("llm_fp4")._codec
    with pytest.raises(RequestError, match="candidates"):
        codec.decode(Parts(np.zeros((1, 2), np.uint8), np.uint32(0), None, np.uint8(3)), np.empty((1, 2)))

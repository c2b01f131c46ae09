"""Lists of outliers: equal to the reference, to tensors worked by hand, and to the bytes of both layouts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError
from accelsim.numerics import registry
from accelsim.numerics.fast import outlier_search
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.outlier_list import squared_cut
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

NAMES = ("gobo3", "olaccel4", "olaccel4_chunk")
SMALL = {"index_bits": 4, "outlier_fraction": 0.1}  # pages of 16 with room for two


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference(name):
    assert_equal_to_reference(catalog.format_(name))


@pytest.mark.parametrize("name", ["gobo3", "olaccel4"])
def test_pages_fill_and_end_short(name):
    assert_equal_to_reference(catalog.format_(name).with_(SMALL))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("policy", [Policy(rounding="nearest-away"), Policy(rounding="down"), Policy(nan="zero")])
def test_policies(name, policy):
    assert_equal_to_reference(catalog.format_(name), policy, nan=policy.nan == "zero")


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": -1.0, **SMALL},
        {"threshold": 5.0, **SMALL},
        {"normal": "uint2", "dictionary": "bf16", "outlier": "fp16"},
    ],
)
def test_other_centroids(changes):
    assert_equal_to_reference(catalog.format_("gobo3").with_(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"normal": "uint4", "outlier": "uint16"}, {"normal": "fp4_e2m1", "outlier": "fp16", **SMALL},
        {"dictionary": "ue8m0"},
    ],
)  # fmt: skip
def test_other_elements(changes):
    assert_equal_to_reference(catalog.format_("olaccel4").with_(changes))


def test_other_chunks():
    record = catalog.format_("olaccel4_chunk")
    assert_equal_to_reference(record.with_(normal="int4", outlier="int8", index_bits=3, pointer_bits=5))


def test_stochastic_rounding_does_not_depend_on_what_is_an_outlier():
    made = accelsim.dataformat("olaccel4", Policy(rounding=Stochastic(bits=4)))
    x = np.array([0.5, 0.25, 100.5, -3.25], np.float32)
    drawn = np.array([8, 3, 8, 12])
    assert made.decode(made.encode(x, random=drawn, tensor_scale=1.0)).tolist() == [1, 0, 101, -4]


def test_centroids_by_hand():
    """Runs of two of 1 .. 16: means 1.5, 3.5, ...; edges 2.5, 4.5, ...: nothing moves."""
    x = np.arange(16, 0, -1, dtype=np.float32)
    found = accelsim.dataformat("gobo3").encode(x)
    assert found.scales.view(np.float32).tolist() == [1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 13.5, 15.5]
    assert found.codes.tolist() == [7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
    assert not found.mask_or_indices.any()


def test_centroids_move_to_what_is_near_them():
    """Runs of one of 0 0 0 0 0 0 0 0 | 8 .. give zeros and eights; two different values end exact."""
    x = np.array([0.0] * 12 + [8.0] * 3 + [9.0], np.float32)
    made = accelsim.dataformat("gobo3", threshold=-100.0)
    assert made.quantize(x).tolist() == x.tolist()


def test_an_outlier_of_centroids_is_exact_and_the_test_is_that_of_the_density():
    x = np.random.default_rng(2).normal(0, 0.04, 4096).astype(np.float32)
    x[100] = 0.4321
    found = accelsim.dataformat("gobo3").encode(x)
    wide = x.astype(np.float64)
    density = -np.square(wide - wide.mean()) / (2 * wide.var()) - np.log(np.sqrt(2 * np.pi) * wide.std())
    assert 2 <= found.mask_or_indices.sum() <= 5, "room for 0.1 % of 4096"
    assert set(np.flatnonzero(found.mask_or_indices)) == set(
        np.flatnonzero(density < -4)[np.argsort(density[density < -4])][:5]
    )
    assert accelsim.dataformat("gobo3").decode(found)[100] == x[100]
    assert math.isclose(math.sqrt(squared_cut(Fraction(1), Fraction(-4))), math.sqrt(8 - math.log(2 * math.pi)))
    assert squared_cut(Fraction(10_000), Fraction(-4)) == 0, "every density of a wide distribution is below"


def test_room_goes_to_the_farthest_by_exact_distance():
    """The mean is 2^-60: both 8 and -8 are at the rounded distance 8, and -8 is farther."""
    x = np.array([8.0, 2.0**-56] + [0.0] * 13 + [-8.0])
    made = accelsim.dataformat("gobo3", threshold=-3.0, outlier_fraction=0.05)
    assert np.flatnonzero(made.encode(x).mask_or_indices).tolist() == [15]
    assert np.flatnonzero(made.encode(-x).mask_or_indices).tolist() == [15]


def test_equal_distances_keep_the_first():
    x = np.array([0.0] * 20 + [5.0, -5.0, 5.0, -5.0], np.float32)
    made = accelsim.dataformat("gobo3", threshold=-3.0, outlier_fraction=0.05)
    assert np.flatnonzero(made.encode(x).mask_or_indices).tolist() == [20, 21]


@given(
    st.lists(st.integers(-40, 40), min_size=2, max_size=60),
    st.integers(-3, 3),
    st.sampled_from([np.float32, np.float64]),
)
def test_ties_of_distance_and_scale(values, shift, dtype):
    x = (np.array([values]) * 0.75 * 2.0**shift).astype(dtype)
    for name in ("gobo3", "olaccel4"):
        assert_equal_to_reference(
            catalog.format_(name).with_({"threshold": -2.5} if name == "gobo3" else {}, **SMALL), arrays=[x]
        )


def test_integers_by_hand():
    """Of 20 elements the largest one is left out: cut 14, scale 2."""
    x = np.array([14.0, -14.0, 3.0, 1.0, 1000.0] + [0.0] * 15, np.float32)
    found = accelsim.dataformat("olaccel4").encode(x)
    assert found.tensor_scale == 2
    assert found.codes[:5].tolist() == [7, 9, 2, 0, 500]
    assert accelsim.dataformat("olaccel4").decode(found)[:5].tolist() == [14, -14, 4, 0, 1000]


def test_a_lone_value_among_zeros_sets_the_scale_of_outliers():
    x = np.array([0.0, 0.0, 0.25, 0.0], np.float32)
    for name, largest in (("olaccel4", 32767), ("olaccel4_chunk", 127)):
        found = accelsim.dataformat(name).encode(x)
        assert found.tensor_scale == np.float32(0.25 / largest)
        assert found.codes.tolist() == [0, 0, largest, 0]
    assert accelsim.dataformat("olaccel4").encode(np.zeros(4)).tensor_scale == 1


def test_the_bytes_of_a_chunk():
    """Codes 1, -2, 0, and 100 = 0x64 at 3: its lower half among the codes, place and upper half at the end."""
    x = np.array([1.0, -2.0, 0.0, 100.0] + [0.0] * 12, np.float32)
    made = accelsim.dataformat("olaccel4_chunk")
    found = made.encode(x, tensor_scale=1.0)
    assert made.pack(found) == bytes([0, 0, 0x80, 0x3F, 0xE1, 0x40, *[0] * 6, 0x00, 0x63])
    assert found.mask_or_indices.sum() == 1
    plain = made.encode(-np.ones(16, np.float32), tensor_scale=1.0)
    assert made.pack(plain)[4:] == bytes([0xFF] * 8 + [0x00, 0xF0]), "the upper bits are a sign"
    assert not made.unpack(made.pack(plain), 16).mask_or_indices.any()


def test_a_chunk_keeps_its_largest_outlier_and_clips_the_others():
    x = np.array([50.0, -60.0] + [1.0] * 14 + [9.0] + [1.0] * 15, np.float32)
    made = accelsim.dataformat("olaccel4_chunk")
    assert made.quantize(x, tensor_scale=1.0)[[0, 1, 16]].tolist() == [7, -60, 9]


def test_what_rounds_into_the_normal_range_is_no_outlier_of_a_chunk():
    made = accelsim.dataformat("olaccel4_chunk")
    found = made.encode(np.array([7.4, 0.0], np.float32), tensor_scale=1.0)
    assert found.codes.tolist() == [7, 0]
    assert not found.mask_or_indices.any()


def test_the_bytes_of_a_list():
    """Four codes of 4 bits, one outlier of page 0, of room for one: 0x1F4 = 500 at place 2."""
    made = accelsim.dataformat("olaccel4")
    found = made.encode(np.array([1.0, -1.0, 500.0, 7.0], np.float32), tensor_scale=1.0)
    assert made.pack(found) == bytes([0, 0, 0x80, 0x3F, 0xF1, 0x70, 1, 0, 0, 0, 2, 0, 0xF4, 0x01])


def test_bits_per_element_are_the_limit_of_the_bytes():
    for name in NAMES:
        made = accelsim.dataformat(name)
        assert made.storage_bytes(1 << 24) == int((1 << 21) * made.bits_per_element) + (32 if name == "gobo3" else 4)


def test_infinities_are_the_farthest_and_saturate_without_room():
    x = np.array([np.inf, -np.inf] + [1.0, 2.0] * 8, np.float32)
    gobo = accelsim.dataformat("gobo3", outlier_fraction=0.05)
    assert gobo.quantize(x)[:3].tolist() == [np.inf, 1.0, 1.0]
    assert accelsim.dataformat("gobo3", Policy(overflow="saturate")).quantize(x)[0] == np.finfo(np.float32).max
    assert accelsim.dataformat("olaccel4").quantize(x, tensor_scale=1.0)[:2].tolist() == [32767, -7]
    with pytest.raises(RequestError, match="no infinities"):
        accelsim.dataformat("olaccel4", Policy(overflow="infinity"))


def test_nan_is_an_error_or_a_normal_element():
    x = np.array([[1.0, np.nan, -2.0]], np.float32)
    with pytest.raises(RequestError, match="1 NaN"):
        accelsim.dataformat("gobo3").encode(x)
    assert accelsim.dataformat("olaccel4", Policy(nan="zero")).quantize(x, tensor_scale=1.0).tolist() == [[1, 0, -2]]
    assert accelsim.dataformat("gobo3", Policy(nan="max")).quantize(x).tolist() == [[1, 1, -2]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 37, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name)
    x = np.random.default_rng(3).standard_cauchy(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        assert_packs(made, made.encode(x, axis=axis))


def test_many_pages_pack():
    made = accelsim.dataformat("olaccel4", index_bits=6)
    x = np.random.default_rng(5).standard_cauchy((3, 1000)).astype(np.float32)
    found = made.encode(x, axis=0)
    assert_packs(made, found)
    assert found.mask_or_indices.reshape(-1).any()


def test_bytes_that_say_the_impossible_are_refused():
    made = accelsim.dataformat("olaccel4")
    data = bytearray(made.pack(made.encode(np.ones(4))))
    crowded, behind = bytearray(data), bytearray(data)
    crowded[6], behind[6], behind[10] = 3, 1, 9
    for wrong, message in ((crowded, "3 outliers, and has room for 1"), (behind, "stands at 9")):
        with pytest.raises(RequestError, match=message):
            made.unpack(bytes(wrong), 4)


def test_a_product_takes_the_values():
    made = accelsim.dataformat("gobo3")
    a, b = (np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32) for seed in (1, 2))
    found = made.matmul(a, b, other=accelsim.dataformat("fp32")).values
    exact = made.quantize(a).astype(np.float64) @ b.astype(np.float64)
    assert np.allclose(found, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("gobo3", {"threshold": None}, "threshold"),
        ("olaccel4", {"threshold": -4.0}, "threshold"),
        ("gobo3", {"normal": "int3"}, "uint3"),
        ("olaccel4", {"normal": "int16"}, "at most 8"),
        ("olaccel4", {"pointer_bits": 8}, "chunk"),
        ("olaccel4_chunk", {"outlier": "fp16"}, "signed integers"),
        ("olaccel4_chunk", {"outlier_fraction": 0.2}, "one outlier"),
        ("olaccel4", {"normal": "mxfp4"}, "scales of its own"),
    ],
)
def test_impossible_descriptions_are_refused(name, changes, message):
    with pytest.raises(DescriptionError, match=message):
        accelsim.dataformat(name, **changes)


def test_a_scale_must_be_positive_and_belongs_to_integers():
    with pytest.raises(RequestError, match="tensor_scale = 0"):
        accelsim.dataformat("olaccel4").encode(np.ones(2), tensor_scale=0.0)
    with pytest.raises(RequestError, match="tensor_scale"):
        accelsim.dataformat("gobo3").encode(np.ones(2), tensor_scale=1.0)


def test_large_and_small_tensors_of_binary64():
    """Where sums overflow, or binary64 cannot tell a rounded mean, fractions decide."""
    x = inputs(np.float64)
    for scale in (2.0**1000, 2.0**-1060):
        assert_equal_to_reference(catalog.format_("gobo3").with_(SMALL), arrays=[x[0] * scale, x[3] * scale])


@pytest.mark.parametrize(
    ("values", "centre"),
    [
        ([2.0**54, 3.0, -(2.0**54)], 1.0),
        ([1.0, 1.0 + 2.0**-23], 1.0),
        ([1.0, 1.0 + 2.0**-23, 1.0, 1.0 + 2.0**-23, 2.0 + 2.0**-23, 2.0**-90], 1.0 + 2.0**-23),
    ],
)
def test_means_are_rounded_once(values, centre):
    """Binary64 would lose the 3, and what is left of a tie of fp32 after six numbers."""
    reference = registry.reference(catalog.format_("gobo3"))
    found = outlier_search.gaussian(np.array(values), reference)
    assert found[0] == Fraction(centre)
    assert found == reference.gaussian([Fraction(v) for v in values])

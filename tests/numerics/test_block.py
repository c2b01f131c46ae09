"""Formats whose elements share a scale, OCP MX among them: equal to the exact reference and to the standard's words."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError
from accelsim.numerics import jit, registry
from accelsim.numerics.policy import Policy, Stochastic
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

MX = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4", "mxint8")
RULES = ("floor", "ceil", "even", "rceil")
ML_DTYPES = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn, "mxfp8_e5m2": ml_dtypes.float8_e5m2, "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn, "mxfp4": ml_dtypes.float4_e2m1fn,
}  # fmt: skip
OTHERS = (
    "int4_g32", "int4_g128", "int3_g16", "int8_tensor", "int8_channel", "deepseek_fp8", "fp8_e4m3_tensor", "nf4_b64",
    "nf4_b64_dq", "zeroquant_fp4", "uint4_g128_zp", "int2_g4",
)  # fmt: skip


def record(name, **overrides):
    made = catalog.format_(name)
    return made.with_(**overrides) if overrides else made


# the array path


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MX)
def test_mx_equals_the_reference(name, rule):
    assert_equal_to_reference(record(name, scale_rule=rule), nan=True)


@pytest.mark.parametrize("name", OTHERS)
def test_other_blocks_equal_the_reference(name):
    assert_equal_to_reference(record(name))


@pytest.mark.parametrize("rule", ["power_of_two", "mean", "percentile", "mse"])
@pytest.mark.parametrize("name", ["int4_g32", "nf4_b64", "fp4_e2m1_g16"])
def test_rules_that_look_at_more_than_the_maximum(name, rule):
    more = {"percentile": 95.0} if rule == "percentile" else {}
    few = [x[:1, :40] for x in inputs(np.float32)]
    assert_equal_to_reference(record(name, scale_rule=rule, **more), arrays=few)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(overflow="nan"), Policy(infinity="nan"), Policy(nan="zero"), Policy(nan="max"), Policy(rounding="up"),
        Policy(rounding="nearest-away", zero="positive"), Policy(rounding="odd"), Policy(rounding="toward-zero"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "mxint8"])
def test_policies_of_mx(name, policy):
    if name == "mxint8" and policy.zero == "positive":
        policy = Policy(rounding="nearest-away")
    assert_equal_to_reference(record(name), policy, nan=True)


@pytest.mark.parametrize("zero_point", ["uint4", "int8"])
@pytest.mark.parametrize("name", ["uint4_g32", "int8_tensor", "int8_channel"])
def test_zero_points(name, zero_point):
    assert_equal_to_reference(record(name, zero_point=zero_point))
    assert_equal_to_reference(record(name, zero_point=zero_point), Policy(rounding="down"))


def test_double_quantisation_with_groups_of_any_length():
    assert_equal_to_reference(record("nf4_b64", scale="fp8_e4m3", scale_length=3, scale_scale="fp32", length=16))
    assert_equal_to_reference(record("int4_g16", scale="int8", scale_length=2, scale_scale="fp16"))


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e5m2", "mxint8", "int4_g32", "int8_channel", "nf4_b64"])
def test_numpy_alone_gives_the_same(name, monkeypatch):
    made = accelsim.dataformat(name)
    arrays = inputs(np.float32)
    compiled = [(made.encode(x), made.quantize(x)) for x in arrays]
    monkeypatch.setattr(jit, "enabled", lambda: False)
    for x, (encoded, values) in zip(arrays, compiled, strict=True):
        plain = accelsim.dataformat(name)
        again = plain.encode(x)
        assert np.array_equal(again.codes, encoded.codes)
        assert np.array_equal(again.scales, encoded.scales)
        assert np.array_equal(plain.quantize(x), values, equal_nan=True)


@pytest.mark.parametrize("name", ["nf4_b64", "int4_g32", "fp4_e2m1_g16", "fp8_e4m3_g16"])
def test_quotients_beside_ties_are_exact(name):
    """Numbers next to a tie times the scale, whose quotient in float64 is the tie itself."""
    made = accelsim.dataformat(name)
    grid = registry.grid(made.record.element)
    ties = np.array([float(grid.split(low, high)) for low, high in pairwise(grid.levels[1:-1])])
    ties = ties[: len(ties) // 8 * 8].reshape(-1, 8)
    x = np.zeros((len(ties), 10))
    x[:, 0] = 0.7 + 0.01 * np.arange(len(ties))
    scales = made.encode(x)
    step = made.decode(scales)[:, :1] / float(grid.largest)
    for toward in (-np.inf, np.inf):
        x[:, 1:9] = np.nextafter(ties * step, toward)
        assert_equal_to_reference(made.record, arrays=[x])


def test_a_range_beside_a_tie_of_the_scale_is_exact():
    """15 (1 + 2^-11) + 10^-30 over 15 lies above the middle of two fp16 numbers, the lower one even."""
    x = np.array([[15 * (1 + 2.0**-11), -1e-30, 3.0, 7.5]])
    made = accelsim.dataformat("uint4_g128_zp")
    assert made.encode(x).scales.tolist() == [[0x3C01]]
    assert_equal_to_reference(made.record, arrays=[x])


# the standard's words


@pytest.mark.parametrize("name", ML_DTYPES)
def test_codes_are_those_of_ml_dtypes_at_the_scale_of_the_standard(name):
    x = np.random.default_rng(1).standard_normal((64, 96)).astype(np.float32)
    made = accelsim.dataformat(name)
    encoded = made.encode(x)
    largest = {"mxfp8_e4m3": 8, "mxfp8_e5m2": 15, "mxfp6_e2m3": 2, "mxfp6_e3m2": 4, "mxfp4": 2}[name]
    power = np.frexp(np.abs(x).reshape(64, 3, 32).max(axis=2))[1] - 1 - largest
    assert np.array_equal(encoded.scales, power + 127)
    scaled = x.reshape(64, 3, 32) / 2.0 ** power[:, :, None]
    top = float(ml_dtypes.finfo(ML_DTYPES[name]).max)
    theirs = np.clip(scaled, -top, top).astype(ML_DTYPES[name])
    assert np.array_equal(encoded.codes, theirs.view(np.uint8).reshape(x.shape))


@pytest.mark.parametrize(
    ("rule", "amax", "power"),
    [
        ("floor", 7.9, 0), ("floor", 4.0, 0), ("floor", np.nextafter(np.float32(4), 0), -1),
        ("ceil", 4.0, 0), ("ceil", np.nextafter(np.float32(4), 5), 1), ("ceil", 7.9, 1),
        ("even", 6.9, 0), ("even", 7.0, 1), ("even", np.nextafter(np.float32(7), 0), 0),
        ("rceil", 6.0, 0), ("rceil", np.nextafter(np.float32(6), 7), 1), ("rceil", 3.0, -1), ("rceil", 3.01, 0),
    ],
)  # fmt: skip
def test_scale_rules_of_mxfp4_at_their_edges(rule, amax, power):
    block = np.zeros(32, np.float32)
    block[17] = -amax
    encoded = accelsim.dataformat("mxfp4", scale_rule=rule).encode(block)
    assert encoded.scales.tolist() == [127 + power]


def test_clipping_of_the_floor_rule():
    block = np.zeros(32, np.float32)
    block[0] = 7.9
    assert accelsim.dataformat("mxfp4").quantize(block)[0] == 6
    assert accelsim.dataformat("mxfp4", scale_rule="rceil").quantize(block)[0] == 8


def test_ties_of_a_block_go_to_the_even_code():
    block = np.zeros(32, np.float32)
    block[:8] = [4, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5]
    assert accelsim.dataformat("mxfp4").quantize(block)[:8].tolist() == [4, 0, 1, 1, 2, 2, 4, 4]


def test_special_blocks_of_mx():
    x = np.zeros((4, 32), np.float32)
    x[1, 3], x[2, 3], x[3, 3] = np.nan, np.inf, 1e-45
    encoded = accelsim.dataformat("mxfp4").encode(x)
    assert encoded.scales.ravel().tolist() == [0, 255, 254, 0]
    values = encoded.format.decode(encoded)
    assert np.isnan(values[1]).all()
    assert values[2, 3] == 6 * 2.0**127, "an infinity is a number that is too large"
    assert not values[0].any()
    refused = accelsim.dataformat("mxfp4", policy=Policy(infinity="nan")).encode(x)
    assert refused.scales.ravel().tolist() == [0, 255, 255, 0]


def test_mxint8_never_writes_minus_two():
    block = np.linspace(-1.999, 1.999, 32).astype(np.float32)
    encoded = accelsim.dataformat("mxint8").encode(block)
    assert encoded.scales.tolist() == [127]
    assert encoded.codes[[0, -1]].tolist() == [0x81, 0x7F]


def test_values_near_the_end_of_float32_are_kept():
    block = np.full(32, 2.0**127, np.float64) * 1.75
    made = accelsim.dataformat("mxfp8_e4m3")
    assert made.decode(made.encode(block)).tolist() == block.tolist()
    tiny = np.full(32, 2.0**-133)
    assert made.decode(made.encode(tiny)).tolist() == tiny.tolist()


def test_integers_per_group_divide_exactly():
    """(k + 1/2) scale is a tie, one float more is not."""
    scale = float(np.float16(0.3))
    x = np.zeros(128, np.float32)
    x[0] = np.float32(7 * scale)
    halves = np.array([0.5, 1.5, 2.5, -0.5, -3.5]) * scale
    x[1:6] = halves
    x[6:11] = np.nextafter(x[1:6], np.sign(x[1:6]) * 9)
    encoded = accelsim.dataformat("int4_g128").encode(x)
    exact = [Fraction(float(v)) / Fraction(scale) for v in x[:11]]
    assert encoded.codes[:11].tolist() == [round(v) % 16 for v in exact]
    assert exact[1] == Fraction(1, 2), "the tie is one"


def test_zero_point_of_a_ramp():
    x = np.linspace(-1, 2, 16).astype(np.float32)
    made = accelsim.dataformat("uint4_g128_zp")
    encoded = made.encode(x)
    assert encoded.codes.tolist() == list(range(16))
    assert encoded.mask_or_indices.tolist() == [5]
    assert np.allclose(made.decode(encoded), x, atol=1e-3)


def test_nan_is_refused_with_its_place_where_it_has_none():
    x = np.zeros((2, 64), np.float32)
    x[1, 40] = np.nan
    with pytest.raises(RequestError, match=r"1 NaN, the first at \(1, 40\)"):
        accelsim.dataformat("int4_g32").encode(x)
    with pytest.raises(RequestError, match=r"1 NaN, the first at \(1, 40\)"):
        accelsim.dataformat("int4_g32").quantize(x)


def test_a_tensor_has_one_scale():
    x = np.arange(-6, 6, dtype=np.float32).reshape(3, 4)
    encoded = accelsim.dataformat("int8_tensor").encode(x)
    assert encoded.scales.shape == ()
    channel = accelsim.dataformat("int8_channel").encode(x, axis=0)
    assert channel.scales.shape == (1, 4)
    assert accelsim.dataformat("mxfp4").encode(np.zeros((2, 40, 3)), axis=1).scales.shape == (2, 2, 3)


@pytest.mark.parametrize("name", [*MX, *OTHERS])
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 70, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        encoded = made.encode(x, axis=axis)
        assert encoded.codes.shape == shape
        assert_packs(made, encoded)
        assert made.decode(encoded).shape == shape


def test_a_short_block_takes_the_bytes_of_a_whole_one_and_its_codes_are_zero():
    made = accelsim.dataformat("mxfp4")
    data = made.pack(made.encode(np.full(33, 6.0, np.float32)))
    assert made.storage_bytes(33) == len(data) == 2 * 16 + 2
    assert data[16:32] == bytes([7]) + bytes(15)
    assert data[32:] == bytes([127, 127])


def test_bits_per_element_are_the_limit_of_bytes():
    for name in (*MX, *OTHERS):
        made = accelsim.dataformat(name)
        n = 1 << 20
        assert abs(made.storage_bytes(n) * 8 / n - made.bits_per_element) < 1e-4, name


def test_stochastic_rounding_draws_by_place():
    made = accelsim.dataformat("mxfp4", policy=Policy(rounding=Stochastic(bits=4)))
    x = np.full(64, 1.25, np.float32)
    x[[0, 32]] = 4
    half = np.full(64, 8)
    assert (made.decode(made.encode(x, random=half))[1:32] == 1.5).all()
    assert (made.decode(made.encode(x, random=half - 1))[1:32] == 1.0).all()


# properties


blocks = st.lists(
    st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False), st.just(0.0), st.just(-0.0)),
    min_size=1, max_size=40,
).map(lambda values: np.array(values, np.float32))  # fmt: skip


@given(x=blocks, name=st.sampled_from(MX), rule=st.sampled_from(RULES))
def test_a_power_of_two_is_idempotent(x, name, rule):
    made = accelsim.dataformat(name, scale_rule=rule)
    once = made.quantize(x.astype(np.float64))
    again = made.quantize(once)
    if rule in ("floor", "rceil") or np.array_equal(made.encode(once).scales, made.encode(x).scales):
        assert np.array_equal(once, again)


@given(x=blocks, y=blocks, name=st.sampled_from(("mxfp4", "mxint8", "int4_g32", "nf4_b64")))
def test_blocks_do_not_touch_each_other(x, y, name):
    made = accelsim.dataformat(name)
    length = made.record.block
    wide = np.zeros(2 * length, np.float32)
    wide[: min(x.size, length)] = x[:length]
    alone = made.encode(wide)
    wide[length : length + y.size] = y
    both = made.encode(wide)
    assert np.array_equal(alone.codes[:length], both.codes[:length])
    assert alone.scales[0] == both.scales[0]


@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=64).map(lambda v: np.array(v, np.float32)),
    power=st.integers(-20, 20),
    name=st.sampled_from(MX),
)
def test_a_power_of_two_scales_through(x, power, name):
    made = accelsim.dataformat(name)
    x = np.where(np.abs(x) < 2.0**-40, np.float32(0), x)
    assert np.array_equal(made.quantize(x * np.float32(2.0**power)), made.quantize(x) * np.float32(2.0**power))


@given(x=blocks, name=st.sampled_from((*MX, "int4_g32", "nf4_b64", "uint4_g128_zp")))
def test_dtype_and_memory_order_do_not_matter(x, name):
    made = accelsim.dataformat(name)
    want = made.encode(x)
    other = made.encode(x.astype(np.float64))
    assert np.array_equal(want.codes, other.codes)
    assert np.array_equal(want.scales, other.scales)
    two = np.stack([x, x[::-1]])
    there = made.encode(np.asfortranarray(two))
    assert np.array_equal(there.codes[0], want.codes)
    assert np.array_equal(made.encode(two.T, axis=0).codes.T, there.codes)


# descriptions


@pytest.mark.parametrize(
    ("name", "overrides", "word"),
    [
        ("mxfp4", {"length": 0}, "length"),
        ("mxfp4", {"length": None}, "granularity"),
        ("nf4_b64", {"scale_rule": "even"}, "even"),
        ("nf4_b64", {"zero_point": "uint4"}, "zero point"),
        ("mxfp4", {"zero_point": "uint4"}, "zero point"),
        ("int4_g32", {"scale_rule": "percentile"}, "percentile"),
        ("int4_g32", {"scale_length": 4}, "scale_scale"),
    ],
)  # fmt: skip
def test_impossible_blocks_are_refused(name, overrides, word):
    with pytest.raises(DescriptionError, match=word):
        accelsim.dataformat(name, **overrides)


def test_infinities_are_no_policy_of_mx():
    with pytest.raises(RequestError, match="infinities"):
        accelsim.dataformat("mxfp8_e5m2", policy=Policy(overflow="infinity"))

"""NVFP4 and its kin: equal to the reference, and to the published steps written down with ml_dtypes."""

from __future__ import annotations

import ml_dtypes
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

NAMES = ("nvfp4", "nvfp4_4over6")


def published(x, amax, limit=448.0, target=6.0, least=2.0**-6):
    """Codes, scale codes and values of [rows, 16 k] float32, as torchao 0.18.0 words the steps."""
    one = np.float32
    g = one(amax) / one(limit * 6)
    blocks = x.reshape(x.shape[0], -1, 16)
    scaled = np.abs(blocks).max(axis=2) / one(target) / g
    s = np.clip(scaled, one(least), one(448)).astype(ml_dtypes.float8_e4m3fn)
    factor = (one(1) / g) / s.astype(np.float32)
    y = np.clip(blocks * factor[..., None], one(-6), one(6)).astype(ml_dtypes.float4_e2m1fn)
    values = y.astype(np.float32) * (s.astype(np.float32) * g)[..., None]
    return y.view(np.uint8).reshape(x.shape), s.view(np.uint8), values.reshape(x.shape)


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference(name):
    assert_equal_to_reference(catalog.format_(name), nan=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "policy",
    [
        Policy(infinity="nan"), Policy(nan="max"), Policy(nan="zero", rounding="up"), Policy(rounding="odd"),
        Policy(rounding="nearest-away", zero="positive"),
    ],
)  # fmt: skip
def test_policies(name, policy):
    assert_equal_to_reference(catalog.format_(name), policy, nan=True)


def test_other_elements_and_scales():
    record = catalog.format_("nvfp4")
    assert_equal_to_reference(record.with_(element="fp6_e2m3", length=8, targets=[7.5]))
    assert_equal_to_reference(record.with_(element="int4", scale="fp8_e5m2", targets=[7.0]))


@pytest.mark.parametrize("rounded", [False, True])
def test_nvfp4_is_the_published_sequence_of_fp32_steps(rounded):
    x = np.random.default_rng(5).standard_normal((64, 256)).astype(np.float32)
    x[3] *= 1e-4
    if rounded:
        x = x.astype(ml_dtypes.bfloat16).astype(np.float32)  # many ties, where the order of steps shows
    codes, scales, values = published(x, np.abs(x).max())
    made = accelsim.dataformat("nvfp4")
    encoded = made.encode(x)
    assert np.array_equal(encoded.codes, codes)
    assert np.array_equal(encoded.scales, scales)
    assert np.array_equal(made.decode(encoded), values)
    assert np.array_equal(made.quantize(x), values)


def test_nvfp4_is_the_published_sequence_where_the_order_of_steps_shows():
    """Block maxima and elements within a few floats of where a rounding is decided."""
    near = np.arange(-4, 5).astype(np.int32)
    amax = np.float32(5.4321)
    g = np.float32(amax / np.float32(448 * 6))
    values = np.arange(0x08, 0x7F, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    scales = (values[1:] + values[:-1]) / 2 * 6 * float(g)
    maxima = (scales.astype(np.float32).view(np.int32)[:, None] + near).view(np.float32)
    fractions = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    elements = (fractions * values[:-1, None]).astype(np.float32) * g
    around = (elements[:, None, :].view(np.int32) + near[:, None]).view(np.float32)
    x = np.zeros((*maxima.shape, 16), dtype=np.float32)
    x[..., 0], x[..., 1:8], x[0, 0, 15] = maxima, np.minimum(around, maxima[..., None]), amax
    x = x.reshape(-1, 16 * 9)
    codes, block_scales, expected = published(x, amax)
    encoded = accelsim.dataformat("nvfp4").encode(x)
    assert np.array_equal(encoded.scales, block_scales)
    assert np.array_equal(encoded.codes, codes)
    assert np.array_equal(encoded.format.decode(encoded), expected)
    assert np.array_equal(encoded.format.quantize(x), expected)


def test_small_blocks_get_the_smallest_normal_scale():
    x = np.zeros((1, 48), np.float32)
    x[0, 0], x[0, 16] = 448 * 6, 1e-3
    encoded = accelsim.dataformat("nvfp4").encode(x)
    assert encoded.tensor_scale == 1.0
    assert encoded.scales.view(ml_dtypes.float8_e4m3fn).astype(float).tolist() == [[448, 2.0**-6, 2.0**-6]]
    assert encoded.codes[0, 16] == 0, "flushed"


def test_four_over_six_takes_four_where_that_is_closer():
    """Maximum and three quarters of it: at 6 the latter is 4.5, between 4 and 6; at 4 it is 3."""
    x = np.zeros((1, 32), np.float32)
    x[0, :4] = [8, 6, 6, -6]
    x[0, 16:20] = [8, 4, 4, 4 / 3]
    made = accelsim.dataformat("nvfp4_4over6")
    encoded = made.encode(x, tensor_scale=1.0)
    assert encoded.scales.view(ml_dtypes.float8_e4m3fn).astype(float).tolist() == [[2.0, 1.375]]
    assert made.decode(encoded)[0, :4].tolist() == [8, 6, 6, -6]
    plain = accelsim.dataformat("nvfp4")
    assert (made.quantize(x) - x).std() < (plain.quantize(x) - x).std()


def test_four_over_six_is_never_worse_at_a_fixed_tensor_scale():
    x = np.random.default_rng(6).standard_normal((32, 64)).astype(np.float32)
    six = accelsim.dataformat("nvfp4_4over6", targets=[6.0]).quantize(x)
    both = accelsim.dataformat("nvfp4_4over6").quantize(x)
    errors = [np.square(made - x).reshape(32, 4, 16).sum(axis=2) for made in (both, six)]
    assert (errors[0] <= errors[1]).all()
    assert (errors[0] < errors[1]).any()


def test_special_tensors():
    made = accelsim.dataformat("nvfp4")
    zero = made.encode(np.zeros((2, 16), np.float32))
    assert (zero.tensor_scale, zero.scales.tolist()) == (1.0, [[8], [8]]), "2^-6"
    assert not made.decode(zero).any()
    x = np.ones((3, 16), np.float32)
    x[0, 1], x[1, 1] = np.inf, np.nan
    encoded = made.encode(x)
    assert encoded.tensor_scale == float(np.float32(1 / 2688)), "an infinity does not count"
    assert encoded.scales.ravel().tolist() == [0x7E, 0x7F, 0x7E]
    values = made.decode(encoded)
    assert values[0, 1] == 1.0
    assert np.isnan(values[1]).all()
    assert np.array_equal(values[2], np.ones(16))


def test_numpy_alone_gives_the_same(monkeypatch):
    made = accelsim.dataformat("nvfp4")
    arrays = inputs(np.float32, nan=True)
    compiled = [(made.encode(x), made.quantize(x)) for x in arrays]
    monkeypatch.setattr(jit, "enabled", lambda: False)
    for x, (encoded, values) in zip(arrays, compiled, strict=True):
        again = accelsim.dataformat("nvfp4").encode(x)
        assert np.array_equal(again.codes, encoded.codes)
        assert np.array_equal(again.scales, encoded.scales)
        assert np.array_equal(accelsim.dataformat("nvfp4").quantize(x), values, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 37, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        encoded = made.encode(x, axis=axis)
        assert_packs(made, encoded)
        assert made.decode(encoded).shape == shape


def test_bytes_of_a_packed_tensor():
    made = accelsim.dataformat("nvfp4")
    x = np.full(17, 6.0, np.float32)
    data = made.pack(made.encode(x, tensor_scale=1.0))
    assert data == bytes([0x77] * 8 + [0x07] + [0] * 7 + [0x38, 0x38]) + np.float32(1).tobytes()


@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=16),
    y=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=16),
    name=st.sampled_from(NAMES),
)
def test_blocks_do_not_touch_each_other_at_a_fixed_tensor_scale(x, y, name):
    made = accelsim.dataformat(name)
    both = np.zeros(32, np.float32)
    both[: len(x)] = x
    alone = made.encode(both, tensor_scale=0.25)
    both[16 : 16 + len(y)] = y
    again = made.encode(both, tensor_scale=0.25)
    assert np.array_equal(alone.codes[:16], again.codes[:16])
    assert alone.scales[0] == again.scales[0]


@given(x=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40), name=st.sampled_from(NAMES))
def test_dtype_does_not_matter(x, name):
    made = accelsim.dataformat(name)
    narrow = np.array(x, np.float32)
    one, two = made.encode(narrow), made.encode(narrow.astype(np.float64))
    assert np.array_equal(one.codes, two.codes)
    assert np.array_equal(one.scales, two.scales)


def test_impossible_descriptions_and_scales_are_refused():
    with pytest.raises(DescriptionError, match="fp32"):
        accelsim.dataformat("nvfp4", tensor_scale="fp16")
    with pytest.raises(DescriptionError, match="positive"):
        accelsim.dataformat("nvfp4", targets=[0.0])
    with pytest.raises(RequestError, match="tensor_scale"):
        accelsim.dataformat("nvfp4").encode(np.ones(4), tensor_scale=0.0)

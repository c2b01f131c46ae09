"""GGUF blocks: equal to the reference, and bytes that decode as llama.cpp's loops would."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.numerics.policy import Policy
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

NAMES = ("gguf_q4_0", "gguf_q8_0", "gguf_q4_k", "gguf_q6_k")


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference(name):
    assert_equal_to_reference(catalog.format_(name))


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_reference_over_several_blocks(name):
    arrays = [x[:1] for x in inputs(np.float32, n=300)] + [x[:1] for x in inputs(np.float64, n=271)]
    assert_equal_to_reference(catalog.format_(name), arrays=arrays)


@pytest.mark.parametrize("nan", ["zero", "max"])
@pytest.mark.parametrize("name", NAMES)
def test_nan_by_policy(name, nan):
    assert_equal_to_reference(catalog.format_(name), Policy(nan=nan), nan=True)


def byte_by_byte(name, data):
    """Values of one block, written as the loops over bytes that the file format is defined by."""
    half = lambda at: struct.unpack("<e", data[at : at + 2])[0]  # noqa: E731
    if name == "gguf_q8_0":
        return [half(0) * int.from_bytes(data[2 + i : 3 + i], "little", signed=True) for i in range(32)]
    if name == "gguf_q4_0":
        low, high = [data[2 + i] & 15 for i in range(16)], [data[2 + i] >> 4 for i in range(16)]
        return [half(0) * (q - 8) for q in low + high]
    if name == "gguf_q4_k":
        q = data[4:16]
        pairs = [(q[j] & 63, q[j + 4] & 63) for j in range(4)]
        pairs += [(q[j + 4] & 15 | q[j - 4] >> 6 << 4, q[j + 4] >> 4 | q[j] >> 6 << 4) for j in range(4, 8)]
        made = []
        for j in range(8):
            nibbles = [(data[16 + 32 * (j // 2) + i] >> 4 * (j % 2)) & 15 for i in range(32)]
            made += [np.float32(half(0) * pairs[j][0] * n - half(2) * pairs[j][1]) for n in nibbles]
        return made
    made = [0.0] * 256
    for n in (0, 128):
        ql, qh, sc = data[n // 2 :], data[128 + n // 4 :], data[192 + n // 16 :]
        for i in range(32):
            for k in range(4):
                q = (ql[i + 32 * (k % 2)] >> 4 * (k // 2) & 15 | (qh[i] >> 2 * k & 3) << 4) - 32
                scale = int.from_bytes(sc[i // 16 + 2 * k :][:1], "little", signed=True)
                made[n + i + 32 * k] = np.float32(half(208) * scale * q)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_bytes_mean_what_the_file_format_says(name):
    made = accelsim.dataformat(name)
    length = made.record.block
    data = np.random.default_rng(9).integers(0, 256, made.storage_bytes(length), dtype=np.uint8)
    places = {"gguf_q4_k": (1, 3), "gguf_q6_k": (209,)}.get(name, (1,))
    data[list(places)] = 0x2A  # a scale that is finite
    encoded = made.unpack(data.tobytes(), length)
    assert made.decode(encoded).tolist() == [float(v) for v in byte_by_byte(name, data.tobytes())]
    assert made.pack(encoded) == data.tobytes()


def test_q8_0_by_hand():
    x = np.zeros(32, np.float32)
    x[:4] = [127, 0.5, -1.5, -127]
    encoded = accelsim.dataformat("gguf_q8_0").encode(x)
    assert encoded.scales.tolist() == [np.float16(1).view(np.uint16)]
    assert encoded.codes[:4].astype(np.int8).tolist() == [127, 1, -2, -127], "halves go away from zero"


def test_q4_0_by_hand():
    x = np.zeros(32, np.float32)
    x[:4] = [8, -7, 7, 0.5]
    encoded = accelsim.dataformat("gguf_q4_0").encode(x)
    assert encoded.scales.tolist() == [np.float16(-1).view(np.uint16)]
    assert encoded.codes[:5].tolist() == [0, 15, 1, 8, 8], "+8 becomes -8 of a negative scale"
    assert accelsim.dataformat("gguf_q4_0").decode(encoded)[:4].tolist() == [8, -7, 7, 0]


def test_q4_k_keeps_ramps():
    x = np.repeat(np.arange(8), 32) + np.tile(np.linspace(0, 1, 32), 8)
    made = accelsim.dataformat("gguf_q4_k")
    assert np.abs(made.quantize(x) - x).max() < 0.3
    assert made.storage_bytes(256) == 144
    assert accelsim.dataformat("gguf_q6_k").storage_bytes(256) == 210


def test_more_bits_are_closer():
    x = np.random.default_rng(2).standard_normal((4, 1024)).astype(np.float32)
    errors = [
        np.square(accelsim.dataformat(name).quantize(x) - x).mean() for name in ("gguf_q4_0", *NAMES[2:], NAMES[1])
    ]
    assert errors[0] > errors[1] > errors[2] > errors[3] > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 70, 2)])
def test_any_shape_packs(name, shape):
    made = accelsim.dataformat(name)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        assert_packs(made, made.encode(x, axis=axis))


@given(x=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300), name=st.sampled_from(NAMES))
def test_dtype_does_not_matter(x, name):
    made = accelsim.dataformat(name)
    narrow = np.array(x, np.float32)
    one, two = made.encode(narrow), made.encode(narrow.astype(np.float64))
    assert np.array_equal(one.codes, two.codes)
    assert np.array_equal(one.scales, two.scales)


def test_a_rounding_of_its_own_is_no_choice():
    with pytest.raises(RequestError, match="leave rounding"):
        accelsim.dataformat("gguf_q4_0", policy=Policy(rounding="up"))

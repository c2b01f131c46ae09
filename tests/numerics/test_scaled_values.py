"""Values of codes under scales: the kernels against numpy and against fractions, for any codes and scales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accelsim.formats import dataformat
from accelsim.numerics import jit
from accelsim.numerics.fast import scaled_values_kernels
from accelsim.numerics.fast.scaled_values import ScaledValues

SHAPES = [(3, 200), (1, 1), (2, 67), (0, 5), (4, 0), (300, 32)]
NAMES = (
    "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4", "mxint8", "nvfp4", "int8_channel", "int4_g128",
    "nf4_b64", "int8_tensor", "zeroquant_fp4", "deepseek_fp8",
)  # fmt: skip


def given(name: str, shape: tuple[int, int]):
    """A format, and codes and scales of it of which every one may occur."""
    made = dataformat(name)
    rng = np.random.default_rng(7)
    encoded = made.encode(rng.standard_normal(shape).astype(np.float32))
    codes = rng.integers(0, 1 << made.bits, shape).astype(encoded.codes.dtype)
    bits = made.record.scale.bits
    scales = rng.integers(0, 1 << min(bits, 62), np.shape(encoded.scales), dtype=np.uint64).astype(encoded.scales.dtype)
    return made, replace(encoded, codes=codes, scales=scales)


def bits_of(values):
    """Bits, all NaN alike."""
    return np.where(np.isnan(values), np.uint32(0x7FC00000), values.view(np.uint32))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_codes_under_any_scales_are_what_numpy_gives(name, shape, monkeypatch):
    made, encoded = given(name, shape)
    quick = made.decode(encoded, np.float32)
    monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    assert not jit.enabled()
    np.testing.assert_array_equal(bits_of(quick), bits_of(made.decode(encoded, np.float32)))


@pytest.mark.parametrize(("name", "kernel"), [
    ("mxfp8_e4m3", "of_floats"), ("mxfp8_e5m2", "of_floats"), ("mxfp4", "of_floats"), ("nvfp4", "of_floats"),
    ("mxint8", "of_integers"), ("int4_g128", "of_integers"), ("nf4_b64", "by_table"),
])  # fmt: skip
def test_elements_are_computed_where_every_code_comes_out_right(name, kernel):
    codec = dataformat(name)._codec
    values = ScaledValues(codec.element, codec.record.element)
    assert values._way[0] is getattr(scaled_values_kernels, kernel)


def test_a_kernel_that_is_wrong_for_one_code_is_not_taken():
    codec = dataformat("mxfp8_e4m3")._codec
    values = ScaledValues(codec.element, codec.record.element)
    values.table[77] = np.nextafter(values.table[77], np.float32(0))
    assert values._way[0] is scaled_values_kernels.by_table


def test_scales_that_are_no_float32_are_left_to_numpy():
    codec = dataformat("nf4_b64")._codec
    values = ScaledValues(codec.element, codec.record.element)
    codes, out = np.ones((1, 64), dtype=np.uint8), np.empty((1, 64), dtype=np.float32)
    assert not values.write(codes, np.array([[0.1]]), out, 64)
    assert values.write(codes, np.array([[0.125]]), out, 64)
    assert not values.write(codes, np.array([[0.125]]), np.empty((1, 64)), 64)


def test_every_scale_and_code_of_mxfp8_exactly():
    made = dataformat("mxfp8_e4m3")
    codes = np.tile(np.arange(256, dtype=np.uint8), 255)
    values = made._codec.element.decoded
    scales = np.repeat(np.arange(255, dtype=np.uint8), 8)
    zero = made.encode(np.zeros(codes.size, dtype=np.float32))
    got = made.decode(replace(zero, codes=codes, scales=scales), np.float32)
    with np.errstate(over="ignore"):
        exact = (values[None, :] * np.ldexp(1.0, np.arange(255) - 127)[:, None]).reshape(-1).astype(np.float32)
    np.testing.assert_array_equal(bits_of(got), bits_of(exact))


def test_codes_of_fp32_are_its_bits_also_among_nan():
    bits = np.array([0, 1 << 31, 1, 0x80000001, 0x7FFFFF, 0x3F800000, 0xFF7FFFFF, 0x7F800000, 0xFF800000], np.uint32)
    made = dataformat("fp32")
    np.testing.assert_array_equal(made.decode(bits).view(np.uint32), bits)
    assert np.isnan(made.decode(np.append(bits, np.uint32(0xFFC00001)))).sum() == 1
    np.testing.assert_array_equal(made.decode(np.append(bits, np.uint32(0x7FC00000)))[:-1].view(np.uint32), bits)


@pytest.mark.parametrize("name", ["gguf_q4_0", "gguf_q8_0"])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_of_gguf_under_any_scales_are_what_numpy_gives(name, shape, monkeypatch):
    made = dataformat(name)
    rng = np.random.default_rng(8)
    encoded = made.encode(np.zeros(shape, dtype=np.float32))
    codes = rng.integers(0, 1 << made.bits, shape).astype(np.uint8)
    scales = rng.integers(0, 1 << 16, np.shape(encoded.scales)).astype(np.uint16)
    quick = made.decode(replace(encoded, codes=codes, scales=scales), np.float32)
    monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    expected = made.decode(replace(encoded, codes=codes, scales=scales), np.float32)
    np.testing.assert_array_equal(bits_of(quick), bits_of(expected))
